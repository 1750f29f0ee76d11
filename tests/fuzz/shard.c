/* libFuzzer target: a shard from hostile bytes.  Once as it came, once with the
 * hashes made right, since a hash stops a fuzzer long before it stops an enemy. */
#include "mend.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_bytes(const uint8_t *bytes, size_t size)
{
    char path[64];
    shard s;
    lithe_error err = { 0 };
    int fd = memfd_create("shard", MFD_CLOEXEC);
    if (fd < 0) return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, bytes, size) == (ssize_t)size && shard_open(&s, path, &err) == LITHE_OK) {
        int32_t ids[64];
        uint64_t tokens = s.header.tokens, n = tokens < 64 ? tokens : 64;
        shard_ids(&s, tokens - n, (size_t)n, ids);
        for (uint64_t i = 0; i < n; i++) if (ids[i] < 0 || ids[i] >= s.header.vocab) abort();
        if (shard_documents_before(&s, tokens) != s.header.documents) abort();
        shard_close(&s);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_bytes(data, size);
    uint8_t *copy = size >= SHARD_HEADER_BYTES ? malloc(size) : NULL;
    if (!copy) return 0;
    memcpy(copy, data, size);
    mend_shard(copy, size);
    open_bytes(copy, size);
    free(copy);
    return 0;
}

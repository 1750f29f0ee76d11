/* libFuzzer: a shard of images from hostile bytes.  Once as it came, once with
 * both hashes made right, since a hash stops a fuzzer long before it stops an
 * enemy. */
#include "mend.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_bytes(const uint8_t *bytes, size_t size)
{
    char path[64];
    image_shard s;
    lithe_error err = { 0 };
    int fd = memfd_create("shard", MFD_CLOEXEC), sum = 0;
    if (fd < 0) return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, bytes, size) == (ssize_t)size) {
        int status = image_shard_open(&s, path, &err);
        assert(!status == !err.status && !strchr(err.text, '\n'));
        for (uint64_t i = 0; !status && i < s.count; i++) {
            const uint8_t *p = image_shard_pixels(&s, i);
            assert(image_shard_label(&s, i) >= 0 && image_shard_label(&s, i) < s.classes);
            sum += p[0] + p[image_shard_samples(&s) - 1];
        }
        assert(sum >= 0);
        if (!status) image_shard_close(&s);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_bytes(data, size);
    if (size < IMAGE_SHARD_HEADER) return 0;
    uint8_t *mended = malloc(size);
    memcpy(mended, data, size);
    mend_images(mended, size);
    open_bytes(mended, size);
    free(mended);
    return 0;
}

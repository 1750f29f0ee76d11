/* libFuzzer: bytes as a saved session, of a recurrent model and of one with keys
 * and values.  The model's digest is put right where a file names one, since a
 * digest stops a fuzzer long before it stops an enemy.  What loads goes on. */
#include "infer/session.h"
#include "scratch.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KINDS = 2, DIGEST = 32 };
static const char *const MODELS[KINDS][2] = {
    { "rwkv4", "{\"vocab_size\":5,\"context_length\":8,\"hidden_size\":4,\"num_hidden_layers\":1,\"intermediate_size\":4}" },
    { "gpt2", "{\"vocab_size\":5,\"n_positions\":8,\"n_embd\":4,\"n_layer\":1,\"n_head\":2}" },
};
static struct { lithe_session *session; char digest[DIGEST + 1]; } kinds[KINDS];

static int open_memory(const void *bytes, size_t size, char path[64])
{
    int fd = memfd_create("state", MFD_CLOEXEC);
    if (fd < 0 || (size && write(fd, bytes, size) != (ssize_t)size)) abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void prepare(int k)
{
    char path[SCRATCH_PATH];
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(MODELS[k][0], MODELS[k][1], 1, &err);
    kinds[k].session = lithe_session_open(m, 0, &err);
    scratch_path(path, "state");
    if (lithe_session_push(kinds[k].session, 1, &err) || lithe_session_save(kinds[k].session, NULL, path, &err)) abort();
    tensor_file *f = tensor_file_open(path, &err);
    memcpy(kinds[k].digest, json_string_value(json_object_get(f->metadata, "model")), DIGEST);
    tensor_file_close(f);
    unlink(path);
}

static void mend(uint8_t *bytes, size_t size, const char *digest)
{
    static const char key[] = "\"model\":\"";
    uint8_t *at = memmem(bytes, size, key, sizeof key - 1);
    if (at && (size_t)(bytes + size - at) >= sizeof key - 1 + DIGEST) memcpy(at + sizeof key - 1, digest, DIGEST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    char path[64];
    if (!copy) abort();
    for (int k = 0; k < KINDS; k++) {
        lithe_error err = { 0 };
        if (!kinds[k].session) prepare(k);
        memcpy(copy, data, size);
        mend(copy, size, kinds[k].digest);
        int fd = open_memory(copy, size, path), status = lithe_session_load(kinds[k].session, NULL, path, &err);
        assert(status == (int)err.status && !strchr(err.text, '\n'));
        err = (lithe_error){ 0 };
        const bool room = !lithe_session_context(kinds[k].session) || lithe_session_length(kinds[k].session) < 8;
        /* What was read is gone on from, or its numbers are finite and too large. */
        if (!status && room && lithe_session_push(kinds[k].session, 2, &err)) assert(strstr(err.text, "the states that it was given, are too large"));
        close(fd);
    }
    free(copy);
    return 0;
}

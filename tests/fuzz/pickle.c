/* libFuzzer: bytes as a PyTorch zip where they begin like one, else as the
 * data.pkl of a good archive with two storages, so that the fuzzer need not
 * discover zip before it meets the pickle machine. */
#include "files/tensor_file.h"
#include "../stored_zip.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_through(const uint8_t *data, size_t size)
{
    lithe_error err = { 0 };
    float out[256];
    tensor_file *f = tensor_file_parse(data, size, "fuzz", &err);
    assert(!f == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    for (int i = 0; f && i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        size_t n = t->count < 256 ? t->count : 256;
        assert(file_tensor_floats(t, 0, n, out) == (t->type != DT_BOOL));
        assert(file_tensor_floats(t, t->count - n, n, out) == (t->type != DT_BOOL));
    }
    tensor_file_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t floats[24], halves[8];
    if (size >= 2 && data[0] == 'P' && data[1] == 'K') {
        read_through(data, size);
        return 0;
    }
    const zip_part parts[] = { { "a/data.pkl", data, size }, { "a/data/0", floats, sizeof floats }, { "a/data/1", halves, sizeof halves } };
    bytes b = stored_zip(parts, 3, 0);
    uint8_t *exact = malloc(b.size);                        /* so that a byte beyond the end is beyond the allocation */
    if (!exact) abort();
    memcpy(exact, b.data, b.size);
    free(b.data);
    read_through(exact, b.size);
    free(exact);
    return 0;
}

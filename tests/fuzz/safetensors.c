/* libFuzzer: bytes as a file of tensors, whichever kind they turn out to be.
 * What opens is read through. */
#include "files/tensor_file.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensor(const tensor_file *f, const file_tensor *t)
{
    float out[256];
    size_t n = t->count < 256 ? t->count : 256;
    bool readable = t->type != DT_BOOL && t->type != DT_OTHER;
    assert(tensor_file_find(f, t->name) == t);
    assert(file_tensor_floats(t, 0, n, out) == readable);
    assert(file_tensor_floats(t, t->count - n, n, out) == readable);
    assert(!file_tensor_floats(t, t->count, 1, out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lithe_error err = { 0 };
    tensor_file *f = tensor_file_parse(data, size, "fuzz", &err);
    assert(!f == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    for (int i = 0; f && i < f->count; i++) read_tensor(f, &f->tensors[i]);
    tensor_file_close(f);
    return 0;
}

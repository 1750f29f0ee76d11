/* libFuzzer: bytes as a GGUF file: its keys, each value read as everything it can
 * be, its tensors under their names and ours, and its configuration. */
#include "files/gguf.h"
#include "files/naming.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_value(const gguf_value *v)
{
    int64_t whole;
    double x;
    bool yes;
    gguf_text text;
    assert(gguf_integer(v, &whole) + gguf_bool(v, &yes) <= 1 && (gguf_number(v, &x) || !gguf_integer(v, &whole)));
    text = gguf_string(v);
    assert(text.len <= GGUF_MAX_STRING);
    for (gguf_strings s = gguf_texts(v); gguf_next(&s, &text);) assert(text.len <= GGUF_MAX_STRING);
    json_decref(gguf_json(v));
}

static void read_keys(const gguf_keys *k)
{
    for (size_t i = 0; i < k->count; i++) {
        assert(gguf_find(k, k->values[i].key) == &k->values[i]);
        read_value(&k->values[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lithe_error err = { 0 };
    tensor_file *f = tensor_file_parse(data, size, "fuzz", &err);
    assert(!f == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    float out[256];
    for (int i = 0; f && i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        file_tensor_floats(t, t->count > 256 ? t->count - 256 : 0, t->count < 256 ? t->count : 256, out);
    }
    if (f && f->keys) read_keys(f->keys);
    if (f && !naming_apply_file(f, &err) && f->names && f->names->config) {
        json_t *config = f->names->config(f, &err);
        assert(!config == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
        json_decref(config);
    }
    tensor_file_close(f);
    return 0;
}

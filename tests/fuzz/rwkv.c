/* libFuzzer: bytes as an rwkv.cpp file, of any version and with quantized
 * tensors; what does not begin like one gets a header, so that the fuzzer need
 * not discover it.  Other files of tensors come through too: whatever opens is
 * renamed, recognised, configured, and read through. */
#include "files/rwkv_files.h"
#include "model/model.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensor(const tensor_file *f, const file_tensor *t)
{
    float out[64];
    size_t n = t->count < 64 ? t->count : 64;
    bool readable = t->type != DT_BOOL && t->type != DT_OTHER;
    assert(tensor_file_find(f, t->name) == t);
    assert(file_tensor_floats(t, 0, n, out) == readable && file_tensor_floats(t, t->count - n, n, out) == readable);
}

/* A configuration by shapes is one that its architecture accepts or refuses in one line. */
static void configure(tensor_file *f)
{
    lithe_error err = { 0 };
    json_t *config = tensors_config(f, &err);
    assert(!strchr(err.text, '\n') && !(config && err.status));
    const arch *a = config ? config_arch(config, "fuzz", &err) : NULL;
    void *own = a ? calloc(1, a->config.size) : NULL;
    if (own) assert(!arch_configure(a, config, own, "fuzz", &err) == !err.status && !strchr(err.text, '\n'));
    free(own);
    json_decref(config);
}

static void open_bytes(const uint8_t *data, size_t size)
{
    lithe_error err = { 0 };
    tensor_file *f = tensor_file_parse(data, size, "fuzz", &err);
    assert(!f == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    if (f && !naming_apply_file(f, &err)) {
        configure(f);
        for (int i = 0; i < f->count; i++) read_tensor(f, &f->tensors[i]);
    }
    assert(!strchr(err.text, '\n'));
    tensor_file_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t header[] = { 0x67676d66, 101, 3, 32, 1, 0 };
    open_bytes(data, size);
    if (size >= 4 && !memcmp(data, header, 4)) return 0;
    uint8_t *whole = malloc(sizeof header + size);
    if (!whole) abort();
    memcpy(whole, header, sizeof header);
    memcpy(whole + sizeof header, data, size);
    open_bytes(whole, sizeof header + size);
    free(whole);
    return 0;
}

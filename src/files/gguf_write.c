/* Writes GGUF files (version 3): the head that others have filled with keys, then
 * tensors in the order in which they are given, each at the next multiple of 32.
 * Invariant: what is written is what gguf_parse accepts. */
#include "files/gguf.h"
#include "base/writer.h"
#include "files/tensor_formats.h"
#include <stdlib.h>

/* ggml's names have 64 bytes with their NUL. */
enum { ALIGNMENT = 32, MAX_FILE_RANK = 4, MAX_FILE_NAME = 63 };

static size_t padding(size_t n) { return (ALIGNMENT - n % ALIGNMENT) % ALIGNMENT; }

static void put_whole(FILE *out, uint64_t x, int bytes)
{
    uint8_t field[8];
    store_bytes(field, bytes, x);
    fwrite(field, 1, (size_t)bytes, out);
}

static void put_zeros(FILE *out, size_t n) { while (n--) fputc(0, out); }

static size_t out_bytes(const out_tensor *t)
{
    size_t count = 0, bytes = 0;
    return shape_count(t->dims, t->rank, &count) && dtype_size(t->type, count, &bytes) ? bytes : 0;
}

static size_t description_bytes(const out_tensor *t) { return 8 + strlen(t->name) + 4 + 8 * (size_t)t->rank + 4 + 8; }

static int check(const char *path, const out_tensor *t, lithe_error *err)
{
    int status = check_tensor_name(path, t->name, strlen(t->name), err);
    if (status) return status;
    if (strlen(t->name) > MAX_FILE_NAME) return fail(err, LITHE_EINVAL, "%s: the tensor %s has a name of %zu bytes, GGUF has at most %d", path, t->name, strlen(t->name), MAX_FILE_NAME);
    if (t->rank < 1 || t->rank > MAX_FILE_RANK) return fail(err, LITHE_EINVAL, "%s: %s has %d dimensions, GGUF has 1 to %d", path, t->name, t->rank, MAX_FILE_RANK);
    if (gguf_number_of(t->type) < 0 || !out_bytes(t) || t->dims[t->rank - 1] % dtype_block(t->type))
        return fail(err, LITHE_EINVAL, "%s: %s cannot be written as %s in rows of %lld", path, t->name, dtype_name(t->type), (long long)t->dims[t->rank - 1]);
    return LITHE_OK;
}

static void describe(FILE *out, const out_tensor *t, uint64_t offset)
{
    put_whole(out, strlen(t->name), 8);
    fputs(t->name, out);
    put_whole(out, (uint64_t)t->rank, 4);
    for (int d = t->rank; d-- > 0;) put_whole(out, (uint64_t)t->dims[d], 8);
    put_whole(out, (uint64_t)gguf_number_of(t->type), 4);
    put_whole(out, offset, 8);
}

int gguf_write(const char *path, const gguf_head *head, const out_tensor *tensors, int count, lithe_error *err)
{
    writer w;
    int status = failed(err) ? (int)err->status : head->out_of_memory ? fail(err, LITHE_ENOMEM, "%s: not enough memory for its keys", path) : LITHE_OK;
    for (int i = 0; i < count && !status; i++) status = check(path, &tensors[i], err);
    if (!status) status = writer_open(&w, path, err);
    if (status) return status;
    size_t at = 24 + head->size;
    uint64_t offset = 0;
    fputs("GGUF", w.stream), put_whole(w.stream, 3, 4), put_whole(w.stream, (uint64_t)count, 8), put_whole(w.stream, head->count, 8);
    if (head->size) fwrite(head->bytes, 1, head->size, w.stream);
    for (int i = 0; i < count; i++) {
        size_t bytes = out_bytes(&tensors[i]);
        describe(w.stream, &tensors[i], offset);
        at += description_bytes(&tensors[i]);
        offset += bytes + padding(bytes);
    }
    put_zeros(w.stream, padding(at));
    for (int i = 0; i < count && !(status = tell_writing((size_t)i, (size_t)count, err)); i++) {
        size_t bytes = out_bytes(&tensors[i]);
        fwrite(tensors[i].data, 1, bytes, w.stream);
        put_zeros(w.stream, padding(bytes));
    }
    if (!status) return writer_commit(&w, err);
    writer_abandon(&w);
    return status;
}

/* Vectors, and tables and mixes that llama.cpp reads as F32 alone, are F32. */
dtype gguf_type_for(const out_tensor *t, dtype asked)
{
    static const char *const full[] = { "_norm.weight", "token_types.", "position_embd.", ".time_mix_first.", ".time_mix_w1.", ".time_mix_w2.", ".time_mix_decay_w",
                                        ".time_mix_lerp_", ".channel_mix_lerp_" };
    if (t->rank < 2) return DT_F32;
    for (size_t i = 0; i < sizeof full / sizeof *full; i++)
        if (strstr(t->name, full[i])) return DT_F32;
    return asked;
}

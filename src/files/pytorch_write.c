/* Writes a .pth file as torch.save does: a zip of archive/data.pkl, a protocol 2
 * pickle of an OrderedDict of tensors, and archive/data/N, the bytes of the
 * N-th.  Each tensor is contiguous and has a storage of its own.
 * Invariant: the pickle has no opcode or global that pytorch.c does not read. */
#include "base/arena.h"
#include "base/writer.h"
#include "files/tensor_formats.h"
#include "files/zip.h"
#include <stdlib.h>

/* ---- the pickle ------------------------------------------------------------------------ */

static void put(FILE *out, const char *opcodes) { fputs(opcodes, out); }

static void put_text(FILE *out, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);
    fputc('X', out);
    fwrite(&n, sizeof n, 1, out);
    put(out, text);
}

/* BININT1, BININT2, BININT or eight bytes of LONG1, the shortest that holds n, which is not negative. */
static void put_number(FILE *out, int64_t n)
{
    size_t bytes = n < 1 << 8 ? 1 : n < 1 << 16 ? 2 : n <= INT32_MAX ? 4 : 8;
    put(out, bytes == 1 ? "K" : bytes == 2 ? "M" : bytes == 4 ? "J" : "\x8a\x08");
    fwrite(&n, 1, bytes, out);
}

static const char *storage_of(dtype t) { return t == DT_F32 ? "FloatStorage" : t == DT_BF16 ? "BFloat16Storage" : t == DT_F16 ? "HalfStorage" : NULL; }

static void put_dict(FILE *out) { put(out, "ccollections\nOrderedDict\n)R"); }

static void put_strides(FILE *out, const out_tensor *t)
{
    put(out, "(");
    for (int d = 0; d < t->rank; d++) {
        int64_t stride = 1;
        for (int k = d + 1; k < t->rank; k++) stride *= t->dims[k];
        put_number(out, stride);
    }
    put(out, "t");
}

static void put_tensor(FILE *out, const out_tensor *t, int key, size_t count)
{
    char number[16];
    snprintf(number, sizeof number, "%d", key);
    put_text(out, t->name);
    put(out, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(out, "storage");
    fprintf(out, "ctorch\n%s\n", storage_of(t->type));
    put_text(out, number);
    put_text(out, "cpu");
    put_number(out, (int64_t)count);
    put(out, "tQK");
    fputc(0, out);                                          /* the offset in the storage */
    put(out, "(");
    for (int d = 0; d < t->rank; d++) put_number(out, t->dims[d]);
    put(out, "t");
    put_strides(out, t);
    put(out, "\x89");
    put_dict(out);
    put(out, "tR");
}

static char *make_pickle(const out_tensor *tensors, int count, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out) return NULL;
    put(out, "\x80\x02");
    put_dict(out);
    put(out, "(");
    for (int i = 0; i < count; i++) {
        size_t elements = 0;
        shape_count(tensors[i].dims, tensors[i].rank, &elements);
        put_tensor(out, &tensors[i], i, elements);
    }
    put(out, "u.");
    bool full = ferror(out) != 0;
    if (!fclose(out) && !full && text) return text;
    free(text);
    return NULL;
}

/* ---- the archive ------------------------------------------------------------------------ */

static int check(const char *path, const out_tensor *tensors, int count, lithe_error *err)
{
    size_t bytes;
    for (int i = 0; i < count; i++) {
        const out_tensor *t = &tensors[i];
        int status = check_tensor_name(path, t->name, strlen(t->name), err);
        if (status) return status;
        if (!storage_of(t->type)) return fail(err, LITHE_EINVAL, "%s: %.200s is of type %s; F32, BF16 and F16 are written", path, t->name, dtype_name(t->type));
        if (!shape_count(t->dims, t->rank, &bytes) || !size_mul(bytes, dtype_bytes(t->type), &bytes))
            return fail(err, LITHE_EINVAL, "%s: %.200s: the product of its sizes overflows", path, t->name);
    }
    return LITHE_OK;
}

static int put_members(zip_writer *z, const char *path, const out_tensor *tensors, int count, const char *pickle, size_t size, arena *names, lithe_error *err)
{
    char name[32];
    int status = LITHE_OK;
    zip_put(z, "archive/data.pkl", pickle, size);
    for (int i = 0; i < count && !(status = tell_writing((size_t)i, (size_t)count, err)); i++) {
        size_t bytes = 0;
        shape_count(tensors[i].dims, tensors[i].rank, &bytes);
        snprintf(name, sizeof name, "archive/data/%d", i);
        const char *kept = arena_strdup(names, name);
        if (!kept) return fail(err, LITHE_ENOMEM, "%s: no memory for a zip of %d tensors", path, count);
        zip_put(z, kept, tensors[i].data, bytes * dtype_bytes(tensors[i].type));
    }
    zip_put(z, "archive/version", "3\n", 2);
    return status;
}

int pytorch_write(const char *path, const out_tensor *tensors, int count, lithe_error *err)
{
    writer w;
    arena names = { 0 };
    size_t size = 0;
    int status = failed(err) ? (int)err->status : check(path, tensors, count, err);
    if (status) return status;
    zip_writer z = { .capacity = (size_t)count + 2, .entries = xalloc((size_t)count + 2, sizeof *z.entries) };
    char *pickle = make_pickle(tensors, count, &size);
    if (!z.entries || !pickle) status = fail(err, LITHE_ENOMEM, "%s: no memory for a zip of %d tensors", path, count);
    if (!status) status = writer_open(&w, path, err);
    if (!status) {
        z.out = w.stream;
        status = put_members(&z, path, tensors, count, pickle, size, &names, err);
        if (!status) status = zip_finish(&z, path, err);
        if (status) writer_abandon(&w);
        else status = writer_commit(&w, err);
    }
    free(pickle);
    free(z.entries);
    arena_free(&names);
    return status;
}

/* Writes a file of rwkv.cpp: six u32, then a record for each tensor, transformed as
 * names_rwkv.c says.  F16 files keep vectors, mixes and the tensors of the
 * state in F32, as the runtime's converter does.
 * Invariant: names, ranks and types of the records are those of its converter. */
#include "files/tensor_formats.h"
#include "base/writer.h"

enum { MAX_FILE_RANK = 3 };

static const out_tensor *find(const out_tensor *tensors, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(tensors[i].name, name)) return &tensors[i];
    return NULL;
}

dtype rwkvcpp_type(const out_tensor *t, dtype asked)
{
    static const char *const full[] = { ".time_", ".k_k", ".k_a", ".r_k", ".x_rwkvag", ".x_k", ".w0", ".a0", ".v0" };
    if (rwkvcpp_number(asked) == RWKVCPP_NO_TYPE) return DT_OTHER;
    for (size_t i = 0; i < sizeof full / sizeof *full; i++)
        if (strstr(t->name, full[i])) return DT_F32;
    return t->rank > 1 ? asked : DT_F32;
}

static void put_u32(FILE *out, uint64_t x) { fwrite(&(uint32_t){ (uint32_t)x }, 4, 1, out); }

static void put_record(FILE *out, const out_tensor *t)
{
    size_t count;
    shape_count(t->dims, t->rank, &count);
    put_u32(out, (uint64_t)t->rank);
    put_u32(out, strlen(t->name));
    put_u32(out, rwkvcpp_number(t->type));
    for (int d = t->rank; d-- > 0;) put_u32(out, (uint64_t)t->dims[d]);
    fputs(t->name, out);
    size_t bytes = 0;
    dtype_size(t->type, count, &bytes);
    fwrite(t->data, 1, bytes, out);
}

/* That of its blocks, else of its embedding. */
static uint32_t type_of_file(const out_tensor *tensors, int count, const out_tensor *embedding)
{
    for (int i = 0; i < count; i++)
        if (dtype_block(tensors[i].type) > 1) return rwkvcpp_number(tensors[i].type);
    return rwkvcpp_number(embedding->type);
}

static int check(const char *path, const out_tensor *tensors, int count, lithe_error *err)
{
    const out_tensor *decay = find(tensors, count, "blocks.0.att.time_decay"), *embedding = find(tensors, count, "emb.weight");
    for (int i = 0; i < count; i++)
        if (tensors[i].rank < 1 || tensors[i].rank > MAX_FILE_RANK)
            return fail(err, LITHE_EINVAL, "%s: %.200s has %d dimensions, rwkv.cpp's tensors have 1 to 3", path, tensors[i].name, tensors[i].rank);
    if (!embedding || embedding->rank != 2) return fail(err, LITHE_EINVAL, "%s: only RWKV is written for rwkv.cpp, as .bin", path);
    if (find(tensors, count, "blocks.0.att.gate.weight") && decay && decay->rank == 3 && decay->dims[1] == 1)
        return fail(err, LITHE_EINVAL, "%s: rwkv.cpp does not run RWKV-5.1", path);
    return LITHE_OK;
}

static uint64_t layers(const out_tensor *tensors, int count)
{
    char name[64];
    uint64_t n = 0;
    do snprintf(name, sizeof name, "blocks.%llu.ln1.weight", (unsigned long long)n++); while (find(tensors, count, name));
    return n - 1;
}

int rwkvcpp_write(const char *path, const out_tensor *tensors, int count, lithe_error *err)
{
    writer w;
    int status = failed(err) ? (int)err->status : check(path, tensors, count, err);
    if (!status) status = writer_open(&w, path, err);
    if (status) return status;
    const out_tensor *embedding = find(tensors, count, "emb.weight");
    const uint64_t header[] = { 0x67676d66, 101, (uint64_t)embedding->dims[0], (uint64_t)embedding->dims[1], layers(tensors, count), type_of_file(tensors, count, embedding) };
    for (int i = 0; i < 6; i++) put_u32(w.stream, header[i]);
    for (int i = 0; i < count && !(status = tell_writing((size_t)i, (size_t)count, err)); i++) put_record(w.stream, &tensors[i]);
    if (!status) return writer_commit(&w, err);
    writer_abandon(&w);
    return status;
}

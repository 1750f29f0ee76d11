/* RWKV as rwkv.cpp reads it: what rwkvcpp.c undoes, done.  Six u32, then records
 * of one tensor each; decays and first bonuses in the runtime's own terms,
 * matrices of low rank (out,in), version 7's six mixes as one.  F16 files keep
 * vectors, mixes and the state's tensors in F32, as the runtime's converter does.
 * Invariant: names, ranks and types of the records are those of its converter. */
#include "files/naming.h"
#include "files/tensor_formats.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_FILE_RANK = 3 };
static const char MIXES[] = "rwkvag";

typedef struct {
    FILE *out;
    const char *path;
    const out_tensor *tensors; int count;                    /* F32, sorted by name */
    bool half, five, six, seven;
} target;

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);
    return n >= k && !strcmp(name + n - k, suffix);
}

static const out_tensor *find(const target *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->tensors[i].name, name)) return &t->tensors[i];
    return NULL;
}

static bool one_of(const char *name, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(name, *parts)) return true;
    return false;
}

/* ---- one record ---- */

typedef struct { const char *name; int rank; int64_t dims[MAX_FILE_RANK]; const float *data; size_t count; } record;

static bool written_half(const target *t, const record *r)
{
    static const char *const full[] = { ".time_", ".k_k", ".k_a", ".r_k", ".x_rwkvag", ".x_k", ".w0", ".a0", ".v0", NULL };
    return t->half && r->rank > 1 && !one_of(r->name, full);
}

static void put_u32(FILE *out, uint64_t x) { fwrite(&(uint32_t){ (uint32_t)x }, 4, 1, out); }

static void put_record(const target *t, const record *r)
{
    bool half = written_half(t, r);
    put_u32(t->out, (uint64_t)r->rank);
    put_u32(t->out, strlen(r->name));
    put_u32(t->out, half);
    for (int d = r->rank; d-- > 0;) put_u32(t->out, (uint64_t)r->dims[d]);
    fputs(r->name, t->out);
    if (!half) fwrite(r->data, sizeof *r->data, r->count, t->out);
    for (size_t i = 0; half && i < r->count; i++) fwrite(&(uint16_t){ f16_from_float(r->data[i]) }, 2, 1, t->out);
}

/* ---- what becomes of a tensor ---- */

static void squeeze(record *r)
{
    int rank = 0;
    for (int d = 0; d < r->rank; d++)
        if (r->dims[d] != 1) r->dims[rank++] = r->dims[d];
    if (!rank) r->dims[rank++] = 1;
    r->rank = rank;
}

static void shape(record *r, int64_t a, int64_t b, int64_t c)
{
    r->rank = 3;
    r->dims[0] = a, r->dims[1] = b, r->dims[2] = c;
}

/* The last two dimensions change places. */
static void turn(record *r, float *own)
{
    size_t columns = (size_t)r->dims[r->rank - 1], rows = (size_t)r->dims[r->rank - 2], each = rows * columns;
    for (size_t i = 0; i < r->count; i++) own[i / each * each + i % each % columns * rows + i % each / columns] = r->data[i];
    r->data = own;
    r->dims[r->rank - 1] = (int64_t)rows;
    r->dims[r->rank - 2] = (int64_t)columns;
}

static double decay_of_four(double raw) { return -exp(raw); }
static double decay_of_five(double raw) { return exp(-exp(raw)); }

static void map(record *r, float *own, double (*f)(double))
{
    for (size_t i = 0; i < r->count; i++) own[i] = (float)f((double)r->data[i]);
    r->data = own;
}

static void time_tensor(const target *t, record *r, float *own)
{
    static const char *const turned[] = { ".time_maa_w1", ".time_maa_w2", ".time_decay_w", NULL };
    const out_tensor *bonus = find(t, "blocks.0.att.time_faaaa");
    bool decay = ends_with(r->name, ".time_decay"), first = ends_with(r->name, ".time_first");
    if (decay && !t->six) map(r, own, t->five ? decay_of_five : decay_of_four);
    if (first && t->five) map(r, own, exp);
    if (decay && t->six && bonus) shape(r, bonus->dims[0], bonus->dims[1], 1);
    else if (ends_with(r->name, ".time_faaaa") || (t->five && (decay || first))) shape(r, r->dims[0], r->rank > 1 ? r->dims[1] : 1, 1);
    else if (one_of(r->name, turned)) turn(r, own);
    else squeeze(r);
}

static bool low_rank(const char *name)
{
    size_t n = strlen(name);
    return n > 7 && !memcmp(name + n - 7, ".att.", 5) && strchr("wavg", name[n - 2]) && (name[n - 1] == '1' || name[n - 1] == '2');
}

/* Version 7's six mixes, at the first of them. */
static int put_mixes(const target *t, const out_tensor *x, float *own, lithe_error *err)
{
    char name[NAMING_BYTES], all[NAMING_BYTES];
    int stem = (int)strlen(x->name) - 1;
    size_t width = (size_t)x->dims[x->rank - 1];
    for (int m = 0; MIXES[m]; m++) {
        snprintf(name, sizeof name, "%.*s%c", stem, x->name, MIXES[m]);
        const out_tensor *mix = find(t, name);
        if (!mix || (size_t)mix->dims[mix->rank - 1] != width) return fail(err, LITHE_EINVAL, "%s: %.200s is missing", t->path, name);
        memcpy(own + (size_t)m * width, mix->data, width * sizeof *own);
    }
    snprintf(all, sizeof all, "%.*s%s", stem, x->name, MIXES);
    put_record(t, &(record){ .name = all, .rank = 3, .dims = { 6, 1, (int64_t)width }, .data = own, .count = 6 * width });
    return LITHE_OK;
}

static int put_tensor(const target *t, const out_tensor *x, float *own, lithe_error *err)
{
    record r = { .name = x->name, .rank = x->rank, .dims = { x->dims[0], x->dims[1], x->dims[2] }, .data = x->data };
    shape_count(x->dims, x->rank, &r.count);
    if (t->seven && strstr(x->name, ".att.x_")) return ends_with(x->name, ".x_a") ? put_mixes(t, x, own, err) : LITHE_OK;
    if (strstr(x->name, ".time_")) time_tensor(t, &r, own);
    else if (t->seven && low_rank(x->name)) turn(&r, own);
    put_record(t, &r);
    return LITHE_OK;
}

/* ---- the file ---- */

static int check_tensor(const target *t, const out_tensor *x, lithe_error *err)
{
    if (x->type != DT_F32 || x->rank < 1 || x->rank > MAX_FILE_RANK)
        return fail(err, LITHE_EINVAL, "%s: %.200s has %d dimensions, rwkv.cpp's tensors have 1 to 3", t->path, x->name, x->rank);
    record r = { .name = x->name, .rank = x->rank, .data = x->data };
    shape_count(x->dims, x->rank, &r.count);
    for (size_t i = 0; written_half(t, &r) && i < r.count; i++)
        if (isfinite(r.data[i]) && fabsf(r.data[i]) > 65504)
            return fail(err, LITHE_EINVAL, "%s: %.200s holds values beyond f16's largest, 65504; save it as f32", t->path, x->name);
    return LITHE_OK;
}

static int check(const target *t, lithe_error *err)
{
    const out_tensor *decay = find(t, "blocks.0.att.time_decay");
    for (int i = 0; i < t->count; i++) {
        int status = check_tensor(t, &t->tensors[i], err);
        if (status) return status;
    }
    if (!find(t, "emb.weight") || !find(t, "blocks.0.ln0.weight")) return fail(err, LITHE_EINVAL, "%s: only RWKV is written for rwkv.cpp, as .bin", t->path);
    if (t->five && find(t, "blocks.0.att.gate.weight") && decay && decay->rank < 2) return fail(err, LITHE_EINVAL, "%s: rwkv.cpp does not run RWKV-5.1", t->path);
    return LITHE_OK;
}

/* Numbers that a tensor's record needs room of its own for. */
static size_t room_for(const target *t, const out_tensor *x)
{
    size_t n = 0;
    shape_count(x->dims, x->rank, &n);
    if (t->seven && strstr(x->name, ".att.x_")) return sizeof MIXES * n;
    return strstr(x->name, ".time_") || (t->seven && low_rank(x->name)) ? n : 0;
}

static uint64_t layers(const target *t)
{
    char name[64];
    uint64_t n = 0;
    do snprintf(name, sizeof name, "blocks.%llu.ln1.weight", (unsigned long long)n++); while (find(t, name));
    return n - 1;
}

static int put_all(const target *t, float *own, lithe_error *err)
{
    const out_tensor *embedding = find(t, "emb.weight");
    const uint64_t header[] = { 0x67676d66, 101, (uint64_t)embedding->dims[0], (uint64_t)embedding->dims[1], layers(t), t->half };
    int status = LITHE_OK;
    for (int i = 0; i < 6; i++) put_u32(t->out, header[i]);
    for (int i = 0; i < t->count && !status; i++) status = put_tensor(t, &t->tensors[i], own, err);
    return status;
}

int rwkvcpp_write(const char *path, const out_tensor *tensors, int count, dtype type, lithe_error *err)
{
    writer w;
    size_t most = 0;
    if (failed(err)) return err->status;
    target t = { .path = path, .tensors = tensors, .count = count, .half = type == DT_F16 };
    t.seven = find(&t, "blocks.0.att.r_k");
    t.six = find(&t, "blocks.0.att.time_maa_x");
    t.five = !t.seven && !t.six && find(&t, "blocks.0.att.ln_x.weight");
    int status = check(&t, err);
    for (int i = 0; i < count && !status; i++)
        if (room_for(&t, &tensors[i]) > most) most = room_for(&t, &tensors[i]);
    float *own = status ? NULL : xalloc(most + 1, sizeof *own);
    if (!status && !own) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", path);
    if (!status) status = writer_open(&w, path, err);
    if (!status) {
        t.out = w.stream;
        status = put_all(&t, own, err);
        if (status) writer_abandon(&w);
        else status = writer_commit(&w, err);
    }
    free(own);
    return status;
}

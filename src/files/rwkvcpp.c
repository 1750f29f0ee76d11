/* rwkv.cpp's files: six u32 (magic 0x67676d66, version, vocabulary, width,
 * layers, type), then tensors to the end of the file, each
 *   u32 rank, u32 length of the name, u32 type, u32 dims[rank], the name, data
 * with the contiguous dimension first.  Names are those of the authors' .pth,
 * and so are the tensors here, whatever the runtime did to them:
 *   4   time_decay is -exp(raw)
 *   5   time_decay is exp(-exp(raw)), time_first exp(raw); heads have a third dimension
 *   6   time_maa_w1, time_decay_w1, _w2 are (out,in), time_maa_w2 likewise for each of five
 *   7   six mixes are one x_rwkvag, matrices of low rank are (out,in)
 * Quantized tensors are unpacked into memory.
 * Invariant: no tensor reaches beyond the file, unpacked ones take at most eight
 * times its bytes; the header's sizes are those of the tensors' shapes. */
#include "files/blocks.h"
#include "files/rwkv_files.h"
#include "files/tensor_formats.h"
#include <math.h>

enum { HEADER_BYTES = 24, RECORD_BYTES = 12, MAX_FILE_RANK = 3 };

typedef struct {
    const char *name;
    size_t length;                                           /* of the name */
    uint32_t type;
    const block_type *blocks;                                /* NULL: F32 or F16 */
    int rank;
    int64_t dims[MAX_FILE_RANK];                             /* row-major */
    size_t count, bytes;
    const uint8_t *data, *next;
} record;

static const char *const TYPES[] = { "F32", "F16", "Q4_0", "Q4_1", NULL, NULL, NULL, "Q5_0", "Q5_1", "Q8_0" };

bool is_rwkvcpp(const uint8_t *data, size_t size) { return size >= 4 && read_u32(data) == 0x67676d66; }

/* ---- records ------------------------------------------------------------------------- */

static int measure(record *r, const char *what, size_t left, lithe_error *err)
{
    if (r->type >= sizeof TYPES / sizeof *TYPES || !TYPES[r->type])
        return fail(err, LITHE_EFORMAT, "%s: %.*s is of type %u, which rwkv.cpp does not have", what, (int)r->length, r->name, r->type);
    r->blocks = block_type_named(TYPES[r->type]);
    if (r->blocks && r->dims[r->rank - 1] % BLOCK_NUMBERS)
        return fail(err, LITHE_EFORMAT, "%s: %.*s is %s in rows of %lld, which are no whole blocks of 32", what, (int)r->length, r->name, TYPES[r->type], (long long)r->dims[r->rank - 1]);
    size_t units = 0, each = r->blocks ? r->blocks->bytes : r->type ? 2 : 4;
    bool counted = shape_count(r->dims, r->rank, &r->count);
    if (counted) units = r->blocks ? r->count / BLOCK_NUMBERS : r->count;
    if (!counted || !size_mul(units, each, &r->bytes) || r->bytes > left)
        return fail(err, LITHE_EFORMAT, "%s: %.*s ends beyond the file: %zu bytes are left for it", what, (int)r->length, r->name, left);
    return LITHE_OK;
}

/* The record at p, of which `left` bytes are in the file. */
static int read_record(record *r, const char *what, const uint8_t *p, size_t left, size_t at, lithe_error *err)
{
    if (left < RECORD_BYTES) return fail(err, LITHE_EFORMAT, "%s: ends within a tensor's header, at byte %zu", what, at);
    uint32_t rank = read_u32(p), length = read_u32(p + 4);
    *r = (record){ .rank = (int)rank, .length = length, .type = read_u32(p + 8), .name = (const char *)p + RECORD_BYTES + 4 * (size_t)rank };
    if (rank < 1 || rank > MAX_FILE_RANK) return fail(err, LITHE_EFORMAT, "%s: a tensor of %u dimensions at byte %zu, expected 1 to 3", what, rank, at);
    if (length < 1 || length > MAX_NAME_BYTES) return fail(err, LITHE_EFORMAT, "%s: a name of %u bytes at byte %zu, expected 1 to %d", what, length, at, MAX_NAME_BYTES);
    size_t head = RECORD_BYTES + 4 * (size_t)rank + length;
    if (left < head) return fail(err, LITHE_EFORMAT, "%s: ends within a tensor's header, at byte %zu", what, at);
    for (uint32_t i = 0; i < rank; i++) r->dims[rank - 1 - i] = read_u32(p + RECORD_BYTES + 4 * i);
    int status = check_tensor_name(what, r->name, length, err);
    if (!status) status = measure(r, what, left - head, err);
    if (status) return status;
    r->data = p + head;
    r->next = r->data + r->bytes;
    return LITHE_OK;
}

static bool ends_with(const record *r, const char *suffix)
{
    size_t n = strlen(suffix);
    return r->length >= n && !memcmp(r->name + r->length - n, suffix, n);
}

static bool is_named(const record *r, const char *name) { return r->length == strlen(name) && ends_with(r, name); }

/* x_rwkvag: [6,1,C], the mixes in this order */
enum { MIXES = 6 };
static const char MIX_NAMES[MIXES] = { 'r', 'w', 'k', 'v', 'a', 'g' };
static bool is_mixes(const record *r) { return ends_with(r, ".att.x_rwkvag") && r->rank == 3 && r->dims[0] == MIXES && r->dims[1] == 1; }

/* Matrices that the authors keep (in,out). */
static bool is_turned(const record *r)
{
    static const char *const names[] = { "w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2", "time_maa_w1", "time_decay_w1", "time_decay_w2" };
    char suffix[32];
    for (size_t i = 0; r->rank == 2 && i < sizeof names / sizeof *names; i++) {
        snprintf(suffix, sizeof suffix, ".att.%s", names[i]);
        if (ends_with(r, suffix)) return true;
    }
    return false;
}

/* ---- what the file holds as a whole ---- */

typedef struct { size_t tensors; bool five, six, seven; } contents;

static int survey(contents *c, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    if (size < HEADER_BYTES) return fail(err, LITHE_EFORMAT, "%s: an rwkv.cpp file of %zu bytes, its header alone has %d", what, size, HEADER_BYTES);
    uint32_t version = read_u32(data + 4);
    if (version != 100 && version != 101) return fail(err, LITHE_EFORMAT, "%s: rwkv.cpp file version %u, 100 and 101 are known", what, version);
    record r = { .next = data + HEADER_BYTES };
    while (r.next < data + size) {
        int status = read_record(&r, what, r.next, (size_t)(data + size - r.next), (size_t)(r.next - data), err);
        if (status) return status;
        c->tensors += is_mixes(&r) ? MIXES : 1;
        if (is_named(&r, "blocks.0.att.ln_x.weight")) c->five = true;
        if (is_named(&r, "blocks.0.att.time_maa_x")) c->six = true;
        if (is_named(&r, "blocks.0.att.r_k")) c->seven = true;
    }
    c->five = c->five && !c->six && !c->seven;
    return LITHE_OK;
}

/* ---- tensors ---- */

/* The tensor's numbers as floats of its own, in the order of the file; its bytes stay those it has there. */
static float *own_floats(tensor_file *f, file_tensor *t, const record *r, const char *what, lithe_error *err)
{
    float *x = arena_alloc(&f->memory, (t->count + 1) * sizeof *x);
    if (!x) { fail(err, LITHE_ENOMEM, "%s: no memory for the %zu numbers of %s", what, t->count, t->name); return NULL; }
    if (r->blocks) blocks_unpack(r->blocks, r->data, t->count, x);
    else if (!file_tensor_floats(t, 0, t->count, x)) { fail(err, LITHE_EFORMAT, "%s: %s cannot be read as numbers", what, t->name); return NULL; }
    t->type = DT_F32;
    t->data = x;
    return x;
}

static double raw_of_four(double x) { return log(fmax(-x, 1e-45)); }
static double raw_of_five(double x) { return log(fmax(-log(fmin(fmax(x, 1e-45), 1 - 1e-10)), 1e-45)); }
static double raw_of_first(double x) { return log(fmax(x, 1e-45)); }

typedef struct { double (*raw)(double x); double least, most; const char *expected; } undoing;

static int undo(tensor_file *f, file_tensor *t, const record *r, undoing u, const char *what, lithe_error *err)
{
    float *x = own_floats(f, t, r, what, err);
    if (!x) return failed(err) ? (int)err->status : LITHE_EFORMAT;
    for (size_t i = 0; i < t->count; i++) {
        if (!((double)x[i] >= u.least && (double)x[i] <= u.most))
            return fail(err, LITHE_EFORMAT, "%s: %s[%zu] is %g, expected %s", what, t->name, i, (double)x[i], u.expected);
        x[i] = (float)u.raw((double)x[i]);
    }
    return LITHE_OK;
}

/* (5, C, R) there, (5, R, C) here */
static int swap_last(tensor_file *f, file_tensor *t, const record *r, const char *what, lithe_error *err)
{
    const float *x = own_floats(f, t, r, what, err);
    float *y = x ? arena_alloc(&f->memory, (t->count + 1) * sizeof *y) : NULL;
    if (!y) return fail(err, LITHE_ENOMEM, "%s: no memory for the %zu numbers of %s", what, t->count, t->name);
    size_t C = (size_t)t->dims[1], R = (size_t)t->dims[2];
    for (size_t i = 0; i < t->count; i++) y[i / (C * R) * C * R + i % R * C + i / R % C] = x[i];
    t->dims[1] = (int64_t)R;
    t->dims[2] = (int64_t)C;
    t->data = y;
    return LITHE_OK;
}

static int add_mixes(tensor_file *f, file_tensor *t, const record *r, const char *what, lithe_error *err)
{
    int stem = (int)(r->length - strlen("rwkvag"));
    if (r->blocks) return fail(err, LITHE_EFORMAT, "%s: %.*s is %s, which rwkv.cpp does not make of it", what, (int)r->length, r->name, TYPES[r->type]);
    for (size_t m = 0; m < MIXES; m++) {
        char *name = arena_alloc(&f->memory, (size_t)stem + 2);
        if (!name) return fail(err, LITHE_ENOMEM, "%s: no memory for the names", what);
        memcpy(name, r->name, (size_t)stem);
        name[stem] = MIX_NAMES[m];
        t[m] = (file_tensor){ .name = name, .type = r->type ? DT_F16 : DT_F32, .type_name = TYPES[r->type], .rank = 3, .dims = { 1, 1, r->dims[2] },
                              .count = r->count / MIXES, .bytes = r->bytes / MIXES, .data = r->data + m * (r->bytes / MIXES) };
    }
    return LITHE_OK;
}

static int transform(tensor_file *f, file_tensor *t, const record *r, const contents *c, const char *what, lithe_error *err)
{
    if (ends_with(r, ".att.time_decay") && !c->six)
        return undo(f, t, r, c->five ? (undoing){ raw_of_five, 0, 1, "exp(-exp(...)), which lies between 0 and 1" }
                                     : (undoing){ raw_of_four, -INFINITY, 0, "-exp(...), which is negative" }, what, err);
    if (ends_with(r, ".att.time_first") && c->five) return undo(f, t, r, (undoing){ raw_of_first, 0, INFINITY, "exp(...), which is positive" }, what, err);
    if (ends_with(r, ".att.time_maa_w2") && r->rank == 3) return swap_last(f, t, r, what, err);
    if (r->blocks && !own_floats(f, t, r, what, err)) return failed(err) ? (int)err->status : LITHE_ENOMEM;
    if (is_turned(r)) {
        t->dims[0] = r->dims[1];
        t->dims[1] = r->dims[0];
        t->order = (element_order){ 2, { r->dims[1], r->dims[0] }, { 1, r->dims[1] } };
    }
    return LITHE_OK;
}

static int add_tensor(tensor_file *f, file_tensor *t, const record *r, const contents *c, const char *what, lithe_error *err)
{
    if (is_mixes(r)) return add_mixes(f, t, r, what, err);
    char *name = arena_alloc(&f->memory, r->length + 1);
    if (!name) return fail(err, LITHE_ENOMEM, "%s: no memory for the names", what);
    memcpy(name, r->name, r->length);
    *t = (file_tensor){ .name = name, .type = r->type ? DT_F16 : DT_F32, .type_name = TYPES[r->type], .rank = r->rank,
                        .dims = { r->dims[0], r->dims[1], r->dims[2] }, .count = r->count, .bytes = r->bytes, .data = r->data };
    return transform(f, t, r, c, what, err);
}

/* ---- the configuration ---- */

/* The runtime norms the heads of version 5 with another epsilon than the authors, and its files were measured so. */
static int configure(tensor_file *f, const contents *c, const char *what, const uint8_t *data, lithe_error *err)
{
    static const char *const sizes[] = { "vocab_size", "hidden_size", "num_hidden_layers" };
    lithe_error none = { 0 };
    int status = tensor_file_sort(f, err);
    if (!status) status = rwkv_rename(f, NULL, err);
    if (status) return status;
    f->config = rwkv_config(f, &none);
    if (none.status) return fail(err, none.status, "%s", none.text);
    for (size_t i = 0; f->config && i < sizeof sizes / sizeof *sizes; i++) {
        json_int_t found = json_integer_value(json_object_get(f->config, sizes[i]));
        uint32_t said = read_u32(data + 8 + 4 * i);
        if (found != said) return fail(err, LITHE_EFORMAT, "%s: its header says a %s of %u, its tensors have %lld", what, sizes[i], said, (long long)found);
    }
    bool full = f->config && c->five && json_object_set_new(f->config, "group_norm_epsilon", json_real(1e-5));
    return full ? fail(err, LITHE_ENOMEM, "%s: no memory for its configuration", what) : LITHE_OK;
}

int rwkvcpp_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    contents c = { 0 };
    int status = survey(&c, what, data, size, err);
    if (status) return status;
    file_tensor *t = append_tensors(f, what, c.tensors, err);
    if (!t) return failed(err) ? (int)err->status : LITHE_EFORMAT;
    record r = { .next = data + HEADER_BYTES };
    for (size_t i = 0; i < c.tensors && !status; i += is_mixes(&r) ? MIXES : 1) {
        status = read_record(&r, what, r.next, (size_t)(data + size - r.next), (size_t)(r.next - data), err);
        if (!status) status = add_tensor(f, &t[i], &r, &c, what, err);
    }
    return status || f->config ? status : configure(f, &c, what, data, err);
}

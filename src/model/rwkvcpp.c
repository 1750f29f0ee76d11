/* rwkv.cpp's files: six u32 (magic 0x67676d66, version, vocabulary, width,
 * layers, type), then tensors to the end of the file, each
 *   u32 rank, u32 length of the name, u32 type, u32 dims[rank], the name, data
 * with the contiguous dimension first.  Names are those of the authors' .pth,
 * and so are the tensors here.  Version 4: mixes get their two dimensions of one
 * back, and time_decay, which these files keep as -exp(raw), is raw again.
 * Version 7: x_rwkvag is six mixes, and the matrices of low rank, kept (out,in)
 * here, are views of their transposes.
 * Invariant: no tensor reaches beyond the file; the header's sizes are only
 * what the configuration says, which is compared with the tensors' shapes. */
#include "model/tensor_formats.h"
#include <math.h>

enum { HEADER_BYTES = 24, RECORD_BYTES = 12, MAX_FILE_RANK = 3 };
enum { CONTEXT_4 = 1024, CONTEXT_7 = 4096 };                 /* which these files do not tell: that of the first published models */

typedef struct {
    const char *name;
    size_t length;                                           /* of the name */
    uint32_t type;
    int rank;
    int64_t dims[MAX_FILE_RANK];                             /* row-major */
    size_t count, bytes;
    const uint8_t *data, *next;
} record;

bool is_rwkvcpp(const uint8_t *data, size_t size) { return size >= 4 && read_u32(data) == 0x67676d66; }

/* "Q4_0" of the types that exist and are not read here */
static const char *quantized(uint32_t type)
{
    static const char *const NAMES[] = { [2] = "Q4_0", [3] = "Q4_1", [7] = "Q5_0", [8] = "Q5_1", [9] = "Q8_0" };
    return type < sizeof NAMES / sizeof *NAMES ? NAMES[type] : NULL;
}

static int check_type(const char *what, const record *r, lithe_error *err)
{
    if (r->type <= 1) return LITHE_OK;
    if (quantized(r->type))
        return fail(err, LITHE_EFORMAT, "%s: %.*s is %s; FP32 and FP16 files are read, quantized ones are not", what, (int)r->length, r->name, quantized(r->type));
    return fail(err, LITHE_EFORMAT, "%s: %.*s is of type %u, which rwkv.cpp does not have", what, (int)r->length, r->name, r->type);
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
    if (!status) status = check_type(what, r, err);
    if (status) return status;
    if (!shape_count(r->dims, r->rank, &r->count) || !size_mul(r->count, r->type ? 2 : 4, &r->bytes) || r->bytes > left - head)
        return fail(err, LITHE_EFORMAT, "%s: %.*s ends beyond the file: %zu bytes are left for it", what, (int)length, r->name, left - head);
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

/* att.w1, att.w2, att.a1, ... */
static bool is_low_rank(const record *r)
{
    if (r->rank != 2 || r->length < 7 || memcmp(r->name + r->length - 7, ".att.", 5)) return false;
    char letter = r->name[r->length - 2], digit = r->name[r->length - 1];
    return (letter == 'w' || letter == 'a' || letter == 'v' || letter == 'g') && (digit == '1' || digit == '2');
}

/* ---- what the file holds as a whole ---- */

typedef struct {
    uint32_t vocab, width, layers;
    size_t tensors;
    bool seven;
    int64_t inner, head, w, a, v, g;                         /* rows of the first channel mix; channels of a head, ranks: version 7 */
    const char *other;                                       /* a version of RWKV that is not read here */
} contents;

static void note(contents *c, const record *r)
{
    c->tensors += is_mixes(r) ? MIXES : 1;
    if (is_named(r, "blocks.0.ffn.key.weight")) c->inner = r->dims[0];
    if (is_named(r, "blocks.0.att.r_k")) c->seven = true, c->head = r->dims[1];
    if (is_named(r, "blocks.0.att.w1")) c->w = r->dims[0];
    if (is_named(r, "blocks.0.att.a1")) c->a = r->dims[0];
    if (is_named(r, "blocks.1.att.v1")) c->v = r->dims[0];
    if (is_named(r, "blocks.0.att.g1")) c->g = r->dims[0];
    if (is_named(r, "blocks.0.att.time_faaaa") || is_named(r, "blocks.0.att.time_mix_g")) c->other = "5";
    if (is_named(r, "blocks.0.att.time_maa_x")) c->other = "6";
}

static int survey(contents *c, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    if (size < HEADER_BYTES) return fail(err, LITHE_EFORMAT, "%s: an rwkv.cpp file of %zu bytes, its header alone has %d", what, size, HEADER_BYTES);
    uint32_t version = read_u32(data + 4);
    if (version != 100 && version != 101) return fail(err, LITHE_EFORMAT, "%s: rwkv.cpp file version %u, 100 and 101 are known", what, version);
    *c = (contents){ .vocab = read_u32(data + 8), .width = read_u32(data + 12), .layers = read_u32(data + 16) };
    record r = { .next = data + HEADER_BYTES };
    while (r.next < data + size) {
        int status = read_record(&r, what, r.next, (size_t)(data + size - r.next), (size_t)(r.next - data), err);
        if (status) return status;
        note(c, &r);
    }
    if (c->other) return fail(err, LITHE_EFORMAT, "%s: holds RWKV-%s; of rwkv.cpp's files those of RWKV-4 and RWKV-7 are read", what, c->other);
    return LITHE_OK;
}

/* ---- tensors ---- */

/* raw = log(-x) of the stored x = -exp(raw) */
static int undo_decay(tensor_file *f, file_tensor *t, const char *what, lithe_error *err)
{
    float *raw = arena_alloc(&f->memory, (t->count + 1) * sizeof *raw);
    if (!raw) return fail(err, LITHE_ENOMEM, "%s: no memory for %s", what, t->name);
    file_tensor stored = *t;
    if (!file_tensor_floats(&stored, 0, t->count, raw)) return fail(err, LITHE_EFORMAT, "%s: %s cannot be read as numbers", what, t->name);
    for (size_t i = 0; i < t->count; i++) {
        if (!(raw[i] <= 0)) return fail(err, LITHE_EFORMAT, "%s: %s[%zu] is %g, expected -exp(...), which is negative", what, t->name, i, (double)raw[i]);
        raw[i] = (float)log(fmax(-(double)raw[i], 1e-45));
    }
    t->type = DT_F32;
    t->type_name = "F32";
    t->bytes = t->count * sizeof *raw;
    t->data = raw;
    return LITHE_OK;
}

static int add_mixes(tensor_file *f, file_tensor *t, const record *r, const char *what, lithe_error *err)
{
    int stem = (int)(r->length - strlen("rwkvag"));
    for (size_t m = 0; m < MIXES; m++) {
        char *name = arena_alloc(&f->memory, (size_t)stem + 2);
        if (!name) return fail(err, LITHE_ENOMEM, "%s: no memory for the names", what);
        memcpy(name, r->name, (size_t)stem);
        name[stem] = MIX_NAMES[m];
        t[m] = (file_tensor){ .name = name, .type = r->type ? DT_F16 : DT_F32, .type_name = r->type ? "F16" : "F32", .rank = 3, .dims = { 1, 1, r->dims[2] },
                              .count = r->count / MIXES, .bytes = r->bytes / MIXES, .data = r->data + m * (r->bytes / MIXES) };
    }
    return LITHE_OK;
}

static int add_tensor(tensor_file *f, file_tensor *t, const record *r, const char *what, lithe_error *err)
{
    if (is_mixes(r)) return add_mixes(f, t, r, what, err);
    char *name = arena_alloc(&f->memory, r->length + 1);
    if (!name) return fail(err, LITHE_ENOMEM, "%s: no memory for the names", what);
    memcpy(name, r->name, r->length);
    *t = (file_tensor){ .name = name, .type = r->type ? DT_F16 : DT_F32, .type_name = r->type ? "F16" : "F32", .rank = r->rank,
                        .dims = { r->dims[0], r->dims[1], r->dims[2] }, .count = r->count, .bytes = r->bytes, .data = r->data };
    if (r->rank == 1 && strstr(name, ".time_mix_")) {
        t->rank = 3;
        t->dims[2] = t->dims[0];
        t->dims[0] = t->dims[1] = 1;
    }
    if (is_low_rank(r)) {
        t->dims[0] = r->dims[1];
        t->dims[1] = r->dims[0];
        t->transposed = true;
    }
    return ends_with(r, ".att.time_decay") ? undo_decay(f, t, what, err) : LITHE_OK;
}

static json_t *make_config(const contents *c)
{
    json_t *config = json_pack("{s:I, s:I, s:I, s:I}", "vocab_size", (json_int_t)c->vocab, "hidden_size", (json_int_t)c->width,
                               "num_hidden_layers", (json_int_t)c->layers, "intermediate_size", (json_int_t)c->inner);
    json_t *own = c->seven
        ? json_pack("{s:[s], s:s, s:i, s:I, s:I, s:I, s:I}", "architectures", "RWKV7ForCausalLM", "model_type", "rwkv7", "max_position_embeddings", CONTEXT_7,
                    "head_dim", (json_int_t)c->head, "decay_low_rank_dim", (json_int_t)c->w, "a_low_rank_dim", (json_int_t)c->a, "gate_low_rank_dim", (json_int_t)c->g)
        : json_pack("{s:[s], s:s, s:i}", "architectures", "RwkvForCausalLM", "model_type", "rwkv4", "context_length", CONTEXT_4);
    bool whole = config && own && !json_object_update(config, own);
    if (whole && c->seven && c->v) whole = !json_object_set_new(config, "v_low_rank_dim", json_integer(c->v));       /* none in a single layer */
    json_decref(own);
    if (whole) return config;
    json_decref(config);
    return NULL;
}

int rwkvcpp_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    contents c = { 0 };
    int status = survey(&c, what, data, size, err);
    if (status) return status;
    file_tensor *t = append_tensors(f, what, c.tensors, err);
    if (!t) return failed(err) ? err->status : LITHE_EFORMAT;
    record r = { .next = data + HEADER_BYTES };
    for (size_t i = 0; i < c.tensors && !status; i += is_mixes(&r) ? MIXES : 1) {
        status = read_record(&r, what, r.next, (size_t)(data + size - r.next), (size_t)(r.next - data), err);
        if (!status) status = add_tensor(f, &t[i], &r, what, err);
    }
    if (status || f->config) return status;
    f->config = make_config(&c);
    return f->config ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: no memory for its configuration", what);
}

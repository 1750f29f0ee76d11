/* rwkv.cpp's files: six u32 (magic 0x67676d66, version, vocabulary, width,
 * layers, type), then tensors to the end of the file, each
 *   u32 rank, u32 length of the name, u32 type, u32 dims[rank], the name, data
 * with the contiguous dimension first.  names_rwkv.c has the runtime's transformations of the
 * authors' tensors.
 * Invariant: no tensor reaches beyond the file, rows in blocks are whole blocks, and the header's sizes are those of
 * the tensors' shapes. */
#include "files/tensor_formats.h"
#include <stdlib.h>

enum { HEADER_BYTES = 24, RECORD_BYTES = 12, MAX_FILE_RANK = 3 };

typedef struct {
    const char *name;
    size_t length;                                           /* of the name */
    dtype type;
    int rank;
    int64_t dims[MAX_FILE_RANK];                             /* row-major */
    size_t count, bytes;
    const uint8_t *data, *next;
} record;

/* As it numbers them; DT_BOOL, which is 0: none. */
static const dtype TYPES[] = { DT_F32, DT_F16, DT_Q4_0, DT_Q4_1, [7] = DT_Q5_0, DT_Q5_1, DT_Q8_0 };

uint32_t rwkvcpp_number(dtype type)
{
    uint32_t i = 0;
    while (i < sizeof TYPES / sizeof *TYPES && (TYPES[i] != type || !type)) i++;
    return i < sizeof TYPES / sizeof *TYPES ? i : RWKVCPP_NO_TYPE;
}

bool is_rwkvcpp(const uint8_t *data, size_t size) { return size >= 4 && read_u32(data) == 0x67676d66; }

/* ---- records ------------------------------------------------------------------------- */

static int measure(record *r, const char *what, size_t left, lithe_error *err)
{
    int block = dtype_block(r->type);
    if (r->dims[r->rank - 1] % block)
        return fail(err, LITHE_EFORMAT, "%s: %.*s is %s in rows of %lld, which are no whole blocks of %d", what, (int)r->length, r->name,
                    dtype_name(r->type), (long long)r->dims[r->rank - 1], block);
    if (!shape_count(r->dims, r->rank, &r->count) || !dtype_size(r->type, r->count, &r->bytes) || r->bytes > left)
        return fail(err, LITHE_EFORMAT, "%s: %.*s ends beyond the file: %zu bytes are left for it", what, (int)r->length, r->name, left);
    return LITHE_OK;
}

static int read_type(record *r, const char *what, uint32_t type, lithe_error *err)
{
    if (type < sizeof TYPES / sizeof *TYPES) r->type = TYPES[type];
    return r->type ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: %.*s is of type %u, which rwkv.cpp does not have", what, (int)r->length, r->name, type);
}

/* The record at p, of which `left` bytes are in the file. */
static int read_record(record *r, const char *what, const uint8_t *p, size_t left, size_t at, lithe_error *err)
{
    if (left < RECORD_BYTES) return fail(err, LITHE_EFORMAT, "%s: ends within a tensor's header, at byte %zu", what, at);
    uint32_t rank = read_u32(p), length = read_u32(p + 4);
    *r = (record){ .rank = (int)rank, .length = length, .name = (const char *)p + RECORD_BYTES + 4 * (size_t)rank };
    if (rank < 1 || rank > MAX_FILE_RANK) return fail(err, LITHE_EFORMAT, "%s: a tensor of %u dimensions at byte %zu, expected 1 to 3", what, rank, at);
    if (length < 1 || length > MAX_NAME_BYTES) return fail(err, LITHE_EFORMAT, "%s: a name of %u bytes at byte %zu, expected 1 to %d", what, length, at, MAX_NAME_BYTES);
    size_t head = RECORD_BYTES + 4 * (size_t)rank + length;
    if (left < head) return fail(err, LITHE_EFORMAT, "%s: ends within a tensor's header, at byte %zu", what, at);
    for (uint32_t i = 0; i < rank; i++) r->dims[rank - 1 - i] = read_u32(p + RECORD_BYTES + 4 * i);
    int status = check_tensor_name(what, r->name, length, err);
    if (!status) status = read_type(r, what, read_u32(p + 8), err);
    if (!status) status = measure(r, what, left - head, err);
    if (status) return status;
    r->data = p + head;
    r->next = r->data + r->bytes;
    return LITHE_OK;
}

static bool is_named(const record *r, const char *name) { return r->length == strlen(name) && !memcmp(r->name, name, r->length); }

/* ---- the file as a whole ---- */

/* heads: version 5 and later */
typedef struct { size_t tensors; int vocab, width, layers; bool heads, six, seven; } contents;

/* N of "blocks.N.", -1 for other names. */
static int layer_of(const record *r)
{
    char digits[10] = "";
    if (r->length < 8 || memcmp(r->name, "blocks.", 7)) return -1;
    memcpy(digits, r->name + 7, r->length - 7 < 9 ? r->length - 7 : 9);
    size_t n = strspn(digits, "0123456789");
    return n && digits[n] == '.' ? atoi(digits) : -1;
}

static void note(contents *c, const record *r)
{
    c->tensors++;
    if (layer_of(r) >= c->layers) c->layers = layer_of(r) + 1;
    if (is_named(r, "emb.weight") && r->rank == 2) c->vocab = (int)r->dims[0], c->width = (int)r->dims[1];
    if (is_named(r, "blocks.0.att.ln_x.weight")) c->heads = true;
    if (is_named(r, "blocks.0.att.time_maa_x")) c->six = true;
    if (is_named(r, "blocks.0.att.r_k")) c->seven = true;
}

static int survey(contents *c, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    static const char *const sizes[] = { "vocab_size", "hidden_size", "num_hidden_layers" };
    if (size < HEADER_BYTES) return fail(err, LITHE_EFORMAT, "%s: an rwkv.cpp file of %zu bytes, its header alone has %d", what, size, HEADER_BYTES);
    uint32_t version = read_u32(data + 4);
    if (version != 100 && version != 101) return fail(err, LITHE_EFORMAT, "%s: rwkv.cpp file version %u, 100 and 101 are known", what, version);
    record r = { .next = data + HEADER_BYTES };
    while (r.next < data + size) {
        int status = read_record(&r, what, r.next, (size_t)(data + size - r.next), (size_t)(r.next - data), err);
        if (status) return status;
        note(c, &r);
    }
    const int found[] = { c->vocab, c->width, c->layers };
    for (int i = 0; i < 3 && c->vocab; i++)
        if (read_u32(data + 8 + 4 * i) != (uint32_t)found[i])
            return fail(err, LITHE_EFORMAT, "%s: its header says a %s of %u, its tensors have %d", what, sizes[i], read_u32(data + 8 + 4 * i), found[i]);
    return LITHE_OK;
}

/* ---- tensors ---- */

static int add_tensor(tensor_file *f, file_tensor *t, const record *r, const char *what, lithe_error *err)
{
    char *name = arena_alloc(&f->memory, r->length + 1);
    if (!name) return fail(err, LITHE_ENOMEM, "%s: no memory for the names", what);
    memcpy(name, r->name, r->length);
    *t = (file_tensor){ .name = name, .type = r->type, .type_name = dtype_name(r->type), .rank = r->rank,
                        .dims = { r->dims[0], r->dims[1], r->dims[2] }, .count = r->count, .bytes = r->bytes, .data = r->data };
    return LITHE_OK;
}

/* The configuration in the file.  The runtime's group norm of version 5 uses another epsilon than the authors', and its
 * files were evaluated with that. */
static int configure(tensor_file *f, const contents *c, const char *what, lithe_error *err)
{
    const char *type = c->seven ? "rwkv7" : c->six ? "rwkv6" : c->heads ? "rwkv5" : "rwkv4";
    f->config = json_pack("{s:s}", "model_type", type);
    bool full = !f->config || (!strcmp(type, "rwkv5") && json_object_set_new(f->config, "group_norm_epsilon", json_real(1e-5)));
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
    for (size_t i = 0; i < c.tensors && !status; i++) {
        status = read_record(&r, what, r.next, (size_t)(data + size - r.next), (size_t)(r.next - data), err);
        if (!status) status = add_tensor(f, &t[i], &r, what, err);
    }
    return status || f->config ? status : configure(f, &c, what, err);
}

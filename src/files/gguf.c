/* Reads GGUF files: keys (base/gguf_keys.h), a description of each tensor
 *
 *   name, u32 rank, u64 dims[rank], u32 type, u64 offset
 *
 * with the contiguous dimension first, padding, and the data.  Nothing is unpacked.
 * Invariant: tensors lie one after the other from the beginning of the data, each
 * at the next multiple of the alignment, and none reaches beyond the file. */
#include "files/gguf.h"
#include "files/tensor_formats.h"
#include <stdlib.h>

enum { MAX_FILE_RANK = 4, MAX_FILE_NAME = 64 };

static const gguf_format FORMATS[] = {
    [0] = { "F32", 1, 4, DT_F32 }, { "F16", 1, 2, DT_F16 }, { "Q4_0", 32, 18, DT_Q4_0 }, { "Q4_1", 32, 20, DT_Q4_1 },
    [6] = { "Q5_0", 32, 22, DT_Q5_0 }, { "Q5_1", 32, 24, DT_Q5_1 }, { "Q8_0", 32, 34, DT_Q8_0 }, { "Q8_1", 32, 36, DT_OTHER },
    { "Q2_K", 256, 84, DT_Q2_K }, { "Q3_K", 256, 110, DT_Q3_K }, { "Q4_K", 256, 144, DT_Q4_K }, { "Q5_K", 256, 176, DT_Q5_K }, { "Q6_K", 256, 210, DT_Q6_K },
    { "Q8_K", 256, 292, DT_OTHER },
    { "IQ2_XXS", 256, 66, DT_OTHER }, { "IQ2_XS", 256, 74, DT_OTHER }, { "IQ3_XXS", 256, 98, DT_OTHER }, { "IQ1_S", 256, 50, DT_OTHER }, { "IQ4_NL", 32, 18, DT_OTHER },
    { "IQ3_S", 256, 110, DT_OTHER }, { "IQ2_S", 256, 82, DT_OTHER }, { "IQ4_XS", 256, 136, DT_OTHER },
    { "I8", 1, 1, DT_I8 }, { "I16", 1, 2, DT_I16 }, { "I32", 1, 4, DT_I32 }, { "I64", 1, 8, DT_I64 }, { "F64", 1, 8, DT_F64 },
    { "IQ1_M", 256, 56, DT_OTHER }, { "BF16", 1, 2, DT_BF16 },
    [34] = { "TQ1_0", 256, 54, DT_OTHER }, { "TQ2_0", 256, 66, DT_OTHER },
    [39] = { "MXFP4", 32, 17, DT_OTHER }, { "NVFP4", 64, 36, DT_OTHER }, { "Q1_0", 128, 18, DT_OTHER }, { "Q2_0", 64, 18, DT_OTHER },
};
enum { FORMAT_COUNT = sizeof FORMATS / sizeof *FORMATS };

const gguf_format *gguf_format_of(uint32_t number) { return number < FORMAT_COUNT && FORMATS[number].name ? &FORMATS[number] : NULL; }

int gguf_number_of(dtype type)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (FORMATS[i].name && FORMATS[i].type == type && type != DT_OTHER) return i;
    return -1;
}

bool is_gguf(const uint8_t *data, size_t size) { return size >= 4 && !memcmp(data, "GGUF", 4); }

/* ---- descriptions of tensors --------------------------------------------------------- */

/* What is read: at, the next byte; next, where the data of the next tensor must begin. */
typedef struct { const char *what; const uint8_t *data; size_t at, size; uint64_t next; uint32_t alignment; } reading;

static bool pad(uint64_t offset, uint32_t alignment, uint64_t *out)
{
    if (__builtin_add_overflow(offset, (uint64_t)alignment - 1, out)) return false;
    *out &= ~((uint64_t)alignment - 1);
    return true;
}

static int check_type(file_tensor *t, const reading *r, uint32_t number, lithe_error *err)
{
    const gguf_format *f = gguf_format_of(number);
    if (!f) return fail(err, LITHE_EFORMAT, "%s: %s is of type %u, which ggml does not have", r->what, t->name, number);
    t->type = f->type;
    t->type_name = f->name;
    if (t->dims[t->rank - 1] % f->block)
        return fail(err, LITHE_EFORMAT, "%s: %s is %s in rows of %lld, which are no whole blocks of %d", r->what, t->name, f->name,
                    (long long)t->dims[t->rank - 1], f->block);
    if (!size_mul(t->count / (size_t)f->block, f->bytes, &t->bytes) || t->bytes > INT64_MAX)
        return fail(err, LITHE_EFORMAT, "%s: the sizes of %s overflow", r->what, t->name);
    return LITHE_OK;
}

static int check_offset(const file_tensor *t, reading *r, uint64_t offset, lithe_error *err)
{
    if (offset % r->alignment) return fail(err, LITHE_EFORMAT, "%s: %s begins at %llu of the data, which is no multiple of %u", r->what, t->name,
                                           (unsigned long long)offset, r->alignment);
    if (offset != r->next) return fail(err, LITHE_EFORMAT, "%s: %s begins at %llu of the data, the tensor before it ends at %llu", r->what, t->name,
                                       (unsigned long long)offset, (unsigned long long)r->next);
    if (__builtin_add_overflow(offset, (uint64_t)t->bytes, &r->next) || !pad(r->next, r->alignment, &r->next))
        return fail(err, LITHE_EFORMAT, "%s: the sizes of its tensors overflow, at %s", r->what, t->name);
    return LITHE_OK;
}

static int read_dims(file_tensor *t, reading *r, lithe_error *err)
{
    if (r->size - r->at < 4) return fail(err, LITHE_EFORMAT, "%s: ends within the description of %s", r->what, t->name);
    uint32_t rank = read_u32(r->data + r->at);
    if (rank < 1 || rank > MAX_FILE_RANK) return fail(err, LITHE_EFORMAT, "%s: %s has %u dimensions, expected 1 to %d", r->what, t->name, rank, MAX_FILE_RANK);
    if (r->size - r->at < 4 + 8 * (size_t)rank + 12) return fail(err, LITHE_EFORMAT, "%s: ends within the description of %s", r->what, t->name);
    t->rank = (int)rank;
    for (int i = 0; i < t->rank; i++) {
        uint64_t n = read_u64(r->data + r->at + 4 + 8 * (size_t)i);
        if (n < 1 || n > INT64_MAX) return fail(err, LITHE_EFORMAT, "%s: %s has a dimension of %llu", r->what, t->name, (unsigned long long)n);
        t->dims[t->rank - 1 - i] = (int64_t)n;
    }
    r->at += 4 + 8 * (size_t)rank;
    return shape_count(t->dims, t->rank, &t->count) && t->count <= INT64_MAX ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: the sizes of %s overflow", r->what, t->name);
}

static int read_name(file_tensor *t, reading *r, arena *memory, lithe_error *err)
{
    gguf_text text;
    if (!gguf_read_text(r->data + r->at, r->size - r->at, &text)) return fail(err, LITHE_EFORMAT, "%s: the tensor's name at byte %zu is longer than the file", r->what, r->at);
    if (text.len < 1 || text.len > MAX_FILE_NAME) return fail(err, LITHE_EFORMAT, "%s: the tensor's name at byte %zu has %zu bytes, expected 1 to %d", r->what, r->at, text.len, MAX_FILE_NAME);
    int status = check_tensor_name(r->what, text.bytes, text.len, err);
    char *name = status ? NULL : arena_alloc(memory, text.len + 1);
    if (status) return status;
    if (!name) return fail(err, LITHE_ENOMEM, "%s: no memory for the names", r->what);
    memcpy(name, text.bytes, text.len);
    t->name = name;
    r->at += 8 + text.len;
    return LITHE_OK;
}

static int read_tensor(file_tensor *t, reading *r, arena *memory, lithe_error *err)
{
    int status = read_name(t, r, memory, err);
    if (!status) status = read_dims(t, r, err);
    if (!status) status = check_type(t, r, read_u32(r->data + r->at), err);
    if (status) return status;
    uint64_t offset = read_u64(r->data + r->at + 4);
    r->at += 12;
    return check_offset(t, r, offset, err);
}

/* The data begin after the descriptions, at a multiple of the alignment. */
static int place_data(file_tensor *t, size_t n, const reading *r, lithe_error *err)
{
    uint64_t begin, offset = 0;
    if (!pad(r->at, r->alignment, &begin) || begin > r->size) begin = r->size;
    for (size_t i = 0; i < n; i++) {
        if (offset > r->size - begin || t[i].bytes > r->size - begin - offset)
            return fail(err, LITHE_EFORMAT, "%s: %s ends beyond the file: its %zu bytes begin at %llu of the %llu bytes of data", r->what, t[i].name, t[i].bytes,
                        (unsigned long long)offset, (unsigned long long)(r->size - begin));
        t[i].data = r->data + begin + offset;
        pad(offset + t[i].bytes, r->alignment, &offset);     /* check_offset saw that this does not overflow */
    }
    return LITHE_OK;
}

/* "rwkv6.rescale_every_n_layers" */
static void note_rescale(tensor_file *f, const gguf_value *v)
{
    static const char key[] = ".rescale_every_n_layers";
    size_t n = strlen(v->key);
    int64_t layers;
    if (n >= sizeof key && !strcmp(v->key + n - (sizeof key - 1), key) && gguf_integer(v, &layers) && layers > 0 && layers < INT32_MAX) f->rescale = (int)layers;
}

int gguf_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    if (f->keys) return fail(err, LITHE_EFORMAT, "%s: is GGUF, which is not read in shards of an index", what);
    gguf_keys *keys = f->keys = arena_alloc(&f->memory, sizeof *keys);
    if (!keys) return fail(err, LITHE_ENOMEM, "%s: no memory", what);
    int status = gguf_keys_read(keys, data, size, what, err);
    file_tensor *t = status ? NULL : append_tensors(f, what, (size_t)keys->tensors, err);
    if (!t) return failed(err) ? (int)err->status : LITHE_EFORMAT;
    reading r = { .what = what, .data = data, .at = keys->end, .size = size, .alignment = keys->alignment };
    for (size_t i = 0; i < keys->count; i++) note_rescale(f, &keys->values[i]);
    for (uint64_t i = 0; i < keys->tensors && !status; i++) status = read_tensor(&t[i], &r, &f->memory, err);
    return status ? status : place_data(t, (size_t)keys->tensors, &r, err);
}

/* ---- keys as JSON --------------------------------------------------------------------- */

static json_t *scalar(const gguf_value *v)
{
    int64_t whole;
    double x;
    bool yes;
    const gguf_text text = gguf_string(v);
    if (v->type == GGUF_STRING) return json_stringn(text.bytes, text.len);
    if (gguf_bool(v, &yes)) return json_boolean(yes);
    if (gguf_integer(v, &whole)) return json_integer(whole);
    /* NULL too for infinite numbers and NaN, which JSON does not have */
    return gguf_number(v, &x) ? json_real(x) : NULL;
}

static json_t *list(const gguf_value *v)
{
    json_t *items = json_array();
    gguf_strings s = gguf_texts(v);
    gguf_text text;
    int bad = !items || v->of == GGUF_ARRAY;
    if (v->of == GGUF_STRING)
        while (!bad && gguf_next(&s, &text)) bad = json_array_append_new(items, json_stringn(text.bytes, text.len));
    else
        for (uint64_t i = 0; i < v->count && !bad; i++) {
            const gguf_value one = gguf_element(v, i);
            bad = json_array_append_new(items, scalar(&one));
        }
    if (!bad) return items;
    json_decref(items);
    return NULL;
}

json_t *gguf_json(const gguf_value *v) { return v->type == GGUF_ARRAY ? list(v) : scalar(v); }

/* safetensors (huggingface/safetensors): u64 N, N bytes of JSON header, data.
 * The header maps a name to {"dtype", "shape", "data_offsets": [begin, end)},
 * offsets counted from the end of the header, and "__metadata__" to strings.
 * Invariant: everything is checked against the size of the file before it is used,
 * and the tensors tile the data area exactly: no hole, no overlap, no tail. */
#include "files/tensor_formats.h"
#include "base/writer.h"
#include "base/utf8.h"
#include "base/json.h"
#include <stdlib.h>

enum { HEADER_DEPTH = 4 };

/* bits 0 never occurs; types without a dtype of ours can be listed, not converted */
static const struct { const char *name; dtype type; unsigned bits; } DTYPES[] = {
    { "BOOL", DT_BOOL, 8 }, { "U8", DT_U8, 8 }, { "I8", DT_I8, 8 }, { "I16", DT_I16, 16 }, { "U16", DT_U16, 16 },
    { "I32", DT_I32, 32 }, { "U32", DT_U32, 32 }, { "I64", DT_I64, 64 }, { "U64", DT_U64, 64 },
    { "F16", DT_F16, 16 }, { "BF16", DT_BF16, 16 }, { "F32", DT_F32, 32 }, { "F64", DT_F64, 64 },
    { "C64", DT_OTHER, 64 }, { "F8_E5M2", DT_OTHER, 8 }, { "F8_E4M3", DT_OTHER, 8 }, { "F8_E8M0", DT_OTHER, 8 },
    { "F8_E4M3FNUZ", DT_OTHER, 8 }, { "F8_E5M2FNUZ", DT_OTHER, 8 },
    { "F6_E2M3", DT_OTHER, 6 }, { "F6_E3M2", DT_OTHER, 6 }, { "F4", DT_OTHER, 4 },
};
enum { DTYPE_ROWS = sizeof DTYPES / sizeof *DTYPES };

/* ---- reading --------------------------------------------------------------------- */

typedef struct { size_t begin, end, bits; file_tensor tensor; } entry;

bool is_safetensors(const uint8_t *data, size_t size)
{
    return size > 8 && read_u64(data) <= MAX_HEADER && strchr("{ \t\r\n", data[8]) && data[8];
}

static int read_dtype(entry *e, const char *what, const char *name, const json_t *value, lithe_error *err)
{
    const char *type = json_string_value(value);
    if (!type) return fail(err, LITHE_EFORMAT, "%s: %.200s has no dtype", what, name);
    for (int i = 0; i < DTYPE_ROWS; i++)
        if (!strcmp(DTYPES[i].name, type)) {
            e->tensor.type = DTYPES[i].type;
            e->tensor.type_name = DTYPES[i].name;
            e->bits = DTYPES[i].bits;
            return LITHE_OK;
        }
    return fail(err, LITHE_EFORMAT, "%s: %.200s has the unknown dtype \"%.40s\"", what, name, type);
}

static int read_sizes(const char *what, const char *name, const char *key, const json_t *value, size_t limit,
                      int64_t *out, lithe_error *err)
{
    if (!json_is_array(value)) return fail(err, LITHE_EFORMAT, "%s: %.200s has no %s", what, name, key);
    size_t n = json_array_size(value);
    if (n > limit) return fail(err, LITHE_EFORMAT, "%s: %.200s: %s has %zu numbers, at most %zu are accepted", what, name, key, n, limit);
    for (size_t i = 0; i < n; i++) {
        const json_t *number = json_array_get(value, i);
        if (!json_is_integer(number) || json_integer_value(number) < 0)
            return fail(err, LITHE_EFORMAT, "%s: %.200s: number %zu of %s is not a whole number from 0 on", what, name, i, key);
        out[i] = json_integer_value(number);
    }
    return (int)n;
}

static int read_entry(entry *e, const char *what, const char *name, const json_t *info, lithe_error *err)
{
    int64_t offsets[2];
    if (!json_is_object(info)) return fail(err, LITHE_EFORMAT, "%s: %.200s is not described by an object", what, name);
    int status = read_dtype(e, what, name, json_object_get(info, "dtype"), err);
    if (status) return status;
    e->tensor.rank = read_sizes(what, name, "shape", json_object_get(info, "shape"), MAX_RANK, e->tensor.dims, err);
    if (e->tensor.rank < 0) return e->tensor.rank;
    int n = read_sizes(what, name, "data_offsets", json_object_get(info, "data_offsets"), 2, offsets, err);
    if (n < 0) return n;
    if (n != 2) return fail(err, LITHE_EFORMAT, "%s: %.200s: data_offsets has %d numbers, expected 2", what, name, n);
    e->begin = (size_t)offsets[0];
    e->end = (size_t)offsets[1];
    return LITHE_OK;
}

static int read_metadata(tensor_file *f, const char *what, json_t *metadata, lithe_error *err)
{
    if (json_is_null(metadata)) return LITHE_OK;                             /* as the reference reader takes it */
    if (!json_is_object(metadata)) return fail(err, LITHE_EFORMAT, "%s: __metadata__ is not an object", what);
    for (void *i = json_object_iter(metadata); i; i = json_object_iter_next(metadata, i))
        if (!json_is_string(json_object_iter_value(i)))
            return fail(err, LITHE_EFORMAT, "%s: __metadata__ \"%.200s\" is not a string", what, json_object_iter_key(i));
    if (!f->metadata) f->metadata = json_incref(metadata);
    return LITHE_OK;
}

/* n entries in header order; metadata is checked last, as rule 12 comes after those of the tensors. */
static int read_entries(tensor_file *f, entry *e, const char *what, json_t *header, lithe_error *err)
{
    for (void *i = json_object_iter(header); i; i = json_object_iter_next(header, i)) {
        const char *name = json_object_iter_key(i);
        if (!strcmp(name, "__metadata__")) continue;
        int status = check_tensor_name(what, name, strlen(name), err);
        if (!status) status = read_entry(e, what, name, json_object_iter_value(i), err);
        if (status) return status;
        e->tensor.name = arena_strdup(&f->memory, name);
        if (!e->tensor.name) return fail(err, LITHE_ENOMEM, "%s: no memory for tensor names", what);
        e++;
    }
    return LITHE_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* Rules 7 to 10 for one tensor, in that order. */
static int check_entry(entry *e, const char *what, size_t previous_end, lithe_error *err)
{
    file_tensor *t = &e->tensor;
    size_t bits;
    if (e->begin != previous_end)
        return fail(err, LITHE_EFORMAT, "%s: %.200s begins at %zu, the tensor before it ends at %zu", what, t->name, e->begin, previous_end);
    if (e->end < e->begin)
        return fail(err, LITHE_EFORMAT, "%s: %.200s ends at %zu, before its begin at %zu", what, t->name, e->end, e->begin);
    if (!shape_count(t->dims, t->rank, &t->count) || !size_mul(t->count, e->bits, &bits))
        return fail(err, LITHE_EFORMAT, "%s: %.200s: the product of its %d sizes, the first %lld, overflows",
                    what, t->name, t->rank, (long long)t->dims[0]);
    if (bits % 8) return fail(err, LITHE_EFORMAT, "%s: %.200s: %zu elements of %s are %zu bits, not whole bytes", what, t->name, t->count, t->type_name, bits);
    t->bytes = e->end - e->begin;
    if (t->bytes != bits / 8)
        return fail(err, LITHE_EFORMAT, "%s: %.200s takes %zu bytes of the file, its shape and dtype %s need %zu",
                    what, t->name, t->bytes, t->type_name, bits / 8);
    return LITHE_OK;
}

static int place_entries(tensor_file *f, entry *e, size_t n, const char *what, const uint8_t *data, size_t size, size_t header, lithe_error *err)
{
    size_t end = 0, area = size - 8 - header;
    qsort(e, n, sizeof *e, compare_offsets);
    for (size_t i = 0; i < n; end = e[i++].end) {
        int status = check_entry(&e[i], what, end, err);
        if (status) return status;
    }
    if (end != area)
        return fail(err, LITHE_EFORMAT, "%s: its tensors end at byte %zu of the data, the file at %zu: it is truncated or followed by other bytes", what, end, area);
    file_tensor *t = append_tensors(f, what, n, err);
    if (!t) return failed(err) ? err->status : LITHE_EFORMAT;
    for (size_t i = 0; i < n; i++) {
        t[i] = e[i].tensor;
        t[i].data = data + 8 + header + e[i].begin;
    }
    return LITHE_OK;
}

static int parse_header(tensor_file *f, json_t *header, const char *what, const uint8_t *data, size_t size, size_t length, lithe_error *err)
{
    if (!json_is_object(header)) return fail(err, LITHE_EFORMAT, "%s: the header is JSON but not an object", what);
    json_t *metadata = json_object_get(header, "__metadata__");
    size_t n = json_object_size(header) - (metadata != NULL);
    if (n > MAX_TENSORS) return fail(err, LITHE_EFORMAT, "%s: %zu tensors, at most %d are accepted", what, n, MAX_TENSORS);
    entry *entries = xalloc(n, sizeof *entries);
    if (!entries) return fail(err, LITHE_ENOMEM, "%s: no memory for %zu tensors", what, n);
    int status = read_entries(f, entries, what, header, err);
    if (!status) status = place_entries(f, entries, n, what, data, size, length, err);
    if (!status && metadata) status = read_metadata(f, what, metadata, err);
    free(entries);
    return status;
}

/* Whether the first bytes are letters of a text, of ASCII or longer, which no length of a header is. */
static bool is_text(const uint8_t *data, size_t size)
{
    int32_t c;
    for (size_t i = 0, end = size < 64 ? size : 64; i < end; ) {
        int n = utf8_next((const char *)data + i, size - i, &c);
        if (c < 0 || c == 127 || (c < 32 && c != '\t' && c != '\n' && c != '\r')) return false;
        i += (size_t)n;
    }
    return true;
}

int safetensors_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    if (size < 8) return fail(err, LITHE_EFORMAT, "%s: %zu bytes, too short for any file of tensors", what, size);
    uint64_t length = read_u64(data);
    if (length > MAX_HEADER && is_text(data, size)) return fail(err, LITHE_EFORMAT, "%s: is a text, and no file of a model's tensors", what);
    if (length > MAX_HEADER)
        return fail(err, LITHE_EFORMAT, "%s: is no safetensors, PyTorch or llama2.c file: read as safetensors, its header has %llu bytes, at most %d are accepted",
                    what, (unsigned long long)length, MAX_HEADER);
    if (length > size - 8)
        return fail(err, LITHE_EFORMAT, "%s: a header of %llu bytes does not fit in the file's %zu", what, (unsigned long long)length, size);
    const char *text = (const char *)data + 8;
    if (utf8_valid(text, length) != length) return fail(err, LITHE_EFORMAT, "%s: the header of %llu bytes is not UTF-8", what, (unsigned long long)length);
    int status = check_json_size(what, text, length, err);
    if (status) return status;
    char source[256];
    snprintf(source, sizeof source, "%.200s: safetensors header", what);
    json_t *header = json_parse(text, length, HEADER_DEPTH, source, err);
    if (!header) return failed(err) ? err->status : LITHE_EFORMAT;
    status = parse_header(f, header, what, data, size, length, err);
    json_decref(header);
    return status;
}

/* ---- writing --------------------------------------------------------------------- */

static int compare_out(const void *a, const void *b)
{
    const out_tensor *x = *(const out_tensor *const *)a, *y = *(const out_tensor *const *)b;
    size_t align_x = dtype_bytes(x->type), align_y = dtype_bytes(y->type);
    if (align_x != align_y) return align_x > align_y ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_out_names(const void *a, const void *b)
{
    return strcmp((*(const out_tensor *const *)a)->name, (*(const out_tensor *const *)b)->name);
}

static int check_out(const char *path, const out_tensor *t, size_t *bytes, lithe_error *err)
{
    int status = check_tensor_name(path, t->name, strlen(t->name), err);
    if (status) return status;
    if (!strcmp(t->name, "__metadata__")) return fail(err, LITHE_EINVAL, "%s: a tensor cannot be named __metadata__", path);
    if (!dtype_bytes(t->type)) return fail(err, LITHE_EINVAL, "%s: %.200s has a type that cannot be written", path, t->name);
    if (t->rank < 0 || t->rank > MAX_RANK) return fail(err, LITHE_EINVAL, "%s: %.200s has %d sizes, at most %d are accepted", path, t->name, t->rank, MAX_RANK);
    if (!shape_count(t->dims, t->rank, bytes) || !size_mul(*bytes, dtype_bytes(t->type), bytes) || *bytes > INT64_MAX)
        return fail(err, LITHE_EINVAL, "%s: %.200s: a size is negative or their product overflows", path, t->name);
    if (*bytes && !t->data) return fail(err, LITHE_EINVAL, "%s: %.200s has %zu bytes and no data", path, t->name, *bytes);
    return LITHE_OK;
}

static int check_all(const char *path, const out_tensor **sorted, size_t n, const json_t *metadata, lithe_error *err)
{
    size_t total = 0, bytes;
    for (size_t i = 0; i < n; i++) {
        int status = check_out(path, sorted[i], &bytes, err);
        if (status) return status;
        if (!size_add(total, bytes, &total) || total > INT64_MAX) return fail(err, LITHE_EINVAL, "%s: the tensors' bytes overflow", path);
    }
    qsort(sorted, n, sizeof *sorted, compare_out_names);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name))
            return fail(err, LITHE_EINVAL, "%s: two tensors are named %.200s", path, sorted[i]->name);
    if (metadata && !json_is_object(metadata)) return fail(err, LITHE_EINVAL, "%s: metadata is not an object", path);
    return LITHE_OK;
}

static void put_string(FILE *out, const char *text)
{
    json_t *string = json_string(text);
    if (!string || json_dumpf(string, out, JSON_ENCODE_ANY | JSON_COMPACT)) fputs("\"\"", out);
    json_decref(string);
}

static int put_metadata(FILE *out, const char *path, json_t *metadata, lithe_error *err)
{
    const char *comma = "";
    fputs("{\"__metadata__\":{", out);
    if (!metadata) fputs("\"format\":\"pt\"", out);
    for (void *i = json_object_iter(metadata); i; i = json_object_iter_next(metadata, i)) {
        json_t *value = json_object_iter_value(i);
        if (!json_is_string(value)) return fail(err, LITHE_EINVAL, "%s: metadata \"%.200s\" is not a string", path, json_object_iter_key(i));
        fputs(comma, out);
        put_string(out, json_object_iter_key(i));
        fputc(':', out);
        json_dumpf(value, out, JSON_ENCODE_ANY | JSON_COMPACT);
        comma = ",";
    }
    fputc('}', out);
    return LITHE_OK;
}

static size_t out_bytes(const out_tensor *t)
{
    size_t count;
    shape_count(t->dims, t->rank, &count);
    return count * dtype_bytes(t->type);
}

static void put_tensor(FILE *out, const out_tensor *t, size_t begin)
{
    fputc(',', out);
    put_string(out, t->name);
    fprintf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(t->type));
    for (int i = 0; i < t->rank; i++) fprintf(out, "%s%lld", i ? "," : "", (long long)t->dims[i]);
    fprintf(out, "],\"data_offsets\":[%zu,%zu]}", begin, begin + out_bytes(t));
}

/* The padded header of the file; free with free(). */
static char *make_header(const char *path, const out_tensor **sorted, size_t n, json_t *metadata, size_t *length, lithe_error *err)
{
    char *text = NULL;
    size_t offset = 0;
    *length = 0;
    FILE *out = open_memstream(&text, length);
    if (!out) { fail(err, LITHE_ENOMEM, "%s: no memory for the header", path); return NULL; }
    int status = put_metadata(out, path, metadata, err);
    for (size_t i = 0; i < n; offset += out_bytes(sorted[i++])) put_tensor(out, sorted[i], offset);
    fputc('}', out);
    fflush(out);
    for (size_t i = *length; i % 8; i++) fputc(' ', out);
    bool full = ferror(out) != 0;
    if (fclose(out) || full || !text) status = fail(err, LITHE_ENOMEM, "%s: no memory for the header", path);
    else if (*length > MAX_HEADER) status = fail(err, LITHE_EINVAL, "%s: a header of %zu bytes, at most %d are accepted", path, *length, MAX_HEADER);
    if (!status) return text;
    free(text);
    return NULL;
}

/* The header and the data, to a stream. */
static int put_file(FILE *out, const char *header, size_t length, const out_tensor **sorted, size_t n, lithe_error *err)
{
    int status = LITHE_OK;
    uint64_t prefix = length;
    fwrite(&prefix, sizeof prefix, 1, out);
    fwrite(header, 1, length, out);
    for (size_t i = 0; i < n && !status; i++) {
        size_t bytes = out_bytes(sorted[i]);
        status = tell_writing(i, n, err);
        if (bytes && !status) fwrite(sorted[i]->data, 1, bytes, out);
    }
    return status;
}

/* A file that is checked and ready to be put: its header, to be freed, and its tensors in their order. */
typedef struct { char *header; size_t length, n; const out_tensor **sorted; } prepared;

static int prepare(prepared *x, const char *path, const out_tensor *tensors, int count, const json_t *metadata, lithe_error *err)
{
    *x = (prepared){ 0 };
    if (failed(err)) return err->status;
    if (count < 0 || count > MAX_TENSORS) return fail(err, LITHE_EINVAL, "%s: %d tensors, at most %d are accepted", path, count, MAX_TENSORS);
    x->n = (size_t)count;
    x->sorted = xalloc(x->n, sizeof *x->sorted);
    if (!x->sorted) return fail(err, LITHE_ENOMEM, "%s: no memory for %zu tensors", path, x->n);
    for (size_t i = 0; i < x->n; i++) x->sorted[i] = &tensors[i];
    int status = check_all(path, x->sorted, x->n, metadata, err);
    qsort(x->sorted, x->n, sizeof *x->sorted, compare_out);
    x->header = status ? NULL : make_header(path, x->sorted, x->n, (json_t *)(uintptr_t)metadata, &x->length, err);
    return x->header ? LITHE_OK : status ? status : failed(err) ? (int)err->status : LITHE_EINVAL;
}

static void prepared_free(prepared *x)
{
    free(x->header);
    free(x->sorted);
}

int safetensors_write(const char *path, const out_tensor *tensors, int count, const json_t *metadata, lithe_error *err)
{
    prepared x;
    writer w;
    int status = prepare(&x, path, tensors, count, metadata, err);
    if (!status && !(status = writer_open(&w, path, err))) {
        status = put_file(w.stream, x.header, x.length, x.sorted, x.n, err);
        if (status) writer_abandon(&w);
        else status = writer_commit(&w, err);
    }
    prepared_free(&x);
    return status;
}

char *safetensors_bytes(const char *name, const out_tensor *tensors, int count, const json_t *metadata, size_t *size, lithe_error *err)
{
    prepared x;
    char *bytes = NULL;
    *size = 0;
    if (!prepare(&x, name, tensors, count, metadata, err)) {
        FILE *out = open_memstream(&bytes, size);
        bool bad = !out || put_file(out, x.header, x.length, x.sorted, x.n, err) || ferror(out);
        if ((out && fclose(out)) || bad) {
            fail(err, LITHE_ENOMEM, "%s: not enough memory for the file", name);
            free(bytes);
            bytes = NULL;
        }
    }
    prepared_free(&x);
    return bytes;
}

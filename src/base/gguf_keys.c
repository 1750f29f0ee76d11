#include "base/gguf_keys.h"
#include "base/arena.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; size_t bytes; bool whole, has_sign; } TYPES[GGUF_TYPES] = {
#define WHOLE(type, text, size, sign) [type] = { .name = text, .bytes = size, .whole = true, .has_sign = sign }
    WHOLE(GGUF_U8, "u8", 1, false), WHOLE(GGUF_I8, "i8", 1, true), WHOLE(GGUF_U16, "u16", 2, false), WHOLE(GGUF_I16, "i16", 2, true),
    WHOLE(GGUF_U32, "u32", 4, false), WHOLE(GGUF_I32, "i32", 4, true), WHOLE(GGUF_U64, "u64", 8, false), WHOLE(GGUF_I64, "i64", 8, true),
#undef WHOLE
    [GGUF_F32] = { .name = "f32", .bytes = 4 }, [GGUF_F64] = { .name = "f64", .bytes = 8 }, [GGUF_BOOL] = { .name = "bool", .bytes = 1 },
    [GGUF_STRING] = { .name = "string" }, [GGUF_ARRAY] = { .name = "array" },
};

const char *gguf_type_name(gguf_type type)  { return TYPES[type].name; }
size_t      gguf_type_bytes(gguf_type type) { return TYPES[type].bytes; }

/* ---- reading ------------------------------------------------------------------------- */

/* Bytes of the shortest of each. */
enum { HEAD_BYTES = 24, LEAST_KEY = 8 + 1 + 4 + 1, LEAST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8 };

typedef struct { const uint8_t *data, *at, *end; const char *what; } cursor;

static size_t left(const cursor *c) { return (size_t)(c->end - c->at); }

bool gguf_read_text(const uint8_t *p, size_t rest, gguf_text *out)
{
    uint64_t len = rest < 8 ? UINT64_MAX : load_bytes(p, 8);
    if (len > GGUF_MAX_STRING || len > rest - 8) return false;
    *out = (gguf_text){ (const char *)p + 8, (size_t)len };
    return true;
}

/* A short form of a key for messages. */
static int shown(size_t len) { return len < 80 ? (int)len : 80; }

static int truncated(const cursor *c, gguf_text key, lithe_error *err)
{
    return fail(err, LITHE_EFORMAT, "%s: ends within the value of %.*s, at byte %zu", c->what, shown(key.len), key.bytes, (size_t)(c->at - c->data));
}

static int read_value(cursor *c, gguf_text key, gguf_type type, uint64_t count, int depth, lithe_error *err);

static int read_type(cursor *c, gguf_text key, gguf_type *type, lithe_error *err)
{
    if (left(c) < 4) return truncated(c, key, err);
    uint64_t number = load_bytes(c->at, 4);
    if (number >= GGUF_TYPES) return fail(err, LITHE_EFORMAT, "%s: %.*s has a value of type %llu, 0 to %d are known", c->what, shown(key.len), key.bytes,
                                          (unsigned long long)number, GGUF_TYPES - 1);
    *type = (gguf_type)number;
    c->at += 4;
    return LITHE_OK;
}

static int read_array_head(cursor *c, gguf_text key, gguf_type *of, uint64_t *count, lithe_error *err)
{
    int status = read_type(c, key, of, err);
    if (!status && left(c) < 8) status = truncated(c, key, err);
    if (status) return status;
    *count = load_bytes(c->at, 8);
    c->at += 8;
    size_t least = *of == GGUF_STRING ? 8 : *of == GGUF_ARRAY ? 12 : TYPES[*of].bytes;
    return *count <= left(c) / least ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: %.*s has %llu elements, more than fit in the %zu bytes that are left", c->what,
                                                       shown(key.len), key.bytes, (unsigned long long)*count, left(c));
}

static int read_strings(cursor *c, gguf_text key, uint64_t count, lithe_error *err)
{
    gguf_text text;
    for (uint64_t i = 0; i < count; i++) {
        if (!gguf_read_text(c->at, left(c), &text))
            return fail(err, LITHE_EFORMAT, "%s: %.*s holds a string that is longer than the file, or than %d bytes, at byte %zu", c->what, shown(key.len), key.bytes,
                        GGUF_MAX_STRING, (size_t)(c->at - c->data));
        c->at += 8 + text.len;
    }
    return LITHE_OK;
}

static int read_arrays(cursor *c, gguf_text key, uint64_t count, int depth, lithe_error *err)
{
    int status = depth < GGUF_MAX_DEPTH ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: %.*s has arrays in arrays deeper than %d", c->what, shown(key.len), key.bytes, GGUF_MAX_DEPTH);
    for (uint64_t i = 0; i < count && !status; i++) {
        gguf_type of;
        uint64_t n;
        status = read_array_head(c, key, &of, &n, err);
        if (!status) status = read_value(c, key, of, n, depth + 1, err);
    }
    return status;
}

/* Passes over `count` values of a type. */
static int read_value(cursor *c, gguf_text key, gguf_type type, uint64_t count, int depth, lithe_error *err)
{
    if (type == GGUF_STRING) return read_strings(c, key, count, err);
    if (type == GGUF_ARRAY) return read_arrays(c, key, count, depth, err);
    if (count > left(c) / TYPES[type].bytes) return truncated(c, key, err);
    for (uint64_t i = 0; i < count && type == GGUF_BOOL; i++)
        if (c->at[i] > 1) return fail(err, LITHE_EFORMAT, "%s: %.*s has a bool of %d, expected 0 or 1", c->what, shown(key.len), key.bytes, c->at[i]);
    c->at += count * TYPES[type].bytes;
    return LITHE_OK;
}

static int read_key(cursor *c, gguf_text *key, lithe_error *err)
{
    size_t at = (size_t)(c->at - c->data);
    if (!gguf_read_text(c->at, left(c), key)) return fail(err, LITHE_EFORMAT, "%s: the key at byte %zu is longer than the file", c->what, at);
    if (key->len < 1 || key->len > GGUF_MAX_KEY) return fail(err, LITHE_EFORMAT, "%s: the key at byte %zu has %zu bytes, expected 1 to %d", c->what, at, key->len, GGUF_MAX_KEY);
    for (size_t i = 0; i < key->len; i++)
        if (key->bytes[i] <= ' ' || key->bytes[i] > '~') return fail(err, LITHE_EFORMAT, "%s: the key at byte %zu holds the byte 0x%02x, expected ASCII without spaces", c->what, at,
                                                                     (unsigned)(unsigned char)key->bytes[i]);
    c->at += 8 + key->len;
    return LITHE_OK;
}

static int read_pair(gguf_value *v, cursor *c, lithe_error *err)
{
    gguf_text key;
    int status = read_key(c, &key, err);
    if (!status && !(v->key = xstrndup(key.bytes, key.len))) status = fail(err, LITHE_ENOMEM, "%s: no memory for its keys", c->what);
    if (!status) status = read_type(c, key, &v->type, err);
    v->count = 1;
    if (!status && v->type == GGUF_ARRAY) status = read_array_head(c, key, &v->of, &v->count, err);
    if (status) return status;
    v->data = c->at;
    return read_value(c, key, v->type == GGUF_ARRAY ? v->of : v->type, v->count, 1, err);
}

static int by_key(const void *a, const void *b) { return strcmp(((const gguf_value *)a)->key, ((const gguf_value *)b)->key); }

static int read_alignment(gguf_keys *k, const char *what, lithe_error *err)
{
    const gguf_value *v = gguf_find(k, "general.alignment");
    k->alignment = 32;
    if (v && v->type != GGUF_U32) return fail(err, LITHE_EFORMAT, "%s: general.alignment is of type %s, expected u32", what, TYPES[v->type].name);
    if (v) k->alignment = (uint32_t)load_bytes(v->data, 4);
    if (k->alignment < 8 || k->alignment & (k->alignment - 1))
        return fail(err, LITHE_EFORMAT, "%s: general.alignment is %u, expected a power of two from 8 up", what, k->alignment);
    return LITHE_OK;
}

static int read_version(const uint8_t *data, size_t size, const char *what, lithe_error *err)
{
    if (size < HEAD_BYTES || memcmp(data, "GGUF", 4)) return fail(err, LITHE_EFORMAT, "%s: is no GGUF file: it does not begin with GGUF, or has %zu bytes", what, size);
    uint32_t version = (uint32_t)load_bytes(data + 4, 4);
    if (version && !(version & 0xffff)) return fail(err, LITHE_EFORMAT, "%s: is a big-endian GGUF file, only little-endian ones are read", what);
    return version == 2 || version == 3 ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: is GGUF of version %u, 2 and 3 are read", what, version);
}

static int read_counts(gguf_keys *k, uint64_t *keys, const uint8_t *data, size_t size, const char *what, lithe_error *err)
{
    const struct { const char *name; uint64_t n, most; } counts[] = {
        { "tensors", load_bytes(data + 8, 8), (size - HEAD_BYTES) / LEAST_TENSOR }, { "keys", load_bytes(data + 16, 8), (size - HEAD_BYTES) / LEAST_KEY } };
    for (int i = 0; i < 2; i++)
        if (counts[i].n > counts[i].most)
            return fail(err, LITHE_EFORMAT, "%s: says that it has %llu %s, more than fit in its %zu bytes", what, (unsigned long long)counts[i].n, counts[i].name, size);
    k->tensors = counts[0].n;
    *keys = counts[1].n;
    return *keys <= GGUF_MAX_KEYS ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: %llu keys, at most %d are accepted", what, (unsigned long long)*keys, GGUF_MAX_KEYS);
}

int gguf_keys_read(gguf_keys *k, const uint8_t *data, size_t size, const char *what, lithe_error *err)
{
    cursor c = { data, data + HEAD_BYTES, data + size, what };
    uint64_t n = 0;
    *k = (gguf_keys){ 0 };
    int status = failed(err) ? (int)err->status : read_version(data, size, what, err);
    if (!status) status = read_counts(k, &n, data, size, what, err);
    if (!status && !(k->values = xalloc((size_t)n + 1, sizeof *k->values))) status = fail(err, LITHE_ENOMEM, "%s: no memory for %llu keys", what, (unsigned long long)n);
    while (!status && k->count < n) status = read_pair(&k->values[k->count++], &c, err);
    if (!status) qsort(k->values, k->count, sizeof *k->values, by_key);
    for (size_t i = 1; i < k->count && !status; i++)
        if (!by_key(&k->values[i - 1], &k->values[i])) status = fail(err, LITHE_EFORMAT, "%s: the key %.80s is there twice", what, k->values[i].key);
    k->end = (size_t)(c.at - data);
    if (!status) status = read_alignment(k, what, err);
    if (status) gguf_keys_free(k);
    return status;
}

void gguf_keys_free(gguf_keys *k)
{
    for (size_t i = 0; i < k->count; i++) free(k->values[i].key);
    free(k->values);
    *k = (gguf_keys){ 0 };
}

/* ---- values -------------------------------------------------------------------------- */

const gguf_value *gguf_find(const gguf_keys *k, const char *key)
{
    const gguf_value wanted = { .key = (char *)(uintptr_t)key };
    return k && k->count ? bsearch(&wanted, k->values, k->count, sizeof *k->values, by_key) : NULL;
}

bool gguf_integer(const gguf_value *v, int64_t *out)
{
    if (!v || !TYPES[v->type].whole) return false;
    int bytes = (int)TYPES[v->type].bytes, unused = 64 - 8 * bytes;
    uint64_t x = load_bytes(v->data, bytes);
    if (!TYPES[v->type].has_sign && x > INT64_MAX) return false;
    *out = TYPES[v->type].has_sign ? (int64_t)(x << unused) >> unused : (int64_t)x;
    return true;
}

static double shortest(float x)
{
    char text[40];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        double y = strtod(text, NULL);
        float back = (float)y;
        if (!memcmp(&back, &x, sizeof x)) return y;
    }
    return (double)x;
}

bool gguf_number(const gguf_value *v, double *out)
{
    int64_t whole;
    float f;
    if (gguf_integer(v, &whole)) *out = (double)whole;
    else if (v && v->type == GGUF_F32) memcpy(&f, v->data, 4), *out = shortest(f);
    else if (v && v->type == GGUF_F64) memcpy(out, v->data, 8);
    else return false;
    return true;
}

bool gguf_bool(const gguf_value *v, bool *out)
{
    if (!v || v->type != GGUF_BOOL) return false;
    *out = *v->data;
    return true;
}

gguf_text gguf_string(const gguf_value *v)
{
    gguf_text text = { "", 0 };
    if (v && v->type == GGUF_STRING) gguf_read_text(v->data, SIZE_MAX, &text);
    return text;
}

bool gguf_is(gguf_text text, const char *name) { return text.len == strlen(name) && !memcmp(text.bytes, name, text.len); }

bool gguf_same(const gguf_value *a, const gguf_value *b)
{
    gguf_strings s = gguf_texts(a), r = gguf_texts(b);
    gguf_text x, y;
    if (a->type == GGUF_STRING) return x = gguf_string(a), y = gguf_string(b), x.len == y.len && !memcmp(x.bytes, y.bytes, x.len);
    if (a->type != GGUF_ARRAY) return !memcmp(a->data, b->data, TYPES[a->type].bytes);
    while (gguf_next(&s, &x) && gguf_next(&r, &y))
        if (x.len != y.len || memcmp(x.bytes, y.bytes, x.len)) return false;
    return a->of == GGUF_STRING || (a->of != GGUF_ARRAY && !memcmp(a->data, b->data, a->count * TYPES[a->of].bytes));
}

gguf_value gguf_element(const gguf_value *v, uint64_t i)
{
    return (gguf_value){ .key = v->key, .type = v->of, .count = 1, .data = v->data + i * TYPES[v->of].bytes };
}

gguf_strings gguf_texts(const gguf_value *v)
{
    bool texts = v && v->type == GGUF_ARRAY && v->of == GGUF_STRING;
    return (gguf_strings){ texts ? v->data : NULL, texts ? v->count : 0 };
}

bool gguf_next(gguf_strings *s, gguf_text *out)
{
    if (!s->left) return false;
    gguf_read_text(s->at, SIZE_MAX, out);
    s->at = (const uint8_t *)out->bytes + out->len;
    s->left--;
    return true;
}

/* ---- what is known ---------------------------------------------------------------------- */

void gguf_show(const gguf_value *v, char *text, size_t size)
{
    int64_t whole;
    double x;
    bool yes;
    const gguf_text string = gguf_string(v);
    if (v->type == GGUF_ARRAY) snprintf(text, size, "[%llu]", (unsigned long long)v->count);
    else if (v->type == GGUF_STRING) snprintf(text, size, "\"%.*s\"", string.len < 60 ? (int)string.len : 60, string.bytes);
    else if (gguf_bool(v, &yes)) snprintf(text, size, "%s", yes ? "true" : "false");
    else if (gguf_integer(v, &whole)) snprintf(text, size, "%lld", (long long)whole);
    else if (gguf_number(v, &x)) snprintf(text, size, "%g", x);
}

static bool is_one_of(const char *text, const char *values)
{
    const size_t n = strlen(text);
    for (const char *at = values; *at; at += *at == '|') {
        const size_t length = strcspn(at, "|");
        if (length == n && !memcmp(at, text, n)) return true;
        at += length;
    }
    return false;
}

static bool is_known(const gguf_value *v, const gguf_known *known)
{
    char text[80] = "";
    gguf_show(v, text, sizeof text);
    for (; known->key; known++) {
        const size_t n = strlen(known->key);
        if (known->key[n - 1] == '*' ? !strncmp(v->key, known->key, n - 1) : !strcmp(v->key, known->key)) return !known->only || is_one_of(text, known->only);
    }
    return false;
}

int gguf_check(const gguf_keys *k, const char *prefix, const gguf_known *known, const char *what, lithe_error *err)
{
    char text[80] = "";
    for (size_t i = 0; i < k->count; i++) {
        const gguf_value *v = &k->values[i];
        if (strncmp(v->key, prefix, strlen(prefix)) || is_known(v, known)) continue;
        gguf_show(v, text, sizeof text);
        return fail(err, LITHE_ECONFIG, "%s: %.100s = %s is not supported here, and may change the results", what, v->key, text);
    }
    return LITHE_OK;
}

/* ---- writing ------------------------------------------------------------------------- */

void gguf_put_bytes(gguf_head *h, const void *bytes, size_t size)
{
    if (h->out_of_memory || !size) return;
    if (size > h->room - h->size) {
        size_t room = 2 * h->room + size + 4096;
        uint8_t *grown = xrealloc(h->bytes, room, 1);
        if (!grown) { h->out_of_memory = true; return; }
        h->bytes = grown;
        h->room = room;
    }
    memcpy(h->bytes + h->size, bytes, size);
    h->size += size;
}

static void put_whole(gguf_head *h, int64_t x, size_t bytes)
{
    uint8_t field[8];
    store_bytes(field, (int)bytes, (uint64_t)x);
    gguf_put_bytes(h, field, bytes);
}

void gguf_put_text(gguf_head *h, const char *text, size_t len)
{
    put_whole(h, (int64_t)len, 8);
    gguf_put_bytes(h, text, len);
}

static void put_key(gguf_head *h, const char *key, gguf_type type)
{
    gguf_put_text(h, key, strlen(key));
    put_whole(h, type, 4);
    h->count++;
}

void gguf_put_integer(gguf_head *h, const char *key, gguf_type type, int64_t value)
{
    put_key(h, key, type);
    put_whole(h, value, TYPES[type].bytes);
}

void gguf_put_number(gguf_head *h, const char *key, double value)
{
    put_key(h, key, GGUF_F32);
    gguf_put_bytes(h, &(float){ (float)value }, 4);
}

void gguf_put_bool(gguf_head *h, const char *key, bool value)
{
    put_key(h, key, GGUF_BOOL);
    put_whole(h, value, 1);
}

void gguf_put_string(gguf_head *h, const char *key, const char *text, size_t len)
{
    put_key(h, key, GGUF_STRING);
    gguf_put_text(h, text, len);
}

void gguf_put_array(gguf_head *h, const char *key, gguf_type of, uint64_t count)
{
    put_key(h, key, GGUF_ARRAY);
    put_whole(h, of, 4);
    put_whole(h, (int64_t)count, 8);
}

void gguf_head_free(gguf_head *h)
{
    free(h->bytes);
    *h = (gguf_head){ 0 };
}

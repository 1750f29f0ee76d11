/* GGUF files made by hand: every field of the header, of the keys, of the
 * descriptions of tensors and of the places of data that can be wrong, and what
 * values are read as.  Files written by an independent program are in
 * tests/golden/gguf. */
#include "tensor_file.h"
#include "base/writer.h"
#include "files/gguf.h"
#include "lithe_tools.h"
#include "model/model.h"
#include <math.h>
#include <stdlib.h>

typedef struct { uint8_t bytes[8192]; size_t size; } built;

static void put(built *b, uint64_t x, int bytes) { store_bytes(b->bytes + b->size, bytes, x); b->size += (size_t)bytes; }
static void put_string(built *b, const char *text) { put(b, strlen(text), 8); memcpy(b->bytes + b->size, text, strlen(text)); b->size += strlen(text); }
static void put_zeros(built *b, size_t n) { memset(b->bytes + b->size, 0, n); b->size += n; }

static void begin(built *b, uint64_t version, uint64_t tensors, uint64_t keys)
{
    b->size = 0;
    put(b, 0x46554747, 4), put(b, version, 4), put(b, tensors, 8), put(b, keys, 8);
}

static void put_key(built *b, const char *key, gguf_type type) { put_string(b, key); put(b, type, 4); }
static void put_whole(built *b, const char *key, gguf_type type, uint64_t x) { put_key(b, key, type); put(b, x, (int)gguf_type_bytes(type)); }

/* dims as the file has them, the contiguous one first; 0 ends them */
static void describe(built *b, const char *name, uint64_t d0, uint64_t d1, uint32_t type, uint64_t offset)
{
    put_string(b, name);
    put(b, d1 ? 2 : 1, 4), put(b, d0, 8);
    if (d1) put(b, d1, 8);
    put(b, type, 4), put(b, offset, 8);
}

static void pad(built *b, size_t alignment) { while (b->size % alignment) put(b, 0, 1); }

/* Two tensors after a key: F32 [2,3] and F16 [5]. */
static void good(built *b)
{
    begin(b, 3, 2, 1);
    put_whole(b, "general.alignment", GGUF_U32, 64);
    describe(b, "a", 3, 2, 0, 0);
    describe(b, "b", 5, 0, 1, 64);
    pad(b, 64);
    for (int i = 0; i < 6; i++) { float x = (float)i; uint32_t bits; memcpy(&bits, &x, 4); put(b, bits, 4); }
    pad(b, 64);
    for (int i = 0; i < 5; i++) put(b, f16_from_float((float)(10 + i)), 2);
}

void gguf_places(void)
{
    built b;
    void *keep;
    lithe_error err = { 0 };
    float x[6];
    good(&b);
    for (size_t shift = 0; shift < 2; shift++) {
        tensor_file *f = parse_copy(b.bytes, b.size, shift, &keep, &err);
        CHECK_MSG(f && !strcmp(f->format, "gguf") && f->count == 2, "%s", err.text);
        const file_tensor *a = tensor_file_find(f, "a"), *h = tensor_file_find(f, "b");
        CHECK(a && a->rank == 2 && a->dims[0] == 2 && a->dims[1] == 3 && file_tensor_floats(a, 0, 6, x) && x[0] == 0 && x[5] == 5);
        CHECK(h && h->rank == 1 && h->type == DT_F16 && file_tensor_floats(h, 0, 5, x) && x[0] == 10 && x[4] == 14);
        tensor_file_close(f);
        free(keep);
    }
}

/* ---- values -------------------------------------------------------------------------- */

void gguf_values(void)
{
    built b;
    lithe_error err = { 0 };
    gguf_keys k;
    int64_t whole = 0;
    double x = 0;
    bool yes = false;
    begin(&b, 3, 0, 9);
    put_whole(&b, "z.u8", GGUF_U8, 200), put_whole(&b, "a.i8", GGUF_I8, 200), put_whole(&b, "i64", GGUF_I64, (uint64_t)-5), put_whole(&b, "u64", GGUF_U64, UINT64_MAX);
    put_whole(&b, "bool", GGUF_BOOL, 1), put_whole(&b, "f32", GGUF_F32, 0x3727c5ac);        /* 1e-5f */
    put_key(&b, "text", GGUF_STRING), put_string(&b, "na\xffme");
    put_key(&b, "list", GGUF_ARRAY), put(&b, GGUF_STRING, 4), put(&b, 2, 8), put_string(&b, "one"), put_string(&b, "");
    put_key(&b, "nested", GGUF_ARRAY), put(&b, GGUF_ARRAY, 4), put(&b, 2, 8);
    put(&b, GGUF_U16, 4), put(&b, 2, 8), put(&b, 7, 2), put(&b, 8, 2), put(&b, GGUF_I32, 4), put(&b, 0, 8);
    CHECK_MSG(!gguf_keys_read(&k, b.bytes, b.size, "NAME", &err) && k.count == 9 && k.end == b.size, "%s", err.text);
    CHECK(!strcmp(k.values[0].key, "a.i8") && !strcmp(k.values[8].key, "z.u8") && !gguf_find(&k, "none"));
    CHECK(gguf_integer(gguf_find(&k, "z.u8"), &whole) && whole == 200 && gguf_integer(gguf_find(&k, "a.i8"), &whole) && whole == -56);
    CHECK(gguf_integer(gguf_find(&k, "i64"), &whole) && whole == -5 && !gguf_integer(gguf_find(&k, "u64"), &whole) && !gguf_integer(NULL, &whole));
    CHECK(gguf_bool(gguf_find(&k, "bool"), &yes) && yes && !gguf_bool(gguf_find(&k, "z.u8"), &yes) && !gguf_integer(gguf_find(&k, "bool"), &whole));
    CHECK(gguf_number(gguf_find(&k, "f32"), &x) && fabs(x - 1e-5) <= 0 && gguf_number(gguf_find(&k, "i64"), &x) && fabs(x + 5) <= 0);
    CHECK(gguf_string(gguf_find(&k, "text")).len == 5 && !gguf_string(gguf_find(&k, "i64")).len && gguf_is(gguf_string(gguf_find(&k, "text")), "na\xffme"));
    gguf_strings s = gguf_texts(gguf_find(&k, "list"));
    gguf_text text;
    CHECK(gguf_next(&s, &text) && gguf_is(text, "one") && gguf_next(&s, &text) && !text.len && !gguf_next(&s, &text));
    s = gguf_texts(gguf_find(&k, "text"));
    CHECK(!gguf_next(&s, &text) && gguf_find(&k, "nested")->of == GGUF_ARRAY);
    json_t *json = gguf_json(gguf_find(&k, "list")), *none = gguf_json(gguf_find(&k, "text"));
    CHECK(json_array_size(json) == 2 && !none);
    json_decref(json);
    gguf_keys_free(&k);
}

/* ---- the header ------------------------------------------------------------------------ */

void gguf_head_refused(void)
{
    built b;
    static const struct { uint64_t version; const char *why; } versions[] = {
        { 0, "version 0" }, { 1, "version 1, 2 and 3 are read" }, { 4, "version 4" }, { 0x03000000, "big-endian" } };
    for (int i = 0; i < 4; i++) { good(&b); store_bytes(b.bytes + 4, 4, versions[i].version); check_parse("version", b.bytes, b.size, versions[i].why); }
    good(&b), b.bytes[4] = 2, check_parse("version 2", b.bytes, b.size, NULL);
    good(&b), b.bytes[3] = 'X', check_parse("magic", b.bytes, b.size, "");
    good(&b), check_parse("empty", b.bytes, 4, "has 4 bytes");
    good(&b), store_bytes(b.bytes + 8, 8, UINT64_MAX / 32), check_parse("tensors", b.bytes, b.size, "tensors, more than fit");
    good(&b), store_bytes(b.bytes + 8, 8, 3), check_parse("a tensor more", b.bytes, b.size, "NAME: ");
    good(&b), store_bytes(b.bytes + 16, 8, UINT64_MAX), check_parse("keys", b.bytes, b.size, "keys, more than fit");
    good(&b), store_bytes(b.bytes + 16, 8, 2), check_parse("a key more", b.bytes, b.size, "NAME: ");
    begin(&b, 3, 0, 0), check_parse("nothing", b.bytes, b.size, NULL);
    good(&b);
    for (size_t n = 0; n < b.size; n++) CHECK_MSG(!opens(b.bytes, n, 0), "cut to %zu of %zu bytes", n, b.size);
}

/* One key, whose value the test goes on with. */
static void one_key(built *b, const char *key, uint32_t type) { begin(b, 3, 0, 1); put_string(b, key); put(b, type, 4); }
static void refuse(const char *label, built *b, const char *why) { put_zeros(b, 16); check_parse(label, b->bytes, b->size, why); }

void gguf_keys_refused(void)
{
    built b;
    one_key(&b, "k", 13), refuse("type", &b, "value of type 13");
    one_key(&b, "", 4), refuse("no name", &b, "0 bytes, expected 1");
    one_key(&b, "a b", 4), refuse("space in a key", &b, "0x20");
    one_key(&b, "a\xc3\xa4", 4), refuse("a key beyond ASCII", &b, "0xc3");
    one_key(&b, "k", 4), store_bytes(b.bytes + 24, 8, (uint64_t)1 << 63), refuse("length of a key", &b, "longer than the file");
    one_key(&b, "k", GGUF_BOOL), put(&b, 2, 1), refuse("bool", &b, "bool of 2");
    one_key(&b, "k", GGUF_STRING), put(&b, UINT64_MAX, 8), refuse("string", &b, "longer than the file");
    one_key(&b, "k", GGUF_STRING), put(&b, GGUF_MAX_STRING + 1, 8), refuse("long string", &b, "16777216");
    one_key(&b, "k", GGUF_ARRAY), put(&b, GGUF_U64, 4), put(&b, UINT64_MAX / 8, 8), refuse("array", &b, "more than fit");
    one_key(&b, "k", GGUF_ARRAY), put(&b, GGUF_STRING, 4), put(&b, 3, 8), refuse("array of strings", &b, "more than fit");
    one_key(&b, "k", GGUF_ARRAY), put(&b, GGUF_STRING, 4), put(&b, 1, 8), put(&b, 100, 8), refuse("string in an array", &b, "longer than the file");
    one_key(&b, "k", GGUF_ARRAY), put(&b, 77, 4), put(&b, 1, 8), refuse("type of an array", &b, "value of type 77");
    one_key(&b, "k", GGUF_ARRAY), put(&b, GGUF_BOOL, 4), put(&b, 2, 8), put(&b, 1, 1), put(&b, 3, 1), refuse("bool in an array", &b, "bool of 3");
    one_key(&b, "k", GGUF_ARRAY);
    for (int i = 0; i < 5; i++) put(&b, GGUF_ARRAY, 4), put(&b, 1, 8);
    put(&b, GGUF_U8, 4), put(&b, 1, 8), refuse("nesting", &b, "deeper than 4");
    begin(&b, 3, 0, 2), put_whole(&b, "k", GGUF_U8, 1), put_whole(&b, "k", GGUF_U8, 2), refuse("twice", &b, "k is there twice");
    begin(&b, 3, 0, 1), put_key(&b, "general.alignment", GGUF_STRING), put_string(&b, "32"), refuse("alignment's type", &b, "of type string, expected u32");
    static const uint64_t alignments[] = { 0, 1, 4, 24, 33, 0x80000001 };
    for (int i = 0; i < 6; i++) begin(&b, 3, 0, 1), put_whole(&b, "general.alignment", GGUF_U32, alignments[i]), refuse("alignment", &b, "power of two");
}

/* ---- tensors ----------------------------------------------------------------------------- */

/* One F32 tensor [2,3] in which one field is made wrong. */
typedef struct { const char *label; size_t at; int bytes; uint64_t value; const char *why; } fault;

void gguf_tensors_refused(void)
{
    enum { NAME = 24, RANK = NAME + 9, DIM0 = RANK + 4, DIM1 = DIM0 + 8, TYPE = DIM1 + 8, OFFSET = TYPE + 4 };
    static const fault faults[] = {
        { "as it is", NAME, 8, 1, NULL },
        { "length of the name", NAME, 8, UINT64_MAX, "longer than the file" }, { "no name", NAME, 8, 0, "0 bytes, expected 1 to 64" },
        { "control byte", NAME + 8, 1, 7, "0x07" }, { "UTF-8", NAME + 8, 1, 0xff, "UTF-8" },
        { "rank 0", RANK, 4, 0, "0 dimensions" }, { "rank 5", RANK, 4, 5, "5 dimensions" },
        { "dimension 0", DIM0, 8, 0, "dimension of 0" }, { "negative", DIM0, 8, UINT64_MAX, "dimension of" }, { "most", DIM0, 8, INT64_MAX, "overflow" },
        { "product", DIM0, 8, (uint64_t)1 << 62, "overflow" }, { "bytes", DIM0, 8, (uint64_t)1 << 60, "overflow" },
        { "removed type", TYPE, 4, 4, "of type 4, which ggml" }, { "removed type", TYPE, 4, 33, "type 33" }, { "type", TYPE, 4, 43, "type 43" }, { "type", TYPE, 4, UINT32_MAX, "type 4294967295" },
        { "blocks", TYPE, 4, 8, "rows of 3, which are no whole blocks of 32" }, { "offset", OFFSET, 8, 4, "no multiple of 32" },
        { "gap", OFFSET, 8, 32, "begins at 32" }, { "far", OFFSET, 8, UINT64_MAX - 31, "begins at" }, { "more rows than data", DIM1, 8, 3, "beyond the file" },
    };
    built b;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        begin(&b, 3, 1, 0), describe(&b, "a", 3, 2, 0, 0), pad(&b, 32), put_zeros(&b, 24);
        store_bytes(b.bytes + faults[i].at, faults[i].bytes, faults[i].value);
        check_parse(faults[i].label, b.bytes, b.size, faults[i].why);
    }
    begin(&b, 3, 2, 0), describe(&b, "a", 3, 0, 0, 0), describe(&b, "a", 3, 0, 0, 32), pad(&b, 32), put_zeros(&b, 44);
    check_parse("twice", b.bytes, b.size, "a is there twice");
    begin(&b, 3, 2, 0), describe(&b, "a", 16, 0, 0, 0), describe(&b, "b", 3, 0, 0, 32), pad(&b, 32), put_zeros(&b, 76);
    check_parse("overlap", b.bytes, b.size, "b begins at 32 of the data, the tensor before it ends at 64");
    begin(&b, 3, 2, 0), describe(&b, "a", ((uint64_t)1 << 59) - 1, 1, 1, 0), describe(&b, "b", ((uint64_t)1 << 61) - 1, 1, 0, (uint64_t)1 << 60), pad(&b, 32);
    check_parse("sum", b.bytes, b.size, "beyond the file");
    begin(&b, 3, 1, 1), put_whole(&b, "general.alignment", GGUF_U32, 64), describe(&b, "a", 6, 0, 0, 0), pad(&b, 32), put_zeros(&b, 24);
    check_parse("data at another alignment", b.bytes, b.size, "beyond the file");
    char name[66];
    memset(name, 'n', 65), name[65] = 0;
    begin(&b, 3, 1, 0), describe(&b, name, 3, 2, 0, 0), pad(&b, 32), put_zeros(&b, 24);
    check_parse("long name", b.bytes, b.size, "65 bytes, expected 1 to 64");
}

/* Every type of ggml is listed with the bytes that it takes, those too whose numbers are not read. */
void gguf_types_listed(void)
{
    built b;
    for (uint32_t type = 0; type < 50; type++) {
        const gguf_format *known = gguf_format_of(type);
        if (!known) continue;
        begin(&b, 3, 1, 0), describe(&b, "a", 256, 1, type, 0), pad(&b, 32);
        size_t bytes = 256 / (size_t)known->block * known->bytes;
        put_zeros(&b, bytes);
        lithe_error err = { 0 };
        void *keep;
        tensor_file *f = parse_copy(b.bytes, b.size, 0, &keep, &err);
        CHECK_MSG(f && f->tensors[0].bytes == bytes && !strcmp(f->tensors[0].type_name, known->name), "%s: %s", known->name, err.text);
        CHECK(!f || known->type == DT_OTHER || gguf_number_of(known->type) == (int)type);
        tensor_file_close(f);
        free(keep);
        b.size--;
        check_parse(known->name, b.bytes, b.size, "beyond the file");
    }
    CHECK(!gguf_format_of(4) && !gguf_format_of(31) && !gguf_format_of(UINT32_MAX) && gguf_number_of(DT_OTHER) < 0 && gguf_number_of(DT_F32) == 0);
}

void gguf_mutations(void)
{
    built b;
    good(&b);
    CHECK(mutate(b.bytes, b.size, 4000, 11) > 100);
}

/* What the file says is listed in the order of the keys. */
void gguf_listed(void)
{
    built b;
    lithe_error err = { 0 };
    lithe_key_info k;
    const char *path = in_dir("listed.gguf");
    begin(&b, 3, 0, 3);
    put_key(&b, "t", GGUF_STRING), put_string(&b, "a \"b\"\n");
    put_key(&b, "l", GGUF_ARRAY), put(&b, GGUF_I16, 4), put(&b, 2, 8), put(&b, 0xffff, 2), put(&b, 3, 2);
    put_key(&b, "many", GGUF_ARRAY), put(&b, GGUF_U8, 4), put(&b, 65, 8), put_zeros(&b, 65);
    CHECK(!file_write(path, b.bytes, b.size, &err));
    lithe_listing *l = lithe_listing_open(path, &err);
    CHECK_MSG(l, "%s", err.text);
    CHECK(lithe_listing_key(l, 0, &k) && !strcmp(k.key, "l") && !strcmp(k.type, "array of i16") && !strcmp(k.value, "[-1, 3]") && k.count == 2);
    CHECK(lithe_listing_key(l, 1, &k) && !strcmp(k.key, "many") && !k.value && k.count == 65);
    CHECK(lithe_listing_key(l, 2, &k) && !strcmp(k.type, "string") && !strcmp(k.value, "\"a \\\"b\\\"\\n\"") && !lithe_listing_key(l, 3, &k) && !k.key);
    lithe_listing_close(l);
}

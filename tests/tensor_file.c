/* Files of tensors: every rule of safetensors, the writer, shards, and files
 * of other kinds.  tensor_file_*.c test the other formats and the conversions. */
#include "tensor_file.h"
#include "base/writer.h"
#include "base/random.h"
#include <stdlib.h>

/* ---- parsing copies ------------------------------------------------------------ */

tensor_file *parse_copy(const void *data, size_t size, size_t shift, void **keep, lithe_error *err)
{
    uint8_t *copy = malloc(size + shift + !(size + shift));
    if (size) memcpy(copy + shift, data, size);
    *keep = copy;
    return tensor_file_parse(copy + shift, size, "NAME", err);
}

static float read_through(const tensor_file *f)
{
    float out[64], sum = 0;
    for (int i = 0; i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        size_t n = t->count < 64 ? t->count : 64;
        if (tensor_file_find(f, t->name) != t) sum += 1;
        if (file_tensor_floats(t, 0, n, out) && n) sum += out[n - 1];
        if (file_tensor_floats(t, t->count - n, n, out) && n) sum += out[0];
    }
    return sum;
}

void check_parse(const char *label, const void *data, size_t size, const char *why)
{
    lithe_error err = { 0 };
    void *keep;
    tensor_file *f = parse_copy(data, size, 0, &keep, &err);
    if (why) {
        CHECK_MSG(!f, "%s: accepted", label);
        CHECK_MSG(err.status < 0 && !strncmp(err.text, "NAME: ", 6) && strstr(err.text, why), "%s: %d \"%s\", expected \"%s\"", label, err.status, err.text, why);
        CHECK_MSG(!strchr(err.text, '\n'), "%s", label);
        CHECK(!tensor_file_parse(data, size, "NAME", NULL));
    } else {
        CHECK_MSG(f && err.status == LITHE_OK, "%s: %s", label, err.text);
        if (f) read_through(f);
    }
    tensor_file_close(f);
    free(keep);
}

bool opens(const void *data, size_t size, size_t shift)
{
    lithe_error err = { 0 };
    void *keep;
    tensor_file *f = parse_copy(data, size, shift, &keep, &err);
    CHECK(!f == (err.status != LITHE_OK));
    if (f) read_through(f);
    tensor_file_close(f);
    free(keep);
    return f != NULL;
}

int mutate(const void *data, size_t size, int rounds, uint64_t seed)
{
    static const uint8_t EDGES[] = { 0, 1, 0x7f, 0x80, 0xff, '.', '(', '{', '"', '-', '9' };
    int opened = 0;
    uint8_t *copy = malloc(size + 16);
    for (int round = 0; round < rounds; round++) {
        uint64_t key = key_of(seed, (uint64_t)round);
        size_t length = size;
        memcpy(copy, data, size);
        int changes = 1 + (int)(random_u64(key, 0) % 4);
        for (uint64_t i = 1; i <= (uint64_t)changes; i++) {
            uint64_t r = random_u64(key, i);
            size_t at = (size_t)(r >> 32) % length;
            switch (r % 5) {
            case 0: copy[at] ^= (uint8_t)(1u << (r >> 8) % 8); break;
            case 1: copy[at] = EDGES[(r >> 8) % sizeof EDGES]; break;
            case 2: copy[at] = (uint8_t)(r >> 8); break;
            case 3: memmove(copy + at, copy + at + 1, length - at - 1); length -= length > 1; break;
            default: if (length < size + 16) { memmove(copy + at + 1, copy + at, length - at); length++; } break;
            }
        }
        opened += opens(copy, length, round % 3 == 0);
    }
    free(copy);
    return opened;
}

/* ---- safetensors: reading --------------------------------------------------------- */

/* header NULL-terminated, then `tail` zero bytes; claimed < 0: the header's own length */
static size_t make_safetensors(uint8_t *out, const char *header, size_t tail, int64_t claimed)
{
    uint64_t n = claimed < 0 ? strlen(header) : (uint64_t)claimed;
    memcpy(out, &n, 8);
    memcpy(out + 8, header, strlen(header));
    memset(out + 8 + strlen(header), 0, tail);
    return 8 + strlen(header) + tail;
}

#define ONE(dtype, shape, offsets) "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define W(name, begin, end) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[" #begin "," #end "]}"

static const struct { const char *label, *header; size_t tail; int64_t claimed; const char *why; } SAFETENSORS[] = {
    { "2 header too large",      "{}", 0, 100000001, "100000001" },
    { "2 header absurd",         "{}", 0, INT64_MAX, "9223372036854775807" },
    { "3 header beyond the file","{}", 0, 3, "header of 3 bytes does not fit in the file's 10" },
    { "4 header not UTF-8",      "{\"\xff\":1}", 0, -1, "not UTF-8" },
    { "4 overlong UTF-8",        "{\"\xc0\xaf\":1}", 0, -1, "not UTF-8" },
    { "4 surrogate",             "{\"\xed\xa0\x80\":1}", 0, -1, "not UTF-8" },
    { "5 empty header",          "", 0, -1, "header" },
    { "5 not JSON",              "{\"w\":", 0, -1, "header: line 1" },
    { "5 not an object",         "[]", 0, -1, "not an object" },
    { "5 something after it",    "{} x", 0, -1, "end of file" },
    { "5 tensor not an object",  "{\"w\":1}", 0, -1, "w is not described by an object" },
    { "5 no dtype",              "{\"w\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, -1, "w has no dtype" },
    { "5 dtype not text",        ONE("1", "[]", "[0,4]"), 4, -1, "w has no dtype" },
    { "5 unknown dtype",         ONE("\"F33\"", "[]", "[0,4]"), 4, -1, "w has the unknown dtype \"F33\"" },
    { "5 lower-case dtype",      ONE("\"f32\"", "[]", "[0,4]"), 4, -1, "unknown dtype" },
    { "5 no shape",              "{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, -1, "w has no shape" },
    { "5 no offsets",            "{\"w\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, -1, "w has no data_offsets" },
    { "5 negative size",         ONE("\"F32\"", "[-1]", "[0,4]"), 4, -1, "number 0 of shape" },
    { "5 fractional size",       ONE("\"F32\"", "[1.0]", "[0,4]"), 4, -1, "number 0 of shape" },
    { "5 negative offset",       ONE("\"F32\"", "[1]", "[0,-4]"), 4, -1, "number 1 of data_offsets" },
    { "5 one offset",            ONE("\"F32\"", "[1]", "[0]"), 4, -1, "1 numbers, expected 2" },
    { "5 three offsets",         ONE("\"F32\"", "[1]", "[0,4,4]"), 4, -1, "3 numbers, at most 2" },
    { "5 number too big",        ONE("\"F32\"", "[99999999999999999999]", "[0,4]"), 4, -1, "not a whole number" },
    { "5 rank nine",             ONE("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, -1, "9 numbers, at most 8" },
    { "6 duplicate tensor",      "{" W("w", 0, 2) "," W("w", 2, 4) "}", 4, -1, "duplicate" },
    { "6 duplicate key",         "{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, -1, "duplicate" },
    { "6 duplicate metadata",    "{\"__metadata__\":{},\"__metadata__\":{}}", 0, -1, "duplicate" },
    { "7 hole at the start",     "{" W("w", 1, 3) "}", 3, -1, "w begins at 1, the tensor before it ends at 0" },
    { "7 hole between",          "{" W("a", 0, 2) "," W("b", 3, 5) "}", 5, -1, "b begins at 3, the tensor before it ends at 2" },
    { "7 overlap",               "{" W("a", 0, 2) "," W("b", 1, 3) "}", 3, -1, "b begins at 1, the tensor before it ends at 2" },
    { "7 shared",                "{" W("a", 0, 2) "," W("b", 0, 2) "}", 2, -1, "b begins at 0, the tensor before it ends at 2" },
    { "7 end before begin",      "{" W("a", 0, 2) "," W("b", 2, 1) "}", 2, -1, "b ends at 1, before its begin at 2" },
    { "8 shape overflows",       ONE("\"U8\"", "[4294967296,4294967296,2]", "[0,0]"), 0, -1, "overflows" },
    { "8 bits overflow",         ONE("\"F64\"", "[288230376151711744]", "[0,0]"), 0, -1, "overflows" },
    { "9 half a byte",           ONE("\"F4\"", "[3]", "[0,2]"), 2, -1, "3 elements of F4 are 12 bits" },
    { "9 six bits",              ONE("\"F6_E2M3\"", "[2]", "[0,2]"), 2, -1, "12 bits" },
    { "10 too few bytes",        ONE("\"F32\"", "[2]", "[0,4]"), 4, -1, "w takes 4 bytes of the file, its shape and dtype F32 need 8" },
    { "10 too many bytes",       ONE("\"F16\"", "[2]", "[0,8]"), 8, -1, "w takes 8 bytes of the file, its shape and dtype F16 need 4" },
    { "11 trailing bytes",       ONE("\"F32\"", "[1]", "[0,4]"), 5, -1, "end at byte 4 of the data, the file at 5" },
    { "11 cut off",              ONE("\"F32\"", "[2]", "[0,8]"), 7, -1, "end at byte 8 of the data, the file at 7" },
    { "11 nothing but a tail",   "{}", 1, -1, "end at byte 0 of the data, the file at 1" },
    { "12 metadata number",      "{\"__metadata__\":{\"a\":1}}", 0, -1, "__metadata__ \"a\" is not a string" },
    { "12 metadata null",        "{\"__metadata__\":{\"a\":null}}", 0, -1, "is not a string" },
    { "12 metadata null",        "{\"__metadata__\":null}", 0, 0, "" },
    { "12 metadata list",        "{\"__metadata__\":[]}", 0, -1, "__metadata__ is not an object" },
    { "13 control byte",         "{\"a\\u0007\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, -1, "control byte 0x07 at 1" },
    { "13 delete",               "{\"\x7f\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, -1, "control byte 0x7f" },
    { "13 NUL",                  "{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, -1, "NUL" },
    { "13 nested five deep",     "{\"w\":{\"x\":[[[]]]}}", 0, -1, "nested 5 deep, at most 4" },
    { "empty file of tensors",   "{}", 0, -1, NULL },
    { "metadata only",           "{\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}}", 0, -1, NULL },
    { "rank 0",                  ONE("\"F32\"", "[]", "[0,4]"), 4, -1, NULL },
    { "empty tensor",            ONE("\"F32\"", "[3,0,5]", "[0,0]"), 0, -1, NULL },
    { "empty between",           "{\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[2,2]}," W("a", 0, 2) "," W("b", 2, 4) "}", 4, -1, NULL },
    { "leading white space",     " \n\t{" W("w", 0, 2) "}", 2, -1, NULL },
    { "trailing white space",    "{" W("w", 0, 2) "}   \n ", 2, -1, NULL },
    { "other key order",         "{\"w\":{\"data_offsets\":[0,2],\"shape\":[2],\"dtype\":\"U8\"}}", 2, -1, NULL },
    { "name in UTF-8",           "{\"w\xc3\xa9\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, -1, NULL },
    { "listed only: F8",         ONE("\"F8_E4M3\"", "[3]", "[0,3]"), 3, -1, NULL },
    { "listed only: F4",         ONE("\"F4\"", "[4]", "[0,2]"), 2, -1, NULL },
    { "listed only: C64",        ONE("\"C64\"", "[1]", "[0,8]"), 8, -1, NULL },
};

static void safetensors_rules(void)
{
    uint8_t file[1024];
    for (size_t i = 0; i < 8; i++) check_parse("1 too short", "\2\0\0\0\0\0\0", i, "bytes, too short");
    for (size_t i = 0; i < sizeof SAFETENSORS / sizeof *SAFETENSORS; i++)
        check_parse(SAFETENSORS[i].label, file, make_safetensors(file, SAFETENSORS[i].header, SAFETENSORS[i].tail, SAFETENSORS[i].claimed), SAFETENSORS[i].why);
}

static void safetensors_long_name(void)
{
    static char header[8192];
    static uint8_t file[9000];
    for (int length = 4096; length <= 4097; length++) {
        snprintf(header, sizeof header, "{\"%0*d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", length, 0);
        check_parse("13 long name", file, make_safetensors(file, header, 0, -1), length > 4096 ? "4097 bytes long, at most 4096" : NULL);
    }
}

/* More than a million tensors' worth of JSON is refused before it is parsed. */
static void safetensors_large_header(void)
{
    enum { TIMES = 3000001 };
    static const char *const UNITS[] = { "[],", "{},", "0,,,,," };
    for (int u = 0; u < 3; u++) {
        size_t unit = strlen(UNITS[u]), length = 6 + TIMES * unit;
        uint64_t n = length;
        uint8_t *file = malloc(8 + length);
        memcpy(file, &n, 8);
        memcpy(file + 8, "{\"w\":[", 6);
        for (size_t i = 0; i < TIMES; i++) memcpy(file + 14 + i * unit, UNITS[u], unit);
        check_parse("13 too many", file, 8 + length, "describes more than 1000000 tensors");
        free(file);
    }
}

/* A prefix of a good file is never good, and no single byte of the length is without meaning. */
static void safetensors_prefixes(void)
{
    uint8_t file[256];
    size_t size = make_safetensors(file, "{" W("a", 0, 2) "," W("b", 2, 4) "}", 4, -1);
    for (size_t n = 0; n < size; n++) check_parse("prefix", file, n, "NAME");
    for (size_t i = 0; i < 8; i++) {
        file[i] ^= 1;
        check_parse("length", file, size, "NAME");
        file[i] ^= 1;
    }
    check_parse("whole", file, size, NULL);
}

static void safetensors_contents(void)
{
    uint8_t file[512];
    size_t size = make_safetensors(file, "{\"__metadata__\":{\"k\":\"v\"},\"late\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[12,14]},"
                                         "\"early\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[0,12]}}", 14, -1);
    const float early[3] = { 1.5f, -2, 3e-40f };
    memcpy(file + size - 14, early, 12);
    memcpy(file + size - 2, "\xc0\x3f", 2);
    for (size_t shift = 0; shift < 8; shift++) {                    /* data at every alignment */
        lithe_error err = { 0 };
        void *keep;
        float x[3];
        tensor_file *f = parse_copy(file, size, shift, &keep, &err);
        CHECK_MSG(f && f->count == 2, "%s", err.text);
        if (!f) { free(keep); continue; }
        CHECK(!strcmp(f->format, "safetensors") && !strcmp(json_string_value(json_object_get(f->metadata, "k")), "v"));
        CHECK(!strcmp(f->tensors[0].name, "early") && !strcmp(f->tensors[1].name, "late"));
        const file_tensor *t = tensor_file_find(f, "early");
        CHECK(t && t->rank == 2 && t->dims[0] == 3 && t->dims[1] == 1 && t->count == 3 && t->bytes == 12 && t->type == DT_F32 && !strcmp(t->type_name, "F32"));
        CHECK(file_tensor_floats(t, 0, 3, x) && !memcmp(x, early, sizeof x));
        CHECK(file_tensor_floats(t, 2, 1, x) && !memcmp(x, early + 2, 4));
        CHECK(file_tensor_floats(t, 3, 0, x) && !file_tensor_floats(t, 2, 2, x) && !file_tensor_floats(t, 4, 0, x) && !file_tensor_floats(t, 1, SIZE_MAX, x));
        t = tensor_file_find(f, "late");
        CHECK(t && t->rank == 0 && t->count == 1 && file_tensor_floats(t, 0, 1, x) && x[0] == 1.5f);
        CHECK(!tensor_file_find(f, "lat") && !tensor_file_find(f, "") && !tensor_file_find(f, "__metadata__"));
        tensor_file_close(f);
        free(keep);
    }
}

static void safetensors_mutations(void)
{
    uint8_t file[512];
    size_t size = make_safetensors(file, "{\"__metadata__\":{\"format\":\"pt\"}," W("a", 0, 2) "," W("b", 2, 4)
                                         ",\"c\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[4,8]}}  ", 8, -1);
    int opened = mutate(file, size, 6000, 1);
    CHECK_MSG(opened > 50 && opened < 5900, "%d of 6000 opened", opened);
}

/* ---- shards ---------------------------------------------------------------------------- */

static void write_shard(const char *name, const char *const *tensors, int n)
{
    const float x[2] = { (float)name[0], 2 };
    out_tensor t[4];
    lithe_error err = { 0 };
    for (int i = 0; i < n; i++) t[i] = (out_tensor){ .name = tensors[i], .type = DT_F32, .rank = 1, .dims = { 2 }, .data = x };
    CHECK(safetensors_write(in_dir(name), t, n, NULL, &err) == LITHE_OK);
}

static const struct { const char *label, *index, *why; } INDEXES[] = {
    { "good",            "{\"metadata\":{\"total_size\":24},\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\",\"c\":\"2.safetensors\"}}", NULL },
    { "white space",     " \n {\"weight_map\":{\"a\":\"1.safetensors\"}}", NULL },
    { "no weight_map",   "{\"metadata\":{}}", "without a weight_map" },
    { "not an object",   "{\"weight_map\":[]}", "without a weight_map" },
    { "empty",           "{\"weight_map\":{}}", "names no shard" },
    { "damaged",         "{\"weight_map\":{\"a\":\"1.safetensors\"", "line 1" },
    { "duplicate",       "{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"2.safetensors\"}}", "duplicate" },
    { "number",          "{\"weight_map\":{\"a\":1}}", "not a file name" },
    { "folder",          "{\"weight_map\":{\"a\":\"sub/1.safetensors\"}}", "\"sub/1.safetensors\", which is not a plain file name" },
    { "parent",          "{\"weight_map\":{\"a\":\"../1.safetensors\"}}", "plain file name" },
    { "absolute",        "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "plain file name" },
    { "dots",            "{\"weight_map\":{\"a\":\"..\"}}", "plain file name" },
    { "dot",             "{\"weight_map\":{\"a\":\".\"}}", "plain file name" },
    { "no name",         "{\"weight_map\":{\"a\":\"\"}}", "plain file name" },
    { "NUL",             "{\"weight_map\":{\"a\":\"1.safetensors\\u0000x\"}}", "plain file name" },
    { "missing shard",   "{\"weight_map\":{\"a\":\"9.safetensors\"}}", "9.safetensors" },
    { "damaged shard",   "{\"weight_map\":{\"a\":\"bad.safetensors\"}}", "bad.safetensors: safetensors header" },
    { "index as shard",  "{\"weight_map\":{\"a\":\"index.json\"}}", "index.json" },
    { "absent tensor",   "{\"weight_map\":{\"a\":\"1.safetensors\",\"x\":\"1.safetensors\"}}", "x is not in 1.safetensors, nor in any other shard" },
    { "other shard",     "{\"weight_map\":{\"a\":\"2.safetensors\",\"c\":\"1.safetensors\"}}", "in 1.safetensors, the index says 2.safetensors" },
    { "of PyTorch",      "{\"weight_map\":{\"w\":\"p.bin\"}}", NULL },
    { "of two kinds",    "{\"weight_map\":{\"a\":\"1.safetensors\",\"w\":\"p.bin\"}}", "p.bin: is pytorch, while the shards before it are safetensors" },
    { "in two shards",   "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"3.safetensors\"}}", "a is there twice, in 1.safetensors and in 3.safetensors" },
};

static void shards(void)
{
    write_shard("1.safetensors", (const char *const[]){ "a", "b" }, 2);
    write_shard("2.safetensors", (const char *const[]){ "c" }, 1);
    write_shard("3.safetensors", (const char *const[]){ "c", "a" }, 2);
    CHECK(file_write(in_dir("bad.safetensors"), "\2\0\0\0\0\0\0\0xx", 10, NULL) == LITHE_OK);
    mapping torch;
    CHECK(file_map(&torch, test_file("tests/fuzz/corpus/pickle/zip"), NULL) == LITHE_OK);
    CHECK(file_write(in_dir("p.bin"), torch.data, torch.size, NULL) == LITHE_OK);
    file_unmap(&torch);
    for (size_t i = 0; i < sizeof INDEXES / sizeof *INDEXES; i++) {
        const char *path = in_dir("index.json");
        lithe_error err = { 0 };
        CHECK(file_write(path, INDEXES[i].index, strlen(INDEXES[i].index), &err) == LITHE_OK);
        tensor_file *f = tensor_file_open(path, &err);
        if (!INDEXES[i].why) CHECK_MSG(f, "%s: %s", INDEXES[i].label, err.text);
        else CHECK_MSG(!f && strstr(err.text, INDEXES[i].why), "%s: \"%s\", expected \"%s\"", INDEXES[i].label, err.text, INDEXES[i].why);
        if (f && i == 0) {
            float x;
            CHECK(f->count == 3 && f->map_count == 2 && !strcmp(f->format, "safetensors"));
            CHECK(file_tensor_floats(tensor_file_find(f, "b"), 0, 1, &x) && x == '1');
            CHECK(file_tensor_floats(tensor_file_find(f, "c"), 0, 1, &x) && x == '2');
        }
        tensor_file_close(f);
    }
    check_parse("an index in memory", INDEXES[0].index, strlen(INDEXES[0].index), "JSON");
}

static void too_many_shards(void)
{
    static char index[8192] = "{\"weight_map\":{";
    for (int i = 0; i < 65; i++) snprintf(index + strlen(index), 64, "%s\"t%d\":\"%d.safetensors\"", i ? "," : "", i, i);
    strcat(index, "}}");
    lithe_error err = { 0 };
    CHECK(file_write(in_dir("index.json"), index, strlen(index), &err) == LITHE_OK);
    CHECK(!tensor_file_open(in_dir("index.json"), &err) && strstr(err.text, "more than 64 shards"));
}

static void strangers(void)
{
    static const struct { const char *bytes; size_t size; const char *why; } CASES[] = {
        { "\x80\x02\x8a\nl\xfc\x9c" "F\xf9 j\xa8P\x19.\x80\x02", 17, "format before 1.6" },
        { "\x80\x02}q\0.", 6, "bare pickle" },
        { "\x80\x04\x95\1\0\0\0\0\0\0\0.", 12, "bare pickle" },
        { "GGUF\3\0\0\0\0\0\0\0", 12, "12 bytes" },
        { "fmgg\145\0\0\0\0\0\0\0", 12, "rwkv.cpp" },
        { "24ka\1\0\0\0\0\0\0\0", 12, "--version 0" },
        { "\x1f\x8b\x08\0\0\0\0\0\0", 9, "gzip" },
        { "hello, world and more", 21, "is a text" },
        { "hello\1 world and more", 21, "no safetensors" },
        { "", 0, "too short" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) check_parse("stranger", CASES[i].bytes, CASES[i].size, CASES[i].why);
    lithe_error err = { 0 };
    CHECK(!tensor_file_open(test_dir(), &err) && err.status < 0);
    err = (lithe_error){ 0 };
    CHECK(!tensor_file_open(in_dir("none.safetensors"), &err) && err.status == LITHE_EIO);
    tensor_file_close(NULL);
}

/* A header length that begins with another format's magic is still a header length. */
static void header_like_magic(void)
{
    static const uint32_t LENGTHS[] = { 0x04034b50, 0x007d0280, 0x00088b1f };           /* "PK\3\4", "\x80\2}", gzip */
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        uint8_t *file = malloc(8 + LENGTHS[i] + 2);
        uint64_t n = LENGTHS[i];
        const char header[] = "{" W("w", 0, 2) "}";
        memcpy(file, &n, 8);
        memset(file + 8, ' ', n + 2);
        memcpy(file + 8, header, sizeof header - 1);
        check_parse("header like a magic", file, 8 + n + 2, NULL);
        free(file);
    }
}

const test tests_tensor_file[] = {
    { "tensor_file: safetensors rules", safetensors_rules },
    { "tensor_file: safetensors long names", safetensors_long_name },
    { "tensor_file: safetensors large header", safetensors_large_header },
    { "tensor_file: safetensors prefixes", safetensors_prefixes },
    { "tensor_file: safetensors contents", safetensors_contents },
    { "tensor_file: safetensors mutations", safetensors_mutations },
    { "tensor_file: header length like a magic", header_like_magic },
    { "tensor_file: writer's bytes", writer_bytes },
    { "tensor_file: writer round trips", writer_round_trips },
    { "tensor_file: writer refuses", writer_refuses },
    { "tensor_file: writer's header limit", writer_header_limit },
    { "tensor_file: shards", shards },
    { "tensor_file: too many shards", too_many_shards },
    { "tensor_file: strangers", strangers },
    { "tensor_file: llama2.c places", llama_places },
    { "tensor_file: llama2.c refused", llama_refused },
    { "tensor_file: llama2.c published", llama_published },
    { "tensor_file: GGUF places", gguf_places },
    { "tensor_file: GGUF values", gguf_values },
    { "tensor_file: GGUF headers refused", gguf_head_refused },
    { "tensor_file: GGUF keys refused", gguf_keys_refused },
    { "tensor_file: GGUF tensors refused", gguf_tensors_refused },
    { "tensor_file: GGUF types", gguf_types_listed },
    { "tensor_file: GGUF mutations", gguf_mutations },
    { "tensor_file: GGUF metadata listed", gguf_listed },
    { "tensor_file: rwkv.cpp places", rwkvcpp_places },
    { "tensor_file: rwkv.cpp version 5", rwkvcpp_five },
    { "tensor_file: rwkv.cpp version 6", rwkvcpp_six },
    { "tensor_file: rwkv.cpp version 7", rwkvcpp_seven },
    { "tensor_file: rwkv.cpp blocks", rwkvcpp_blocks },
    { "tensor_file: rwkv.cpp quantized", rwkvcpp_quantized },
    { "tensor_file: rwkv.cpp refused", rwkvcpp_refused },
    { "tensor_file: pytorch accepted", pytorch_accepted },
    { "tensor_file: pytorch written by PyTorch", pytorch_published },
    { "tensor_file: pytorch refused", pytorch_refused },
    { "tensor_file: pytorch zip refused", pytorch_zip_refused },
    { "tensor_file: pytorch views", pytorch_views },
    { "tensor_file: pytorch wrapped", pytorch_wrapped },
    { "tensor_file: pytorch bombs", pytorch_bombs },
    { "tensor_file: pytorch mutations", pytorch_mutations },
    { "tensor_file: a zip beyond four GiB", zip_beyond_32_bits },
    { "tensor_file: 16 bits to float", sixteen_bits_to_float },
    { "tensor_file: float to 16 bits", float_to_sixteen_bits },
    { "tensor_file: every type to float", every_type_to_float },
    { "tensor_file: transposed floats", transposed_floats },
    { 0 },
};

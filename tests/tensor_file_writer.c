/* Written safetensors: the bytes themselves, round trips of random files, and
 * what is refused before a file appears. */
#include "tensor_file.h"
#include "base/random.h"
#include <stdlib.h>

void writer_bytes(void)
{
    const uint8_t u8[3] = { 7, 8, 9 };
    const float f32[2] = { 1, -1 };
    const uint16_t bf16[2] = { 0x3f80, 0xbf80 };
    const out_tensor t[] = {
        { "z.bytes", DT_U8, 1, { 3 }, u8 }, { "b", DT_BF16, 2, { 2, 1 }, bf16 }, { "scalar \"q\"", DT_F32, 0, { 0 }, f32 },
        { "a", DT_F32, 1, { 2 }, f32 }, { "empty", DT_F64, 2, { 0, 5 }, NULL },
    };
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},\"empty\":{\"dtype\":\"F64\",\"shape\":[0,5],\"data_offsets\":[0,0]},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"scalar \\\"q\\\"\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[12,16]},\"z.bytes\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[16,19]}}";
    lithe_error err = { 0 };
    const char *path = in_dir("w.safetensors");
    CHECK(safetensors_write(path, t, 5, NULL, &err) == LITHE_OK);
    mapping m;
    CHECK(file_map(&m, path, &err) == LITHE_OK);
    size_t n = strlen(header), padded = (n + 7) / 8 * 8;
    CHECK(m.size == 8 + padded + 19 && *(const uint64_t *)(const void *)m.data == padded);
    CHECK(!memcmp(m.data + 8, header, n));
    for (size_t i = n; i < padded; i++) CHECK(m.data[8 + i] == ' ');
    CHECK(!memcmp(m.data + 8 + padded, f32, 8) && !memcmp(m.data + m.size - 3, u8, 3));
    file_unmap(&m);
}

/* Random files: written, read, compared bit by bit, written again, the same file. */
void writer_round_trips(void)
{
    enum { TENSORS = 12, BYTES = 4096 };
    static uint8_t data[TENSORS][BYTES];
    for (uint64_t round = 0; round < 200; round++) {
        out_tensor t[TENSORS];
        char names[TENSORS][24];
        int n = (int)(random_u64(round, 0) % (TENSORS + 1));
        for (int i = 0; i < n; i++) {
            uint64_t key = key_of(round, (uint64_t)i + 1);
            snprintf(names[i], sizeof names[i], "h.%d.%c", i, (char)('a' + random_u64(key, 1) % 26));
            t[i] = (out_tensor){ .name = names[i], .type = (dtype)(random_u64(key, 2) % DT_OTHER), .rank = (int)(random_u64(key, 3) % 5), .data = data[i] };
            for (int d = 0; d < t[i].rank; d++) t[i].dims[d] = (int64_t)(random_u64(key, 4 + (uint64_t)d) % 5);
            for (size_t b = 0; b < BYTES; b++) data[i][b] = (uint8_t)random_u64(key, 100 + b);
        }
        lithe_error err = { 0 };
        const char *path = in_dir("r.safetensors"), *again = in_dir("again.safetensors");
        CHECK_MSG(safetensors_write(path, t, n, NULL, &err) == LITHE_OK, "%s", err.text);
        tensor_file *f = tensor_file_open(path, &err);
        CHECK_MSG(f && f->count == n, "%s", err.text);
        if (!f) return;
        out_tensor back[TENSORS];
        for (int i = 0; i < n; i++) {
            const file_tensor *r = tensor_file_find(f, t[i].name), *s = &f->tensors[n - 1 - i];
            CHECK(r && r->type == t[i].type && r->rank == t[i].rank && !memcmp(r->dims, t[i].dims, sizeof r->dims) && !memcmp(r->data, t[i].data, r->bytes));
            CHECK(dtype_bytes(s->type) == 0 || (size_t)((const uint8_t *)s->data - f->maps[0].data) % dtype_bytes(s->type) == 0);
            back[i] = (out_tensor){ .name = s->name, .type = s->type, .rank = s->rank, .data = s->data };
            memcpy(back[i].dims, s->dims, sizeof s->dims);
        }
        CHECK(safetensors_write(again, back, n, f->metadata, &err) == LITHE_OK);
        mapping m;
        CHECK(file_map(&m, again, &err) == LITHE_OK && m.size == f->maps[0].size && !memcmp(m.data, f->maps[0].data, m.size));
        file_unmap(&m);
        CHECK(safetensors_write(path, back, n, f->metadata, &err) == LITHE_OK);      /* over the file it is read from */
        tensor_file_close(f);
    }
}

void writer_refuses(void)
{
    const float x[4] = { 0 };
    static char name[5000];
    memset(name, 'n', 4097);
    const struct { out_tensor t; const char *why; } CASES[] = {
        { { "a", DT_F32, 1, { 4 }, x },                           "two tensors are named a" },
        { { "b", DT_OTHER, 1, { 4 }, x },                         "b has a type that cannot be written" },
        { { "b", DT_F32, 9, { 4 }, x },                           "b has 9 sizes" },
        { { "b", DT_F32, -1, { 4 }, x },                          "b has -1 sizes" },
        { { "b", DT_F32, 1, { -4 }, x },                          "b: a size is negative" },
        { { "b", DT_F32, 3, { INT64_MAX, INT64_MAX, 4 }, x },     "b: a size is negative or their product overflows" },
        { { "b", DT_F32, 1, { INT64_MAX }, x },                   "overflows" },
        { { "b", DT_F32, 1, { 4 }, NULL },                        "b has 16 bytes and no data" },
        { { "__metadata__", DT_F32, 1, { 4 }, x },                "__metadata__" },
        { { "b\n", DT_F32, 1, { 4 }, x },                         "control byte 0x0a" },
        { { "b\xff", DT_F32, 1, { 4 }, x },                       "not UTF-8" },
        { { name, DT_F32, 1, { 4 }, x },                          "4097 bytes long" },
    };
    const char *path = in_dir("refused.safetensors");
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const out_tensor t[] = { { "a", DT_F32, 2, { 2, 2 }, x }, CASES[i].t };
        lithe_error err = { 0 };
        CHECK(safetensors_write(path, t, 2, NULL, &err) < 0);
        CHECK_MSG(strstr(err.text, CASES[i].why), "%s, expected %s", err.text, CASES[i].why);
        CHECK(!path_exists(path));
    }
    lithe_error err = { 0 };
    json_t *metadata = json_pack("{s:i}", "step", 3);
    CHECK(safetensors_write(path, NULL, 0, metadata, &err) < 0 && strstr(err.text, "metadata \"step\" is not a string"));
    CHECK(safetensors_write(path, NULL, 0, NULL, &err) < 0 && !path_exists(path));      /* the first failure sticks */
    CHECK(!tensor_file_open(path, &err) && strstr(err.text, "step"));
    json_object_set_new(metadata, "step", json_string("3\n\"\xc3\xa9"));
    err = (lithe_error){ 0 };
    CHECK(safetensors_write(path, NULL, 0, metadata, &err) == LITHE_OK);
    tensor_file *f = tensor_file_open(path, &err);
    CHECK(f && json_equal(f->metadata, metadata));
    tensor_file_close(f);
    json_decref(metadata);
    err = (lithe_error){ 0 };
    CHECK(safetensors_write("/nowhere/at/all.safetensors", NULL, 0, NULL, &err) == LITHE_EIO);
}

void writer_header_limit(void)
{
    enum { COUNT = 25000 };                                            /* of names of 4 KiB: a header of 103 MB */
    out_tensor *t = calloc(COUNT, sizeof *t);
    char *names = malloc((size_t)COUNT * 4097);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names + i * 4097, 4097, "%04096zu", i);
        t[i] = (out_tensor){ .name = names + i * 4097, .type = DT_F32, .rank = 1 };
    }
    lithe_error err = { 0 };
    const char *path = in_dir("large.safetensors");
    CHECK(safetensors_write(path, t, COUNT, NULL, &err) == LITHE_EINVAL && !path_exists(path));
    CHECK_MSG(strstr(err.text, "at most 100000000"), "%s", err.text);
    free(names);
    free(t);
}

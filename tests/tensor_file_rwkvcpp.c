/* rwkv.cpp files: what becomes of each tensor, records that cannot be, and the
 * published model. */
#include "tensor_file.h"
#include <math.h>
#include <stdlib.h>

typedef struct { uint8_t bytes[4096]; size_t size; } built;

static void put_u32(built *b, uint32_t x) { memcpy(b->bytes + b->size, &x, 4); b->size += 4; }
static void put_name(built *b, const char *name) { memcpy(b->bytes + b->size, name, strlen(name)); b->size += strlen(name); }

static void begin(built *b, uint32_t version)
{
    const uint32_t header[] = { 0x67676d66, version, 3, 2, 1, 0 };
    b->size = 0;
    for (int i = 0; i < 6; i++) put_u32(b, header[i]);
}

/* dims as the file has them: the contiguous one first; 0: none */
static size_t put_record(built *b, const char *name, uint32_t type, uint32_t d0, uint32_t d1)
{
    size_t at = b->size;
    put_u32(b, d1 ? 2 : 1);
    put_u32(b, (uint32_t)strlen(name));
    put_u32(b, type);
    put_u32(b, d0);
    if (d1) put_u32(b, d1);
    put_name(b, name);
    return at;
}

static void put_f32(built *b, int n, double first) { for (int i = 0; i < n; i++) { float x = (float)(first - i); memcpy(b->bytes + b->size, &x, 4); b->size += 4; } }

static void good(built *b)
{
    begin(b, 101);
    put_record(b, "emb.weight", 0, 2, 3), put_f32(b, 6, 10);
    put_record(b, "blocks.0.att.time_decay", 0, 2, 0), put_f32(b, 2, -1);
    put_record(b, "blocks.0.att.time_mix_k", 0, 2, 0), put_f32(b, 2, 1);
    put_record(b, "blocks.0.ffn.key.weight", 1, 2, 5);
    for (int i = 0; i < 10; i++) { uint16_t h = f16_from_float((float)i); memcpy(b->bytes + b->size, &h, 2); b->size += 2; }
}

void rwkvcpp_places(void)
{
    built b;
    good(&b);
    lithe_error err = { 0 };
    void *keep;
    tensor_file *f = parse_copy(b.bytes, b.size, 1, &keep, &err);
    CHECK_MSG(f && f->count == 4 && !strcmp(f->format, "rwkv.cpp"), "%s", err.text);
    if (!f) return;
    float x[10];
    const file_tensor *t = tensor_file_find(f, "emb.weight");
    CHECK(t && t->rank == 2 && t->dims[0] == 3 && t->dims[1] == 2 && file_tensor_floats(t, 0, 6, x) && x[0] == 10 && x[5] == 5);
    t = tensor_file_find(f, "blocks.0.att.time_decay");
    CHECK(t && t->rank == 1 && file_tensor_floats(t, 0, 2, x) && x[0] == 0 && fabs((double)x[1] - log(2)) < 1e-7);
    t = tensor_file_find(f, "blocks.0.att.time_mix_k");
    CHECK(t && t->rank == 3 && t->dims[0] == 1 && t->dims[1] == 1 && t->dims[2] == 2 && file_tensor_floats(t, 0, 2, x) && x[0] == 1 && x[1] == 0);
    t = tensor_file_find(f, "blocks.0.ffn.key.weight");
    CHECK(t && t->type == DT_F16 && t->dims[0] == 5 && t->dims[1] == 2 && file_tensor_floats(t, 0, 10, x) && x[9] == 9);
    CHECK(json_integer_value(json_object_get(f->config, "vocab_size")) == 3 && json_integer_value(json_object_get(f->config, "hidden_size")) == 2);
    CHECK(json_integer_value(json_object_get(f->config, "num_hidden_layers")) == 1 && json_integer_value(json_object_get(f->config, "intermediate_size")) == 5);
    tensor_file_close(f);
    free(keep);
}

static void refused_record(const char *name, uint32_t type, uint32_t d0, uint32_t d1, int values, const char *why)
{
    built b;
    begin(&b, 100);
    put_record(&b, name, type, d0, d1);
    put_f32(&b, values, 1);
    check_parse(name, b.bytes, b.size, why);
}

/* Version 7: mixes apart, matrices of low rank turned. */
void rwkvcpp_seven(void)
{
    built b;
    begin(&b, 101);
    put_u32(&b, 3), put_u32(&b, 21), put_u32(&b, 0), put_u32(&b, 2), put_u32(&b, 1), put_u32(&b, 6);
    put_name(&b, "blocks.0.att.x_rwkvag"), put_f32(&b, 12, 0);
    put_record(&b, "blocks.0.att.w1", 0, 2, 3), put_f32(&b, 6, 0);
    put_record(&b, "blocks.0.att.r_k", 0, 2, 1), put_f32(&b, 2, 0);
    put_record(&b, "blocks.1.att.v1", 0, 2, 5), put_f32(&b, 10, 0);
    lithe_error err = { 0 };
    void *keep;
    float x[6];
    tensor_file *f = parse_copy(b.bytes, b.size, 2, &keep, &err);
    CHECK_MSG(f && f->count == 9, "%s", err.text);
    if (!f) return;
    const file_tensor *t = tensor_file_find(f, "blocks.0.att.x_a");
    CHECK(t && t->rank == 3 && t->dims[2] == 2 && file_tensor_floats(t, 0, 2, x) && x[0] == -8 && x[1] == -9);
    t = tensor_file_find(f, "blocks.0.att.w1");
    CHECK(t && t->dims[0] == 2 && t->dims[1] == 3 && file_tensor_floats(t, 0, 6, x) && x[1] == -2 && x[3] == -1);
    CHECK(json_integer_value(json_object_get(f->config, "head_dim")) == 2 && json_integer_value(json_object_get(f->config, "decay_low_rank_dim")) == 3);
    CHECK(json_integer_value(json_object_get(f->config, "v_low_rank_dim")) == 5 && !strcmp(json_string_value(json_object_get(f->config, "model_type")), "rwkv7"));
    tensor_file_close(f);
    free(keep);
    int opened = mutate(b.bytes, b.size, 3000, 6);
    CHECK_MSG(opened > 100, "%d opened", opened);
}

void rwkvcpp_refused(void)
{
    built b;
    good(&b);
    check_parse("good", b.bytes, b.size, NULL);
    for (size_t n = 4; n < b.size; n++) opens(b.bytes, n, n % 3);                           /* some end behind a tensor, and then stand for themselves */
    check_parse("header alone cut", b.bytes, 23, "its header alone has 24");
    check_parse("last byte", b.bytes, b.size - 1, "ends beyond the file: 19 bytes are left");
    b.bytes[4] = 102;
    check_parse("version", b.bytes, b.size, "version 102");
    refused_record("w", 0, 3, 0, 2, "ends beyond the file: 8 bytes");
    refused_record("w", 0, UINT32_MAX, UINT32_MAX, 2, "ends beyond the file");
    refused_record("w", 2, 32, 0, 8, "w is Q4_0");
    refused_record("w", 9, 32, 0, 8, "w is Q8_0");
    refused_record("w", 4, 32, 0, 8, "of type 4");
    refused_record("w\n", 0, 1, 0, 1, "control byte");
    refused_record("blocks.0.att.time_decay", 0, 1, 0, 1, "time_decay[0] is 1, expected -exp");
    refused_record("blocks.0.att.time_maa_x", 0, 1, 0, 1, "RWKV-6");
    refused_record("blocks.0.att.time_faaaa", 0, 1, 0, 1, "RWKV-5");
    static const struct { int word; uint32_t value; const char *why; } WORDS[] = {
        { 0, 0, "0 dimensions" }, { 0, 4, "4 dimensions" }, { 0, UINT32_MAX, "4294967295 dimensions" },
        { 1, 0, "a name of 0 bytes" }, { 1, 5000, "a name of 5000 bytes" }, { 1, 4000, "ends within" }, { 1, UINT32_MAX, "a name of" },
    };
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        good(&b);
        memcpy(b.bytes + 24 + 4 * WORDS[i].word, &WORDS[i].value, 4);
        check_parse("record", b.bytes, b.size, WORDS[i].why);
    }
    begin(&b, 100);
    put_record(&b, "a", 0, 1, 0), put_f32(&b, 1, 0);
    put_record(&b, "a", 0, 1, 0), put_f32(&b, 1, 0);
    check_parse("twice", b.bytes, b.size, "twice");
    good(&b);
    int opened = mutate(b.bytes, b.size, 3000, 5);
    CHECK_MSG(opened > 100, "%d opened", opened);
}

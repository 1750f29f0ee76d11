/* rwkv.cpp files: what becomes of each tensor, version by version, blocks of
 * quantized numbers, records that cannot be; files quantized as rwkv.cpp does,
 * byte for byte, and the logits they give. */
#include "tensor_file.h"
#include "base/file.h"
#include "base/writer.h"
#include "model/model.h"
#include "quantizer.h"
#include <math.h>
#include <stdlib.h>

typedef struct { uint8_t bytes[8192]; size_t size; } built;

static void put_u32(built *b, uint32_t x) { memcpy(b->bytes + b->size, &x, 4); b->size += 4; }
static void put_name(built *b, const char *name) { memcpy(b->bytes + b->size, name, strlen(name)); b->size += strlen(name); }

static void begin(built *b, uint32_t version, uint32_t width)
{
    const uint32_t header[] = { 0x67676d66, version, 3, width, 1, 0 };
    b->size = 0;
    for (int i = 0; i < 6; i++) put_u32(b, header[i]);
}

/* dims as the file has them: the contiguous one first; 0: none */
static size_t put_record3(built *b, const char *name, uint32_t type, uint32_t d0, uint32_t d1, uint32_t d2)
{
    size_t at = b->size;
    put_u32(b, d2 ? 3 : d1 ? 2 : 1);
    put_u32(b, (uint32_t)strlen(name));
    put_u32(b, type);
    put_u32(b, d0);
    if (d1) put_u32(b, d1);
    if (d2) put_u32(b, d2);
    put_name(b, name);
    return at;
}

static size_t put_record(built *b, const char *name, uint32_t type, uint32_t d0, uint32_t d1) { return put_record3(b, name, type, d0, d1, 0); }

/* first, first + each, ... */
static void put_steps(built *b, int n, double first, double each)
{
    for (int i = 0; i < n; i++) {
        float x = (float)(first + i * each);
        memcpy(b->bytes + b->size, &x, 4);
        b->size += 4;
    }
}

static void put_f32(built *b, int n, double first) { put_steps(b, n, first, -1); }

static void begin_whole(built *b, uint32_t width)
{
    begin(b, 101, width);
    put_record(b, "emb.weight", 0, width, 3), put_f32(b, 3 * (int)width, 10);
    put_record(b, "blocks.0.ln0.weight", 0, width, 0), put_f32(b, (int)width, 1);
}

static void good(built *b)
{
    begin_whole(b, 2);
    put_record(b, "blocks.0.att.time_decay", 0, 2, 0), put_f32(b, 2, -1);
    put_record(b, "blocks.0.att.time_mix_k", 0, 2, 0), put_f32(b, 2, 1);
    put_record(b, "blocks.0.ffn.key.weight", 1, 2, 5);
    for (int i = 0; i < 10; i++) { uint16_t h = f16_from_float((float)i); memcpy(b->bytes + b->size, &h, 2); b->size += 2; }
}

static json_int_t key(const tensor_file *f, const char *name) { return json_integer_value(json_object_get(f->config, name)); }
static bool text_key(const tensor_file *f, const char *name, const char *value)
{
    const char *found = json_string_value(json_object_get(f->config, name));
    return found && !strcmp(found, value);
}

/* The tensor and its n numbers as a parameter of these sizes; NULL: a failed check. */
static const file_tensor *take(const tensor_file *f, const char *name, int rank, int64_t d0, int64_t d1, int64_t d2, float *x, size_t n)
{
    const file_tensor *t = f ? tensor_file_find(f, name) : NULL;
    const wanted_shape wanted = { .rank = rank, .dims = { d0, d1, d2 } };
    file_tensor ours = t ? *t : (file_tensor){ 0 };
    bool right = t && naming_view(&ours, &wanted) && ours.count == n && file_tensor_floats(&ours, 0, n, x);
    CHECK_MSG(right, "%s: rank %d, %zu numbers", name, t ? t->rank : -1, t ? t->count : 0);
    return right ? t : NULL;
}

static tensor_file *parse_built(const built *b, size_t shift, void **keep)
{
    lithe_error err = { 0 };
    tensor_file *f = parse_copy(b->bytes, b->size, shift, keep, &err);
    CHECK_MSG(f && !strcmp(f->format, "rwkv.cpp") && f->config && !naming_apply_file(f, &err), "%s", err.text);
    json_t *config = f ? tensors_config(f, &err) : NULL;
    CHECK_MSG(config, "%s", err.text);
    if (f) json_decref(f->config), f->config = config;
    return f;
}

void rwkvcpp_places(void)
{
    built b;
    void *keep;
    float x[10];
    good(&b);
    tensor_file *f = parse_built(&b, 1, &keep);
    if (!f) return;
    CHECK(take(f, "emb.weight", 2, 3, 2, 0, x, 6) && x[0] == 10 && x[5] == 5);
    CHECK(take(f, "blocks.0.att.time_decay", 1, 2, 0, 0, x, 2) && x[0] == 0 && fabs((double)x[1] - log(2)) < 1e-7);
    CHECK(take(f, "blocks.0.att.time_mix_k", 3, 1, 1, 2, x, 2) && x[0] == 1 && x[1] == 0);
    const file_tensor *t = take(f, "blocks.0.ffn.key.weight", 2, 5, 2, 0, x, 10);
    CHECK(t && t->type == DT_F16 && x[9] == 9);
    CHECK(key(f, "vocab_size") == 3 && key(f, "hidden_size") == 2 && key(f, "num_hidden_layers") == 1 && key(f, "intermediate_size") == 5);
    CHECK(text_key(f, "model_type", "rwkv4"));
    tensor_file_close(f);
    free(keep);
}

/* Version 5: decays exp(-exp(raw)), heads with a third dimension; without a gate one number a head, whose logarithm is
 * the bonus. */
void rwkvcpp_five(void)
{
    built b;
    void *keep;
    float x[4];
    begin_whole(&b, 4);
    put_record(&b, "blocks.0.att.ln_x.weight", 0, 4, 0), put_f32(&b, 4, 1);
    put_record(&b, "blocks.0.att.gate.weight", 0, 4, 4), put_f32(&b, 16, 1);
    put_record3(&b, "blocks.0.att.time_decay", 0, 1, 2, 2), put_steps(&b, 4, 0.125, 0.25);
    put_record3(&b, "blocks.0.att.time_faaaa", 0, 1, 2, 2), put_steps(&b, 4, -1, 0.5);
    put_record(&b, "blocks.0.ffn.key.weight", 0, 4, 6), put_f32(&b, 24, 0);
    tensor_file *f = arch_find("rwkv5") ? parse_built(&b, 3, &keep) : NULL;
    if (!f) return;
    CHECK(take(f, "blocks.0.att.time_decay", 2, 2, 2, 0, x, 4));
    for (int i = 0; i < 4; i++) CHECK(fabs(exp(-exp((double)x[i])) - (0.125 + 0.25 * i)) < 1e-7);
    CHECK(take(f, "blocks.0.att.time_faaaa", 2, 2, 2, 0, x, 4) && x[0] == -1 && x[3] == 0.5f);
    CHECK(text_key(f, "model_type", "rwkv5") && text_key(f, "version", "5.2") && key(f, "head_size") == 2 && key(f, "intermediate_size") == 6);
    CHECK(json_real_value(json_object_get(f->config, "group_norm_epsilon")) == 1e-5);
    tensor_file_close(f);
    free(keep);
    begin_whole(&b, 4);
    put_record(&b, "blocks.0.att.ln_x.weight", 0, 4, 0), put_f32(&b, 4, 1);
    put_record3(&b, "blocks.0.att.time_decay", 0, 1, 1, 2), put_steps(&b, 2, 0.25, 0.5);
    put_record3(&b, "blocks.0.att.time_first", 0, 1, 1, 2), put_steps(&b, 2, 0.5, 1);
    if (!(f = parse_built(&b, 0, &keep))) return;
    CHECK(take(f, "blocks.0.att.time_decay", 1, 2, 0, 0, x, 2) && fabs((double)x[0] - log(log(4))) < 1e-6);
    CHECK(take(f, "blocks.0.att.time_first", 1, 2, 0, 0, x, 2) && fabs((double)x[1] - log(1.5)) < 1e-6);
    CHECK(text_key(f, "version", "5.0") && key(f, "head_size") == 2 && json_is_false(json_object_get(f->config, "time_faaaa")));
    tensor_file_close(f);
    free(keep);
}

/* Version 6: decays as they are, four matrices the other way round. */
void rwkvcpp_six(void)
{
    built b;
    void *keep;
    float x[60];
    begin_whole(&b, 4);
    put_record(&b, "blocks.0.att.ln_x.weight", 0, 4, 0), put_f32(&b, 4, 1);
    put_record(&b, "blocks.0.att.time_maa_x", 0, 4, 0), put_f32(&b, 4, 1);
    put_record3(&b, "blocks.0.att.time_decay", 0, 1, 2, 2), put_steps(&b, 4, 5, 1);
    put_record3(&b, "blocks.0.att.time_faaaa", 0, 1, 2, 2), put_steps(&b, 4, -1, 0.5);
    put_record(&b, "blocks.0.att.time_maa_w1", 0, 4, 15), put_steps(&b, 60, 0, 1);
    put_record3(&b, "blocks.0.att.time_maa_w2", 0, 3, 4, 5), put_steps(&b, 60, 0, 1);
    put_record(&b, "blocks.0.att.time_decay_w1", 0, 4, 2), put_steps(&b, 8, 0, 1);
    put_record(&b, "blocks.0.att.time_decay_w2", 0, 2, 4), put_steps(&b, 8, 0, 1);
    tensor_file *f = arch_find("rwkv6") ? parse_built(&b, 2, &keep) : NULL;
    if (!f) return;
    CHECK(take(f, "blocks.0.att.time_maa_x", 3, 1, 1, 4, x, 4));
    CHECK(take(f, "blocks.0.att.time_decay", 3, 1, 1, 4, x, 4) && x[0] == 5 && x[3] == 8);
    CHECK(take(f, "blocks.0.att.time_faaaa", 2, 2, 2, 0, x, 4) && x[1] == -0.5f);
    CHECK(take(f, "blocks.0.att.time_maa_w1", 2, 4, 15, 0, x, 60) && x[1] == 4 && x[15] == 1);
    CHECK(take(f, "blocks.0.att.time_maa_w2", 3, 5, 3, 4, x, 60) && x[0] == 0 && x[1] == 3 && x[4] == 1 && x[12] == 12 && x[13] == 15);
    CHECK(take(f, "blocks.0.att.time_decay_w1", 2, 4, 2, 0, x, 8) && x[1] == 4);
    CHECK(take(f, "blocks.0.att.time_decay_w2", 2, 2, 4, 0, x, 8) && x[1] == 2);
    CHECK(text_key(f, "model_type", "rwkv6") && key(f, "head_size") == 2 && key(f, "time_mix_extra_dim") == 3 && key(f, "time_decay_extra_dim") == 2);
    tensor_file_close(f);
    free(keep);
}

static void refused_record(const char *name, uint32_t type, uint32_t d0, uint32_t d1, int values, const char *why)
{
    built b;
    begin_whole(&b, 2);
    put_record(&b, name, type, d0, d1);
    put_f32(&b, values, 1);
    check_parse(name, b.bytes, b.size, why);
}

/* A record more, by which the file is another model. */
static void refused_model(const char *name, const char *why)
{
    built b;
    lithe_error err = { 0 };
    begin_whole(&b, 2);
    put_record(&b, name, 0, 1, 0);
    put_f32(&b, 1, 1);
    CHECK(!file_write(in_dir("other.bin"), b.bytes, b.size, &err));
    lithe_model *m = lithe_model_open(in_dir("other.bin"), NULL, &err);
    CHECK_MSG(!m && err.status == LITHE_EFORMAT && strstr(err.text, why), "%s: %s", name, err.text);
    lithe_model_close(m);
}

/* Version 7: mixes apart, matrices of low rank transposed. */
void rwkvcpp_seven(void)
{
    built b;
    void *keep;
    float x[12];
    begin_whole(&b, 2);
    put_record3(&b, "blocks.0.att.x_rwkvag", 0, 2, 1, 6), put_f32(&b, 12, 0);
    put_record(&b, "blocks.0.att.w1", 0, 2, 3), put_f32(&b, 6, 0);
    put_record(&b, "blocks.0.att.r_k", 0, 2, 1), put_f32(&b, 2, 0);
    put_record3(&b, "blocks.0.att.k_k", 0, 2, 1, 1), put_f32(&b, 2, 0);
    tensor_file *f = parse_built(&b, 2, &keep);
    if (!f) return;
    CHECK(f->count == 11 && take(f, "blocks.0.att.x_a", 3, 1, 1, 2, x, 2) && x[0] == -8 && x[1] == -9);
    CHECK(take(f, "blocks.0.att.w1", 2, 2, 3, 0, x, 6) && x[1] == -2 && x[3] == -1);
    CHECK(take(f, "blocks.0.att.r_k", 2, 1, 2, 0, x, 2) && take(f, "blocks.0.att.k_k", 3, 1, 1, 2, x, 2));
    CHECK(key(f, "head_dim") == 2 && key(f, "decay_low_rank_dim") == 3 && text_key(f, "model_type", "rwkv7"));
    tensor_file_close(f);
    free(keep);
    int opened = mutate(b.bytes, b.size, 3000, 6);
    CHECK_MSG(opened > 100, "%d opened", opened);
}

/* ---- blocks -------------------------------------------------------------------------------- */

/* Numbers of our choice packed by hand: scale 0.5, least -3, number j of the block (7 j + 3) mod `levels`. */
static size_t put_block(uint8_t *p, uint32_t type, int q[32])
{
    int levels = type <= 3 ? 16 : type <= 8 ? 32 : 256;
    size_t at = 0;
    const uint8_t half[] = { 0x00, 0x38 }, minus_three[] = { 0x00, 0xc2 };
    for (int j = 0; j < 32; j++) q[j] = (7 * j + 3) % levels;
    memcpy(p + at, half, 2), at += 2;
    if (type == 3 || type == 8) memcpy(p + at, minus_three, 2), at += 2;
    if (type == 7 || type == 8) {
        for (int k = 0; k < 4; k++) p[at + (size_t)k] = 0;
        for (int j = 0; j < 32; j++) p[at + (size_t)j / 8] = (uint8_t)(p[at + (size_t)j / 8] | (q[j] / 16) << j % 8);
        at += 4;
    }
    for (int j = 0; j < (type == 9 ? 32 : 16); j++) p[at++] = (uint8_t)(type == 9 ? q[j] : q[j] % 16 + 16 * (q[j + 16] % 16));
    return at;
}

void rwkvcpp_blocks(void)
{
    static const struct { uint32_t type; const char *name; double offset, least; } CASES[] = { { 2, "Q4_0", -8, 0 }, { 3, "Q4_1", 0, -3 }, { 7, "Q5_0", -16, 0 }, { 8, "Q5_1", 0, -3 }, { 9, "Q8_0", 0, 0 } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        built b;
        int q[32];
        float x[64];
        void *keep;
        good(&b);
        put_record(&b, "w", CASES[i].type, 32, 2);
        size_t bytes = 0;
        for (int row = 0; row < 2; row++) b.size += bytes = put_block(b.bytes + b.size, CASES[i].type, q);
        tensor_file *f = parse_built(&b, 1, &keep);
        const file_tensor *t = take(f, "w", 2, 2, 32, 0, x, 64);
        CHECK(t && !strcmp(t->type_name, CASES[i].name) && !strcmp(dtype_name(t->type), CASES[i].name) && t->bytes == 2 * bytes);
        for (int j = 0; t && j < 64; j++) {
            int level = CASES[i].type == 9 && q[j % 32] > 127 ? q[j % 32] - 256 : q[j % 32];
            CHECK_MSG((double)x[j] == 0.5 * (level + CASES[i].offset) + CASES[i].least, "%s[%d] is %g", CASES[i].name, j, (double)x[j]);
        }
        tensor_file_close(f);
        free(keep);
        check_parse("a block cut", b.bytes, b.size - 1, "ends beyond the file");
        int opened = mutate(b.bytes, b.size, 1000, i);
        CHECK_MSG(opened > 30, "%d opened", opened);
    }
}

/* ---- files as rwkv.cpp quantizes them ------------------------------------------------------------ */

/* Largest and summed difference of the logits after "in (with the quote) from those expected of the FP32 file. */
static void check_logits(const char *path, bool widened, const char *expected, double most, double sum, double within, const char *type)
{
    static const int32_t ids[] = { 0x22, 0x69, 0x6e };
    lithe_error err = { 0 };
    mapping map = { 0 };
    float logits[3 * 256];
    double worst = 0, total = 0;
    lithe_model *m = lithe_model_open(path, NULL, &err);
    if (m && widened) CHECK(!params_masters(m->params, &err));
    CHECK_MSG(m && !lithe_logits(m, ids, 3, logits, &err) && !file_map(&map, expected, &err), "%s", err.text);
    for (size_t i = 0; map.size == 1024 && i < 256; i++) {
        float x;
        memcpy(&x, map.data + 4 * i, 4);
        double d = (double)logits[512 + i] - (double)x;
        worst = fmax(worst, fabs(d));
        total += d;
    }
    CHECK_MSG(map.size == 1024 && worst > 0 && worst <= most && fabs(total - sum) <= within, "%s%s: differ by %.3g, in sum %.3g",
              type, widened ? " widened" : "", worst, total);
    file_unmap(&map);
    lithe_model_close(m);
}

/* most: a little more than was measured of the numbers in the blocks; rounded: of products with them as they are
 * stored, whose activations have eight bits; sum: what rwkv.cpp's own tests expect, whose activations have eight bits
 * too; hash: of the published file, where there is one. */
void rwkvcpp_quantized(void)
{
    static const struct { const char *model, *type, *hash; double most, sum, rounded; } CASES[] = {
        { "4v0-660K", "Q4_0", NULL, 0.4, -0.160030, 0.4 }, { "4v0-660K", "Q4_1", NULL, 0.25, -0.547409, 0.25 },
        { "4v0-660K", "Q5_0", "708f861574f92518d3167e8e05ce5cef", 0.15, -0.170404, 0.15 }, { "4v0-660K", "Q5_1", "4714dfc53d9013cf0117dd9c5fa1cd99", 0.12, 0.278034, 0.12 },
        { "4v0-660K", "Q8_0", NULL, 0.025, 0.076282, 0.032 },
        { "7v0-834K", "Q4_0", NULL, 0.014, 0.136785, 0.014 }, { "7v0-834K", "Q4_1", NULL, 0.015, 0.002614, 0.015 },
        { "7v0-834K", "Q5_0", "5f7d6edb6bf02ab468bba075801908e9", 0.005, -0.063645, 0.005 }, { "7v0-834K", "Q5_1", "dc6fb362684115319f2a684aa342be67", 0.005, -0.064663, 0.005 },
        { "7v0-834K", "Q8_0", NULL, 0.001, 0.011924, 0.0014 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char name[100], hash[33];
        lithe_error err = { 0 };
        mapping map = { 0 };
        snprintf(name, sizeof name, "checkpoints/rwkv/tiny-rwkv-%s-FP32.bin", CASES[i].model);
        if (file_map(&map, test_data(name), &err)) { CHECK_MSG(false, "%s", err.text); continue; }
        size_t size;
        uint8_t *quantized = quantize_file(CASES[i].type, map.data, map.size, &size);
        hash_hex(quantized, size, hash);
        CHECK_MSG(!CASES[i].hash || !strcmp(hash, CASES[i].hash), "%s %s: %s", CASES[i].model, CASES[i].type, hash);
        CHECK(!file_write(in_dir("quantized.bin"), quantized, size, &err));
        snprintf(name, sizeof name, "checkpoints/rwkv/expected-logits-%s.bin", CASES[i].model);
        double within = CASES[i].model[0] == '4' ? 0.3 : 0.03;
        check_logits(in_dir("quantized.bin"), true, test_data(name), CASES[i].most, CASES[i].sum, within, CASES[i].type);
        check_logits(in_dir("quantized.bin"), false, test_data(name), CASES[i].rounded, CASES[i].sum, 1.1 * within, CASES[i].type);
        free(quantized);
        file_unmap(&map);
    }
}

/* ---- refused -------------------------------------------------------------------------------- */

void rwkvcpp_refused(void)
{
    built b;
    good(&b);
    check_parse("good", b.bytes, b.size, NULL);
    /* Some end after a tensor, and then stand for themselves. */
    for (size_t n = 4; n < b.size; n++) opens(b.bytes, n, n % 3);
    check_parse("header alone cut", b.bytes, 23, "its header alone has 24");
    check_parse("last byte", b.bytes, b.size - 1, "ends beyond the file: 19 bytes are left");
    b.bytes[4] = 102;
    check_parse("version", b.bytes, b.size, "version 102");
    refused_record("w", 0, 3, 0, 2, "ends beyond the file: 8 bytes");
    refused_record("w", 0, UINT32_MAX, UINT32_MAX, 2, "ends beyond the file");
    refused_record("w", 2, 33, 0, 8, "w is Q4_0 in rows of 33");
    refused_record("w", 9, 1, 32, 8, "w is Q8_0 in rows of 1,");
    refused_record("w", 8, UINT32_MAX - 31, UINT32_MAX - 31, 8, "ends beyond the file");
    refused_record("w", 4, 32, 0, 8, "of type 4");
    refused_record("w\n", 0, 1, 0, 1, "control byte");
    refused_model("blocks.0.ffn.s_emb.weight", "RWKV-7a");
    good(&b);
    b.bytes[8] = 4;
    check_parse("header", b.bytes, b.size, "its header says a vocab_size of 4, its tensors have 3");
    good(&b);
    static const struct { int word; uint32_t value; const char *why; } WORDS[] = {
        { 0, 0, "0 dimensions" }, { 0, 4, "4 dimensions" }, { 0, UINT32_MAX, "4294967295 dimensions" },
        { 1, 0, "a name of 0 bytes" }, { 1, 5000, "a name of 5000 bytes" }, { 1, 4000, "ends within" }, { 1, UINT32_MAX, "a name of" },
    };
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        good(&b);
        memcpy(b.bytes + 24 + 4 * WORDS[i].word, &WORDS[i].value, 4);
        check_parse("record", b.bytes, b.size, WORDS[i].why);
    }
    begin(&b, 100, 2);
    put_record(&b, "a", 0, 1, 0), put_f32(&b, 1, 0);
    put_record(&b, "a", 0, 1, 0), put_f32(&b, 1, 0);
    check_parse("twice", b.bytes, b.size, "twice");
    good(&b);
    int opened = mutate(b.bytes, b.size, 3000, 5);
    CHECK_MSG(opened > 100, "%d opened", opened);
}

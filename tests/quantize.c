/* Quantized models: rwkv.cpp's files byte for byte, every kind of architecture against itself in fp32 and against
 * itself token by token, the rules, and what is refused. */
#include "base/file.h"
#include "kernels/blocks.h"
#include "model/model.h"
#include "quantizer.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- rwkv.cpp's files ---------------------------------------------------------------------------- */

static lithe_model *quantized(const char *path, const char *type, const char *vocabulary, lithe_quantized *q)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(path, NULL, &err);
    CHECK_MSG(m && !lithe_model_quantize(m, type, &LITHE_OPTIONS(lithe_quantize_options, .vocabulary = vocabulary), q, &err), "%s: %s", type, err.text);
    return m;
}

/* The files that rwkv.cpp's own quantizer makes of the shared ones (tests/quantizer.c, whose hashes are those of the
 * published files) hold the same bytes; version 7's matrices of low rank, which it keeps, we keep too. */
static void rwkvcpp_files(void)
{
    static const char *const types[] = { "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0" };
    for (int i = 0; i < 10; i++) {
        char path[100];
        lithe_error err = { 0 };
        mapping map = { 0 };
        size_t size = 0;
        snprintf(path, sizeof path, "checkpoints/rwkv/tiny-rwkv-%s-FP32.bin", i < 5 ? "4v0-660K" : "7v0-834K");
        CHECK(!file_map(&map, test_data(path), &err));
        uint8_t *theirs = quantize_file(types[i % 5], map.data, map.size, &size);
        tensor_file *right = tensor_file_parse(theirs, size, "theirs", &err);
        lithe_model *m = quantized(test_data(path), types[i % 5], "keep", NULL);
        const char *name = i % 2 ? in_dir("a.bin") : in_dir("b.bin");
        unlink(name);
        CHECK_MSG(!lithe_model_export(m, name, "stored", &err), "%s", err.text);
        tensor_file *got = tensor_file_open(name, &err);
        CHECK_MSG(got && right && got->count == right->count && got->maps[0].size == size, "%s: %s", types[i % 5], err.text);
        int in_blocks = 0;
        for (int t = 0; got && right && t < right->count; t++) {
            const file_tensor *a = &right->tensors[t], *b = tensor_file_find(got, a->name);
            bool same = b && a->type == b->type && a->rank == b->rank && a->bytes == b->bytes && !memcmp(a->dims, b->dims, sizeof a->dims) && !memcmp(a->data, b->data, a->bytes);
            CHECK_MSG(same, "%s of %s in %s", a->name, path, types[i % 5]);
            in_blocks += dtype_block(a->type) > 1;
        }
        CHECK_MSG(in_blocks > 20, "%d matrices in blocks", in_blocks);
        if (got) CHECK(!memcmp((const char *)got->maps[0].data + 20, theirs + 20, 4));
        tensor_file_close(got);
        tensor_file_close(right);
        lithe_model_close(m);
        free(theirs);
        file_unmap(&map);
    }
}

/* ---- every kind of architecture ------------------------------------------------------------------- */

#define SIZES "\"vocab_size\":96,\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":128"
static const struct { const char *arch, *config; int decodes; } KINDS[] = {
    { "gpt2", "{\"vocab_size\":96,\"n_positions\":64,\"n_embd\":64,\"n_layer\":2,\"n_head\":2,\"resid_pdrop\":0,\"embd_pdrop\":0,\"attn_pdrop\":0}", 1 },
    { "llama", "{" SIZES ",\"num_key_value_heads\":1,\"max_position_embeddings\":64}", 1 },
    { "gpt_neox", "{" SIZES ",\"max_position_embeddings\":64}", 1 },
    { "pangu_pi", "{" SIZES ",\"num_key_value_heads\":2,\"max_position_embeddings\":64}", 1 },
    { "tokenformer", "{\"vocab_size\":96,\"hidden_size\":64,\"num_layers\":2,\"num_attention_heads\":2,\"qkv_slot_num\":64,\"proj_slot_num\":64,\"ffn_slot_num\":96,\"max_position_embeddings\":64}", 1 },
    { "rwkv4", "{\"vocab_size\":96,\"hidden_size\":64,\"num_hidden_layers\":2}", 1 },
    { "rwkv6", "{\"vocab_size\":96,\"hidden_size\":64,\"num_hidden_layers\":2,\"head_size\":32}", 1 },
    { "rwkv7", "{\"vocab_size\":96,\"hidden_size\":64,\"num_hidden_layers\":2,\"head_dim\":32}", 1 },
    { "bert", "{" SIZES ",\"max_position_embeddings\":64}", 0 },
    { "mosaicbert", "{" SIZES "}", 0 },
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS, IDS = 24, VOCAB = 96 };

static lithe_model *saved_model(int kind)
{
    lithe_error err = { 0 };
    char name[32];
    snprintf(name, sizeof name, "kind-%d", kind);
    lithe_model *m = NULL;
    if (!path_exists(in_dir(name))) {
        m = lithe_model_new(KINDS[kind].arch, KINDS[kind].config, 5, &err);
        CHECK_MSG(m && !lithe_model_save(m, in_dir(name), "f32", NULL, &err), "%s: %s", KINDS[kind].arch, err.text);
        lithe_model_close(m);
    }
    m = lithe_model_open(in_dir(name), NULL, &err);
    CHECK_MSG(m, "%s: %s", KINDS[kind].arch, err.text);
    return m;
}

static void logits_of(lithe_model *m, float *out)
{
    int32_t ids[IDS];
    lithe_error err = { 0 };
    for (int i = 0; i < IDS; i++) ids[i] = (7 * i + 3) % VOCAB;
    CHECK_MSG(!lithe_logits(m, ids, IDS, out, &err), "%s", err.text);
}

/* The last row alone, after all tokens one by one. */
static void check_decoding(lithe_model *m, const float *last, const char *what)
{
    lithe_error err = { 0 };
    lithe_session *s = lithe_session_open_with(m, &LITHE_OPTIONS(lithe_session_options, .context = IDS, .cache_type = "f32"), &err);
    CHECK_MSG(s, "%s", err.text);
    for (int i = 0; s && i < IDS; i++) CHECK(!lithe_session_push(s, (7 * i + 3) % VOCAB, &err));
    CHECK_MSG(s && !memcmp(lithe_session_logits(s), last, VOCAB * sizeof *last), "%s: decoded by token", what);
    lithe_session_close(s);
}

static void every_kind(void)
{
    static const struct { const char *type; double most; } types[] = { { "q8_0", 0.03 }, { "q5_1", 0.13 }, { "q4_0", 0.25 }, { "q4_K", 0.15 } };
    for (int kind = 0; kind < KIND_COUNT; kind++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            float whole[IDS * VOCAB], got[IDS * VOCAB], masters[IDS * VOCAB];
            lithe_quantized q = { 0 };
            lithe_error err = { 0 };
            lithe_model *m = saved_model(kind);
            if (!m) continue;
            logits_of(m, whole);
            CHECK_MSG(!lithe_model_quantize(m, types[t].type, NULL, &q, &err), "%s in %s: %s", KINDS[kind].arch, types[t].type, err.text);
            CHECK_MSG(q.quantized >= 9 && q.bytes_after < q.bytes_before * 6 / 10, "%s: %d quantized, %zu bytes of %zu", KINDS[kind].arch, q.quantized, q.bytes_after, q.bytes_before);
            logits_of(m, got);
            double error = relative_error(got, whole, IDS * VOCAB);
            CHECK_MSG(error > 1e-5 && error < types[t].most, "%s in %s: off by %.4f", KINDS[kind].arch, types[t].type, error);
            if (KINDS[kind].decodes) check_decoding(m, got + (IDS - 1) * VOCAB, KINDS[kind].arch);
            CHECK(!params_masters(m->params, &err));         /* as for training */
            logits_of(m, masters);
            error = relative_error(got, masters, IDS * VOCAB);
            CHECK_MSG(error > 0 && error < 0.02, "%s in %s: rows of 8 bits make %.4f", KINDS[kind].arch, types[t].type, error);
            lithe_model_close(m);
        }
}

/* ---- rules and refusals ------------------------------------------------------------------------------ */

static const char *type_of(const lithe_model *m, const char *name)
{
    lithe_tensor_info info;
    return lithe_model_parameter_named(m, name, &info) ? info.dtype : "none";
}

static void rules(void)
{
    lithe_quantized q;
    lithe_error err = { 0 };
    char config[400];
    lithe_model *m = saved_model(0);
    CHECK(!lithe_model_quantize(m, "q4_0", NULL, &q, &err));
    CHECK(!strcmp(type_of(m, "h.0.attn.c_attn.weight"), "q4_0") && !strcmp(type_of(m, "wpe.weight"), "f32") && !strcmp(type_of(m, "ln_f.weight"), "f32"));
    CHECK(!strcmp(type_of(m, "wte.weight"), "q8_0") && q.in_other_types == 1);   /* 64 < 256 */
    lithe_model_close(m);
    m = saved_model(7);
    CHECK(!lithe_model_quantize(m, "q5_1", &LITHE_OPTIONS(lithe_quantize_options, .vocabulary = "keep"), &q, &err));
    CHECK(!strcmp(type_of(m, "blocks.1.att.key.weight"), "q5_1") && !strcmp(type_of(m, "blocks.1.att.w1"), "f32") && !strcmp(type_of(m, "emb.weight"), "f32"));
    lithe_model_close(m);
    snprintf(config, sizeof config, "{\"vocab_size\":96,\"hidden_size\":256,\"num_hidden_layers\":8,\"num_attention_heads\":4,\"num_key_value_heads\":1,\"intermediate_size\":512,"
             "\"max_position_embeddings\":64}");
    m = lithe_model_new("llama", config, 5, &err);
    CHECK(!lithe_model_save(m, in_dir("large"), "f16", NULL, &err));
    lithe_model_close(m);
    m = quantized(in_dir("large"), "q4_K_M", NULL, &q);
    CHECK(!strcmp(type_of(m, "model.layers.0.mlp.down_proj.weight"), "q6_K") && !strcmp(type_of(m, "model.layers.1.mlp.down_proj.weight"), "q4_K"));
    CHECK(!strcmp(type_of(m, "model.layers.7.self_attn.v_proj.weight"), "q6_K") && !strcmp(type_of(m, "model.layers.0.self_attn.q_proj.weight"), "q4_K"));
    CHECK(!strcmp(type_of(m, "lm_head.weight"), "q6_K") && !strcmp(type_of(m, "model.norm.weight"), "f32"));
    lithe_model_close(m);
}

static void refused(const char *path, const char *config, const char *type, const char *vocabulary, const char *why)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(path, config, &err);
    CHECK_MSG(m && lithe_model_quantize(m, type, &LITHE_OPTIONS(lithe_quantize_options, .vocabulary = vocabulary), NULL, &err) == LITHE_EINVAL && strstr(err.text, why),
              "%s: %s", type, err.text);
    lithe_model_close(m);
}

static void refusals(void)
{
    lithe_error err = { 0 };
    lithe_model *m = saved_model(0);
    lithe_model_close(m);
    refused(in_dir("kind-0"), NULL, "q3_K", NULL, "q3_K is no type to quantize to");
    refused(in_dir("kind-0"), NULL, "f16", NULL, "f16 is no type to quantize to");
    refused(in_dir("kind-0"), NULL, "q8_0", "q9", "q9 is no type for the vocabulary");
    m = lithe_model_new("gpt2", "{\"vocab_size\":97,\"n_positions\":16,\"n_embd\":40,\"n_inner\":72,\"n_layer\":1,\"n_head\":2}", 5, &err);
    CHECK(lithe_model_quantize(m, "q8_0", NULL, NULL, &err) == LITHE_EINVAL && strstr(err.text, "opened"));
    err = (lithe_error){ 0 };
    CHECK(!lithe_model_save(m, in_dir("odd"), "f32", NULL, &err));
    lithe_model_close(m);
    refused(in_dir("odd"), NULL, "q8_0", NULL, "has rows of 40, no multiple of 32");
    m = quantized(in_dir("kind-0"), "q8_0", NULL, NULL);
    CHECK(lithe_model_export(m, in_dir("a.safetensors"), "stored", &err) == LITHE_EINVAL && strstr(err.text, "cannot hold Q8_0"));
    err = (lithe_error){ 0 };
    CHECK_MSG(!lithe_model_export(m, in_dir("b.safetensors"), "f32", &err), "%s", err.text);   /* widened */
    lithe_model_close(m);
}

/* ---- GGUF -------------------------------------------------------------------------------------------- */

/* What is written is what was in memory: the same types, and the same bytes in the results. */
static void through_gguf(void)
{
    static const char *const types[] = { "q8_0", "q5_1", "q4_K" };
    for (int kind = 0; kind < KIND_COUNT; kind++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            float before[IDS * VOCAB], after[IDS * VOCAB];
            lithe_error err = { 0 };
            lithe_tensor_info a, b;
            lithe_model *m = saved_model(kind), *again = NULL;
            if (!m) continue;
            CHECK(!lithe_model_quantize(m, types[t], NULL, NULL, &err));
            unlink(in_dir("q.gguf"));
            CHECK_MSG(!lithe_model_export(m, in_dir("q.gguf"), "stored", &err) && (again = lithe_model_open(in_dir("q.gguf"), NULL, &err)), "%s in %s: %s",
                      KINDS[kind].arch, types[t], err.text);
            for (size_t i = 0; again && lithe_model_parameter(m, i, &a); i++) {
                bool there = lithe_model_parameter_named(again, a.name, &b);
                CHECK_MSG(there && !strcmp(a.dtype, b.dtype), "%s in %s: %s is %s, was %s", KINDS[kind].arch, types[t], a.name, there ? b.dtype : "none", a.dtype);
            }
            logits_of(m, before);
            if (again) logits_of(again, after);
            CHECK_MSG(again && !memcmp(before, after, sizeof before), "%s in %s", KINDS[kind].arch, types[t]);
            lithe_model_close(again);
            lithe_model_close(m);
        }
}

/* A directory holds the same in its model.gguf, and opens by its name. */
static void through_a_directory(void)
{
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        float before[IDS * VOCAB], after[IDS * VOCAB];
        lithe_error err = { 0 };
        char name[20];
        lithe_model *m = saved_model(kind);
        if (!m) continue;
        snprintf(name, sizeof name, "stored-%d", kind);
        CHECK(!lithe_model_quantize(m, "q8_0", NULL, NULL, &err));
        CHECK_MSG(!lithe_model_save(m, in_dir(name), "stored", NULL, &err), "%s: %s", KINDS[kind].arch, err.text);
        lithe_model *again = lithe_model_open(in_dir(name), NULL, &err);
        CHECK_MSG(again && lithe_model_params(again) == lithe_model_params(m), "%s: %s", KINDS[kind].arch, err.text);
        logits_of(m, before);
        if (again) logits_of(again, after);
        CHECK_MSG(again && !memcmp(before, after, sizeof before), "%s has other logits", KINDS[kind].arch);
        CHECK(lithe_model_save(m, in_dir(name), "stored", NULL, &err) == LITHE_EINVAL && strstr(err.text, "not empty"));
        lithe_model_close(again);
        lithe_model_close(m);
    }
}

const test tests_quantize[] = {
    { "quantize: rwkv.cpp's files", rwkvcpp_files }, { "quantize: every kind of architecture", every_kind }, { "quantize: through GGUF", through_gguf },
    { "quantize: through a directory", through_a_directory },
    { "quantize: rules", rules }, { "quantize: refused", refusals }, {0}
};

/* Configurations: published counts, what is refused, what is kept; sizes, plans. */
#include "model.h"
#include "base/file.h"
#include "base/writer.h"
#include "base/json.h"
#include <math.h>

const char *const SMALL[SMALL_COUNT] = {
    "{\"model_type\":\"gpt2\",\"vocab_size\":97,\"n_positions\":24,\"n_embd\":32,\"n_layer\":3,\"n_head\":2}",
    "{\"model_type\":\"llama\",\"vocab_size\":97,\"max_position_embeddings\":24,\"hidden_size\":32,\"intermediate_size\":88,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2}",
    "{\"model_type\":\"tokenformer\",\"vocab_size\":97,\"max_position_embeddings\":24,\"hidden_size\":32,\"num_layers\":2,"
    "\"num_attention_heads\":2,\"qkv_slot_num\":24,\"proj_slot_num\":20,\"ffn_slot_num\":96}",
};

void put_text(const char *path, const char *text)
{
    lithe_error e = { 0 };
    CHECK_MSG(!file_write(path, text, strlen(text), &e), "%s", e.text);
}

json_t *get_json(const char *path)
{
    lithe_error e = { 0 };
    json_t *json = json_read(path, 1 << 20, 8, &e);
    CHECK_MSG(json, "%s", e.text);
    return json;
}

static json_t *parse(const char *text) { return json_parse(text, strlen(text), 8, "config.json", NULL); }

/* ---- counts ---------------------------------------------------------------------- */

static void check_count(const char *name, const char *config, size_t expected)
{
    lithe_error e = { 0 };
    json_t *json = parse(config);
    lithe_model *m = model_declare(arch_find(name), json, "config.json", &e);
    CHECK_MSG(m && lithe_model_params(m) == expected, "%s: %zu parameters, expected %zu (%s)", config, lithe_model_params(m), expected, e.text);
    lithe_model_close(m);
    json_decref(json);
}

static void test_counts(void)
{
    static const struct { int layers, width, heads, slots, ffn; size_t count; } zoo[] = {
        { 12, 768, 12, 768, 3072, 151881216 },   { 24, 1024, 16, 1024, 4096, 454166528 },  { 32, 1280, 16, 1280, 5120, 903252480 },
        { 40, 1536, 16, 1536, 6144, 1587219456 }, { 12, 768, 12, 576, 2304, 123569664 },   { 12, 768, 12, 2140, 8560, 354190848 },
        { 12, 768, 12, 4850, 19400, 753796608 }, { 12, 768, 12, 8620, 34480, 1309705728 }, { 24, 1024, 16, 768, 3072, 353503232 },
        { 24, 1024, 16, 1792, 7168, 756156416 },
    };
    char text[400];
    for (size_t i = 0; i < sizeof zoo / sizeof *zoo; i++) {
        snprintf(text, sizeof text, "{\"num_layers\":%d,\"hidden_size\":%d,\"num_attention_heads\":%d,\"qkv_slot_num\":%d,\"proj_slot_num\":%d,\"ffn_slot_num\":%d}",
                 zoo[i].layers, zoo[i].width, zoo[i].heads, zoo[i].slots, zoo[i].slots, zoo[i].ffn);
        check_count("tokenformer", text, zoo[i].count);
    }
    check_count("gpt2", "{}", 124439808);
    check_count("gpt2", "{\"n_embd\":1024,\"n_layer\":24,\"n_head\":16}", 354823168);
    check_count("gpt2", "{\"n_embd\":1280,\"n_layer\":36,\"n_head\":20}", 774030080);
    check_count("gpt2", "{\"n_embd\":1600,\"n_layer\":48,\"n_head\":25}", 1557611200);
    check_count("llama", "{}", 6738415616);
    check_count("gpt_neox", "{}", 20554567680);
    check_count("gpt_neox", "{\"vocab_size\":50304,\"hidden_size\":512,\"num_hidden_layers\":6,\"num_attention_heads\":8,\"intermediate_size\":2048}", 70426624);
    check_count("gpt_neox", "{\"vocab_size\":50304,\"hidden_size\":768,\"num_hidden_layers\":12,\"num_attention_heads\":12,\"intermediate_size\":3072}", 162322944);
    check_count("gpt_neox", "{\"vocab_size\":50304,\"hidden_size\":2048,\"num_hidden_layers\":16,\"num_attention_heads\":8,\"intermediate_size\":8192}", 1011781632);
    check_count("rwkv4", "{}", 169342464);
    check_count("rwkv5", "{\"hidden_size\":2048,\"num_hidden_layers\":24}", 1577754624);
    check_count("rwkv6", "{\"hidden_size\":2048,\"num_hidden_layers\":24}", 1599873024);
    check_count("rwkv7", "{}", 191034624);                      /* the file has 49920 more, layer 0's unused v0 to v2 */
    check_count("rwkv7", "{\"hidden_size\":1024,\"num_hidden_layers\":24}", 450767872);
    check_count("llama", "{\"hidden_size\":2048,\"intermediate_size\":5632,\"num_hidden_layers\":22,\"num_attention_heads\":32,\"num_key_value_heads\":4}", 1100048384);
    check_count("llama", "{\"hidden_size\":4096,\"intermediate_size\":14336,\"num_key_value_heads\":8,\"vocab_size\":128256}", 8030261248);
}

/* ---- refusals -------------------------------------------------------------------- */

static void test_refused_configs(void)
{
    static const struct { const char *arch, *config; lithe_status status; const char *part; } cases[] = {
        { "gpt2", "{\"n_head\":7}", LITHE_ECONFIG, "config.json: n_head is 7, which does not divide n_embd 768" },
        { "gpt2", "{\"n_layer\":-1}", LITHE_ECONFIG, "config.json: n_layer is -1, expected 0 to" },
        { "gpt2", "{\"n_layer\":-3}", LITHE_ECONFIG, "n_layer is -3" },
        { "gpt2", "{\"n_layer\":1000000000}", LITHE_ECONFIG, "n_layer is 1000000000" },
        { "gpt2", "{\"n_layer\":9223372036854775807}", LITHE_ECONFIG, "n_layer is 9223372036854775807" },
        { "gpt2", "{\"n_layer\":2.5}", LITHE_ECONFIG, "n_layer is 2.5, expected an integer" },
        { "gpt2", "{\"n_layer\":\"12\"}", LITHE_ECONFIG, "n_layer is \"12\", expected an integer" },
        { "gpt2", "{\"n_layer\":[12]}", LITHE_ECONFIG, "n_layer is [12], expected an integer" },
        { "gpt2", "{\"n_layer\":true}", LITHE_ECONFIG, "n_layer is true, expected an integer" },
        { "gpt2", "{\"layer_norm_epsilon\":\"1e-5\"}", LITHE_ECONFIG, "layer_norm_epsilon is \"1e-5\", expected a number" },
        { "gpt2", "{\"activation_function\":\"sin\\n\"}", LITHE_ECONFIG, "activation_function is \"sin\\n\", expected linear|gelu_new|gelu" },
        { "gpt2", "{\"activation_function\":3}", LITHE_ECONFIG, "activation_function is 3" },
        { "gpt2", "{\"scale_attn_weights\":1}", LITHE_ECONFIG, "scale_attn_weights is 1, expected true or false" },
        { "gpt2", "{\"n_layer\":", LITHE_EFORMAT, "config.json: line 1" },
        { "gpt2", "{\"n_layer\":1,\"n_layer\":2}", LITHE_EFORMAT, "duplicate" },
        { "gpt2", "[]", LITHE_ECONFIG, "is not a JSON object" },
        { "gpt2", "{\"model_type\":\"llama\"}", LITHE_ECONFIG, "model_type says llama, gpt2 was asked for" },
        { "perceptron", "{}", LITHE_EINVAL, "perceptron is not a known architecture; known: gpt2, " },
        { NULL, "{}", LITHE_ECONFIG, "neither model_type nor architectures" },
        { NULL, "{\"model_type\":\"a\\u001b[31mb\"}", LITHE_ECONFIG, "model_type says a?[31mb, which is not known here" },
        { NULL, "{\"architectures\":[\"XForCausalLM\"]}", LITHE_ECONFIG, "architectures says XForCausalLM" },
        { "llama", "{\"num_key_value_heads\":5}", LITHE_ECONFIG, "num_key_value_heads is 5, which does not divide num_attention_heads 32" },
        { "llama", "{\"rope_scaling\":{\"rope_type\":\"longrope\",\"factor\":2.0}}", LITHE_ECONFIG, "longrope" },
        { "llama", "{\"model_type\":\"phi3\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0}}", LITHE_ECONFIG, "rope_type \"linear\" is not supported for a phi3, only longrope" },
        { "llama", "{\"model_type\":\"phi3\",\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":2.0}}", LITHE_ECONFIG, "longrope has" },
        { "llama", "{\"model_type\":\"mistral\",\"sliding_window\":1}", LITHE_ECONFIG, "sliding_window is no whole number" },
        { "llama", "{\"model_type\":\"llama\",\"sliding_window\":64}", LITHE_ECONFIG, "sliding_window is not supported for a llama" },
        { "llama", "{\"model_type\":\"qwen2\",\"layer_types\":[\"full_attention\",\"sliding_attention\"]}", LITHE_ECONFIG, "layer_types has sliding_attention for layer 1" },
        { "llama", "{\"model_type\":\"qwen2\",\"use_sliding_window\":true,\"sliding_window\":64,\"max_window_layers\":-1}", LITHE_ECONFIG, "max_window_layers" },
        { "llama", "{\"model_type\":\"qwen2\",\"rope_parameters\":{\"rope_type\":\"default\",\"partial_rotary_factor\":0.5}}", LITHE_ECONFIG, "\"partial_rotary_factor\": 0.5 is not known of a qwen2" },
        { "llama", "{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2.0,\"foo\":3}}", LITHE_ECONFIG, "rope_scaling: \"foo\": 3 is not known" },
        { "llama", "{\"rope_scaling\":{\"type\":\"ntk\",\"factor\":2.0}}", LITHE_ECONFIG, "rope_type \"ntk\" is not supported" },
        { "llama", "{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\"}}}", LITHE_ECONFIG, "rope_parameters: \"full_attention\"" },
        { "llama", "{\"model_type\":\"gemma3_text\",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":8.0},\"sliding_attention\":{\"rope_type\":\"linear\",\"factor\":2.0}}}",
          LITHE_ECONFIG, "rope_parameters.sliding_attention: \"rope_type\": \"linear\" is not supported" },
        { "gpt_neox", "{\"rope_parameters\":{\"rope_type\":\"default\",\"foo\":1}}", LITHE_ECONFIG, "\"foo\": 1 is not known" },
        { "modernbert", "{\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2.0}}", LITHE_ECONFIG, "rope_parameters: \"rope_type\": \"linear\" is not known" },
        /* Granite's */
        { "llama", "{\"embedding_multiplier\":12.0}", LITHE_ECONFIG, "\"embedding_multiplier\": 12.0 is not known" },
        /* SmolLM3's */
        { "llama", "{\"no_rope_layers\":[1,1,1,0]}", LITHE_ECONFIG, "\"no_rope_layers\": [1,1,1,0] is not known" },
        { "llama", "{\"final_logit_softcapping\":30.0}", LITHE_ECONFIG, "final_logit_softcapping" },    /* Gemma 2's */
        { "llama", "{\"quantization_config\":{\"quant_method\":\"gptq\"}}", LITHE_ECONFIG, "quantization_config" },
        { "modernbert", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0}}", LITHE_ECONFIG, "rope_scaling" },
        { "bert", "{\"position_embedding_type\":\"relative_key\"}", LITHE_ECONFIG, "relative_key" },
        { "gpt2", "{\"add_cross_attention\":true}", LITHE_ECONFIG, "add_cross_attention" },
        { "gpt_neox", "{\"hidden_size\":64,\"num_attention_heads\":3}", LITHE_ECONFIG, "num_attention_heads is 3, which does not divide hidden_size 64" },
        { "gpt_neox", "{\"hidden_size\":64,\"num_attention_heads\":4,\"rotary_pct\":0.2}", LITHE_ECONFIG, "rotary_pct is 0.2, 3 of a head's 16 channels" },
        { "gpt_neox", "{\"rotary_pct\":0}", LITHE_ECONFIG, "rotary_pct is 0, expected 0.001 to 1" },
        { "gpt_neox", "{\"rope_scaling\":{\"type\":\"longrope\",\"factor\":2.0}}", LITHE_ECONFIG, "longrope" },
        { "tokenformer", "{\"norm\":\"rmsnorm\"}", LITHE_ECONFIG, "\"norm\": \"rmsnorm\" is not supported, only \"layernorm_nonparam\"" },
        { "tokenformer", "{\"pos_emb\":\"learned\"}", LITHE_ECONFIG, "\"pos_emb\": \"learned\" is not supported" },
        { "tokenformer", "{\"gpt_j_residual\":true}", LITHE_ECONFIG, "\"gpt_j_residual\": true is not supported" },
        { "tokenformer", "{\"hidden_size\":64,\"num_attention_heads\":4,\"rotary_pct\":0.2}", LITHE_ECONFIG, "rotary_pct is 0.2, 3 of a head's 16 channels" },
        { "rwkv4", "{\"tie_word_embeddings\":true}", LITHE_ECONFIG, "\"tie_word_embeddings\": true is not supported" },
        { "llama", "{\"num_attention_heads\":5}", LITHE_ECONFIG, "num_attention_heads is 5, which does not divide hidden_size 4096" },
        { "tokenformer", "{\"qkv_slot_num\":0}", LITHE_ECONFIG, "qkv_slot_num is 0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error e = { 0 };
        lithe_model *m = lithe_model_new(cases[i].arch, cases[i].config, 1, &e);
        CHECK_MSG(!m, "%s", cases[i].config);
        check_failure(&e, cases[i].status, cases[i].part);
        lithe_model_close(m);
    }
}

/* Sizes that no machine has end in one line, and at once. */
static void test_absurd_sizes(void)
{
    static const struct { const char *arch, *config; } cases[] = {
        { "gpt2", "{\"n_embd\":65536,\"n_layer\":1024,\"n_head\":1024,\"vocab_size\":16777216,\"n_positions\":1048576,\"n_inner\":1048576}" },
        { "llama", "{\"hidden_size\":65536,\"num_hidden_layers\":1024,\"num_attention_heads\":1024,\"head_dim\":4096,\"vocab_size\":16777216,\"intermediate_size\":1048576}" },
        { "tokenformer", "{\"hidden_size\":65536,\"num_layers\":1024,\"num_attention_heads\":1024,\"qkv_slot_num\":1048576,\"proj_slot_num\":1048576,\"ffn_slot_num\":1048576}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error e = { 0 };
        lithe_model *m = lithe_model_new(cases[i].arch, cases[i].config, 1, &e);
        CHECK_MSG(!m && (e.status == LITHE_ENOMEM || e.status == LITHE_ECONFIG), "%d %s", e.status, e.text);
        lithe_model_close(m);
    }
}

/* ---- what is kept ------------------------------------------------------------------ */

static bool says(json_t *config, const char *key, const char *value)
{
    json_t *expected = json_loads(value, JSON_DECODE_ANY, NULL);
    bool same = json_equal(json_object_get(config, key), expected);
    if (!same) {
        char *text = json_dumps(json_object_get(config, key), JSON_ENCODE_ANY);
        test_say("%s is %s, expected %s", key, text ? text : "absent", value);
        free(text);
    }
    json_decref(expected);
    return same;
}

static json_t *config_of(const char *arch_name, const char *config)
{
    lithe_error e = { 0 };
    lithe_model *m = lithe_model_new(arch_name, config, 1, &e);
    CHECK_MSG(m, "%s", e.text);
    char *text = lithe_model_config(m);
    json_t *json = text ? parse(text) : NULL;
    CHECK(json);
    free(text);
    lithe_model_close(m);
    return json;
}

static void test_kept_keys(void)
{
    json_t *c = config_of("gpt2", "{\"vocab_size\":11,\"n_embd\":8,\"n_head\":2,\"n_layer\":1,\"n_positions\":8,\"n_inner\":null,\"layer_norm_epsilon\":1e-5,"
                          "\"summary_type\":\"cls_index\",\"task_specific_params\":{\"x\":[1,null,2.5]},\"eos_token_id\":10}");
    CHECK(says(c, "summary_type", "\"cls_index\"") && says(c, "task_specific_params", "{\"x\":[1,null,2.5]}") && says(c, "eos_token_id", "10"));
    CHECK(says(c, "model_type", "\"gpt2\"") && says(c, "architectures", "[\"GPT2LMHeadModel\"]"));
    CHECK(says(c, "n_ctx", "8") && says(c, "n_inner", "null") && says(c, "layer_norm_epsilon", "1e-5") && says(c, "activation_function", "\"gelu_new\""));
    json_decref(c);

    c = config_of("gpt2", "{\"vocab_size\":11,\"n_embd\":8,\"n_head\":2,\"n_layer\":1,\"n_ctx\":16}");
    CHECK(says(c, "n_positions", "16") && says(c, "n_ctx", "16") && !json_object_get(c, "n_inner"));
    json_decref(c);

    c = config_of("tokenformer", SMALL[2]);
    CHECK(says(c, "pos_emb", "\"rotary\"") && says(c, "norm_activation_type", "\"l2_norm_gelu\"") && says(c, "seq_length", "24"));
    CHECK(!json_object_get(c, "qkv_tau2"));
    json_decref(c);
}

static void test_rope_spellings(void)
{
    static const char *const keys = "\"vocab_size\":11,\"hidden_size\":16,\"intermediate_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2";
    char text[600];
    snprintf(text, sizeof text, "{%s,\"rope_theta\":500000.0}", keys);
    json_t *c = config_of("llama", text);
    CHECK(says(c, "rope_theta", "500000.0") && says(c, "rope_parameters", "{\"rope_type\":\"default\",\"rope_theta\":500000.0}"));
    CHECK(!json_object_get(c, "lithe_rope_type") && !json_object_get(c, "lithe_qkv_bias"));
    json_decref(c);

    snprintf(text, sizeof text, "{%s,\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4.0,\"rope_theta\":20000.0}}", keys);
    c = config_of("llama", text);
    CHECK(says(c, "rope_theta", "20000.0") && says(c, "rope_scaling", "{\"rope_type\":\"linear\",\"factor\":4.0}"));
    json_decref(c);

    /* Of both the older one wins, unless it is empty. */
    snprintf(text, sizeof text, "{%s,\"rope_theta\":30000.0,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0},\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4.0,\"rope_theta\":20000.0}}", keys);
    c = config_of("llama", text);
    CHECK(says(c, "rope_theta", "30000.0") && says(c, "rope_scaling", "{\"rope_type\":\"linear\",\"factor\":2.0}"));
    json_decref(c);

    snprintf(text, sizeof text, "{%s,\"model_type\":\"qwen2\",\"architectures\":[\"Qwen2ForCausalLM\"]}", keys);
    c = config_of(NULL, text);
    CHECK(says(c, "model_type", "\"qwen2\"") && says(c, "architectures", "[\"Qwen2ForCausalLM\"]"));
    json_decref(c);
}

/* Only the type in LLaMA's block that has a class of its own differs from its architecture. */
static void test_vocabulary_of_model(void)
{
    static const char sizes[] = "\"vocab_size\":300,\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":8,\"max_position_embeddings\":16";
    static const char *const kinds[][2] = { { "qwen2", "qwen2" }, { "qwen3", "qwen2" }, { "llama", "bpe" }, { "gemma", "bpe" }, { "bert", "wordpiece" }, { "roberta", "roberta" } };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char text[400];
        lithe_error err = { 0 };
        snprintf(text, sizeof text, "{%s,\"model_type\":\"%s\"}", sizes, kinds[i][0]);
        lithe_model *m = lithe_model_new(NULL, text, 1, &err);
        CHECK_MSG(m && !strcmp(lithe_model_vocabulary(m), kinds[i][1]), "%s: %s", kinds[i][0], m ? lithe_model_vocabulary(m) : err.text);
        lithe_model_close(m);
    }
}

/* What is written reads back as the same configuration, whatever the spelling it came in. */
static void test_publish_round_trip(void)
{
    static const char *const more[] = {
        "{\"model_type\":\"gpt2\",\"n_inner\":100,\"activation_function\":\"relu\",\"scale_attn_weights\":false,\"tie_word_embeddings\":false,\"attn_pdrop\":0}",
        "{\"model_type\":\"mistral\",\"sliding_window\":null,\"num_key_value_heads\":8,\"head_dim\":64}",
        "{\"model_type\":\"mistral\",\"sliding_window\":16,\"max_position_embeddings\":64}",
        "{\"model_type\":\"mistral\",\"max_position_embeddings\":8192}",
        "{\"model_type\":\"qwen2\",\"use_sliding_window\":false,\"sliding_window\":32768,\"max_window_layers\":28,\"hidden_act\":\"gelu\"}",
        "{\"model_type\":\"qwen2\",\"use_sliding_window\":true,\"sliding_window\":128,\"max_window_layers\":20,\"max_position_embeddings\":1024}",
        "{\"model_type\":\"qwen2\",\"use_sliding_window\":true,\"num_hidden_layers\":30,\"max_position_embeddings\":8192}",
        "{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}",
        "{\"model_type\":\"llama\",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\"original_max_position_embeddings\":128}}",
        "{\"architectures\":[\"TokenFormerForCausalLM\"],\"norm_activation_type\":\"softmax\",\"qkv_tau2\":300.5,\"seq_length\":77,\"torch_dtype\":\"float16\"}",
    };
    for (size_t i = 0; i < SMALL_COUNT + sizeof more / sizeof *more; i++) {
        lithe_error e = { 0 };
        json_t *json = parse(i < SMALL_COUNT ? SMALL[i] : more[i - SMALL_COUNT]);
        const arch *a = config_arch(json, "config.json", &e);
        CHECK_MSG(a, "%s", e.text);
        lithe_model *one = model_declare(a, json, "config.json", &e);
        json_t *written = one ? model_config(one, &e) : NULL;
        lithe_model *two = written ? model_declare(config_arch(written, "config.json", &e), written, "config.json", &e) : NULL;
        CHECK_MSG(two && two->arch == a && !memcmp(one->config, two->config, a->config.size), "%zu: %s", i, e.text);
        lithe_model_close(one);
        lithe_model_close(two);
        json_decref(written);
        json_decref(json);
    }
}

/* ---- sizes ------------------------------------------------------------------------- */

/* Sizes an architecture that reads images, for grey ones of 28 x 28 in ten classes; without images it is refused. */
static char *size_for_images(const arch *a, double target, lithe_error *e)
{
    lithe_error refused = { 0 };
    json_t *keys = json_pack("{s:i,s:i,s:i,s:i}", "image_size", 28, "patch_size", 4, "num_channels", 1, "num_labels", 10);
    char *text = model_size(a, target, 1, 1, keys, e);
    CHECK_MSG(!lithe_model_size(a->name, target, 257, 128, &refused) && strstr(refused.text, "reads images"), "%s: %s", a->name, refused.text);
    json_decref(keys);
    return text;
}

static void check_size(const char *name, double target, int vocab, int context)
{
    lithe_error e = { 0 };
    const arch *a = arch_find(name);
    char *text = a->equations.image ? size_for_images(a, target, &e) : lithe_model_size(name, target, vocab, context, &e);
    json_t *json = text ? parse(text) : NULL;
    lithe_model *m = json ? model_declare(a, json, "config.json", &e) : NULL;
    double n = (double)lithe_model_params(m);
    /* A vocabulary may be rounded up, a context unbounded. */
    bool fits = m && (m->arch->equations.image || (lithe_model_vocab(m) >= vocab && lithe_model_vocab(m) < vocab + 64 && lithe_model_context(m) >= context));
    CHECK_MSG(fits && fabs(n / target - 1) <= 0.05,
              "%s %g: %g parameters, vocabulary %d, context %d: %s", name, target, n, lithe_model_vocab(m), lithe_model_context(m), e.text);
    lithe_model_close(m);
    json_decref(json);
    free(text);
}

static void test_sizes(void)
{
    static const double targets[] = { 3e5, 1e6, 3e6, 1e7, 3e7, 1.24e8, 1.5e9 };
    for (int i = 0; lithe_arch_name(i); i++)
        for (size_t j = 0; j < sizeof targets / sizeof *targets; j++) {
            check_size(lithe_arch_name(i), targets[j], 257, 128);
            if (targets[j] >= 3e6) check_size(lithe_arch_name(i), targets[j], 4096, 1024);
            if (targets[j] >= 1e7) check_size(lithe_arch_name(i), targets[j], 50257, 1024);
        }
}

static void test_impossible_sizes(void)
{
    static const struct { const char *arch; double target; int vocab, context; lithe_status status; const char *part; } cases[] = {
        { "gpt2", 1e5, 50257, 128, LITHE_ECONFIG, "100k parameters are too few for a gpt2: with a vocabulary of 50257 the smallest has" },
        { "gpt2", 0, 256, 128, LITHE_EINVAL, "parameters" },
        { "gpt2", NAN, 256, 128, LITHE_EINVAL, "parameters" },
        { "gpt2", 1e6, 0, 128, LITHE_EINVAL, "vocabulary" },
        { "gpt2", 1e6, 256, -1, LITHE_EINVAL, "context" },
        { "gpt2", 1e6, 256, 2000000000, LITHE_ECONFIG, "context of 2000000000" },
        { "nothing", 1e6, 256, 128, LITHE_EINVAL, "nothing is not a known architecture" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error e = { 0 };
        CHECK(!lithe_model_size(cases[i].arch, cases[i].target, cases[i].vocab, cases[i].context, &e));
        check_failure(&e, cases[i].status, cases[i].part);
    }
}

/* ---- the rest ----------------------------------------------------------------------- */

static void test_fresh_values(void)
{
    for (int i = 0; i < SMALL_COUNT; i++) {
        lithe_error e = { 0 };
        lithe_model *a = lithe_model_new(NULL, SMALL[i], 7, &e), *b = lithe_model_new(NULL, SMALL[i], 7, &e), *c = lithe_model_new(NULL, SMALL[i], 8, &e);
        CHECK_MSG(a && b && c, "%s", e.text);
        CHECK(same_parameters(a, b) && !same_parameters(a, c));
        CHECK(lithe_model_vocab(a) == 97 && lithe_model_context(a) == 24 && !lithe_model_tokenizer(a));
        lithe_model_close(a);
        lithe_model_close(b);
        lithe_model_close(c);
    }
}

static void test_nothing(void)
{
    lithe_error e = { .status = LITHE_EIO, .text = "before" };
    CHECK(!lithe_model_new("gpt2", NULL, 1, &e) && !lithe_model_open("x", NULL, &e) && !lithe_listing_open("x", &e));
    CHECK(!lithe_model_size("gpt2", 1e6, 256, 64, &e) && !lithe_plan("x", &LITHE_OPTIONS(lithe_plan_options, .batch = 1, .ctx = 1), &e) && lithe_model_save(NULL, "x", NULL, NULL, &e) == LITHE_EIO);
    CHECK(e.status == LITHE_EIO && !strcmp(e.text, "before"));
    CHECK(!lithe_model_arch(NULL) && !lithe_model_config(NULL) && !lithe_model_params(NULL) && !lithe_listing_count(NULL) && !lithe_listing_tensor(NULL, 0));
    CHECK(!lithe_model_open(NULL, NULL, NULL) && !lithe_model_open("/nowhere/at/all", NULL, NULL) && !lithe_listing_open("/nowhere", NULL));
    CHECK(lithe_model_save(NULL, "x", NULL, NULL, NULL) == LITHE_EINVAL);
    lithe_model_close(NULL);
    lithe_listing_close(NULL);
    CHECK(strcmp(lithe_version(), "0.0.0") > 0);
}

static void test_plan(void)
{
    for (int i = 0; i < SMALL_COUNT; i++) {
        lithe_error e = { 0 };
        put_text(in_dir("config.json"), SMALL[i]);
        char *text = lithe_plan(in_dir("config.json"), &LITHE_OPTIONS(lithe_plan_options, .batch = 4, .ctx = 16, .recompute = i == 1, .dtype = i == 2 ? "bf16" : NULL, .ops = 1), &e);
        CHECK_MSG(text && strstr(text, "training, 4 x 16 tokens a step") && strstr(text, "decoding") && strstr(text, "backward"), "%s %s", e.text, text ? text : "");
        free(text);
        text = lithe_plan(test_dir(), &LITHE_OPTIONS(lithe_plan_options, .batch = 4, .ctx = 16, .ops = 1, .json = 1), &e);
        json_t *json = text ? json_parse(text, strlen(text), 8, "plan", &e) : NULL, *training = json_object_get(json, "training");
        CHECK_MSG(json, "%s", e.text);
        json_int_t parameters = json_integer_value(json_object_get(json, "parameters"));
        CHECK(json_integer_value(json_object_get(training, "optimizer_bytes")) == 8 * parameters);
        CHECK(json_real_value(json_object_get(training, "flops")) > 2.0 * 64 * (double)parameters / 2);
        CHECK((json_int_t)json_array_size(json_object_get(json, "steps")) == json_integer_value(json_object_get(training, "steps")));
        json_decref(json);
        free(text);
        CHECK(!lithe_plan(test_dir(), &LITHE_OPTIONS(lithe_plan_options, .batch = 4, .ctx = 25), &e));
        check_failure(&e, LITHE_EINVAL, "a context of 1 to 24");
    }
}

/* Texts together need the states of each; the weights are read once for all. */
static void plan_of_texts(void)
{
    lithe_error e = { 0 };
    long long bytes[2][2];
    put_text(in_dir("config.json"), SMALL[0]);
    for (int i = 0; i < 2; i++) {
        char *text = lithe_plan(test_dir(), &LITHE_OPTIONS(lithe_plan_options, .ctx = 16, .json = 1, .parallel = i ? 5 : 0), &e);
        json_t *all = text ? json_parse(text, strlen(text), 8, "plan", &e) : NULL, *decoding = json_object_get(all, "decoding");
        CHECK_MSG(decoding && json_integer_value(json_object_get(all, "parallel")) == (i ? 5 : 1), "%s", e.text);
        bytes[i][0] = json_integer_value(json_object_get(decoding, "state_bytes"));
        bytes[i][1] = json_integer_value(json_object_get(decoding, "parameter_bytes"));
        json_decref(all);
        free(text);
    }
    CHECK_MSG(bytes[0][0] > 0 && bytes[1][0] == 5 * bytes[0][0] && bytes[1][1] == bytes[0][1], "%lld and %lld bytes of states", bytes[0][0], bytes[1][0]);
    CHECK(!lithe_plan(test_dir(), &LITHE_OPTIONS(lithe_plan_options, .parallel = -1), &e));
    check_failure(&e, LITHE_EINVAL, "-1 texts together");
}

/* Ranks share a step: each needs the memory of its windows, and exchanges (n - 1) / n of all weights twice. */
static void plan_of_ranks(void)
{
    lithe_error e = { 0 };
    put_text(in_dir("config.json"), SMALL[0]);
    char *alone = lithe_plan(test_dir(), &LITHE_OPTIONS(lithe_plan_options, .batch = 2, .ctx = 16, .json = 1), &e);
    char *shared = lithe_plan(test_dir(), &LITHE_OPTIONS(lithe_plan_options, .batch = 7, .ctx = 16, .json = 1, .ranks = 4), &e);
    json_t *a = alone ? json_parse(alone, strlen(alone), 8, "plan", &e) : NULL, *b = shared ? json_parse(shared, strlen(shared), 8, "plan", &e) : NULL;
    const json_t *ranks = json_object_get(b, "ranks"), *slow = json_array_get(json_object_get(ranks, "networks"), 0);
    CHECK_MSG(a && b && !json_object_get(a, "ranks"), "%s", e.text);
    json_int_t moments = json_integer_value(json_object_get(json_object_get(a, "training"), "optimizer_bytes"));
    json_int_t buffers = json_integer_value(json_object_get(json_object_get(b, "training"), "exchange_bytes"));
    CHECK(json_integer_value(json_object_get(ranks, "total_bytes_of_each")) == json_integer_value(json_object_get(json_object_get(a, "training"), "total_bytes")) - moments + moments / 4 + buffers);
    double bytes = 4.0 * (double)json_integer_value(json_object_get(b, "parameters"));
    CHECK(4.0 * bytes / 128 <= (double)buffers && (double)buffers < 1.1 * (4.0 * bytes / 128) && !json_integer_value(json_object_get(json_object_get(a, "training"), "exchange_bytes")));
    double seconds = json_real_value(json_object_get(slow, "exchange_seconds"));
    CHECK_MSG(fabs(seconds - 2 * 0.75 * bytes / 125e6) < 1e-9, "%g s", seconds);
    /* The weights are exchanged after the step; of the gradients some are left, since the embedding's come last. */
    double left = json_real_value(json_object_get(slow, "left_seconds"));
    CHECK_MSG(left > 0.5 * seconds && left < seconds, "%g s of %g s are left", left, seconds);
    CHECK(!lithe_plan(test_dir(), &LITHE_OPTIONS(lithe_plan_options, .batch = 2, .ctx = 16, .ranks = 3), &e));
    check_failure(&e, LITHE_EINVAL, "3 ranks share a step of 2 windows");
    json_decref(a);
    json_decref(b);
    free(alone);
    free(shared);
}

/* Of a MODEL, what is only read counts as it is stored, and what is trained in fp32. */
static void test_plan_of_files(void)
{
    static const struct { const char *type; size_t matrices; } types[] = { { "f32", 4 }, { "f16", 2 }, { "bf16", 2 } };
    for (int i = 0; i < 3; i++) {
        lithe_error e = { 0 };
        lithe_model *m = lithe_model_new(NULL, SMALL[0], 1, &e);
        CHECK_MSG(m && !lithe_model_save(m, in_dir(types[i].type), types[i].type, NULL, &e), "%s", e.text);
        char *text = lithe_plan(in_dir(types[i].type), &LITHE_OPTIONS(lithe_plan_options, .batch = 4, .ctx = 16), &e);
        char *facts = lithe_plan(in_dir(types[i].type), &LITHE_OPTIONS(lithe_plan_options, .batch = 4, .ctx = 16, .json = 1), &e);
        CHECK_MSG(text && strstr(text, "parameters as stored"), "%s", text ? text : e.text);
        json_t *json = facts ? json_parse(facts, strlen(facts), 8, "plan", &e) : NULL;
        size_t bytes = 0;
        for (int j = 0; m && j < m->params->count; j++) {
            const param *p = m->params->items[j];
            bool matrix = p->rule.rank == 2;                 /* GPT-2's norms and biases are vectors */
            bytes += p->count * (matrix ? types[i].matrices : sizeof(float));
        }
        CHECK((size_t)json_integer_value(json_object_get(json_object_get(json, "decoding"), "parameter_bytes")) == bytes);
        CHECK((size_t)json_integer_value(json_object_get(json_object_get(json, "scoring"), "parameter_bytes")) == bytes);
        CHECK((size_t)json_integer_value(json_object_get(json_object_get(json, "training"), "parameter_bytes")) == 4 * lithe_model_params(m));
        json_decref(json);
        free(text);
        free(facts);
        lithe_model_close(m);
    }
}

static void test_doctor(void)
{
    char *text = lithe_doctor(0), *json_text_ = lithe_doctor(1);
    json_t *json = json_text_ ? json_parse(json_text_, strlen(json_text_), 4, "doctor", NULL) : NULL;
    CHECK(text && strstr(text, "kernels") && strstr(text, "absent"));
    CHECK(json && json_array_size(json_object_get(json, "levels")) >= 1);
    free(text);
    free(json_text_);
    json_decref(json);
    double peak = lithe_peak("f32");
    CHECK_MSG(peak > 1e7 && lithe_peak("f32") >= peak && lithe_peak("f32") <= peak, "%g", peak);
}

/* model_type and architectures must be one family's; what is not supported is named with what is near it. */
static void names_of_families(void)
{
    static const struct { const char *type, *class, *says; } all[] = {
        { "llama", "GemmaForCausalLM", "contradict" }, { "mistral", "LlamaForCausalLM", "contradict" }, { "llama", "MistralForCausalLM", "contradict" },
        { "bert", "JinaBertForMaskedLM", "contradict" }, { "roberta", "BertForMaskedLM", "contradict" }, { "llama", "LlamaBiModel", "contradict" },
        { "bert", "BertForSomethingElse", "no task that is known here" }, { "mixtral", "MixtralForCausalLM", "the nearest that is: mistral" },
        { "albert", NULL, "the nearest that is: bert" }, { "helium", "HeliumForCausalLM", "the nearest that is: llama" }, { "xlm-roberta-xl", NULL, "the nearest that is: roberta" },
        { "deberta", NULL, "the nearest that is: bert" }, { "berta", NULL, "not known here" }, { "mixtral|", NULL, "not known here" },
        { "qwen2", "Qwen2ForSequenceClassification", NULL }, { "qwen2", "Qwen2Model", NULL }, { "gemma3_text", "Gemma3TextModel", NULL }, { "gemma3_text", "Gemma3ForCausalLM", NULL },
        { "xlm-roberta", "RobertaModel", NULL }, { "xlm-roberta", "XLMRobertaModel", NULL }, { "openpangu_dense", "PanguEmbeddedForCausalLM", NULL },
        { "PanguEmbedded", "PanguEmbeddedForCausalLM", NULL }, { "gpt2", "GPT2LMHeadModel", NULL }, { "llama", NULL, NULL },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lithe_error err = { 0 };
        json_t *config = json_pack("{s:s}", "model_type", all[i].type);
        if (all[i].class) json_object_set_new(config, "architectures", json_pack("[s]", all[i].class));
        const arch *a = config_arch(config, "config.json", &err);
        CHECK_MSG(!a == (all[i].says != NULL) && (!all[i].says || strstr(err.text, all[i].says)), "%s, %s: %s", all[i].type, all[i].class ? all[i].class : "no class", err.text);
        json_decref(config);
    }
}

/* What is made opens again, whatever the class that the configuration named, and with any number of layers. */
static void test_made_opens(void)
{
    static const struct { const char *arch, *config; } cases[] = {
        { "gpt_neo", "{\"num_layers\":0,\"hidden_size\":16,\"num_heads\":2,\"vocab_size\":61}" },
        { "gpt_neo", "{\"num_layers\":1,\"hidden_size\":16,\"num_heads\":2,\"vocab_size\":61}" },
        { "gpt_neo", "{\"num_layers\":3,\"hidden_size\":16,\"num_heads\":2,\"vocab_size\":61}" },
        { "pangu_pi", "{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":1,\"hidden_size\":32,\"intermediate_size\":32,\"num_attention_heads\":2,\"vocab_size\":61}" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        char name[20];
        snprintf(name, sizeof name, "made-%zu", i);
        lithe_model *m = lithe_model_new(cases[i].arch, cases[i].config, 1, &err);
        CHECK_MSG(m && !lithe_model_save(m, in_dir(name), NULL, NULL, &err), "%zu: %s", i, err.text);
        lithe_model *back = lithe_model_open(in_dir(name), NULL, &err);
        CHECK_MSG(back && !strcmp(lithe_model_arch(back), cases[i].arch) && lithe_model_params(back) == lithe_model_params(m), "%zu: %s", i, err.text);
        lithe_model_close(back);
        lithe_model_close(m);
    }
}

const test tests_model[] = {
    { "model/what is made opens again", test_made_opens },
    { "model/names of families agree, or are refused with the nearest", names_of_families },
    { "model/parameter counts of the published sizes", test_counts },
    { "model/configurations that are refused", test_refused_configs },
    { "model/absurd sizes end in one line", test_absurd_sizes },
    { "model/unknown keys and other readers' spellings are kept", test_kept_keys },
    { "model/rotary options in both spellings", test_rope_spellings },
    { "model: the kind of vocabulary", test_vocabulary_of_model },
    { "model/a written configuration reads back the same", test_publish_round_trip },
    { "model/sizes are met within 5 %", test_sizes },
    { "model/impossible sizes", test_impossible_sizes },
    { "model/values depend on seed and name", test_fresh_values },
    { "model/nothing and stuck errors", test_nothing },
    { "model/plans", test_plan },
    { "model/plans of several ranks", plan_of_ranks },
    { "model/plans of texts together", plan_of_texts },
    { "model/plans of stored parameters", test_plan_of_files },
    { "model/doctor and peak", test_doctor },
    { "model/golden directories open", test_golden },
    { "model/saving and opening is bitwise equal", test_round_trip },
    { "model/bf16 and f16", test_narrow },
    { "model/tensors that do not fit", test_misfits },
    { "model/tied heads", test_tied_head },
    { "model/prefixes and buffers", test_prefixes },
    { "model/places", test_places },
    { "model/a file of llama2.c", test_llama2c },
    { "model/run stands for its newest complete checkpoint", test_runs },
    { "model/manifest", test_manifest },
    { "model/refused targets leave no files", test_save_refusals },
    { "model/a tokenizer is saved with its model", test_saved_tokenizer },
    { "model/listing", test_listing },
    { 0 }
};

/* GGUF files as models and tokenizers.  Those of tests/golden/gguf were written by
 * ggml's own package as llama.cpp's converter would write them; their results are
 * those of the folders they come from. */
#include "base/gguf_keys.h"
#include "base/writer.h"
#include "golden.h"
#include "model.h"
#include "text/tokenizer.h"
#include <math.h>

/* ---- models --------------------------------------------------------------------------- */

static const char *const DECODERS[] = { "llama", "llama-scaled", "llama-linear", "gpt2", "gpt_neox", "rwkv6", "rwkv7" };

static void logits_are_golden(const kernels *k)
{
    for (size_t i = 0; i < sizeof DECODERS / sizeof *DECODERS; i++) {
        golden q;
        results r;
        char name[60];
        snprintf(name, sizeof name, "gguf/%s.gguf", DECODERS[i]);
        golden_open(&q, name, DECODERS[i]);
        float *logits = golden_values(&q, NULL, "logits", GOLDEN_ROWS * GOLDEN_VOCAB);
        graph *g = golden_graph(&q, k, GRAPH_SCORE, COMPUTE_F32, WANT_LOGITS, &r);
        graph_run(g, &q.batch);
        double worst = max_difference(r.logits->data, logits, GOLDEN_ROWS * GOLDEN_VOCAB);
        CHECK_MSG(worst <= 2e-5, "%s: logits differ by %.3g", q.name, worst);
        graph_close(g);
        free(logits);
        golden_close(&q);
    }
}
EACH_LEVEL(static, logits_are_golden)

static lithe_model *open_golden(const char *name)
{
    char path[100];
    lithe_error err = { 0 };
    snprintf(path, sizeof path, "tests/golden/%s", name);
    lithe_model *m = lithe_model_open(test_file(path), NULL, &err);
    CHECK_MSG(m, "%s", err.text);
    return m;
}

static void check_same_values(const lithe_model *a, const lithe_model *b)
{
    lithe_tensor_info x, y;
    size_t n = 0;
    for (size_t i = 0; lithe_model_parameter(a, i, &x); i++, n++) {
        size_t count = 1;
        for (int d = 0; d < x.rank; d++) count *= (size_t)x.dims[d];
        float *values[2] = { malloc(count * sizeof(float)), malloc(count * sizeof(float)) };
        bool read = lithe_model_parameter_named(b, x.name, &y) && !lithe_model_values(a, x.name, 0, count, values[0], NULL) && !lithe_model_values(b, x.name, 0, count, values[1], NULL);
        CHECK_MSG(read && !memcmp(values[0], values[1], count * sizeof(float)), "%s is not the same", x.name);
        free(values[0]);
        free(values[1]);
    }
    CHECK(n > 5 && !lithe_model_parameter(b, n, &y));
}

/* Classifiers of encoders have the parameters of their folder, opened with the configuration that the file gives. */
static void classifiers_open(void)
{
    static const char *const names[] = { "bert", "modernbert" };
    for (int i = 0; i < 2; i++) {
        char path[100];
        lithe_error err = { 0 };
        snprintf(path, sizeof path, "gguf/%s.gguf", names[i]);
        lithe_model *m = open_golden(path);
        CHECK(m && !strcmp(lithe_model_arch(m), names[i]) && !strcmp(lithe_model_task(m), "classify") && lithe_model_labels(m) == 3 && lithe_model_encoder(m));
        char *config = lithe_model_config(m);
        put_text(in_dir("config.json"), config);
        free(config);
        snprintf(path, sizeof path, "tests/golden/%s/model.safetensors", names[i]);
        lithe_model *same = lithe_model_open(test_file(path), in_dir("config.json"), &err);
        CHECK_MSG(same, "%s", err.text);
        if (m && same) check_same_values(m, same);
        if (m && !i) CHECK(!strcmp(lithe_model_label(m, 1), "perhaps"));
        lithe_embedding e;
        CHECK(!lithe_embedding_read(m, &e, &err) && !strcmp(e.pooling, i ? "mean" : "cls"));
        json_t *ours = get_json(in_dir("config.json")), *theirs;
        snprintf(path, sizeof path, "tests/golden/%s/config.json", names[i]);
        theirs = get_json(test_file(path));
        static const char *const keys[] = { "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "type_vocab_size",
                                            "layer_norm_eps", "norm_eps", "local_attention", "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta",
                                            "hidden_activation", "norm_bias", "attention_bias", "mlp_bias", "classifier_bias", "classifier_pooling", "vocab_size" };
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            CHECK_MSG(!json_object_get(theirs, keys[k]) || json_equal(json_object_get(ours, keys[k]), json_object_get(theirs, keys[k])), "%s: %s", names[i], keys[k]);
        json_decref(ours);
        json_decref(theirs);
        lithe_model_close(same);
        lithe_model_close(m);
    }
}

/* Numbers in blocks are those that ggml's package makes of them. */
static void blocks_are_ggmls(void)
{
    lithe_tensor_info x;
    lithe_model *blocks = open_golden("gguf/llama-q8_0.gguf"), *plain = open_golden("gguf/llama-q8_0-f32.gguf");
    if (blocks && plain) check_same_values(blocks, plain);
    CHECK(lithe_model_parameter_named(plain, "model.norm.weight", &x) && lithe_model_context(plain) == 32 && lithe_model_vocab(plain) == 61);
    lithe_model_close(blocks);
    lithe_model_close(plain);
}

/* ---- what is refused ---------------------------------------------------------------------- */

/* LLaMA's keys without tensors, to which a test adds one or from which it leaves one out. */
static void put_llama(gguf_head *h, const char *without)
{
    static const char *const whole[] = { "llama.context_length", "llama.embedding_length", "llama.block_count", "llama.feed_forward_length", "llama.attention.head_count" };
    gguf_put_string(h, "general.architecture", "llama", 5);
    for (int i = 0; i < 5; i++)
        if (!without || strcmp(whole[i], without)) gguf_put_integer(h, whole[i], GGUF_U32, i == 1 ? 16 : 2);
    gguf_put_number(h, "llama.attention.layer_norm_rms_epsilon", 1e-5);
}

static void check_refused(gguf_head *h, const char *why)
{
    uint8_t first[24] = "GGUF\3";
    const char *path = in_dir("refused.gguf");
    lithe_error err = { 0 };
    writer w;
    store_bytes(first + 16, 8, h->count);
    CHECK(!writer_open(&w, path, &err) && fwrite(first, 1, 24, w.stream) == 24 && (!h->size || fwrite(h->bytes, 1, h->size, w.stream) == h->size) && !writer_commit(&w, &err));
    lithe_model *m = lithe_model_open(path, NULL, &err);
    CHECK(!m);
    check_failure(&err, err.status, why);
    CHECK_MSG(err.status == LITHE_ECONFIG || err.status == LITHE_EFORMAT, "%d", err.status);
    lithe_model_close(m);
    gguf_head_free(h);
}

static void keys_are_refused(void)
{
    gguf_head h = { 0 };
    check_refused(&h, "no general.architecture");
    gguf_put_string(&h, "general.architecture", "gemma9", 6), check_refused(&h, "the architecture gemma9, which is not known here; known: llama, qwen2, qwen3, gpt2");
    put_llama(&h, "llama.block_count"), check_refused(&h, "no key for block_count (num_hidden_layers)");
    put_llama(&h, "llama.block_count"), gguf_put_number(&h, "llama.block_count", 2), check_refused(&h, "llama.block_count is of type f32, expected a whole number");
    put_llama(&h, NULL), gguf_put_number(&h, "llama.logit_scale", 2), check_refused(&h, "llama.logit_scale is not known here, and may change the results");
    put_llama(&h, NULL), gguf_put_integer(&h, "llama.expert_count", GGUF_U32, 8), check_refused(&h, "only files where it is 0 open");
    put_llama(&h, NULL), gguf_put_string(&h, "llama.rope.scaling.type", "yarn", 4), check_refused(&h, "rope.scaling.type is yarn");
    put_llama(&h, NULL), gguf_put_integer(&h, "llama.rope.dimension_count", GGUF_U32, 4), check_refused(&h, "rope.dimension_count is 4, while heads have 8");
    put_llama(&h, NULL), gguf_put_array(&h, "llama.attention.head_count_kv", GGUF_U32, 1), gguf_put_bytes(&h, "\2\0\0", 4), check_refused(&h, "an array of u32");
    put_llama(&h, NULL), gguf_put_integer(&h, "split.count", GGUF_U16, 3), check_refused(&h, "one of 3 parts");
    put_llama(&h, NULL), gguf_put_string(&h, "lithe.config", "[1]", 3), check_refused(&h, "lithe.config is not an object");
    put_llama(&h, NULL), gguf_put_string(&h, "lithe.config", "{", 1), check_refused(&h, "lithe.config");
    put_llama(&h, NULL), gguf_put_string(&h, "general.type", "adapter", 7), check_refused(&h, "general.type = \"adapter\" is not supported here");
    put_llama(&h, NULL), gguf_put_number(&h, "adapter.lora.alpha", 16), check_refused(&h, "adapter.lora.alpha = 16");
    put_llama(&h, NULL), gguf_put_bool(&h, "qwen2.use_sliding_window", true), check_refused(&h, "qwen2.use_sliding_window = true");
    put_llama(&h, NULL), gguf_put_string(&h, "general.type", "model", 5), gguf_put_string(&h, "someone.made_by", "x", 1), check_refused(&h, "is missing");
}

/* Writes the keys and opens the tokenizer that they describe: of the bytes, with one more key. */
static lithe_tokenizer *tokenizer_with(void (*more)(gguf_head *h), lithe_error *err)
{
    uint8_t first[24] = "GGUF\3";
    const char *path = in_dir("tokenizer.gguf");
    gguf_head h = { 0 };
    writer w;
    gguf_put_string(&h, "tokenizer.ggml.model", "gpt2", 4);
    gguf_put_array(&h, "tokenizer.ggml.tokens", GGUF_STRING, 2), gguf_put_text(&h, "a", 1), gguf_put_text(&h, "b", 1);
    gguf_put_array(&h, "tokenizer.ggml.merges", GGUF_STRING, 0);
    more(&h);
    store_bytes(first + 16, 8, h.count);
    CHECK(!writer_open(&w, path, err) && fwrite(first, 1, 24, w.stream) == 24 && fwrite(h.bytes, 1, h.size, w.stream) == h.size && !writer_commit(&w, err));
    gguf_head_free(&h);
    return lithe_tokenizer_open(path, err);
}

static void suppress(gguf_head *h) { gguf_put_array(h, "tokenizer.ggml.suppress_tokens", GGUF_I32, 1), gguf_put_bytes(h, "\1\0\0", 4); }
static void suppress_none(gguf_head *h) { gguf_put_array(h, "tokenizer.ggml.suppress_tokens", GGUF_I32, 0), gguf_put_integer(h, "tokenizer.ggml.fim_pre_token_id", GGUF_U32, 1); }
static void suffix(gguf_head *h) { gguf_put_bool(h, "tokenizer.ggml.treat_whitespace_as_suffix", true); }
static void unheard(gguf_head *h) { gguf_put_integer(h, "tokenizer.ggml.unheard_of", GGUF_U32, 7); }
static void two_templates(gguf_head *h) { gguf_put_string(h, "tokenizer.chat_template", "one", 3), gguf_put_string(h, "tokenizer.chat_template.tool_use", "two", 3); }

/* Every key of a tokenizer is used, changes nothing, or is refused by name and value. */
static void keys_of_tokenizers(void)
{
    static const struct { void (*more)(gguf_head *h); const char *complaint; } cases[] = {
        { suppress, "tokenizer.ggml.suppress_tokens = [1]" }, { suffix, "tokenizer.ggml.treat_whitespace_as_suffix = true" }, { unheard, "tokenizer.ggml.unheard_of = 7" },
        { suppress_none, NULL }, { two_templates, NULL } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = tokenizer_with(cases[i].more, &err);
        if (cases[i].complaint) CHECK_MSG(!t && strstr(err.text, cases[i].complaint) && err.status == LITHE_ECONFIG, "%s", err.text);
        else CHECK_MSG(t, "%s", err.text);
        if (t && cases[i].more == two_templates)
            CHECK(!strcmp(lithe_tokenizer_chat_template(t), "one") && t->templates && !strcmp(t->templates->name, "tool_use") && !strcmp(t->templates->text, "two"));
        lithe_tokenizer_close(t);
    }
}

/* A copy of a golden file with further keys, whose bytes are a whole number of 32: its tensors stay in place. */
static lithe_model *golden_with(const gguf_head *more, lithe_error *err)
{
    const char *path = in_dir("more.gguf");
    mapping m;
    writer w;
    gguf_keys keys;
    uint8_t first[24];
    CHECK(!file_map(&m, test_file("tests/golden/gguf/llama-q8_0-f32.gguf"), err) && !gguf_keys_read(&keys, m.data, m.size, "golden", err));
    memcpy(first, m.data, 24);
    store_bytes(first + 16, 8, load_bytes(m.data + 16, 8) + more->count);
    CHECK(keys.alignment == 32 && more->size % 32 == 0);
    gguf_keys_free(&keys);
    CHECK(!writer_open(&w, path, err) && fwrite(first, 1, 24, w.stream) == 24 && fwrite(more->bytes, 1, more->size, w.stream) == more->size
          && fwrite(m.data + 24, 1, m.size - 24, w.stream) == m.size - 24 && !writer_commit(&w, err));
    file_unmap(&m);
    return lithe_model_open(path, NULL, err);
}

/* One more key, of a publisher, that makes the size a whole number of 32. */
static void fill_up(gguf_head *h)
{
    static const char spaces[] = "                                ", key[] = "a.fill";
    gguf_put_string(h, key, spaces, (32 - (h->size + 8 + sizeof key - 1 + 4 + 8) % 32) % 32);
}

/* The ends of turns end texts, and the file's defaults of sampling are those of generation_config.json. */
static void ends_and_sampling(void)
{
    lithe_error err = { 0 };
    lithe_sampling o = { 0 };
    gguf_head h = { 0 };
    gguf_put_integer(&h, "tokenizer.ggml.eot_token_id", GGUF_U32, 7);
    gguf_put_number(&h, "general.sampling.temp", 0.5), gguf_put_integer(&h, "general.sampling.top_k", GGUF_I32, 9);
    fill_up(&h);
    lithe_model *m = golden_with(&h, &err);
    CHECK_MSG(m, "%s", err.text);
    char *config = m ? lithe_model_config(m) : NULL;
    CHECK_MSG(config && strstr(config, "\"eos_token_id\": [\n    2,\n    7\n  ]"), "%s", config);
    CHECK(lithe_sampling_read(m, &o, &err) == 1 && fabsf(o.temperature - 0.5f) < 1e-6f && o.top_k == 9);
    free(config);
    lithe_model_close(m);
    h.count = 0, h.size = 0;
    gguf_put_integer(&h, "general.sampling.mirostat", GGUF_I32, 2);
    fill_up(&h);
    CHECK(!golden_with(&h, &err));
    check_failure(&err, LITHE_ECONFIG, "general.sampling.mirostat = 2");
    static const char *const numbers[] = { "general.sampling.temp", "general.sampling.top_k" };
    for (int i = 0; i < 4; i++) {
        err = (lithe_error){ 0 }, h.count = 0, h.size = 0;
        gguf_put_number(&h, numbers[i / 2], i % 2 ? 1e300 : (double)NAN);
        fill_up(&h);
        CHECK(!golden_with(&h, &err));
        check_failure(&err, LITHE_ECONFIG, numbers[i / 2]);
    }
    gguf_head_free(&h);
}

/* ---- tokenizers ------------------------------------------------------------------------------ */

static lithe_tokenizer *open_tokenizer(const char *name)
{
    char path[100];
    lithe_error err = { 0 };
    snprintf(path, sizeof path, "tests/golden/gguf/tokenizer-%s.gguf", name);
    lithe_tokenizer *t = lithe_tokenizer_open(test_file(path), &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

typedef struct { const char *name, *text; int32_t ids[24]; int n; const char *back; } encoded;

static void check_ids(lithe_tokenizer *t, const encoded *c)
{
    int32_t ids[64];
    char back[200] = "";
    size_t n = lithe_encode(t, c->text, strlen(c->text), 1, ids, 64);
    bool same = n == (size_t)c->n && !memcmp(ids, c->ids, n * sizeof *ids);
    CHECK_MSG(same, "%s: %s: %zu ids, %d %d %d ...", c->name, c->text, n, (int)ids[0], (int)ids[1], (int)ids[2]);
    lithe_decode(t, ids, n < 64 ? n : 64, back, sizeof back - 1);
    CHECK_MSG(!c->back || !strcmp(back, c->back), "%s: back comes \"%s\"", c->name, back);
}

static void tokenizers_open(void)
{
    static const encoded cases[] = {
        { "gpt2", "hello hello<|end|>12 3", { 262, 259, 260, 262, 261, 32, 51 }, 7, "<|end|>hello hello<|end|>12 3" },
        { "gpt2", "<tool>\xc3\xa9", { 262, 263, 195, 169 }, 4, "<|end|><tool>\xc3\xa9" },
        { "smollm", "hello 12<|end|>", { 259, 32, 49, 50, 262 }, 5, "hello 12<|end|>" },
        { "llama", "hello hello", { 1, 268, 268 }, 3, "hello hello" },
        { "llama", "hello<|user|>hello\xc3\xa9", { 1, 268, 269, 268, 198, 172 }, 6, NULL },
        { "bert", "Hello, H\xc3\xa9s", { 2, 5, 8, 1, 3 }, 5, NULL },
        { "bert", "hs hello", { 2, 6, 9, 5, 3 }, 5, NULL },
        { "t5", "hello  hello", { 5, 6, 5, 6, 1 }, 5, "hello hello" },
        { "rwkv", "hello hello's\n\xc3\xa9", { 258, 259, 260, 261 }, 4, "hello hello's\n\xc3\xa9" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_tokenizer *t = open_tokenizer(cases[i].name);
        if (t) check_ids(t, &cases[i]);
        lithe_tokenizer_close(t);
    }
    lithe_tokenizer *t = open_tokenizer("gpt2");
    CHECK(lithe_tokenizer_bos(t) == 262 && lithe_tokenizer_eos(t) == 262 && !strcmp(lithe_tokenizer_chat_template(t), "{{ messages }}"));
    lithe_tokenizer_close(t);
    t = open_tokenizer("llama");
    CHECK(lithe_tokenizer_bos(t) == 1 && lithe_tokenizer_eos(t) == 2 && !lithe_tokenizer_chat_template(t) && lithe_tokenizer_is_special(t, 2) && !lithe_tokenizer_is_special(t, 269));
    lithe_tokenizer_close(t);
}

/* Hugging Face's tokenizers take an added token's id from the vocabulary, else the one after all others, and not from
 * the entry: both are the same. */
static void check_added_ids(const char *path)
{
    json_t *root = json_load_file(path, 0, NULL), *added = json_object_get(root, "added_tokens"), *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    json_int_t next = (json_int_t)(json_is_array(vocab) ? json_array_size(vocab) : json_object_size(vocab));
    CHECK_MSG(next > 0, "%s has no vocabulary", path);
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *entry = json_array_get(added, i), *known = NULL;
        const char *content = json_string_value(json_object_get(entry, "content"));
        json_int_t id = json_integer_value(json_object_get(entry, "id")), taken = -1;
        if (json_is_object(vocab) && (known = json_object_get(vocab, content))) taken = json_integer_value(known);
        for (size_t k = 0; k < json_array_size(vocab); k++) if (!strcmp(json_string_value(json_array_get(json_array_get(vocab, k), 0)), content)) taken = (json_int_t)k;
        if (taken < 0) taken = next++;
        CHECK_MSG(taken == id, "%s: %s would get the id %d and not %d", path, content, (int)taken, (int)id);
    }
    json_decref(root);
}

static void special_first(gguf_head *h) { gguf_put_array(h, "tokenizer.ggml.token_type", GGUF_I32, 2), gguf_put_bytes(h, "\3\0\0\0\1\0\0", 8); }

/* The first of two tokens is special. */
static void special_tokens_keep_their_ids(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = tokenizer_with(special_first, &err);
    char path[4500];
    CHECK_MSG(t && lithe_tokenizer_is_special(t, 0) && !lithe_tokenizer_is_special(t, 1), "%s", err.text);
    snprintf(path, sizeof path, "%s", in_dir("tokenizer.json"));
    CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
    check_added_ids(path);
    lithe_tokenizer_close(t);
}

/* As a directory it is the file it came from, with the chat template beside it. */
static void tokenizers_are_saved(void)
{
    static const char *const names[] = { "gpt2", "smollm", "bert", "t5", "rwkv", "llama" };
    const char *text = "hello<|user|> hello, <tool>12 hs<|end|></s>";
    for (int i = 0; i < 6; i++) {
        lithe_error err = { 0 };
        int32_t a[64], b[64];
        lithe_tokenizer *t = open_tokenizer(names[i]);
        const char *dir = in_dir(names[i]);
        char path[4500];
        dir_make(dir, &err);
        snprintf(path, sizeof path, "%s/%s", dir, lithe_tokenizer_file(t));
        CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
        if (strstr(path, ".json")) check_added_ids(path);
        lithe_tokenizer *again = lithe_tokenizer_open(dir, &err);
        CHECK_MSG(again, "%s", err.text);
        size_t n = lithe_encode(t, text, strlen(text), 1, a, 64), m = lithe_encode(again, text, strlen(text), 1, b, 64);
        CHECK_MSG(n == m && !memcmp(a, b, n * sizeof *a) && lithe_tokenizer_eos(t) == lithe_tokenizer_eos(again), "%s: %zu and %zu ids", names[i], n, m);
        CHECK(!lithe_tokenizer_chat_template(t) == !lithe_tokenizer_chat_template(again));
        lithe_tokenizer_close(again);
        lithe_tokenizer_close(t);
    }
}

static void tokenizers_are_refused(void)
{
    lithe_error err = { 0 };
    CHECK(!lithe_tokenizer_open(test_file("tests/golden/gguf/tokenizer-unknown.gguf"), &err));
    check_failure(&err, LITHE_EFORMAT, "tokenizer.ggml.pre is nobodys");
    err = (lithe_error){ 0 };
    CHECK(!lithe_tokenizer_open(test_file("tests/golden/gguf/llama.gguf"), &err));
    check_failure(&err, LITHE_EFORMAT, "holds no tokenizer");
}

const test tests_gguf[] = {
    LEVELS("gguf: logits are golden", logits_are_golden)
    { "gguf: classifiers open", classifiers_open },
    { "gguf: blocks are ggml's", blocks_are_ggmls },
    { "gguf: keys are refused", keys_are_refused },
    { "gguf: keys of tokenizers", keys_of_tokenizers },
    { "gguf: ends of turns and defaults of sampling", ends_and_sampling },
    { "gguf: tokenizers open", tokenizers_open },
    { "gguf: tokenizers are saved", tokenizers_are_saved },
    { "gguf: special tokens keep their ids in other programs", special_tokens_keep_their_ids },
    { "gguf: tokenizers are refused", tokenizers_are_refused },
    { 0 },
};

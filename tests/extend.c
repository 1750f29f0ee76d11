/* A larger vocabulary: old logits to the bit, new rows the means of their
 * pieces, fewer tokens for the same text; what is refused. */
#include "model/model.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

static const char text[] = "the bond and the share; the share of the bond holder; the holder of the share and the bond pays the share holder and the bond holder.\n"
                           "Every statute and every contract names the court, the plaintiff and the defendant, and says what each must prove before judgment.\n";
#define REPEATED 40

static lithe_model *model(const char *name, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(name, config, 3, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.2, 9);
    return m;
}

static lithe_tokenizer *learned(int vocab)
{
    lithe_error err = { 0 };
    char *all = malloc(REPEATED * sizeof text);
    for (int i = 0; i < REPEATED; i++) memcpy(all + (size_t)i * (sizeof text - 1), text, sizeof text);
    lithe_tokenizer *t = lithe_tokenizer_train(all, REPEATED * (sizeof text - 1), vocab, &err);
    CHECK_MSG(t, "%s", err.text);
    free(all);
    return t;
}

/* Row `id` of a table is the mean of the rows of its bytes. */
static void check_row(const lithe_model *m, const lithe_model *large, const char *name, const lithe_tokenizer *to, int32_t id)
{
    char piece[64];
    size_t n = lithe_decode(to, &id, 1, piece, sizeof piece);
    const param *p = params_find(m->params, name), *q = params_find(large->params, name);
    size_t width = p->count / (size_t)p->rule.dims[0];
    for (size_t c = 0; c < width; c++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += (double)p->weight.values[(unsigned char)piece[i] * width + c] / (double)n;
        CHECK_MSG(fabs((double)q->weight.values[(size_t)id * width + c] - mean) < 1e-6, "%s, token %d, channel %zu: %g, not %g", name, id, c, (double)q->weight.values[(size_t)id * width + c], mean);
    }
}

#define SIZES "\"vocab_size\":256,\"max_position_embeddings\":64,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3"

static void old_logits_stay(void)
{
    static const struct { const char *name, *config; const char *tables[2]; } cases[] = {
        { "llama", "{" SIZES "}", { "model.embed_tokens.weight", "lm_head.weight" } },
        { "pangu_pi", "{" SIZES ",\"tie_word_embeddings\":true}", { "model.embed_tokens.weight", "model.embed_tokens.weight" } },
        { "bert", "{" SIZES ",\"hidden_dropout_prob\":0,\"attention_probs_dropout_prob\":0}", { "embeddings.word_embeddings.weight", "cls.predictions.bias" } },
        { "rwkv4", "{\"vocab_size\":256,\"context_length\":64,\"hidden_size\":12,\"num_hidden_layers\":2}", { "emb.weight", "head.weight" } },
    };
    lithe_error err = { 0 };
    lithe_tokenizer *bytes = lithe_tokenizer_open("bytes", &err), *to = learned(300);
    int32_t ids[400];
    size_t n = lithe_encode(bytes, text, sizeof text - 1, 0, ids, 400), fewer = lithe_encode(to, text, sizeof text - 1, 0, NULL, 0);
    CHECK_MSG(3 * fewer < 2 * n, "%zu bytes, %zu tokens", n, fewer);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        lithe_growth r;
        lithe_model *m = model(cases[c].name, cases[c].config), *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .tokenizer = bytes, .vocabulary = to), &r, &err);
        CHECK_MSG(large && lithe_model_vocab(large) == 300, "%s: %s", cases[c].name, err.text);
        if (!large) continue;
        CHECK_MSG(!lithe_compare(m, large, ids, n, &r, &err), "%s", err.text);
        CHECK_MSG(r.preserves && r.max_difference == 0 && r.max_logit > 0.1 && r.params_after > r.params_before, "%s: %g of %g", cases[c].name, r.max_difference, r.max_logit);
        for (int t = 0; t < 2; t++)
            for (int32_t id = 256; id < 299; id++) check_row(m, large, cases[c].tables[t], to, id);
        lithe_model_close(large);
        lithe_model_close(m);
    }
    lithe_tokenizer_close(bytes);
    lithe_tokenizer_close(to);
}

/* Rows that no token had are taken before new ones are made. */
static void spare_rows_are_used(void)
{
    lithe_error err = { 0 };
    lithe_growth r;
    lithe_tokenizer *bytes = lithe_tokenizer_open("bytes", &err), *to = learned(300);
    lithe_model *m = model("llama", "{" SIZES "}"), *padded, *large;
    json_object_set_new(m->json, "vocab_size", json_integer(320));
    padded = model_create(m->arch, m->json, "test", &err);
    params_initialize(padded->params, 3);
    large = lithe_model_grow(padded, &LITHE_OPTIONS(lithe_grow_options, .tokenizer = bytes, .vocabulary = to), &r, &err);
    CHECK_MSG(large && lithe_model_vocab(large) == 320 && r.params_after == r.params_before, "%s", err.text);
    check_row(padded, large, "lm_head.weight", to, 270);
    lithe_model_close(large);
    lithe_model_close(padded);
    lithe_model_close(m);
    lithe_tokenizer_close(bytes);
    lithe_tokenizer_close(to);
}

static void refused(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *bytes = lithe_tokenizer_open("bytes", &err), *small = learned(280), *other = learned(300);
    lithe_model *m = model("llama", "{" SIZES "}");
    CHECK(!lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .tokenizer = bytes, .vocabulary = bytes), NULL, &err) && strstr(err.text, "256 already"));
    err = (lithe_error){ 0 };
    lithe_model *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .tokenizer = bytes, .vocabulary = small), NULL, &err);
    /* Its <|endoftext|> stands where a merge does. */
    CHECK(large && !lithe_model_grow(large, &LITHE_OPTIONS(lithe_grow_options, .tokenizer = small, .vocabulary = other), NULL, &err));
    CHECK_MSG(strstr(err.text, "token 279 has another text"), "%s", err.text);
    CHECK(!lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .vocabulary = small), NULL, NULL));
    CHECK(!lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .tokenizer = bytes, .vocabulary = small, .factor = 2), NULL, NULL));
    CHECK(!lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .tokenizer = bytes, .vocabulary = small, .noise = 0.1f), NULL, NULL));
    lithe_model_close(large);
    lithe_model_close(m);
    lithe_tokenizer_close(bytes);
    lithe_tokenizer_close(small);
    lithe_tokenizer_close(other);
}

const test tests_extend[] = {
    { "grow.vocabulary: old logits stay, new rows are means", old_logits_stay },
    { "grow.vocabulary: spare rows are used", spare_rows_are_used },
    { "grow.vocabulary: refused", refused },
    { 0 }
};

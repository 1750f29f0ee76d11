/* Scores that an engine gives while it reads, and engines that read whole texts: what they give in parts, in
 * company and again and again is what one fresh pass gives, bit for bit. */
#include "base/arena.h"
#include "infer/engine.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { N = 200, VOCAB = 23 };

#define LONG(config) "{\"l2_wrap\":0,\"vocab_size\":23,\"hidden_size\":16," config "}"
static const struct { const char *arch, *config; } MODELS[] = {
    { "llama", LONG("\"max_position_embeddings\":320,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3") },
    { "rwkv7", LONG("\"max_position_embeddings\":320,\"head_dim\":4,\"num_hidden_layers\":2,\"intermediate_size\":20,\"decay_low_rank_dim\":3,\"a_low_rank_dim\":5,\"v_low_rank_dim\":2,\"gate_low_rank_dim\":6") },
    { "hybrid", LONG("\"max_position_embeddings\":320,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"rwkv_head_dim\":8,\"intermediate_size\":20,\"initializer_range\":0.3,\"mixer\":\"rwkv7,attention\"") },
};
enum { MODEL_COUNT = sizeof MODELS / sizeof *MODELS };

static lithe_model *model_of(const char *arch_name, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(arch_name, config, 3, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.3, 3);
    return m;
}

static lithe_engine *engine_with(lithe_model *m, const lithe_engine_options *o)
{
    lithe_error err = { 0 };
    lithe_engine *e = lithe_engine_open(m, o, &err);
    if (!e) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    return e;
}

static void some_ids(int32_t *ids, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(random_u64(seed, i) % VOCAB);
}

/* ---- scores of a step ------------------------------------------------------------------------- */

/* The engine reads ids in steps of 1, 70, 2 and the rest, beside a neighbour that reads without being scored. */
static void score_in_steps(lithe_engine *e, const int32_t *ids, float *nll)
{
    static const size_t ends[] = { 1, 71, 73, N };
    lithe_error err = { 0 };
    float logits[2 * VOCAB];
    for (size_t i = 0, at = 0; i < 4; at = ends[i++]) {
        lithe_engine_input in[] = { { .slot = 1, .ids = ids + N - 9, .n = 9, .logits = logits, .wanted = 1 },
                                    { .slot = 2, .ids = ids + at, .n = ends[i] - at, .nll = nll + at, .logits = logits + VOCAB, .wanted = i % 2 } };
        CHECK_MSG(!lithe_engine_step(e, in, 2, &err), "%s", err.text);
    }
}

static void steps_give_scores(void)
{
    for (int i = 0; i < MODEL_COUNT; i++) {
        lithe_error err = { 0 };
        int32_t ids[N];
        float expected[N], nll[N];
        some_ids(ids, N, 5);
        lithe_model *m = model_of(MODELS[i].arch, MODELS[i].config);
        lithe_engine *e = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .slots = 4, .scores = 1));
        CHECK(!lithe_score(m, ids, N, N, 0, expected + 1, NULL, &err));
        expected[0] = 0;
        score_in_steps(e, ids, nll);
        for (int k = 0; k < N; k++) CHECK_MSG(fabsf(nll[k] - expected[k]) < 2e-5f, "%s: id %d scores %.8g, not %.8g", MODELS[i].arch, k, (double)nll[k], (double)expected[k]);
        lithe_engine_clear(e, 2);
        CHECK(!lithe_engine_step(e, &(lithe_engine_input){ .slot = 2, .ids = ids, .n = N, .nll = expected }, 1, &err));
        CHECK_MSG(!memcmp(nll, expected, sizeof nll), "%s: scores depend on the steps", MODELS[i].arch);
        lithe_engine_close(e);
        lithe_model_close(m);
    }
}

/* Copies of a slot know what is needed to score their next id; so does a slot that was read without scores. */
static void copies_give_scores(void)
{
    for (int i = 0; i < MODEL_COUNT; i++) {
        lithe_error err = { 0 };
        int32_t ids[40];
        float nll[40], next = 0, restored = 0;
        some_ids(ids, 40, 6);
        lithe_model *m = model_of(MODELS[i].arch, MODELS[i].config);
        lithe_engine *e = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .slots = 3, .scores = 1));
        CHECK(!lithe_engine_step(e, &(lithe_engine_input){ .slot = 0, .ids = ids, .n = 40, .nll = nll }, 1, &err));
        CHECK(!lithe_engine_step(e, &(lithe_engine_input){ .slot = 1, .ids = ids, .n = 39 }, 1, &err));
        CHECK(!lithe_engine_fork(e, 1, 2, &err));
        slot_snapshot *x = engine_snapshot(e, 1);
        engine_restore(e, 0, x);
        CHECK(!lithe_engine_step(e, (lithe_engine_input[]){ { .slot = 2, .ids = ids + 39, .n = 1, .nll = &next }, { .slot = 0, .ids = ids + 39, .n = 1, .nll = &restored } }, 2, &err));
        CHECK_MSG(nll[39] > 0 && !memcmp(&next, &nll[39], sizeof next) && !memcmp(&restored, &nll[39], sizeof next), "%s: %g %g %g", MODELS[i].arch, (double)nll[39], (double)next, (double)restored);
        free(x);
        lithe_engine_close(e);
        lithe_model_close(m);
    }
}

static void scores_are_refused(void)
{
    lithe_error err = { 0 };
    float nll[2];
    const int32_t ids[] = { 1, 2 };
    lithe_model *m = model_of(MODELS[0].arch, MODELS[0].config), *encoder = model_of("bert", SMALL_ENCODER "\"type_vocab_size\":2}");
    lithe_engine *e = engine_with(m, NULL), *whole = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1));
    const lithe_engine_input in = { .ids = ids, .n = 2, .nll = nll };
    CHECK(lithe_engine_step(e, &in, 1, &err) == LITHE_EINVAL && strstr(err.text, "opened without scores"));
    err = (lithe_error){ 0 };
    CHECK(lithe_engine_step(whole, &in, 1, &err) == LITHE_EINVAL && strstr(err.text, "no slots") && !lithe_engine_slots(whole));
    err = (lithe_error){ 0 };
    CHECK(!lithe_engine_open(encoder, NULL, &err) && strstr(err.text, "bidirectional"));
    lithe_engine_close(e);
    lithe_engine_close(whole);
    lithe_model_close(m);
    lithe_model_close(encoder);
}

/* ---- whole texts --------------------------------------------------------------------------------- */

static const char *const TEXTS[] = { "a cat", "the dog ran far away on the mat", "far", "the cat sat on a mat and the dog ran far away on it", "on", "a" };
enum { COUNT = sizeof TEXTS / sizeof *TEXTS, WIDTH = 12, LABELS = 3 };
#define OF_BYTES "\"vocab_size\":256,\"n_positions\":64,\"n_embd\":12,\"n_layer\":2,\"n_head\":3,\"initializer_range\":0.3"

/* An engine that reads texts one by one, whatever their lengths, gives what all of them at once give. */
static void engines_embed_again_and_again(void)
{
    lithe_error err = { 0 };
    float all[COUNT][WIDTH], one[WIDTH];
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_model *m = model_of("gpt2", "{" OF_BYTES "}");
    lithe_engine *e = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1));
    CHECK_MSG(lithe_embed(m, t, TEXTS, COUNT, NULL, all[0], NULL, &err) == WIDTH && lithe_engine_embed(e, t, NULL, 0, NULL, NULL, NULL, &err) == WIDTH, "%s", err.text);
    for (int i = 0; i < 2 * COUNT; i++) {
        CHECK(lithe_engine_embed(e, t, &TEXTS[i % COUNT], 1, NULL, one, NULL, &err) == WIDTH);
        CHECK_MSG(!memcmp(one, all[i % COUNT], sizeof one), "text %d", i);
    }
    CHECK(lithe_engine_embed(NULL, t, TEXTS, 1, NULL, one, NULL, NULL) < 0);
    lithe_engine_close(e);
    lithe_model_close(m);
    lithe_tokenizer_close(t);
}

static void engines_classify_again_and_again(void)
{
    lithe_error err = { 0 };
    float all[COUNT][LABELS], one[LABELS];
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_model *m = model_of("gpt2", "{" OF_BYTES ",\"architectures\":[\"ForSequenceClassification\"],\"num_labels\":3}");
    lithe_engine *e = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1));
    CHECK_MSG(lithe_classify(m, t, TEXTS, NULL, COUNT, all[0], NULL, &err) == LABELS, "%s", err.text);
    for (int i = 0; i < 2 * COUNT; i++) {
        CHECK(lithe_engine_classify(e, t, &TEXTS[i % COUNT], NULL, 1, one, NULL, &err) == LABELS);
        CHECK_MSG(!memcmp(one, all[i % COUNT], sizeof one), "text %d", i);
    }
    CHECK(lithe_engine_classify(NULL, t, TEXTS, NULL, 1, one, NULL, NULL) < 0);
    lithe_engine_close(e);
    lithe_model_close(m);
    lithe_tokenizer_close(t);
}

static void engines_fill_again_and_again(void)
{
    enum { TOP = 4 };
    static const char *const texts[] = { "a [MASK] b", "[MASK] [MASK] a b a b [MASK]", "b [MASK]" };
    lithe_error err = { 0 };
    FILE *f = fopen(in_dir("vocab.txt"), "w");
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n", f);
    fclose(f);
    lithe_tokenizer *t = lithe_tokenizer_open(in_dir("vocab.txt"), &err);
    lithe_model *m = model_of("bert", SMALL_ENCODER "\"type_vocab_size\":2}");
    lithe_engine *e = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1));
    for (int i = 0; i < 6; i++) {
        lithe_candidate once[3 * TOP], again[3 * TOP];
        int masks = lithe_fill(m, t, texts[i % 3], TOP, once, &err);
        CHECK_MSG(masks > 0 && lithe_engine_fill(e, t, texts[i % 3], TOP, again, &err) == masks, "%s", err.text);
        CHECK_MSG(!memcmp(once, again, (size_t)masks * TOP * sizeof *once), "text %d", i);
    }
    CHECK(lithe_engine_fill(NULL, t, texts[0], TOP, NULL, NULL) < 0);
    lithe_engine_close(e);
    lithe_model_close(m);
    lithe_tokenizer_close(t);
}

static void engines_score_again_and_again(void)
{
    static const struct { size_t n; int ctx, stride; } ways[] = { { N, 50, 0 }, { 20, 8, 3 }, { N, 50, 20 }, { 2, 0, 0 }, { N, 0, 0 } };
    lithe_error err = { 0 };
    int32_t ids[N];
    some_ids(ids, N, 7);
    lithe_model *m = model_of(MODELS[0].arch, MODELS[0].config);
    lithe_engine *e = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1));
    for (size_t i = 0; i < 2 * sizeof ways / sizeof *ways; i++) {
        float once[N] = { 0 }, again[N] = { 0 };
        double total, sum;
        const size_t w = i % (sizeof ways / sizeof *ways);
        CHECK_MSG(!lithe_score(m, ids, ways[w].n, ways[w].ctx, ways[w].stride, once, &total, &err) &&
                  !lithe_engine_score(e, ids, ways[w].n, ways[w].ctx, ways[w].stride, again, &sum, &err), "%s", err.text);
        CHECK_MSG(!memcmp(once, again, sizeof once) && !memcmp(&total, &sum, sizeof sum), "way %zu", i);
    }
    CHECK(lithe_engine_score(NULL, ids, N, 0, 0, NULL, NULL, NULL));
    lithe_engine_close(e);
    lithe_model_close(m);
}

/* A pass is planned again for a larger batch only, and then with room for more. */
static void plans_are_reused(void)
{
    lithe_error err = { 0 };
    pass *p;
    lithe_model *m = model_of(MODELS[0].arch, MODELS[0].config);
    lithe_engine *e = engine_with(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1));
    size_t planned[400] = { 0 }, last = 0;
    int plans = 0;
    for (int rows = 1; rows < 400; rows++) {
        size_t before = allocation_count();
        CHECK(!engine_whole(e, &(whole_pass){ .want = WANT_HIDDEN, .rows = rows, .seqs = 1 }, &p, &err));
        plans += (planned[rows] = allocation_count() - before) > 0;
        CHECK(p->batch.capacity.rows >= rows);
        if (!planned[rows]) last = (size_t)rows;
    }
    CHECK_MSG(plans <= 10 && last == 399, "%d plans", plans);
    lithe_engine_close(e);
    lithe_model_close(m);
}

const test tests_engine_scores[] = {
    { "engine: steps give scores", steps_give_scores },
    { "engine: copies of a slot give scores", copies_give_scores },
    { "engine: scores are refused", scores_are_refused },
    { "engine: texts are embedded again and again", engines_embed_again_and_again },
    { "engine: texts are classified again and again", engines_classify_again_and_again },
    { "engine: masks are filled again and again", engines_fill_again_and_again },
    { "engine: texts are scored again and again", engines_score_again_and_again },
    { "engine: plans are reused", plans_are_reused },
    { 0 }
};

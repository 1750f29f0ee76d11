/* Sessions, the sampler, text that streams; scoring is in infer_score.c. */
#include "infer/infer.h"
#include "infer_tests.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

/* ---- the sampler ----------------------------------------------------------------- */

enum { VOCAB = 8 };
static const float LOGITS[VOCAB] = { 0.5f, 2.0f, -1.0f, 1.0f, 2.0f, -3.0f, 0.0f, 1.5f };

static int32_t drawn(const lithe_sampling *o, size_t n)
{
    float scratch[2 * VOCAB];
    int32_t ids[1] = { 0 };
    return sample(LOGITS, VOCAB, ids, n, n, o, scratch);
}

/* Which ids come up in many draws, as bits, and how often. */
static unsigned seen(const lithe_sampling *o, int draws, int *counts)
{
    unsigned bits = 0;
    float scratch[2 * VOCAB];
    int32_t ids[1] = { 0 };
    lithe_sampling each = *o;
    for (int i = 0; i < draws; i++) {
        each.seed = o->seed + (uint64_t)i;
        int32_t id = sample(LOGITS, VOCAB, ids, 0, 0, &each, scratch);
        CHECK(id >= 0 && id < VOCAB);
        bits |= 1u << id;
        if (counts) counts[id]++;
    }
    return bits;
}

static void greedy_and_top_k(void)
{
    CHECK(drawn(&LITHE_OPTIONS(lithe_sampling, .temperature = 0), 0) == 1);                  /* of equals the first */
    CHECK(drawn(&LITHE_OPTIONS(lithe_sampling, .temperature = 0, .top_k = 3, .top_p = 0.1f, .min_p = 0.9f), 5) == 1);
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 5, .top_k = 1), 200, NULL) == 1u << 1);
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 5, .top_k = 2), 200, NULL) == (1u << 1 | 1u << 4));
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 5, .top_k = 4), 400, NULL) == (1u << 1 | 1u << 4 | 1u << 7 | 1u << 3));
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 5), 4000, NULL) == (1u << VOCAB) - 1);
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 5, .top_k = 99), 4000, NULL) == (1u << VOCAB) - 1);
}

static double share(int id, double temperature)
{
    double total = 0;
    for (int i = 0; i < VOCAB; i++) total += exp((double)LOGITS[i] / temperature);
    return exp((double)LOGITS[id] / temperature) / total;
}

/* Shares at temperature 1: .271 .271 .164 .100 .060 .037 .013 .002 for ids 1 4 7 3 0 6 2 5 (rounded). */
static void top_p_and_min_p(void)
{
    double mass = share(1, 1) + share(4, 1);
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .top_p = (float)(mass - 0.01)), 400, NULL) == (1u << 1 | 1u << 4));
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .top_p = (float)(mass + 0.01)), 400, NULL) == (1u << 1 | 1u << 4 | 1u << 7));
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .top_p = 1e-6f), 400, NULL) == 1u << 1);
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .top_p = 1), 9000, NULL) == (1u << VOCAB) - 1);
    double ratio = exp(1.5 - 2.0);                                                 /* of id 7 to the largest */
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .min_p = (float)(ratio - 0.01)), 400, NULL) == (1u << 1 | 1u << 4 | 1u << 7));
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .min_p = (float)(ratio + 0.01)), 400, NULL) == (1u << 1 | 1u << 4));
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .min_p = 2), 100, NULL) == 1u << 1);
    CHECK(seen(&LITHE_OPTIONS(lithe_sampling, .temperature = 1, .top_k = 3, .top_p = (float)(mass + 0.3)), 400, NULL) == (1u << 1 | 1u << 4 | 1u << 7));
}

static void frequencies_follow_the_temperature(void)
{
    enum { DRAWS = 40000 };
    for (int t = 0; t < 3; t++) {
        int counts[VOCAB] = { 0 };
        double temperature = 0.5 + 0.5 * t, chi = 0;
        seen(&LITHE_OPTIONS(lithe_sampling, .temperature = (float)temperature, .seed = 1000), DRAWS, counts);
        for (int i = 0; i < VOCAB; i++) {
            double expected = DRAWS * share(i, temperature);
            chi += (counts[i] - expected) * (counts[i] - expected) / expected;
        }
        CHECK_MSG(chi < 26, "temperature %.1f: chi-square %.1f with 7 degrees of freedom", temperature, chi);      /* p = 5e-4, one fixed draw */
    }
}

static void seeds_decide(void)
{
    lithe_sampling o = { .size = sizeof o, .temperature = 2, .seed = 7 }, other = { .size = sizeof other, .temperature = 2, .seed = 8 };
    int differ = 0, places = 0, moves = 0;
    for (size_t i = 0; i < 100; i++) {
        differ += drawn(&o, 0) != drawn(&LITHE_OPTIONS(lithe_sampling, .temperature = 2, .seed = 8 + i), 0);
    }
    float scratch[2 * VOCAB];
    int32_t ids[101] = { 0 };
    for (size_t n = 0; n < 100; n++) {
        places += sample(LOGITS, VOCAB, ids, n, n, &o, scratch) != sample(LOGITS, VOCAB, ids, n, n, &other, scratch);
        moves += sample(LOGITS, VOCAB, ids, n, n, &o, scratch) != sample(LOGITS, VOCAB, ids, n + 1, n + 1, &o, scratch);
        CHECK(sample(LOGITS, VOCAB, ids, n, n, &o, scratch) == sample(LOGITS, VOCAB, ids, n, n, &o, scratch));
    }
    CHECK(differ > 30 && places > 30 && moves > 30);
}

static void repetition_weighs(void)
{
    float scratch[2 * VOCAB];
    const int32_t some[] = { 1, 4, 1, 1 }, all[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    lithe_sampling o = { .size = sizeof o, .repetition = 1.25f };
    CHECK(sample(LOGITS, VOCAB, some, 0, 0, &o, scratch) == 1);
    CHECK(sample(LOGITS, VOCAB, some, 1, 1, &o, scratch) == 4);
    CHECK(sample(LOGITS, VOCAB, some, 4, 4, &o, scratch) == 1);              /* 2 / 1.25 = 1.6, however often it stood there, before 1.5 */
    o.repetition = 1.5f;
    CHECK(sample(LOGITS, VOCAB, some, 4, 4, &o, scratch) == 7);
    const float below[VOCAB] = { -5, -1, -5, -1.4f, -5, -5, -5, -5 };     /* a negative logit moves away from zero */
    CHECK(sample(below, VOCAB, some, 1, 1, &o, scratch) == 3);
    CHECK(sample(LOGITS, VOCAB, all, 8, 8, &o, scratch) == 1);
    o.repetition = 1;
    CHECK(sample(LOGITS, VOCAB, some, 4, 4, &o, scratch) == 1);
}

static void odd_logits(void)
{
    float scratch[2 * VOCAB], minus[VOCAB], nan[VOCAB];
    int32_t ids[1] = { 0 };
    for (int i = 0; i < VOCAB; i++) minus[i] = i == 5 || i == 6 ? 80.0f * (float)i : -INFINITY, nan[i] = NAN;
    for (int t = 0; t < 100; t++) {
        lithe_sampling o = { .size = sizeof o, .temperature = 1.5f, .seed = (uint64_t)t };
        CHECK(sample(minus, VOCAB, ids, 0, 0, &o, scratch) == 6);
        o.temperature = 100;
        int32_t id = sample(minus, VOCAB, ids, 0, 0, &o, scratch);
        CHECK(id == 5 || id == 6);
        id = sample(nan, VOCAB, ids, 0, 0, &o, scratch);
        CHECK(id >= 0 && id < VOCAB);
    }
    CHECK(sample(LOGITS, 1, ids, 0, 0, &LITHE_OPTIONS(lithe_sampling, .temperature = 1), scratch) == 0);
}

/* ---- sessions ------------------------------------------------------------------------ */

static lithe_model *small_model_of(const char *name, const char *config, uint64_t seed)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(name, config, seed, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.3, seed);
    return m;
}

static bool stands_after(lithe_session *s, lithe_model *m, const int32_t *ids, size_t n)
{
    lithe_error err = { 0 };
    size_t vocab = (size_t)lithe_model_vocab(m);
    float *all = malloc(n * vocab * sizeof *all);
    bool same = !lithe_logits(m, ids, n, all, &err) && lithe_session_length(s) == n && lithe_session_logits(s)
             && max_difference(lithe_session_logits(s), all + (n - 1) * vocab, vocab) < 1e-5;
    free(all);
    return same;
}

static void sync_and_push(void)
{
    static const int32_t a[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, b[] = { 1, 2, 3, 9, 9 }, c[] = { 7, 2, 3 };
    static const char *const configs[][2] = { { "gpt2", SMALL_GPT2 }, { "llama", SMALL_LLAMA }, { "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") }, { "rwkv4", SMALL_RWKV4 }, { "rwkv6", SMALL_RWKV6 }, { "rwkv7", SMALL_RWKV7 } };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        lithe_error err = { 0 };
        lithe_model *m = small_model_of(configs[i][0], configs[i][1], 3);
        lithe_session *s = lithe_session_open(m, 0, &err);
        CHECK(lithe_session_length(s) == 0 && !lithe_session_logits(s) && lithe_session_sample(s, &LITHE_OPTIONS(lithe_sampling)) == -1);
        CHECK(!lithe_session_sync(s, a, 5, &err) && stands_after(s, m, a, 5));
        CHECK(!lithe_session_sync(s, a, 8, &err) && stands_after(s, m, a, 8));          /* longer */
        CHECK(!lithe_session_sync(s, a, 8, &err) && stands_after(s, m, a, 8));          /* the same */
        CHECK(!lithe_session_sync(s, a, 3, &err) && stands_after(s, m, a, 3));          /* shorter */
        CHECK(!lithe_session_sync(s, b, 5, &err) && stands_after(s, m, b, 5));          /* different from the fourth on */
        CHECK(!lithe_session_sync(s, c, 3, &err) && stands_after(s, m, c, 3));          /* from the first */
        CHECK(!lithe_session_sync(s, NULL, 0, &err) && lithe_session_length(s) == 0);
        CHECK(!lithe_session_logits(s) && lithe_session_sample(s, &LITHE_OPTIONS(lithe_sampling)) == -1);
        for (size_t n = 0; n < 8; n++) CHECK(!lithe_session_push(s, a[n], &err) && stands_after(s, m, a, n + 1));
        CHECK(!lithe_session_sync(s, a, 6, &err) && !lithe_session_push(s, 7, &err) && stands_after(s, m, a, 7));
        CHECK_MSG(!err.status, "%s", err.text);
        lithe_session_close(s);
        lithe_model_close(m);
    }
}

/* What was read is not read again: parameters changed in between show in new positions only. */
static void a_known_prefix_is_kept(void)
{
    static const int32_t a[] = { 1, 2, 3, 4, 5, 6 };
    lithe_error err = { 0 };
    lithe_model *m = small_model_of("gpt2", SMALL_GPT2, 3);
    lithe_session *kept = lithe_session_open(m, 0, &err), *fresh = lithe_session_open(m, 0, &err);
    CHECK(!lithe_session_sync(kept, a, 5, &err));
    for (size_t i = 0; i < m->params->arena_count; i++) m->params->values[i] *= (real)1.1;
    params_edit(m->params);
    CHECK(!lithe_session_sync(kept, a, 6, &err) && !lithe_session_sync(fresh, a, 6, &err));
    CHECK(max_difference(lithe_session_logits(kept), lithe_session_logits(fresh), 23) > 1e-3);
    CHECK(!lithe_session_sync(kept, a + 1, 1, &err) && !lithe_session_sync(kept, a, 6, &err));
    CHECK(max_difference(lithe_session_logits(kept), lithe_session_logits(fresh), 23) < 1e-5);
    lithe_session_close(kept);
    lithe_session_close(fresh);
    lithe_model_close(m);
}

static void sessions_refuse(void)
{
    int32_t ids[30] = { 1, 2, 3 };
    lithe_error err = { 0 };
    lithe_model *m = small_model_of("llama", SMALL_LLAMA, 3);
    lithe_session *s = lithe_session_open(m, 10, &err);
    CHECK(!lithe_session_sync(s, ids, 3, &err));

    CHECK(lithe_session_sync(s, ids, 11, &err) == LITHE_EFULL);
    CHECK_MSG(strstr(err.text, "11") && strstr(err.text, "10") && !strchr(err.text, '\n'), "%s", err.text);
    CHECK(lithe_session_push(s, 4, &err) == LITHE_EFULL && lithe_session_length(s) == 3);      /* the failure sticks */
    err = (lithe_error){ 0 };
    CHECK(stands_after(s, m, ids, 3));

    int32_t bad[] = { 1, 2, 23 };
    CHECK(lithe_session_sync(s, bad, 3, &err) == LITHE_EINVAL && strstr(err.text, "token 23 at place 2") && strstr(err.text, "23"));
    err = (lithe_error){ 0 };
    CHECK(lithe_session_push(s, -1, &err) == LITHE_EINVAL && strstr(err.text, "token -1"));
    err = (lithe_error){ 0 };
    CHECK(stands_after(s, m, ids, 3));

    CHECK(!lithe_session_sync(s, ids, 10, &err) && stands_after(s, m, ids, 10));
    CHECK(lithe_session_push(s, 1, &err) == LITHE_EFULL && strstr(err.text, "10") && lithe_session_length(s) == 10);
    err = (lithe_error){ 0 };
    CHECK(lithe_session_push(s, 1, NULL) == LITHE_EFULL && stands_after(s, m, ids, 10));

    CHECK(!lithe_session_open(m, 25, &err) && err.status == LITHE_EINVAL && strstr(err.text, "25") && strstr(err.text, "24"));
    CHECK(!lithe_session_open(m, 0, &err) && strstr(err.text, "25"));                           /* the failure sticks */
    CHECK(!lithe_session_open(NULL, 0, NULL) && lithe_session_sync(NULL, ids, 1, NULL) && lithe_session_push(NULL, 1, NULL));
    CHECK(!lithe_session_length(NULL) && !lithe_session_logits(NULL) && lithe_session_sample(NULL, &LITHE_OPTIONS(lithe_sampling)) == -1);
    lithe_session_close(NULL);
    lithe_session_close(s);
    lithe_model_close(m);
}

const test tests_infer[] = {
    { "infer: greedy and top-k", greedy_and_top_k },
    { "infer: top-p and min-p", top_p_and_min_p },
    { "infer: frequencies follow the temperature", frequencies_follow_the_temperature },
    { "infer: seeds decide", seeds_decide },
    { "infer: repetition weighs", repetition_weighs },
    { "infer: odd logits", odd_logits },
    { "infer: sync and push", sync_and_push },
    { "infer: a known prefix is kept", a_known_prefix_is_kept },
    { "infer: sessions refuse", sessions_refuse },
    { "infer: sessions without end", sessions_without_end },
    { "infer: endless prefixes are kept", endless_prefixes_are_kept },
    { "infer: states on disk", states_on_disk },
    { "infer: states of other models", states_of_others },
    { "infer: states to begin from", states_to_begin_from },
    { "infer: states to begin from, refused", states_to_begin_from_refused },
    { "infer: states that lie", states_that_lie },
    { "infer: states damaged", states_damaged },
    { "infer: what may be shown", what_may_be_shown },
    { "infer: text streams in whole characters", text_streams },
    { "infer: stop strings", stop_strings },
    { "infer: ends of text", ends_of_text },
    { "infer: scores in windows", scores_in_windows },
    { "infer: scoring refuses", scoring_refuses },
    { "infer: two models compared", two_models_compared },
    { "infer: logits in a file", logits_in_a_file },
    { 0 }
};

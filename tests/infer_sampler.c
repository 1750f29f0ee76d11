/* The sampler: what each rule keeps and how often, and that choosing without
 * sorting the vocabulary chooses what a sorted vocabulary gives. */
#include "base/arena.h"
#include "base/random.h"
#include "infer/sampler.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

/* One draw, of a sampler of its own. */
static int32_t chosen(const float *logits, int vocab, const int32_t *ids, size_t n, size_t number, const lithe_sampling *o)
{
    lithe_error err = { 0 };
    sampler s;
    int32_t id = -1;
    CHECK_MSG(!sampler_open(&s, vocab, &err) && !sampler_next(&s, logits, ids, n, number, o, &id, &err), "%s", err.text);
    sampler_close(&s);
    return id;
}

/* ---- rules ------------------------------------------------------------------------ */

enum { VOCAB = 8 };
static const float LOGITS[VOCAB] = { 0.5f, 2.0f, -1.0f, 1.0f, 2.0f, -3.0f, 0.0f, 1.5f };

static int32_t drawn(const lithe_sampling *o, size_t n)
{
    int32_t ids[1] = { 0 };
    return chosen(LOGITS, VOCAB, ids, n, n, o);
}

/* Which ids come up in many draws, as bits, and how often. */
static unsigned seen(const lithe_sampling *o, int draws, int *counts)
{
    unsigned bits = 0;
    int32_t ids[1] = { 0 };
    lithe_sampling each = *o;
    for (int i = 0; i < draws; i++) {
        each.seed = o->seed + (uint64_t)i;
        int32_t id = chosen(LOGITS, VOCAB, ids, 0, 0, &each);
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
        /* P = 5e-4, one fixed draw. */
        CHECK_MSG(chi < 26, "temperature %.1f: chi-square %.1f with 7 degrees of freedom", temperature, chi);
    }
}

static void seeds_decide(void)
{
    lithe_sampling o = { .size = sizeof o, .temperature = 2, .seed = 7 }, other = { .size = sizeof other, .temperature = 2, .seed = 8 };
    int differ = 0, places = 0, moves = 0;
    for (size_t i = 0; i < 100; i++) {
        differ += drawn(&o, 0) != drawn(&LITHE_OPTIONS(lithe_sampling, .temperature = 2, .seed = 8 + i), 0);
    }
    int32_t ids[101] = { 0 };
    for (size_t n = 0; n < 100; n++) {
        places += chosen(LOGITS, VOCAB, ids, n, n, &o) != chosen(LOGITS, VOCAB, ids, n, n, &other);
        moves += chosen(LOGITS, VOCAB, ids, n, n, &o) != chosen(LOGITS, VOCAB, ids, n + 1, n + 1, &o);
        CHECK(chosen(LOGITS, VOCAB, ids, n, n, &o) == chosen(LOGITS, VOCAB, ids, n, n, &o));
    }
    CHECK(differ > 30 && places > 30 && moves > 30);
}

static void repetition_weighs(void)
{
    const int32_t some[] = { 1, 4, 1, 1 }, all[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    lithe_sampling o = { .size = sizeof o, .repetition = 1.25f };
    CHECK(chosen(LOGITS, VOCAB, some, 0, 0, &o) == 1);
    CHECK(chosen(LOGITS, VOCAB, some, 1, 1, &o) == 4);
    CHECK(chosen(LOGITS, VOCAB, some, 4, 4, &o) == 1);  /* 2 / 1.25 = 1.6, however often it stood there, before 1.5 */
    o.repetition = 1.5f;
    CHECK(chosen(LOGITS, VOCAB, some, 4, 4, &o) == 7);
    const float below[VOCAB] = { -5, -1, -5, -1.4f, -5, -5, -5, -5 };     /* a negative logit moves away from zero */
    CHECK(chosen(below, VOCAB, some, 1, 1, &o) == 3);
    CHECK(chosen(LOGITS, VOCAB, all, 8, 8, &o) == 1);
    o.repetition = 1;
    CHECK(chosen(LOGITS, VOCAB, some, 4, 4, &o) == 1);
}

static void odd_logits(void)
{
    float minus[VOCAB];
    int32_t ids[1] = { 0 };
    for (int i = 0; i < VOCAB; i++) minus[i] = i == 5 || i == 6 ? 80.0f * (float)i : -INFINITY;
    for (int t = 0; t < 100; t++) {
        lithe_sampling o = { .size = sizeof o, .temperature = 1.5f, .seed = (uint64_t)t };
        CHECK(chosen(minus, VOCAB, ids, 0, 0, &o) == 6);
        o.temperature = 100;
        int32_t id = chosen(minus, VOCAB, ids, 0, 0, &o);
        CHECK(id == 5 || id == 6);
        o.top_k = 3;
        CHECK((id = chosen(minus, VOCAB, ids, 0, 0, &o)) == 5 || id == 6);
    }
    CHECK(chosen(LOGITS, 1, ids, 0, 0, &LITHE_OPTIONS(lithe_sampling, .temperature = 1)) == 0);
}

static void what_is_no_number(void)
{
    static const struct { float value; bool all; const char *why; } cases[] = {
        { NAN, false, "the logit of token 3 is not a number" }, { INFINITY, false, "the logit of token 3 is infinite" },
        { NAN, true, "the logit of token 0 is not a number" }, { -INFINITY, true, "the logits of all 8 tokens are minus infinity" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int greedy = 0; greedy < 2; greedy++) {
            float logits[VOCAB];
            lithe_error err = { 0 };
            sampler s;
            int32_t id;
            for (int k = 0; k < VOCAB; k++) logits[k] = cases[i].all || k == 3 ? cases[i].value : (float)k;
            CHECK(!sampler_open(&s, VOCAB, &err));
            int status = sampler_next(&s, logits, NULL, 0, 0, &LITHE_OPTIONS(lithe_sampling, .temperature = (float)(1 - greedy)), &id, &err);
            CHECK_MSG(status == LITHE_EINVAL && strstr(err.text, cases[i].why), "\"%s\"", err.text);
            sampler_close(&s);
        }
}

/* ---- against a sorted vocabulary ------------------------------------------------------ */

static int larger_first(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

/* The rules one after the other over all of the vocabulary; c holds it. */
static int32_t by_sorting(const float *given, int vocab, const int32_t *ids, size_t n, size_t number, const lithe_sampling *o, candidate *c)
{
    for (int i = 0; i < vocab; i++) c[i] = (candidate){ given[i], i };
    for (size_t i = 0; o->repetition > 0 && i < n; i++) {
        float l = given[ids[i]];
        c[ids[i]].value = l > 0 ? l / o->repetition : l * o->repetition;
    }
    qsort(c, (size_t)vocab, sizeof *c, larger_first);
    if (!(o->temperature > 0)) return c[0].id;
    int kept = o->top_k > 0 && o->top_k < vocab ? o->top_k : vocab;
    double total = 0, top = (double)c[0].value;
    for (int i = 0; i < kept; i++) {
        c[i].value = (float)exp(((double)c[i].value - top) / (double)o->temperature);
        total += (double)c[i].value;
    }
    if (o->top_p > 0 && o->top_p < 1) {
        double mass = 0;
        int i = 0;
        do mass += (double)c[i++].value; while (i < kept && mass < (double)o->top_p * total);
        kept = i;
    }
    while (o->min_p > 0 && kept > 1 && c[kept - 1].value < o->min_p * c[0].value) kept--;
    total = 0;
    for (int i = 0; i < kept; i++) total += (double)c[i].value;
    double draw = random_unit(key_of(o->seed, 0x5a11ce), number) * total;
    int at = 0;
    while (at + 1 < kept && (draw -= (double)c[at].value) >= 0) at++;
    return c[at].id;
}

enum { KINDS = 8 };

/* Logits as models give them, with ties, with tokens that are ruled out, all alike, far apart. */
static void make_logits(float *x, int vocab, int kind, uint64_t key)
{
    for (int i = 0; i < vocab; i++) {
        double z = random_normal(key, (uint64_t)i), u = random_unit(key + 1, (uint64_t)i);
        switch (kind) {
        case 0: x[i] = (float)(3 * z); break;
        case 1: x[i] = (float)(3 * z - 60); break;
        case 2: x[i] = (float)floor(2 * z); break;
        case 3: x[i] = u < 0.4 ? -INFINITY : (float)(2 * z); break;
        case 4: x[i] = u < 0.1 ? -1e30f : (float)z; break;
        case 5: x[i] = -7.5f; break;
        case 6: x[i] = (float)(1000 * z); break;
        default: x[i] = (float)(u < 0.001 ? 9 + z : 0.01 * z); break;
        }
    }
    if (kind == 3) x[vocab / 2] = 1;
}

/* Options of every sort, among them each rule alone. */
static lithe_sampling options_of(uint64_t key)
{
    static const float temperatures[] = { 0, 0.05f, 0.7f, 0.8f, 1, 1, 1.5f, 100 }, ps[] = { 0, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f, 0.9999999f, 1 };
    static const float min_ps[] = { 0, 0, 0, 0, 0.01f, 0.05f, 0.3f, 2 }, penalties[] = { 0, 0, 0, 1, 1.1f, 1.3f, 0.8f, 2 };
    static const int ks[] = { 0, 0, 0, 0, 1, 5, 40, 3000 };
    uint64_t r = random_u64(key, 5);
    return LITHE_OPTIONS(lithe_sampling, .temperature = temperatures[r & 7], .top_p = ps[r >> 3 & 7], .min_p = min_ps[r >> 6 & 7],
                         .repetition = penalties[r >> 9 & 7], .top_k = ks[r >> 12 & 7], .seed = r >> 15);
}

static void check_against_sorting(int vocab, int times)
{
    lithe_error err = { 0 };
    sampler s;
    float *x = malloc((size_t)vocab * sizeof *x);
    candidate *c = malloc((size_t)vocab * sizeof *c);
    CHECK(!sampler_open(&s, vocab, &err));
    for (int i = 0; i < times; i++) {
        uint64_t key = (uint64_t)vocab * 1000003 + (uint64_t)i;
        int32_t before[9], id = -1;
        lithe_sampling o = options_of(key);
        make_logits(x, vocab, i % KINDS, key);
        for (int k = 0; k < 9; k++) before[k] = (int32_t)(random_u64(key, 100 + (uint64_t)k) % (uint64_t)vocab);
        size_t counted = allocation_count();
        CHECK_MSG(!sampler_next(&s, x, before, 9, (size_t)i, &o, &id, &err), "%s", err.text);
        CHECK(allocation_count() == counted);
        int32_t expected = by_sorting(x, vocab, before, 9, (size_t)i, &o, c);
        CHECK_MSG(id == expected, "vocabulary %d, kind %d, temperature %g, top-p %g, min-p %g, top-k %d, penalty %g: %d, by sorting %d", vocab, i % KINDS,
                  (double)o.temperature, (double)o.top_p, (double)o.min_p, o.top_k, (double)o.repetition, (int)id, (int)expected);
    }
    sampler_close(&s);
    free(x);
    free(c);
}

static void as_by_sorting(void)
{
    static const int vocabs[] = { 1, 2, 3, 7, 50, 256, 1000 };
    for (size_t i = 0; i < sizeof vocabs / sizeof *vocabs; i++) check_against_sorting(vocabs[i], 3000);
    check_against_sorting(5000, 400);
    check_against_sorting(50257, 48);
}

const test tests_infer_sampler[] = {
    { "sampler: greedy and top-k", greedy_and_top_k },
    { "sampler: top-p and min-p", top_p_and_min_p },
    { "sampler: frequencies follow the temperature", frequencies_follow_the_temperature },
    { "sampler: seeds decide", seeds_decide },
    { "sampler: repetition weighs", repetition_weighs },
    { "sampler: odd logits", odd_logits },
    { "sampler: what is no number", what_is_no_number },
    { "sampler: as by sorting", as_by_sorting },
    { 0 }
};

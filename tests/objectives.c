/* What is predicted: masks by their statistics.  Bounds are five standard
 * deviations of the binomial counts. */
#include "base/random.h"
#include "data/mask.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

/* ---- a vocabulary ------------------------------------------------------------------- */

enum { VOCAB = 1000, SPECIAL = 5, CLS = 2, SEP = 3, MASK = 4, LENGTH = 128 };

/* Ids below SPECIAL are special; every third of the others goes on a word. */
static mask_vocab vocabulary(void)
{
    mask_vocab v = { .mask = MASK, .vocab = VOCAB, .special = calloc(VOCAB, 1), .continues = calloc(VOCAB, 1),
                     .ordinary = calloc(VOCAB, sizeof *v.ordinary) };
    for (int i = 0; i < VOCAB; i++) {
        v.special[i] = i < SPECIAL;
        v.continues[i] = i >= SPECIAL && i % 3 == 0;
        if (i >= SPECIAL) v.ordinary[v.ordinary_count++] = i;
    }
    return v;
}

static void fill(int32_t *ids, uint64_t sample)
{
    for (int i = 0; i < LENGTH; i++) ids[i] = SPECIAL + (int32_t)(random_unit(99, sample * LENGTH + (uint64_t)i) * (VOCAB - SPECIAL));
    ids[0] = CLS;
    ids[LENGTH - 1] = ids[LENGTH / 3] = SEP;
}

typedef struct { double eligible, chosen, masked, kept; double random[VOCAB], randoms; } counted;

static void count_sample(counted *c, const mask_settings *s, const mask_vocab *v, uint64_t sample)
{
    int32_t before[LENGTH], ids[LENGTH], target[LENGTH];
    int place[LENGTH], scratch[2 * LENGTH], k;
    fill(before, sample);
    memcpy(ids, before, sizeof ids);
    k = mask_tokens(s, v, key_of(7, sample), LENGTH, ids, place, target, scratch);
    CHECK(k <= mask_most(s, LENGTH));
    for (int i = 0, next = 0; i < LENGTH; i++) {
        bool here = next < k && place[next] == i;
        c->eligible += !v->special[before[i]];
        CHECK(!here || (!v->special[before[i]] && target[next] == before[i]));
        CHECK(here || ids[i] == before[i]);
        next += here;
        if (!here) continue;
        c->chosen++;
        if (ids[i] == MASK) c->masked++;
        else if (ids[i] == before[i]) c->kept++;
        else { c->random[ids[i]]++; c->randoms++; }
        CHECK(ids[i] == MASK || ids[i] >= SPECIAL);
    }
    for (int i = 1; i < k; i++) CHECK(place[i] > place[i - 1]);
}

static void check_share(const char *what, double part, double of, double p)
{
    double share = part / of, bound = 5 * sqrt(p * (1 - p) / of);
    CHECK_MSG(fabs(share - p) <= bound, "%s: %.5f of %.0f, expected %.5f +- %.5f", what, share, of, p, bound);
}

/* The chi-square statistic of n classes is near normal: mean n-1, variance 2(n-1); p > 1e-4 is below 3.72
 * deviations. */
static void check_uniform(const counted *c)
{
    double expected = c->randoms / (VOCAB - SPECIAL), chi = 0, free = VOCAB - SPECIAL - 1;
    for (int i = SPECIAL; i < VOCAB; i++) chi += (c->random[i] - expected) * (c->random[i] - expected) / expected;
    CHECK_MSG(chi < free + 3.72 * sqrt(2 * free), "chi-square %.1f of %d", chi, VOCAB - SPECIAL - 1);
}

/* About a million eligible tokens. */
static void each_token(void)
{
    mask_vocab v = vocabulary();
    const double rates[] = { 0.15, 0.3 };
    for (int r = 0; r < 2; r++) {
        mask_settings s = { MASK_EACH, rates[r], 0.1, 0.1, false };
        counted *c = calloc(1, sizeof *c);
        for (uint64_t sample = 0; sample < 8000; sample++) count_sample(c, &s, &v, sample);
        CHECK(c->eligible > 0.99e6);
        check_share("chosen", c->chosen, c->eligible, rates[r]);
        check_share("masked", c->masked, c->chosen, 0.8);
        /* a random id may happen to be the one that stood there */
        double same = 0.1 / (VOCAB - SPECIAL);
        check_share("kept", c->kept, c->chosen, 0.1 + same);
        check_share("random", c->randoms, c->chosen, 0.1 - same);
        check_uniform(c);
        free(c);
    }
    mask_vocab_close(&v);
}

static void an_exact_count(void)
{
    mask_vocab v = vocabulary();
    mask_settings s = { MASK_COUNT, 0.15, 0.1, 0.1, false };
    counted *c = calloc(1, sizeof *c);
    double at[LENGTH] = { 0 };
    for (uint64_t sample = 0; sample < 4000; sample++) {
        int32_t ids[LENGTH], target[LENGTH];
        int place[LENGTH];
        fill(ids, sample);
        CHECK(mask_tokens(&s, &v, key_of(7, sample), LENGTH, ids, place, target, NULL) == 19);  /* round(128 * 0.15) */
        for (int i = 0; i < 19; i++) at[place[i]]++;
        count_sample(c, &s, &v, sample);
    }
    CHECK(c->chosen == 4000 * 19);
    check_share("masked", c->masked, c->chosen, 0.8);
    for (int i = 0; i < LENGTH; i++)                                /* every eligible place alike */
        if (i && i != LENGTH / 3 && i != LENGTH - 1) check_share("a place", at[i], 4000, 19.0 / (LENGTH - 3));
    int32_t few[4] = { CLS, 70, SEP, SEP }, target[4];
    int place[4];
    /* max(1, round(0.6)) */
    CHECK(mask_tokens(&s, &v, 1, 4, few, place, target, NULL) == 1 && place[0] == 1 && target[0] == 70);
    int32_t none[2] = { CLS, SEP };
    CHECK(mask_tokens(&s, &v, 1, 2, none, place, target, NULL) == 0);
    free(c);
    mask_vocab_close(&v);
}

static void whole_words(void)
{
    mask_vocab v = vocabulary();
    mask_settings s = { MASK_WORDS, 0.15, 0.1, 0.1, false };
    double chosen = 0;
    for (uint64_t sample = 0; sample < 2000; sample++) {
        int32_t before[LENGTH], ids[LENGTH], target[LENGTH];
        int place[LENGTH], scratch[2 * LENGTH], hit[LENGTH] = { 0 };
        fill(before, sample);
        memcpy(ids, before, sizeof ids);
        int k = mask_tokens(&s, &v, key_of(3, sample), LENGTH, ids, place, target, scratch);
        CHECK(k <= 19);
        chosen += k;
        for (int i = 0; i < k; i++) hit[place[i]] = 1;
        for (int i = 1; i < LENGTH; i++)
            if (v.continues[before[i]] && !v.special[before[i - 1]]) CHECK(hit[i] == hit[i - 1]);
    }
    CHECK(chosen > 2000 * 18.5);                                    /* hardly a word is too long for what is left */
    mask_vocab_close(&v);
}

static void keys_decide(void)
{
    mask_vocab v = vocabulary();
    for (int kind = 0; kind < MASK_KINDS; kind++) {
        mask_settings s = { (mask_kind)kind, 0.15, 0.1, 0.1, false };
        int32_t a[LENGTH], b[LENGTH], c[LENGTH], target[LENGTH];
        int place[LENGTH], scratch[2 * LENGTH];
        fill(a, 1);
        fill(b, 1);
        fill(c, 1);
        mask_tokens(&s, &v, 11, LENGTH, a, place, target, scratch);
        mask_tokens(&s, &v, 11, LENGTH, b, place, target, scratch);
        mask_tokens(&s, &v, 12, LENGTH, c, place, target, scratch);
        CHECK(!memcmp(a, b, sizeof a) && memcmp(a, c, sizeof a));
        CHECK(mask_find(mask_name((mask_kind)kind)) == kind);
        s.keep = 0;
        s.random = 0;                                               /* nothing but [MASK] */
        fill(a, 1);
        int k = mask_tokens(&s, &v, 11, LENGTH, a, place, target, scratch);
        for (int i = 0; i < k; i++) CHECK(a[place[i]] == MASK);
    }
    mask_vocab_close(&v);
}

const test tests_objectives[] = {
    { "objectives: masks of each token", each_token },
    { "objectives: masks of an exact count", an_exact_count },
    { "objectives: masks of whole words", whole_words },
    { "objectives: keys decide masks", keys_decide },
    { 0 }
};

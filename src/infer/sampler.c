/* The next token.  In this order: repetition penalty (Keskar et al. 2019),
 * top-k (Fan et al. 2018), temperature, top-p (Holtzman et al. 2020), min-p
 * (Nguyen et al. 2024), one draw.  Temperature 0 takes the largest logit. */
#include "infer/infer.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct { float value; int32_t id; } candidate;

static int larger_first(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

/* Each id that stands before counts once: an entry that differs from the given one has been penalized. */
static void penalize(float *logits, const float *given, int vocab, const int32_t *ids, size_t n, float penalty)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= vocab || logits[ids[i]] < given[ids[i]] || logits[ids[i]] > given[ids[i]]) continue;
        float *l = &logits[ids[i]];
        *l = *l > 0 ? *l / penalty : *l * penalty;
    }
}

static int32_t largest(const float *logits, int vocab)
{
    int32_t best = 0;
    for (int i = 1; i < vocab; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

int32_t sample(const float *given, int vocab, const int32_t *ids, size_t n, size_t number, const lithe_sampling *o, float *scratch)
{
    const float *logits = given;
    candidate *c = (candidate *)(void *)scratch;          /* (vocab) of two floats each */
    float *changed = NULL;
    if (o->repetition > 0 && o->repetition != 1 && (changed = malloc((size_t)vocab * sizeof *changed))) {
        memcpy(changed, given, (size_t)vocab * sizeof *changed);
        penalize(changed, given, vocab, ids, n, o->repetition);
        logits = changed;
    }
    int32_t answer;
    if (!(o->temperature > 0)) { answer = largest(logits, vocab); goto out; }

    for (int i = 0; i < vocab; i++) c[i] = (candidate){ logits[i], i };
    qsort(c, (size_t)vocab, sizeof *c, larger_first);
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
    int chosen = 0;
    while (chosen + 1 < kept && (draw -= (double)c[chosen].value) >= 0) chosen++;
    answer = c[chosen].id;
out:
    free(changed);
    return answer;
}

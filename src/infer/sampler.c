/* Samples the next token in this order: repetition penalty (Keskar et al. 2019),
 * top-k (Fan et al. 2018), temperature, top-p (Holtzman et al. 2020), min-p
 * (Nguyen et al. 2024), one draw.  Temperature 0 takes the largest logit.
 *
 * This is defined on the whole vocabulary, sorted by its logits, of equal ones the
 * lower id first.  It is sorted only as far as needed: logits fall into buckets of
 * equal width, the sums of the buckets say how many of them contain the tokens that
 * will be kept, and these buckets are sorted, each by itself.  The weights of the others
 * are summed in another order and without rounding to float; if that could change the
 * result, all are sorted.
 * Invariant: the choice is that of the sorted whole vocabulary. */
#include "infer/sampler.h"
#include "base/sized.h"
#include "base/arena.h"
#include "base/random.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, SHORT = 12 };
static const double NOTHING = 105;                       /* e^-105 is zero as a float */
/* Bound on the relative error of the sum of all weights: rounding to float, and a margin. */
static const double DOUBT = 1.3e-7;

/* ---- memory ----------------------------------------------------------------------- */

int sampling_read(lithe_sampling *own, const lithe_sampling *o, lithe_error *err)
{
    if (options_read(own, sizeof *own, o, "lithe_sampling", err)) return LITHE_EINVAL;
    const struct { const char *name; double value, most; } numbers[] = {
        { "temperature", (double)own->temperature, HUGE_VAL }, { "top_p", (double)own->top_p, 1 }, { "min_p", (double)own->min_p, 1 },
        { "repetition", (double)own->repetition, HUGE_VAL }, { "top_k", own->top_k, HUGE_VAL } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value <= numbers[i].most) || isinf(numbers[i].value))
            return fail(err, LITHE_EINVAL, "%s is %g, expected a number from 0%s", numbers[i].name, numbers[i].value, numbers[i].most > 1 ? " on" : " to 1");
    return LITHE_OK;
}

int sampler_open(sampler *s, int vocab, lithe_error *err)
{
    *s = (sampler){ .vocab = vocab };
    if (failed(err)) return err->status;
    s->penalized = xalloc((size_t)vocab, sizeof *s->penalized);
    s->sorted = xalloc((size_t)vocab, sizeof *s->sorted);
    s->end = xalloc(BUCKETS, sizeof *s->end);
    s->weight = xalloc(BUCKETS, sizeof *s->weight);
    s->mass = xalloc(BUCKETS, sizeof *s->mass);
    if (s->penalized && s->sorted && s->end && s->weight && s->mass) return LITHE_OK;
    sampler_close(s);
    return fail(err, LITHE_ENOMEM, "not enough memory to choose among %d tokens", vocab);
}

void sampler_close(sampler *s)
{
    free(s->penalized);
    free(s->sorted);
    free(s->end);
    free(s->weight);
    free(s->mass);
    *s = (sampler){ 0 };
}

/* ---- logits -------------------------------------------------------------------------- */

/* Each id that occurred counts once: an entry that differs from the given logit has been penalized. */
static void penalize(float *logits, const float *given, int vocab, const int32_t *ids, size_t n, float penalty)
{
    memcpy(logits, given, (size_t)vocab * sizeof *logits);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= vocab || logits[ids[i]] < given[ids[i]] || logits[ids[i]] > given[ids[i]]) continue;
        float *l = &logits[ids[i]];
        *l = *l > 0 ? *l / penalty : *l * penalty;
    }
}

/* Finds the range of the logits.  Those below `least`, and minus infinity, have no weight. */
typedef struct { const float *logits; int vocab, largest; double top, least, per_logit, temperature; } extent;

static int measure(extent *x, const float *logits, int vocab, double temperature, lithe_error *err)
{
    float top = -INFINITY, low = INFINITY;
    int largest = -1;
    for (int i = 0; i < vocab; i++) {
        float v = logits[i];
        if (!(v <= FLT_MAX)) return fail(err, LITHE_EINVAL, "the logit of token %d is %s: no token can be chosen", i, isnan(v) ? "not a number" : "infinite");
        if (v > top) { top = v; largest = i; }
        if (v < low && v >= -FLT_MAX) low = v;
    }
    if (largest < 0) return fail(err, LITHE_EINVAL, "the logits of all %d tokens are minus infinity: no token can be chosen", vocab);
    double reach = fmin((double)top - (double)low, NOTHING * temperature);
    *x = (extent){ .logits = logits, .vocab = vocab, .largest = largest, .top = (double)top, .least = (double)top - reach,
                   .per_logit = reach > 0 ? (BUCKETS - 1) / reach : 0, .temperature = temperature };
    return LITHE_OK;
}

/* The bucket of a logit; a larger logit is never in a later bucket. */
static int bucket_of(const extent *x, float v) { return (int)((x->top - (double)v) * x->per_logit); }

static bool has_weight(const extent *x, float v) { return (double)v >= x->least; }

/* ---- buckets ---------------------------------------------------------------------------- */

/* Counts the logits of each bucket; returns the number of all. */
static int count_logits(sampler *s, const extent *x)
{
    int all = 0;
    memset(s->end, 0, BUCKETS * sizeof *s->end);
    for (int i = 0; i < x->vocab; i++)
        if (has_weight(x, x->logits[i])) s->end[bucket_of(x, x->logits[i])]++, all++;
    return all;
}

/* The same with their weights: e^d is the weight of the bucket times a polynomial, since all d in it differ by less
 * than 0.03. */
static int weigh_logits(sampler *s, const extent *x, double *total)
{
    const double width = x->per_logit > 0 ? 1 / (x->per_logit * x->temperature) : 0;
    int all = 0;
    for (int b = 0; b < BUCKETS; b++) {
        s->end[b] = 0;
        s->mass[b] = 0;
        s->weight[b] = exp(-b * width);
    }
    for (int i = 0; i < x->vocab; i++) {
        if (!has_weight(x, x->logits[i])) continue;
        double at = (x->top - (double)x->logits[i]) * x->per_logit;
        int b = (int)at;
        double d = (b - at) * width;
        s->mass[b] += s->weight[b] * (1 + d * (1 + d * (1.0 / 2 + d * (1.0 / 6 + d * (1.0 / 24 + d * (1.0 / 120))))));
        s->end[b]++;
        all++;
    }
    *total = 0;
    for (int b = 0; b < BUCKETS; b++) *total += s->mass[b];
    return all;
}

/* ---- sorting ------------------------------------------------------------------------------ */

static bool comes_first(candidate a, candidate b) { return a.value > b.value || (!(a.value < b.value) && a.id < b.id); }

static void insert_each(candidate *c, int n)
{
    for (int i = 1; i < n; i++) {
        candidate x = c[i];
        int at = i;
        for (; at > 0 && comes_first(x, c[at - 1]); at--) c[at] = c[at - 1];
        c[at] = x;
    }
}

/* Puts x into the heap, whose root, the last in order, is missing at `at`. */
static void sift(candidate *c, int at, int n, candidate x)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_first(c[child], c[child + 1])) child++;
        if (comes_first(c[child], x)) break;
        c[at] = c[child];
    }
    c[at] = x;
}

/* Heapsort: in place, without recursion or memory. */
static void sort_candidates(candidate *c, int n)
{
    if (n <= SHORT) { insert_each(c, n); return; }
    for (int i = n / 2 - 1; i >= 0; i--) sift(c, i, n, c[i]);
    for (int last = n - 1; last > 0; last--) {
        candidate x = c[last];
        c[last] = c[0];
        sift(c, 0, last, x);
    }
}

/* Sorts the logits of buckets 0 .. cut; returns their number. */
static int sort_buckets(sampler *s, const extent *x, int cut)
{
    int n = 0;
    for (int b = 0; b <= cut; b++) {
        int own = s->end[b];
        s->end[b] = n;                                   /* the beginning of the bucket, which moves to its end */
        n += own;
    }
    for (int i = 0; i < x->vocab; i++) {
        float v = x->logits[i];
        int b = has_weight(x, v) ? bucket_of(x, v) : BUCKETS;
        if (b <= cut) s->sorted[s->end[b]++] = (candidate){ v, i };
    }
    for (int b = 0, begin = 0; b <= cut; begin = s->end[b++]) sort_candidates(s->sorted + begin, s->end[b] - begin);
    return n;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static bool is_share(float p) { return p > 0 && p < 1; }

/* The number of the `kept` likeliest tokens that top-p keeps; `known` of them have weights here, and all weights add
 * up to about `total`.  -1 if more weights are needed. */
static int keep_mass(const candidate *c, int known, int kept, double p, double total)
{
    double mass = 0, doubt = known < kept ? DOUBT * total : 0;
    int i = 0;
    do {
        if (i == known) return -1;
        mass += (double)c[i++].value;
        if (doubt > 0 && fabs(mass - p * total) <= doubt) return -1;
    } while (i < kept && mass < p * total);
    return i;
}

static double sum_of(const candidate *c, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)c[i].value;
    return sum;
}

/* The token that is drawn: the one whose share of `total` contains the point; -1 if more weights are needed. */
static int draw_from(const candidate *c, int known, int kept, double total, double unit)
{
    double point = unit * total, doubt = known < kept ? DOUBT * total : 0;
    int chosen = 0;
    for (; chosen + 1 < kept; chosen++) {
        if (chosen == known) return -1;
        point -= (double)c[chosen].value;
        if (doubt > 0 && fabs(point) <= doubt) return -1;
        if (point < 0) break;
    }
    return chosen < known ? chosen : -1;
}

/* The chosen one of the first `sorted` tokens, of which at most `kept` are kept; -1 if more must be sorted. */
static int choose(candidate *c, int sorted, int kept, const extent *x, const lithe_sampling *o, double total, double unit)
{
    int known = sorted < kept ? sorted : kept;
    for (int i = 0; i < known; i++) c[i].value = (float)exp(((double)c[i].value - x->top) / x->temperature);
    if (known == kept) total = sum_of(c, kept);
    if (is_share(o->top_p)) kept = keep_mass(c, known, kept, (double)o->top_p, total);
    else if (o->min_p > 0) kept = known;                 /* those after are below min_p */
    if (kept < 0) return -1;
    while (o->min_p > 0 && kept > 1 && c[kept - 1].value < o->min_p * c[0].value) kept--;
    if (kept <= known) total = sum_of(c, kept);
    return draw_from(c, known, kept, total, unit);
}

/* The first bucket that need not be sorted: at least `count` logits, or the weight `mass`, are before it. */
static int cut_by_count(const sampler *s, int count)
{
    int b = 0;
    for (int sum = s->end[0]; sum < count; ) sum += s->end[++b];
    return b;
}

static int cut_by_mass(const sampler *s, double mass)
{
    int b = 0;
    for (double sum = s->mass[0]; sum < mass && b + 1 < BUCKETS; ) sum += s->mass[++b];
    return b;
}

static int cut_by_share(const extent *x, double share)
{
    double depth = share < 1 ? -log(share) * x->temperature * x->per_logit : 0;
    return depth < BUCKETS - 2 ? (int)depth + 1 : BUCKETS - 1;
}

static int32_t draw(sampler *s, const extent *x, const lithe_sampling *o, double unit)
{
    bool top_k = o->top_k > 0 && o->top_k < x->vocab, weigh = !top_k && (is_share(o->top_p) || !(o->min_p > 0));
    double total = 0, share = is_share(o->top_p) ? (double)o->top_p : unit;
    int all = weigh ? weigh_logits(s, x, &total) : count_logits(s, x), kept = top_k && o->top_k < all ? o->top_k : all;
    int cut = weigh ? cut_by_mass(s, (share + 2 * DOUBT) * total) : top_k ? cut_by_count(s, kept) : cut_by_share(x, (double)o->min_p);
    int chosen = choose(s->sorted, sort_buckets(s, x, cut), kept, x, o, total, unit);
    if (chosen < 0) {
        count_logits(s, x);
        chosen = choose(s->sorted, sort_buckets(s, x, BUCKETS - 1), kept, x, o, total, unit);
    }
    return s->sorted[chosen].id;
}

int sampler_next(sampler *s, const float *logits, const int32_t *before, size_t n, size_t number, const lithe_sampling *o, int32_t *id, lithe_error *err)
{
    extent x;
    if (failed(err)) return err->status;
    if (o->repetition > 0 && (o->repetition < 1 || o->repetition > 1)) {
        penalize(s->penalized, logits, s->vocab, before, n, o->repetition);
        logits = s->penalized;
    }
    int status = measure(&x, logits, s->vocab, (double)o->temperature, err);
    if (status) return status;
    *id = o->temperature > 0 ? draw(s, &x, o, random_unit(key_of(o->seed, 0x5a11ce), number)) : x.largest;
    return LITHE_OK;
}

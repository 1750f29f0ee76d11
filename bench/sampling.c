/* What choosing a token costs, beside sorting the vocabulary for it (qsort, as a
 * plain sampler does), in turns.  Logits lie as those of a language model: a bell,
 * and a few above it.  One CSV row for each way: milliseconds, medians.
 *
 *     bench-sampling [VOCABULARY...]        50257 152064
 *
 * One thread, its own time. */
#include "base/random.h"
#include "infer/sampler.h"
#include "timing.h"
#include <math.h>

enum { TIMES = 51, BEFORE = 200, ABOVE = 40 };

static const struct { const char *name; lithe_sampling o; } WAYS[] = {
    { "greedy", { .temperature = 0 } },
    { "temperature 0.8; top-p 0.95", { .temperature = 0.8f, .top_p = 0.95f } },
    { "the same; penalty 1.2", { .temperature = 0.8f, .top_p = 0.95f, .repetition = 1.2f } },
    { "temperature 1", { .temperature = 1 } },
    { "temperature 1; top-k 40", { .temperature = 1, .top_k = 40 } },
    { "temperature 1; min-p 0.05", { .temperature = 1, .min_p = 0.05f } },
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int larger_first(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    return (a->value < b->value) - (a->value > b->value);
}

static double time_sorting(const float *logits, int vocab, candidate *c)
{
    double start = seconds();
    for (int i = 0; i < vocab; i++) c[i] = (candidate){ logits[i], i };
    qsort(c, (size_t)vocab, sizeof *c, larger_first);
    return seconds() - start;
}

static double time_choosing(sampler *s, const float *logits, const int32_t *before, const lithe_sampling *o, size_t number, lithe_error *err)
{
    int32_t id;
    double start = seconds();
    sampler_next(s, logits, before, BEFORE, number, o, &id, err);
    return seconds() - start;
}

static int run(int vocab, lithe_error *err)
{
    sampler s;
    float *logits = calloc((size_t)vocab, sizeof *logits);
    candidate *c = calloc((size_t)vocab, sizeof *c);
    int32_t before[BEFORE];
    if (!logits || !c || sampler_open(&s, vocab, err)) return 1;
    for (int i = 0; i < vocab; i++) logits[i] = (float)(2 * random_normal(7, (uint64_t)i) - 40);
    for (uint64_t i = 0; i < ABOVE; i++) logits[random_u64(8, i) % (uint64_t)vocab] = (float)(-26 + 2 * random_normal(9, i));
    for (uint64_t i = 0; i < BEFORE; i++) before[i] = (int32_t)(random_u64(10, i) % (uint64_t)vocab);
    for (size_t w = 0; w < sizeof WAYS / sizeof *WAYS; w++) {
        double own[TIMES], sorting[TIMES];
        for (int i = 0; i < TIMES; i++) {
            own[i] = time_choosing(&s, logits, before, &WAYS[w].o, (size_t)i, err);
            sorting[i] = time_sorting(logits, vocab, c);
        }
        printf("%s,%s,%d,%s,%.3f,%.3f\n", COMMIT, cpu_name(), vocab, WAYS[w].name, 1e3 * median(own, TIMES), 1e3 * median(sorting, TIMES));
    }
    sampler_close(&s);
    free(logits);
    free(c);
    return 0;
}

int main(int argc, char **argv)
{
    static char *usual[] = { "", "50257", "152064" };
    lithe_error err = { 0 };
    if (argc < 2) { argc = 3; argv = usual; }
    printf("commit,cpu,vocabulary,way,milliseconds,sorting\n");
    for (int i = 1; i < argc; i++)
        if (atoi(argv[i]) < 1 || run(atoi(argv[i]), &err)) { fprintf(stderr, "%s: %s\n", argv[i], err.status ? err.text : "is no size of a vocabulary"); return 1; }
    return 0;
}

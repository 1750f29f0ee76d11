#include "base/bootstrap.h"
#include "base/arena.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>

enum { RESAMPLES = 2000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A number below n: the high half of a product, without division. */
static size_t below(uint64_t random, size_t n) { return (size_t)((random >> 32) * (uint64_t)n >> 32); }

void bootstrap_mean(const double *x, size_t n, uint64_t seed, double interval[2])
{
    double *means = n ? xalloc(RESAMPLES, sizeof *means) : NULL;
    interval[0] = interval[1] = NAN;
    if (!means) return;
    for (size_t r = 0; r < RESAMPLES; r++) {
        uint64_t key = key_of(seed, r);
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += x[below(random_u64(key, i), n)];
        means[r] = sum / (double)n;
    }
    qsort(means, RESAMPLES, sizeof *means, by_value);
    interval[0] = means[RESAMPLES / 40];                    /* 2.5 % */
    interval[1] = means[RESAMPLES - 1 - RESAMPLES / 40];
    free(means);
}

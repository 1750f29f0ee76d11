/* The percentile bootstrap (Efron 1979): the interval in which the mean of resamples lies in 95 % of the cases. */
#ifndef BASE_BOOTSTRAP_H
#define BASE_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

/* The interval of the mean of x (n); the same seed gives the same interval.  NAN for n 0, or when memory is out. */
void bootstrap_mean(const double *x, size_t n, uint64_t seed, double interval[2]);

#endif

/* Samples the next token from logits.  Its memory is allocated once. */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H

#include "base/error.h"
#include <stdint.h>

typedef struct { float value; int32_t id; } candidate;

typedef struct {
    int vocab;
    float *penalized;                /* (vocab) logits, changed by the repetition penalty */
    candidate *sorted;               /* (vocab) the likeliest first, sorted as far as needed */
    int *end;                        /* the end of each bucket in sorted */
    double *weight, *mass;           /* the weight of a bucket's first logit; of all its logits */
} sampler;

int  sampler_open(sampler *s, int vocab, lithe_error *err);
void sampler_close(sampler *s);

/* Copies o (NULL: all zero) and refuses what is no way to sample. */
int  sampling_read(lithe_sampling *own, const lithe_sampling *o, lithe_error *err);

/* Samples the next id from logits (vocab).  The repetition penalty applies to the n ids before
 * it, however often they occur.  number is the number of the draw: the same seed at
 * the same position of a sequence gives the same draw.  Logits that are NaN, or of which none
 * is finite, are refused. */
int  sampler_next(sampler *s, const float *logits, const int32_t *before, size_t n, size_t number, const lithe_sampling *o, int32_t *id, lithe_error *err);

#endif

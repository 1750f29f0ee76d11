/* Choosing the next token from logits.  The memory for it is taken once. */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H

#include "base/error.h"
#include <stdint.h>

typedef struct { float value; int32_t id; } candidate;

typedef struct {
    int vocab;
    float *penalized;                /* (vocab) logits, changed by the repetition penalty */
    candidate *sorted;               /* (vocab) the likeliest first, as far as was needed */
    int *end;                        /* of each bucket in sorted */
    double *weight, *mass;           /* of a bucket's first logit; of all that is in it */
} sampler;

int  sampler_open(sampler *s, int vocab, lithe_error *err);
void sampler_close(sampler *s);

/* The next id from logits (vocab); the n ids that stand before it, however
 * often, weigh in through the repetition penalty; number counts the draw: the same
 * seed at the same place of a sequence draws alike.  Refuses logits that are no
 * numbers, or of which none is finite. */
int  sampler_next(sampler *s, const float *logits, const int32_t *before, size_t n, size_t number, const lithe_sampling *o, int32_t *id, lithe_error *err);

#endif

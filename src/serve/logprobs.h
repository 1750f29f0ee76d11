/* Log-probabilities of tokens, from the logits as the model gives them. */
#ifndef SERVE_LOGPROBS_H
#define SERVE_LOGPROBS_H

#include <stdint.h>

typedef struct { int32_t id; float logprob; } scored_id;

/* The log-probability of id by logits (vocab), not below -9999, which JSON can hold.  top (count) receives the
 * likeliest ids, of equal ones the lower first; id -1 where the vocabulary has no more. */
float logprob_of(const float *logits, int vocab, int32_t id, scored_id *top, int count);

#endif

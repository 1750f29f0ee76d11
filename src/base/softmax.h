/* Probabilities from n logits, with sums in double. */
#ifndef BASE_SOFTMAX_H
#define BASE_SOFTMAX_H

double softmax_loss(const float *logits, int n, int target);            /* -log softmax(logits)[target] */
void   softmax_probabilities(const float *logits, int n, float *out);

#endif

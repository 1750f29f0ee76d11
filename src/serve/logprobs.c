#include "serve/logprobs.h"
#include <math.h>

static const float LEAST = -9999;

static void offer(scored_id *top, int count, int32_t id, float logit)
{
    int at = count;
    while (at > 0 && (top[at - 1].id < 0 || top[at - 1].logprob < logit)) at--;
    for (int i = count - 1; i > at; i--) top[i] = top[i - 1];
    if (at < count) top[at] = (scored_id){ id, logit };
}

static float at_least(double logprob) { return logprob > (double)LEAST ? (float)logprob : LEAST; }

float logprob_of(const float *logits, int vocab, int32_t id, scored_id *top, int count)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) top[i] = (scored_id){ -1, 0 };
    for (int i = 0; i < vocab; i++) {
        if ((double)logits[i] > most) most = (double)logits[i];
        if (count && (top[count - 1].id < 0 || logits[i] > top[count - 1].logprob)) offer(top, count, i, logits[i]);
    }
    for (int i = 0; i < vocab; i++) sum += exp((double)logits[i] - most);
    double all = most + log(sum);
    for (int i = 0; i < count && top[i].id >= 0; i++) top[i].logprob = at_least((double)top[i].logprob - all);
    return at_least((double)logits[id] - all);
}

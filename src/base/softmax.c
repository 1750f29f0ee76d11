#include "base/softmax.h"
#include <math.h>

double softmax_loss(const float *logits, int n, int target)
{
    double top = (double)logits[0], sum = 0;
    for (int i = 1; i < n; i++) if ((double)logits[i] > top) top = (double)logits[i];
    for (int i = 0; i < n; i++) sum += exp((double)logits[i] - top);
    return top + log(sum) - (double)logits[target];
}

void softmax_probabilities(const float *logits, int n, float *out)
{
    for (int i = 0; i < n; i++) out[i] = (float)exp(-softmax_loss(logits, n, i));
}

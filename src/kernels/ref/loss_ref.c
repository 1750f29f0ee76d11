/* Losses, forward and backward in one pass.  In the cross-entropy of integer targets
 * the gradient takes the place of the logits.  A row of weight 0 is not read,
 * so its target may be anything. */
#include "kernels/ref/ref.h"
#include <math.h>

static double log_sum_exp(const real *x, int n)
{
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = fmax(max, (double)x[i]);
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - max);
    return max + log(sum);
}

void ref_cross_entropy(real *logits, exact *loss, const int *target, const real *weight, bool backward, real scale,
                       int rows, int vocab)
{
    for (int r = 0; r < rows; r++, logits += vocab) {
        double w = weight ? (double)weight[r] : 1, lse = w != 0 ? log_sum_exp(logits, vocab) : 0;
        loss[r] = w != 0 ? (exact)(w * (lse - (double)logits[target[r]])) : 0;
        if (!backward) continue;
        for (int i = 0; i < vocab; i++)
            logits[i] = w != 0 ? (real)((double)scale * w * (exp((double)logits[i] - lse) - (i == target[r]))) : 0;
    }
}

void ref_correct(exact *right, const real *logits, const int *target, const real *weight, int rows, int vocab)
{
    for (int r = 0; r < rows; r++, logits += vocab) {
        bool counts = !weight || weight[r] != 0, above = false;
        for (int i = 0; counts && i < vocab; i++) above |= logits[i] > logits[target[r]];
        right[r] = counts && !above;
    }
}

void ref_squared_error(exact *loss, real *dx, bool add, const real *x, const real *value, real scale, int rows)
{
    for (int r = 0; r < rows; r++) {
        real error = x[r] - value[r], slope = 2 * scale * error;
        loss[r] = error * error;
        if (dx) dx[r] = add ? dx[r] + slope : slope;
    }
}

void ref_largest(exact *value, int *index, const real *x, int rows, int width)
{
    for (int r = 0; r < rows; r++, x += width) {
        int at = 0;
        for (int i = 1; i < width; i++)
            if (x[i] > x[at]) at = i;
        index[r] = at;
        value[r] = x[at];
    }
}

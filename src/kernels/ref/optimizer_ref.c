/* AdamW (Loshchilov & Hutter 2019; equations at adamw_args) and the norm by which
 * its gradients are clipped. */
#include "kernels/ref/ref.h"
#include <math.h>

void ref_adamw(real *w, real *m, real *v, const real *g, size_t n, const adamw_args *a)
{
    for (size_t i = 0; i < n; i++) {
        double d = (double)g[i] * (double)a->scale;
        m[i] = (real)((double)a->beta1 * (double)m[i] + (1 - (double)a->beta1) * d);
        v[i] = (real)((double)a->beta2 * (double)v[i] + (1 - (double)a->beta2) * d * d);
        double mhat = (double)m[i] / (double)a->correction1, vhat = (double)v[i] / (double)a->correction2;
        w[i] -= (real)((double)a->lr * (mhat / (sqrt(vhat) + (double)a->eps) + (double)a->weight_decay * (double)w[i]));
    }
}

double ref_sum_of_squares(const real *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

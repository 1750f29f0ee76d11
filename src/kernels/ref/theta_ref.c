/* Theta, Pattention's normalisation (Wang et al. 2024, eq. 5, 25), row by row:
 *
 *     L2 then GELU   z = a tau / rho,  s = gelu(z),      rho = |a|
 *     GELU then L2   u = gelu(a),      s = u tau / rho,  rho = |u|
 *     softmax        s = tau2 softmax(a)
 *
 * with tau2 = tau^2 and the exact (erf) GELU.  A row whose rho is 0 gives zeros
 * and no gradient; there is no eps, which would break the scale invariance. */
#include "kernels/ref/ref.h"
#include <math.h>

static double gelu(double x)  { return 0.5 * x * erfc(-x * 0.70710678118654752440); }
static double slope(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440) + x * 0.39894228040143267794 * exp(-0.5 * x * x);
}

static exact softmax_row(real *s, const real *a, double tau2, int n)
{
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = fmax(max, (double)a[i]);
    for (int i = 0; i < n; i++) sum += exp((double)a[i] - max);
    for (int i = 0; i < n; i++) s[i] = (real)(tau2 * exp((double)a[i] - max) / sum);
    return (exact)(max + log(sum));
}

static exact l2_row(real *s, const real *a, bool gelu_first, double tau, int n)
{
    double square = 0;
    for (int i = 0; i < n; i++) {
        double u = gelu_first ? gelu((double)a[i]) : (double)a[i];
        square += u * u;
    }
    double rho = sqrt(square), inverse = rho > 0 ? tau / rho : 0;
    for (int i = 0; i < n; i++) s[i] = (real)(gelu_first ? gelu((double)a[i]) * inverse : gelu((double)a[i] * inverse));
    return (exact)rho;
}

void ref_theta(real *s, exact *stat, const real *a, theta_kind kind, real tau2, int rows, int n)
{
    for (int r = 0; r < rows; r++, s += n, a += n)
        stat[r] = kind == THETA_SOFTMAX ? softmax_row(s, a, (double)tau2, n)
                                        : l2_row(s, a, kind == THETA_GELU_L2, sqrt((double)tau2), n);
}

/* da = s (ds - sum(ds s) / tau2) */
static void softmax_backward(real *da, const real *ds, const real *a, double lse, double tau2, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)ds[i] * exp((double)a[i] - lse);
    for (int i = 0; i < n; i++) da[i] = (real)(tau2 * exp((double)a[i] - lse) * ((double)ds[i] - sum));
}

/* g = ds gelu'(z);  da = tau / rho (g - z sum(g z) / tau2) */
static void l2_gelu_backward(real *da, const real *ds, const real *a, double inverse, double tau2, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double z = (double)a[i] * inverse;
        sum += (double)ds[i] * slope(z) * z;
    }
    for (int i = 0; i < n; i++) {
        double z = (double)a[i] * inverse;
        da[i] = (real)(inverse * ((double)ds[i] * slope(z) - z * sum / tau2));
    }
}

/* du = tau / rho (ds - s sum(ds s) / tau2);  da = du gelu'(a) */
static void gelu_l2_backward(real *da, const real *ds, const real *a, double inverse, double tau2, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)ds[i] * gelu((double)a[i]) * inverse;
    for (int i = 0; i < n; i++) {
        double s = gelu((double)a[i]) * inverse;
        da[i] = (real)(inverse * ((double)ds[i] - s * sum / tau2) * slope((double)a[i]));
    }
}

void ref_theta_backward(real *da, const real *ds, const real *a, const exact *stat, theta_kind kind, real tau2, int rows, int n)
{
    for (int r = 0; r < rows; r++, da += n, ds += n, a += n) {
        double rho = (double)stat[r], inverse = rho > 0 ? sqrt((double)tau2) / rho : 0;
        if (kind == THETA_SOFTMAX)      softmax_backward(da, ds, a, rho, (double)tau2, n);
        else if (kind == THETA_L2_GELU) l2_gelu_backward(da, ds, a, inverse, (double)tau2, n);
        else                            gelu_l2_backward(da, ds, a, inverse, (double)tau2, n);
    }
}

/* Theta, Pattention's normalisation, row by row (equations in ref/theta_ref.c).
 * A row is read twice, from cache the second time; backward keeps ds gelu' in da
 * between its two passes. */
#include "base/threads.h"
#include "kernels/vector/vec_math.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

typedef struct { float *s; exact *stat; const float *a; theta_kind kind; float tau2; int rows, n; } theta_work;

INLINE vec gelu(vec x) { return vact(ACT_GELU_ERF, x); }
INLINE vec gelu_slope(vec x) { return vact_slope(ACT_GELU_ERF, x); }

static float inverse_of(double rho, float tau2) { return rho > 0 ? (float)(sqrt((double)tau2) / rho) : 0; }

static exact softmax_row(float *s, const float *a, float tau2, int n)
{
    float max = row_maximum(a, n);
    vsum2 sum = vsum2_zero();
    for (int i = 0; i < n; i += VW) {
        vec e = vexp(vsub(vload_or(a + i, n - i, -INFINITY), vset1(max)));
        vsum2_add(&sum, e);
        vstore_n(s + i, n - i, e);
    }
    double total = vsum2_total(sum);
    vec factor = vset1((float)((double)tau2 / total));
    for (int i = 0; i < n; i += VW) vstore_n(s + i, n - i, vmul(vload_n(s + i, n - i), factor));
    return (exact)((double)max + log(total));
}

static exact l2_gelu_row(float *s, const float *a, float tau2, int n)
{
    vsum2 square = vsum2_zero();
    for (int i = 0; i < n; i += VW) {
        vec x = vload_n(a + i, n - i);
        vsum2_fma(&square, x, x);
    }
    double rho = sqrt(vsum2_total(square));
    vec inverse = vset1(inverse_of(rho, tau2));
    for (int i = 0; i < n; i += VW) vstore_n(s + i, n - i, gelu(vmul(vload_n(a + i, n - i), inverse)));
    return (exact)rho;
}

static exact gelu_l2_row(float *s, const float *a, float tau2, int n)
{
    vsum2 square = vsum2_zero();
    for (int i = 0; i < n; i += VW) {
        vec u = gelu(vload_n(a + i, n - i));
        vsum2_fma(&square, u, u);
        vstore_n(s + i, n - i, u);
    }
    double rho = sqrt(vsum2_total(square));
    vec inverse = vset1(inverse_of(rho, tau2));
    for (int i = 0; i < n; i += VW) vstore_n(s + i, n - i, vmul(vload_n(s + i, n - i), inverse));
    return (exact)rho;
}

static void theta_rows(void *context, int task)
{
    const theta_work *c = context;
    int block = rows_in_piece(c->n), end = lesser(c->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++) {
        float *s = c->s + (size_t)r * (size_t)c->n;
        const float *a = c->a + (size_t)r * (size_t)c->n;
        c->stat[r] = c->kind == THETA_SOFTMAX ? softmax_row(s, a, c->tau2, c->n)
                   : c->kind == THETA_L2_GELU ? l2_gelu_row(s, a, c->tau2, c->n) : gelu_l2_row(s, a, c->tau2, c->n);
    }
}

void LEVEL(theta)(real *s, exact *stat, const real *a, theta_kind kind, real tau2, int rows, int n)
{
    theta_work c = { s, stat, a, kind, tau2, rows, n };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(n)), theta_rows, &c);
}

/* ---- backward ---- */

typedef struct { float *da; const float *ds, *a; const exact *stat; theta_kind kind; float tau2; int rows, n; } theta_gradient;

static void softmax_backward(float *da, const float *ds, const float *a, float lse, float tau2, int n)
{
    vec l = vset1(lse);
    vsum2 dot = vsum2_zero();
    for (int i = 0; i < n; i += VW) vsum2_fma(&dot, vload_n(ds + i, n - i), vexp(vsub(vload_n(a + i, n - i), l)));
    vec mean = vset1((float)vsum2_total(dot));
    for (int i = 0; i < n; i += VW) {
        vec p = vexp(vsub(vload_n(a + i, n - i), l));
        vstore_n(da + i, n - i, vmul(vmul(vset1(tau2), p), vsub(vload_n(ds + i, n - i), mean)));
    }
}

static void l2_gelu_backward(float *da, const float *ds, const float *a, float scale, float tau2, int n)
{
    vec inverse = vset1(scale);
    vsum2 dot = vsum2_zero();
    for (int i = 0; i < n; i += VW) {
        vec z = vmul(vload_n(a + i, n - i), inverse), g = vmul(vload_n(ds + i, n - i), gelu_slope(z));
        vsum2_fma(&dot, g, z);
        vstore_n(da + i, n - i, g);
    }
    vec part = vset1((float)(vsum2_total(dot) / (double)tau2));
    for (int i = 0; i < n; i += VW) {
        vec z = vmul(vload_n(a + i, n - i), inverse);
        vstore_n(da + i, n - i, vmul(inverse, vfnma(z, part, vload_n(da + i, n - i))));
    }
}

static void gelu_l2_backward(float *da, const float *ds, const float *a, float scale, float tau2, int n)
{
    vec inverse = vset1(scale);
    vsum2 dot = vsum2_zero();
    for (int i = 0; i < n; i += VW)
        vsum2_fma(&dot, vload_n(ds + i, n - i), vmul(gelu(vload_n(a + i, n - i)), inverse));
    vec part = vset1((float)(vsum2_total(dot) / (double)tau2));
    for (int i = 0; i < n; i += VW) {
        vec x = vload_n(a + i, n - i), s = vmul(gelu(x), inverse);
        vec du = vmul(inverse, vfnma(s, part, vload_n(ds + i, n - i)));
        vstore_n(da + i, n - i, vmul(du, gelu_slope(x)));
    }
}

static void theta_backward_rows(void *context, int task)
{
    const theta_gradient *c = context;
    int block = rows_in_piece(c->n), end = lesser(c->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++) {
        size_t row = (size_t)r * (size_t)c->n;
        float *da = c->da + row, scale = inverse_of((double)c->stat[r], c->tau2);
        const float *ds = c->ds + row, *a = c->a + row;
        if (c->kind == THETA_SOFTMAX)      softmax_backward(da, ds, a, c->stat[r], c->tau2, c->n);
        else if (c->kind == THETA_L2_GELU) l2_gelu_backward(da, ds, a, scale, c->tau2, c->n);
        else                               gelu_l2_backward(da, ds, a, scale, c->tau2, c->n);
    }
}

void LEVEL(theta_backward)(real *da, const real *ds, const real *a, const exact *stat, theta_kind kind, real tau2, int rows, int n)
{
    theta_gradient c = { da, ds, a, stat, kind, tau2, rows, n };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(n)), theta_backward_rows, &c);
}

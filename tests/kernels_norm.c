/* Norms and Theta against their definitions in double, row by row. */
#include "kernels_check.h"
#include <math.h>

static const double slope_tolerance = sizeof(real) == 8 ? 1e-10 : 1e-5;      /* finite differences of plain_slope */

/* ---- norms ------------------------------------------------------------------------------- */

/* One row, forward and backward, from the definition: xhat's derivative is
 * rstd (I - 1/width - xhat xhat^T / width), without the first part for RMSNorm. */
static void plain_norm(double *y, double *dx, double *xhat, double *statistic, const double *x, const double *dy,
                       const double *w, const double *b, double eps, bool centred, int width)
{
    double mean = 0, square = 0, g_mean = 0, g_dot = 0;
    for (int c = 0; centred && c < width; c++) mean += x[c] / width;
    for (int c = 0; c < width; c++) square += pow(x[c] - mean, 2) / width;
    double rstd = 1 / sqrt(square + eps);
    for (int c = 0; c < width; c++) {
        xhat[c] = (x[c] - mean) * rstd;
        y[c] = xhat[c] * w[c] + b[c];
        g_mean += dy[c] * w[c] / width;
        g_dot += dy[c] * w[c] * xhat[c] / width;
    }
    for (int c = 0; c < width; c++) dx[c] += rstd * (dy[c] * w[c] - (centred ? g_mean : 0) - xhat[c] * g_dot);
    statistic[0] = mean;
    statistic[1] = rstd;
}

static void one_norm(const kernels *k, bool centred, bool affine, bool bias, bool add, bool add_param)
{
    int rows = size_up_to(150), width = 1 + size_up_to(400);
    size_t n = (size_t)rows * (size_t)width, wide = (size_t)width;
    real *x = filled(n, 3), *w = affine ? filled(wide, 1) : NULL, *b = bias ? filled(wide, 1) : NULL, *dy = filled(n, 1), eps = (real)1e-5;
    for (size_t i = 0; i < n; i++) x[i] += (real)(i / wide % 3);
    real *y = blank(n), *dx = target(n, add), *dw = target(wide, add_param), *db = target(wide, add_param);
    exact *mean = blank((size_t)rows), *rstd = blank((size_t)rows);
    double *want_y = doubles(NULL, n), *want_dx = prior(dx, n, add), *want_dw = prior(dw, wide, add_param), *want_db = prior(db, wide, add_param);
    double *dx64 = doubles(x, n), *dy64 = doubles(dy, n), *w64 = doubles(w, wide), *b64 = doubles(b, wide), *xhat = doubles(NULL, wide);
    double *want_mean = doubles(NULL, (size_t)rows), *want_rstd = doubles(NULL, (size_t)rows);
    for (size_t c = 0; !affine && c < wide; c++) w64[c] = 1;
    for (int r = 0; r < rows; r++) {
        size_t i = (size_t)r * wide;
        double statistic[2];
        plain_norm(want_y + i, want_dx + i, xhat, statistic, dx64 + i, dy64 + i, w64, b64, (double)eps, centred, width);
        want_mean[r] = statistic[0];
        want_rstd[r] = statistic[1];
        for (size_t c = 0; c < wide; c++) want_dw[c] += dy64[i + c] * xhat[c], want_db[c] += dy64[i + c];
    }
    if (centred) {
        k->layer_norm(y, mean, rstd, x, w, b, eps, rows, width);
        k->layer_norm_backward(dx, add, affine ? dw : NULL, bias ? db : NULL, add_param, dy, x, w, mean, rstd, rows, width);
        expect("mean", mean, want_mean, (size_t)rows, TOLERANCE);
    } else {
        k->rms_norm(y, rstd, x, w, eps, rows, width);
        k->rms_norm_backward(dx, add, affine ? dw : NULL, add_param, dy, x, w, rstd, rows, width);
    }
    expect("norm", y, want_y, n, TOLERANCE);
    expect("rstd", rstd, want_rstd, (size_t)rows, TOLERANCE);
    expect("norm_backward", dx, want_dx, n, TOLERANCE);
    if (affine) expect("norm_backward, dw", dw, want_dw, wide, TOLERANCE);
    if (bias) expect("norm_backward, db", db, want_db, wide, TOLERANCE);
}

void norms(const kernels *k)
{
    EACH_FLAG(centred) EACH_FLAG(affine) EACH_FLAG(add) for (int i = 0; i < 3; i++)
        one_norm(k, centred, affine, centred && affine && i, add, i == 1);
}

/* ---- Pattention -------------------------------------------------------------------------- */

/* s, stat and da of one row from the definitions. */
static void plain_theta(double *s, double *stat, double *da, const double *a, const double *ds, theta_kind kind, double tau2, int n)
{
    double max = -INFINITY, sum = 0, square = 0, dot = 0, tau = sqrt(tau2);
    for (int i = 0; i < n; i++) {
        max = fmax(max, a[i]);
        square += pow(kind == THETA_GELU_L2 ? plain_act(ACT_GELU_ERF, a[i]) : a[i], 2);
    }
    for (int i = 0; i < n; i++) sum += exp(a[i] - max);
    double rho = sqrt(square), f = rho > 0 ? tau / rho : 0;
    *stat = kind == THETA_SOFTMAX ? max + log(sum) : rho;
    for (int i = 0; i < n; i++) {
        if (kind == THETA_SOFTMAX)      s[i] = tau2 * exp(a[i] - max) / sum, dot += ds[i] * s[i] / tau2;
        else if (kind == THETA_L2_GELU) s[i] = plain_act(ACT_GELU_ERF, a[i] * f), dot += ds[i] * plain_slope(ACT_GELU_ERF, a[i] * f) * a[i];
        else                            s[i] = plain_act(ACT_GELU_ERF, a[i]) * f, dot += ds[i] * plain_act(ACT_GELU_ERF, a[i]);
    }
    for (int i = 0; i < n; i++) {
        if (kind == THETA_SOFTMAX)      da[i] = s[i] * (ds[i] - dot);
        else if (kind == THETA_L2_GELU) da[i] = rho > 0 ? f * (ds[i] * plain_slope(ACT_GELU_ERF, a[i] * f) - a[i] * dot / square) : 0;
        else da[i] = rho > 0 ? f * (ds[i] - plain_act(ACT_GELU_ERF, a[i]) * dot / square) * plain_slope(ACT_GELU_ERF, a[i]) : 0;
    }
}

static void one_theta(const kernels *k, theta_kind kind, int rows, int n, double deviation)
{
    size_t size = (size_t)rows * (size_t)n;
    real *a = filled(size, deviation * sqrt(3)), *ds = filled(size, 1), *s = blank(size), *da = blank(size), tau2 = (real)(kind == THETA_GELU_L2 ? n + 3 : n);
    exact *stat = blank((size_t)rows);
    for (int i = 0; rows > 2 && i < n; i++) a[n + i] = 0;
    double *a64 = doubles(a, size), *ds64 = doubles(ds, size), *want_s = doubles(NULL, size), *want_da = doubles(NULL, size), *want_stat = doubles(NULL, (size_t)rows);
    for (int r = 0; r < rows; r++) {
        size_t i = (size_t)r * (size_t)n;
        plain_theta(want_s + i, want_stat + r, want_da + i, a64 + i, ds64 + i, kind, (double)tau2, n);
    }
    k->theta(s, stat, a, kind, tau2, rows, n);
    k->theta_backward(da, ds, a, stat, kind, tau2, rows, n);
    expect("theta", s, want_s, size, TOLERANCE);
    expect("theta, stat", stat, want_stat, (size_t)rows, TOLERANCE);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < size; i++) worst = fmax(worst, fabs((double)s[i] - want_s[i])), largest = fmax(largest, fabs(want_s[i]));
    CHECK_MSG(worst <= 2e-6 * largest, "theta %d of %d at %s, deviation %g: off by %.3g of %.3g", kind, n, k->name, deviation, worst, largest);
    if (n > 1 && deviation < 100) expect("theta_backward", da, want_da, size, 10 * slope_tolerance);
    k->theta_backward(ds, ds, a, stat, kind, tau2, rows, n);
    expect_same("theta_backward in place", ds, da, size);
    k->theta(a, stat, a, kind, tau2, rows, n);
    expect_same("theta in place", a, s, size);
}

void theta(const kernels *k)
{
    static const int widths[] = { 1, 7, 64, 768, 8620 };
    static const double deviations[] = { 1e-6, 1, 1e3 };
    for (theta_kind kind = THETA_L2_GELU; kind <= THETA_SOFTMAX; kind++)
        for (int w = 0; w < 5; w++)
            for (int d = 0; d < 3; d++) one_theta(k, kind, 4, widths[w], deviations[d]);
    for (int i = 0; i < 6; i++) one_theta(k, (theta_kind)(i % 3), size_up_to(70), size_up_to(900), 1);
}

/* Scaling the scores leaves L2-then-GELU as it is; its gradient is orthogonal to the
 * scores; a row of zeros gives zeros; large scores stay finite under softmax. */
void theta_identities(const kernels *k)
{
    enum { ROWS = 5, N = 333 };
    real *a = filled(ROWS * N, 2), *b = copy_of(a, ROWS * N), *ds = filled(ROWS * N, 1), *s = blank(ROWS * N), *t = blank(ROWS * N), *da = blank(ROWS * N);
    exact *stat = blank(ROWS);
    for (int i = 0; i < ROWS * N; i++) b[i] *= 8;
    k->theta(s, stat, a, THETA_L2_GELU, N, ROWS, N);
    k->theta_backward(da, ds, a, stat, THETA_L2_GELU, N, ROWS, N);
    k->theta(t, stat, b, THETA_L2_GELU, N, ROWS, N);
    expect_same("theta of scaled scores", s, t, ROWS * N);
    double dot = 0, norm_a = 0, norm_da = 0;
    for (int i = 0; i < N; i++) dot += (double)a[i] * (double)da[i], norm_a += pow((double)a[i], 2), norm_da += pow((double)da[i], 2);
    CHECK_MSG(fabs(dot) <= 1e-6 * sqrt(norm_a * norm_da), "<a, da> at %s: %.3g", k->name, dot / sqrt(norm_a * norm_da));
    for (theta_kind kind = THETA_L2_GELU; kind <= THETA_GELU_L2; kind++) {
        for (int i = 0; i < N; i++) a[i] = 0;
        k->theta(s, stat, a, kind, N, 1, N);
        k->theta_backward(da, ds, a, stat, kind, N, 1, N);
        for (int i = 0; i < N; i++) CHECK(s[i] == 0 && da[i] == 0);
    }
    for (int i = 0; i < N; i++) a[i] = (real)(i % 2 ? 1e4 : -1e4);
    k->theta(s, stat, a, THETA_SOFTMAX, N, 1, N);
    k->theta_backward(da, ds, a, stat, THETA_SOFTMAX, N, 1, N);
    for (int i = 0; i < N; i++) CHECK(isfinite(s[i]) && isfinite(da[i]));
}

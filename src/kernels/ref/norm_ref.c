/* LayerNorm (Ba et al. 2016) and RMSNorm (Zhang & Sennrich 2019), row by row.
 *
 *     LayerNorm   xhat = (x - mean) * rstd,  rstd = 1 / sqrt(var + eps), var of the population
 *     RMSNorm     xhat = x * rstd,           rstd = 1 / sqrt(mean of x^2 + eps)
 *     y = xhat * w + b
 *
 * Backward, with g = dy * w:  dx = rstd * (g - mean(g) - xhat * mean(g * xhat)),
 * RMSNorm without mean(g);  dw = sum over rows of dy * xhat, db of dy. */
#include "kernels/ref/ref.h"
#include <math.h>

static void put(real *y, bool add, double value) { *y = add ? *y + (real)value : (real)value; }

static void normalise(real *y, const real *x, const real *w, const real *b, double mean, double rstd, int width)
{
    for (int c = 0; c < width; c++) {
        double xhat = ((double)x[c] - mean) * rstd;
        y[c] = (real)(xhat * (w ? (double)w[c] : 1) + (b ? (double)b[c] : 0));
    }
}

/* dx of one row; centred: LayerNorm. */
static void row_backward(real *dx, bool add, const real *dy, const real *x, const real *w,
                         double mean, double rstd, bool centred, int width)
{
    double sum = 0, dot = 0;
    for (int c = 0; c < width; c++) {
        double g = (double)dy[c] * (w ? (double)w[c] : 1);
        sum += g;
        dot += g * ((double)x[c] - mean) * rstd;
    }
    double mean_g = centred ? sum / width : 0, mean_dot = dot / width;
    for (int c = 0; c < width; c++) {
        double g = (double)dy[c] * (w ? (double)w[c] : 1), xhat = ((double)x[c] - mean) * rstd;
        put(&dx[c], add, rstd * (g - mean_g - xhat * mean_dot));
    }
}

/* dw and db, each NULL if not wanted; mean NULL: zeros. */
static void param_backward(real *dw, real *db, bool add, const real *dy, const real *x,
                           const exact *mean, const exact *rstd, int rows, int width)
{
    for (int c = 0; c < width; c++) {
        double sum_w = 0, sum_b = 0;
        for (int r = 0; r < rows; r++) {
            size_t i = (size_t)r * (size_t)width + (size_t)c;
            sum_w += (double)dy[i] * ((double)x[i] - (mean ? (double)mean[r] : 0)) * (double)rstd[r];
            sum_b += (double)dy[i];
        }
        if (dw) put(&dw[c], add, sum_w);
        if (db) put(&db[c], add, sum_b);
    }
}

void ref_layer_norm(real *y, exact *mean, exact *rstd, const real *x, const real *w, const real *b, real eps, int rows, int width)
{
    for (int r = 0; r < rows; r++, x += width, y += width) {
        double sum = 0, square = 0;
        for (int c = 0; c < width; c++) sum += (double)x[c];
        double m = sum / width;
        for (int c = 0; c < width; c++) square += ((double)x[c] - m) * ((double)x[c] - m);
        double s = 1 / sqrt(square / width + (double)eps);
        normalise(y, x, w, b, m, s, width);
        mean[r] = (exact)m;
        rstd[r] = (exact)s;
    }
}

void ref_layer_norm_backward(real *dx, bool add, real *dw, real *db, bool add_param, const real *dy, const real *x,
                             const real *w, const exact *mean, const exact *rstd, int rows, int width)
{
    for (int r = 0; r < rows; r++) {
        size_t i = (size_t)r * (size_t)width;
        row_backward(dx + i, add, dy + i, x + i, w, (double)mean[r], (double)rstd[r], true, width);
    }
    if (dw || db) param_backward(dw, db, add_param, dy, x, mean, rstd, rows, width);
}

void ref_rms_norm(real *y, exact *rstd, const real *x, const real *w, real eps, int rows, int width)
{
    for (int r = 0; r < rows; r++, x += width, y += width) {
        double square = 0;
        for (int c = 0; c < width; c++) square += (double)x[c] * (double)x[c];
        double s = 1 / sqrt(square / width + (double)eps);
        normalise(y, x, w, NULL, 0, s, width);
        rstd[r] = (exact)s;
    }
}

void ref_rms_norm_backward(real *dx, bool add, real *dw, bool add_param, const real *dy, const real *x,
                           const real *w, const exact *rstd, int rows, int width)
{
    for (int r = 0; r < rows; r++) {
        size_t i = (size_t)r * (size_t)width;
        row_backward(dx + i, add, dy + i, x + i, w, 0, (double)rstd[r], false, width);
    }
    if (dw) param_backward(dw, NULL, add_param, dy, x, NULL, rstd, rows, width);
}

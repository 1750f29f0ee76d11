/* LayerNorm and RMSNorm (equations in ref/norm_ref.c).  Sums over a row are kept in
 * double; sums over rows, for dw and db, in float over ROWS rows, then in double,
 * by slices of the columns so that no two tasks share one. */
#include "base/threads.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

typedef struct {
    float *y; exact *mean, *rstd;               /* mean NULL: RMSNorm */
    const float *x, *w, *b;
    float eps;
    int rows, width;
} norm;

/* Mean and the reciprocal of the deviation, of one row. */
static void statistics(const norm *c, const float *x, double *mean, double *rstd)
{
    vsum2 sum = vsum2_zero(), square = vsum2_zero();
    if (c->mean) for (int i = 0; i < c->width; i += VW) vsum2_add(&sum, vload_n(x + i, c->width - i));
    *mean = vsum2_total(sum) / c->width;
    vec m = vset1((float)*mean);
    for (int i = 0; i < c->width; i += VW) {
        vec d = vsub(vload_or(x + i, c->width - i, (float)*mean), m);
        vsum2_fma(&square, d, d);
    }
    *rstd = 1 / sqrt(vsum2_total(square) / c->width + (double)c->eps);
}

static void norm_rows(void *context, int task)
{
    const norm *c = context;
    int block = rows_in_piece(c->width), end = lesser(c->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++) {
        const float *x = c->x + (size_t)r * (size_t)c->width;
        float *y = c->y + (size_t)r * (size_t)c->width;
        double mean, rstd;
        statistics(c, x, &mean, &rstd);
        if (c->mean) c->mean[r] = (float)mean;
        c->rstd[r] = (float)rstd;
        vec m = vset1((float)mean), s = vset1((float)rstd);
        for (int i = 0; i < c->width; i += VW) {
            int n = c->width - i;
            vec v = vmul(vsub(vload_n(x + i, n), m), s);
            if (c->w) v = vmul(v, vload_n(c->w + i, n));
            if (c->b) v = vadd(v, vload_n(c->b + i, n));
            vstore_n(y + i, n, v);
        }
    }
}

static void norm_all(norm c) { parallel_for(pieces((size_t)c.rows, (size_t)rows_in_piece(c.width)), norm_rows, &c); }

void LEVEL(layer_norm)(real *y, exact *mean, exact *rstd, const real *x, const real *w, const real *b, real eps, int rows, int width)
{
    norm_all((norm){ y, mean, rstd, x, w, b, eps, rows, width });
}

void LEVEL(rms_norm)(real *y, exact *rstd, const real *x, const real *w, real eps, int rows, int width)
{
    norm_all((norm){ y, NULL, rstd, x, w, NULL, eps, rows, width });
}

/* ---- backward ---- */

typedef struct {
    float *dx; bool add;
    float *dw, *db; bool add_param;
    const float *dy, *x, *w;
    const exact *mean, *rstd;                   /* mean NULL: RMSNorm */
    int rows, width;
} norm_gradient;

INLINE vec weighted(const norm_gradient *c, const float *dy, int i)
{
    vec g = vload_n(dy + i, c->width - i);
    return c->w ? vmul(g, vload_n(c->w + i, c->width - i)) : g;
}

static void row_backward(const norm_gradient *c, int r)
{
    size_t row = (size_t)r * (size_t)c->width;
    const float *dy = c->dy + row, *x = c->x + row;
    float *dx = c->dx + row, mean = c->mean ? c->mean[r] : 0;
    vec m = vset1(mean), s = vset1(c->rstd[r]);
    vsum2 sum = vsum2_zero(), dot = vsum2_zero();
    for (int i = 0; i < c->width; i += VW) {
        vec g = weighted(c, dy, i), xhat = vmul(vsub(vload_or(x + i, c->width - i, mean), m), s);
        vsum2_fma(&dot, g, xhat);
        if (c->mean) vsum2_add(&sum, g);
    }
    vec mean_g = vset1((float)(vsum2_total(sum) / c->width)), mean_dot = vset1((float)(vsum2_total(dot) / c->width));
    for (int i = 0; i < c->width; i += VW) {
        int n = c->width - i;
        vec xhat = vmul(vsub(vload_n(x + i, n), m), s);
        vec d = vfnma(xhat, mean_dot, vsub(weighted(c, dy, i), mean_g));
        vstore_add(dx + i, n, c->add, vmul(s, d));
    }
}

static void backward_rows(void *context, int task)
{
    const norm_gradient *c = context;
    int block = rows_in_piece(c->width), end = lesser(c->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++) row_backward(c, r);
}

enum { ROWS = 64, SLICE = 64 };                 /* rows summed in float; columns of a task */

/* Adds the sums of rows first .. end-1 of columns at .. at+n-1, n <= VW, to total. */
INLINE void sum_rows(const norm_gradient *c, int first, int end, int at, int n, double total_w[VW], double total_b[VW])
{
    float sum_w[VW], sum_b[VW];
    vec w = vzero(), b = vzero();
    for (int r = first; r < end; r++) {
        size_t i = (size_t)r * (size_t)c->width + (size_t)at;
        vec dy = vload_n(c->dy + i, n), m = vset1(c->mean ? c->mean[r] : 0);
        vec xhat = vmul(vsub(vload_n(c->x + i, n), m), vset1(c->rstd[r]));
        w = vfma(dy, xhat, w);
        b = vadd(b, dy);
    }
    vstore(sum_w, w);
    vstore(sum_b, b);
    for (int i = 0; i < VW; i++) {
        total_w[i] += (double)sum_w[i];
        total_b[i] += (double)sum_b[i];
    }
}

static void store_param(float *d, bool add, const double *total, int n)
{
    for (int i = 0; d && i < n; i++) d[i] = add ? d[i] + (float)total[i] : (float)total[i];
}

static void param_slice(void *context, int task)
{
    const norm_gradient *c = context;
    double total_w[SLICE] = {0}, total_b[SLICE] = {0};
    int first = task * SLICE, n = lesser(SLICE, c->width - first);
    for (int r = 0; r < c->rows; r += ROWS)
        for (int i = 0; i < n; i += VW)
            sum_rows(c, r, lesser(c->rows, r + ROWS), first + i, n - i, total_w + i, total_b + i);
    store_param(c->dw ? c->dw + first : NULL, c->add_param, total_w, n);
    store_param(c->db ? c->db + first : NULL, c->add_param, total_b, n);
}

static void backward_all(norm_gradient c)
{
    parallel_for(pieces((size_t)c.rows, (size_t)rows_in_piece(c.width)), backward_rows, &c);
    if (c.dw || c.db) parallel_for(pieces((size_t)c.width, SLICE), param_slice, &c);
}

void LEVEL(layer_norm_backward)(real *dx, bool add, real *dw, real *db, bool add_param, const real *dy, const real *x,
                                const real *w, const exact *mean, const exact *rstd, int rows, int width)
{
    backward_all((norm_gradient){ dx, add, dw, db, add_param, dy, x, w, mean, rstd, rows, width });
}

void LEVEL(rms_norm_backward)(real *dx, bool add, real *dw, bool add_param, const real *dy, const real *x,
                              const real *w, const exact *rstd, int rows, int width)
{
    backward_all((norm_gradient){ dx, add, dw, NULL, add_param, dy, x, w, NULL, rstd, rows, width });
}

/* Cholesky-QR (Fukaya et al. 2014, "CholeskyQR2"): with G = A'A = L L', A L^-T
 * has orthogonal columns; twice, since the first pass is only as good as G's
 * rounding.  All that is long is two matrix products, so a head of 65536 rows
 * takes as long as a few steps of training it.  Vectors that are the rows of a
 * wide A are treated the other way round: G = A A', L^-1 A.
 * A normal matrix at least twice as long as wide has singular values within a
 * factor of 6, which is why float is enough. */
#include "graph/orthogonal.h"
#include "base/arena.h"
#include "base/threads.h"
#include <math.h>
#include <string.h>

/* (n, n) each, lower triangles; a block of columns of L */
typedef struct { double *l, *inverse; int n, first, end; } factors;

enum { BLOCK = 64 };                                        /* rows or columns of a task */

static double dot(const double *a, const double *b, int n)
{
    double sum[4] = { 0 };
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++) sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Columns [first, end) of row i of L, of which the rows before it are there. */
static void factor_row(const factors *f, int i, int end)
{
    double *x = f->l + (size_t)i * (size_t)f->n;
    for (int j = f->first; j < end; j++) {
        const double *row = f->l + (size_t)j * (size_t)f->n;
        x[j] = (x[j] - dot(x, row, j)) / row[j];
    }
}

/* A block of columns of the rows below it: its own rows stay in the cache. */
static void factor_rows(void *context, int task)
{
    const factors *f = context;
    int first = f->end + task * BLOCK, end = first + BLOCK < f->n ? first + BLOCK : f->n;
    for (int i = first; i < end; i++) factor_row(f, i, f->end);
}

/* G's lower triangle to L, in place. */
static bool cholesky(factors *f)
{
    for (f->first = 0; f->first < f->n; f->first = f->end) {
        f->end = f->first + BLOCK < f->n ? f->first + BLOCK : f->n;
        for (int j = f->first; j < f->end; j++) {
            double *row = f->l + (size_t)j * (size_t)f->n;
            factor_row(f, j, j);
            double pivot = row[j] - dot(row, row, j);
            if (!(pivot > 0)) return false;
            row[j] = sqrt(pivot);
        }
        parallel_for((f->n - f->end + BLOCK - 1) / BLOCK, factor_rows, f);
    }
    return true;
}

/* Some columns of L^-1, row by row. */
static void invert_columns(void *context, int task)
{
    const factors *f = context;
    const size_t n = (size_t)f->n;
    int first = task * BLOCK, end = first + BLOCK < f->n ? first + BLOCK : f->n;
    for (int i = first; i < f->n; i++) {
        double *x = f->inverse + (size_t)i * n;
        const double *row = f->l + (size_t)i * n;
        for (int c = first; c < end; c++) x[c] = c == i;
        for (int k = first; k < i; k++)
            for (int c = first; c < end; c++) x[c] -= row[k] * f->inverse[(size_t)k * n + (size_t)c];
        for (int c = first; c < end; c++) x[c] /= row[i];
    }
}

typedef struct { real *a, *out, *g; factors f; int rows, columns; } work;

/* One pass: a to out. */
static bool pass(work *w)
{
    const kernels *k = kernels_default();
    const int n = w->f.n, length = w->rows > w->columns ? w->rows : w->columns;
    const size_t size = (size_t)n * (size_t)n, ld = (size_t)w->columns;
    bool tall = w->rows > w->columns;
    k->gemm(&(gemm_args){ .M = n, .N = n, .K = length, .a = w->a, .lda = ld, .ta = tall, .b.data = w->a, .ldb = ld, .tb = !tall, .c = w->g, .ldc = (size_t)n });
    for (size_t i = 0; i < size; i++) w->f.l[i] = (double)w->g[i];
    if (!cholesky(&w->f)) return false;
    memset(w->f.inverse, 0, size * sizeof *w->f.inverse);
    parallel_for((n + BLOCK - 1) / BLOCK, invert_columns, &w->f);
    for (size_t i = 0; i < size; i++) w->g[i] = (real)w->f.inverse[i];
    gemm_args q = { .M = w->rows, .N = w->columns, .K = n, .a = w->a, .lda = ld, .b.data = w->g, .ldb = (size_t)n, .tb = true, .c = w->out, .ldc = ld };
    if (!tall) q.a = w->g, q.lda = (size_t)n, q.b.data = w->a, q.ldb = ld, q.tb = false;
    k->gemm(&q);
    return true;
}

bool orthogonalize_long(real *a, int rows, int columns)
{
    const int n = rows < columns ? rows : columns;
    const size_t size = (size_t)n * (size_t)n, count = (size_t)rows * (size_t)columns;
    work w = { .a = a, .rows = rows, .columns = columns, .f = { .n = n } };
    w.out = big_alloc(count * sizeof *w.out);
    w.g = big_alloc(size * sizeof *w.g);
    w.f.l = big_alloc(size * sizeof *w.f.l);
    w.f.inverse = big_alloc(size * sizeof *w.f.inverse);
    bool done = w.out && w.g && w.f.l && w.f.inverse && pass(&w);
    if (done) {
        w.a = w.out, w.out = a;
        done = pass(&w);
        w.out = w.a;
    }
    big_free(w.out, count * sizeof *w.out);
    big_free(w.g, size * sizeof *w.g);
    big_free(w.f.l, size * sizeof *w.f.l);
    big_free(w.f.inverse, size * sizeof *w.f.inverse);
    return done;
}

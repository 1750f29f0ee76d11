/* Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"):
 *   m <- mu m + (1 - mu) g,  u = (1 - mu) g + mu m,  w <- w - lr (0.2 sqrt(max(rows, columns)) NS(u) + decay w)
 * NS is five iterations of Newton and Schulz's kind on x = u / |u|,
 *   x <- (a + b x x' + c (x x')^2) x,
 * with the published coefficients, by which singular values come between 0.7 and 1.2
 * from wherever they were.  The product is taken on the smaller side, (n,n) of n x m:
 * 5 (4 n^2 m + 2 n^3) operations.  The factor is that of Liu et al. 2025, "Muon is scalable
 * for LLM training", with which AdamW's learning rate and decay serve for both. */
#include "train/muon.h"
#include <math.h>

#define MOMENTUM 0.95
static const double A = 3.4445, B = -4.7750, C = 2.0315, LEAST_NORM = 1e-7;

double muon_scale(const param *p) { return 0.2 * sqrt((double)sides_of(p).m); }
size_t muon_scratch(const param *p) { return p->count + 2 * sides_of(p).n * sides_of(p).n; }

void muon_momentum(real *m, real *g, size_t n, double scale)
{
    const real mu = (real)MOMENTUM, rest = (real)(1 - MOMENTUM), s = (real)scale;
    for (size_t i = 0; i < n; i++) {
        const real x = s * g[i];
        m[i] = mu * m[i] + rest * x;
        g[i] = rest * x + mu * m[i];
    }
}

/* ---- orthogonalisation ------------------------------------------------------------- */

static void scale_by(real *x, size_t n, real factor)
{
    for (size_t i = 0; i < n; i++) x[i] *= factor;
}

/* p <- a + b g + c p, for the products g = x x' and p = g g (n,n). */
static void polynomial(real *p, const real *g, size_t n)
{
    for (size_t i = 0; i < n * n; i++) p[i] = (real)B * g[i] + (real)C * p[i];
    for (size_t i = 0; i < n; i++) p[i * n + i] += (real)A;
}

/* One of the factors of a product: rows as they lie, or turned. */
typedef struct { const real *x; int columns; bool turned; } factor;

static void multiply(const kernels *k, compute_type type, real *c, int M, int N, int K, factor a, factor b)
{
    k->gemm(&(gemm_args){ .M = M, .N = N, .K = K, .a = a.x, .lda = (size_t)a.columns, .ta = a.turned, .b = { .data = b.x }, .ldb = (size_t)b.columns, .tb = b.turned,
                          .c = c, .ldc = (size_t)N, .type = type });
}

void muon_orthogonalize(const kernels *k, compute_type type, real *x, int rows, int columns, real *scratch)
{
    const bool wide = rows <= columns;
    const int side = wide ? rows : columns, other = wide ? columns : rows;
    const size_t count = (size_t)rows * (size_t)columns, n = (size_t)side;
    real *next = scratch, *g = next + count, *p = g + n * n, *from = x;
    const double norm = sqrt(k->sum_of_squares(x, count));
    scale_by(x, count, (real)(1 / (norm > LEAST_NORM ? norm : LEAST_NORM)));
    for (int i = 0; i < ORTHOGONAL_ITERATIONS; i++) {
        const factor all = { from, columns, false }, turned = { from, columns, true };
        real *to = from == x ? next : x;
        /* x x' or x' x (side, side) */
        multiply(k, type, g, side, side, other, wide ? all : turned, wide ? turned : all);
        multiply(k, type, p, side, side, side, (factor){ g, side, false }, (factor){ g, side, true });
        polynomial(p, g, n);
        const factor by = { p, side, false };
        multiply(k, type, to, rows, columns, side, wide ? by : all, wide ? all : by);
        from = to;
    }
    if (from != x) k->copy(x, false, from, count);
}

void muon_apply(real *w, const real *x, size_t n, const muon_step *s)
{
    const real step = (real)(s->lr * s->scale), decay = (real)(s->lr * s->decay);
    for (size_t i = 0; i < n; i++) {
        const real shrink = s->cautious && !(x[i] * w[i] > 0) ? 0 : decay * w[i];
        w[i] -= step * x[i] + shrink;
    }
}

/* Matrix products, plainly: each element of C is one chain of products, k
 * ascending, then what gemm_args says happens to it, in its order. */
#include "base/threads.h"
#include "kernels/bf16.h"
#include "kernels/ref/ref.h"

static real rounded(compute_type type, real x)
{
    return type == COMPUTE_BF16 ? (real)bf16_to_float(bf16_from_float((float)x)) : x;
}

static real element(const real *x, size_t ld, bool transposed, int row, int column)
{
    return transposed ? x[(size_t)column * ld + (size_t)row] : x[(size_t)row * ld + (size_t)column];
}

static real product(const gemm_args *g, int m, int n)
{
    real sum = 0;
    for (int k = 0; k < g->K; k++)
        sum += rounded(g->type, element(g->a, g->lda, g->ta, m, k)) * rounded(g->type, element(g->b, g->ldb, g->tb, k, n));
    return sum;
}

static void gemm_row(void *context, int m)
{
    const gemm_args *g = context;
    real *c = g->c + (size_t)m * g->ldc;
    for (int n = 0; n < g->N; n++) {
        real y = product(g, m, n);
        if (g->bias) y += g->bias[n];
        if (g->pre) g->pre[(size_t)m * g->ldc + (size_t)n] = y;
        y = g->act == ACT_NONE ? y : (real)act_value(g->act, (double)y);
        if (g->residual) y += g->residual[(size_t)m * g->ldr + (size_t)n];
        c[n] = g->add ? c[n] + y : y;
    }
}

void ref_gemm(const gemm_args *g)
{
    gemm_args copy = *g;
    parallel_for(g->M, gemm_row, &copy);
}

/* There is nothing to gain from another layout here. */
size_t ref_gemm_pack_bytes(compute_type type, int K, int N)
{
    (void)type, (void)K, (void)N;
    return 0;
}

void ref_gemm_pack(void *packed, compute_type type, const real *b, size_t ldb, bool tb, int K, int N)
{
    (void)packed, (void)type, (void)b, (void)ldb, (void)tb, (void)K, (void)N;
}

void ref_column_sum(real *y, bool add, const real *x, size_t ldx, int rows, int width)
{
    for (int c = 0; c < width; c++) {
        real sum = 0;
        for (int r = 0; r < rows; r++) sum += x[(size_t)r * ldx + (size_t)c];
        y[c] = add ? y[c] + sum : sum;
    }
}

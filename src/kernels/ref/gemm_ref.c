/* Plain matrix products: each element of C is one chain of products, k
 * ascending, followed by the steps of gemm_args in their order. */
#include "base/threads.h"
#include "kernels/blocks.h"
#include "kernels/half.h"
#include "kernels/ref/ref.h"

static real rounded(compute_type type, real x)
{
    return type == COMPUTE_BF16 ? (real)float_from_bf16(bf16_from_float((float)x)) : x;
}

static real product(const gemm_args *g, int m, int n)
{
    size_t row = (size_t)m, column = (size_t)n;
    real sum = 0;
    for (size_t k = 0; k < (size_t)g->K; k++) {
        real a = g->a[g->ta ? k * g->lda + row : row * g->lda + k], b = ref_number(g->b, g->tb ? column * g->ldb + k : k * g->ldb + column);
        sum += rounded(g->type, a) * rounded(g->type, b);
    }
    return sum;
}

static void gemm_row(void *context, int m)
{
    const gemm_args *g = context;
    for (int n = 0; n < g->N; n++) ref_finish(g, m, n, product(g, m, n));
}

void ref_gemm(const gemm_args *g)
{
    gemm_args copy = as_stored(g);
    if (in_blocks(copy.b.type)) ref_gemm_blocks(&copy);
    else parallel_for(g->M, gemm_row, &copy);
}

/* Another layout gains nothing here. */
size_t ref_gemm_pack_bytes(compute_type type, int K, int N)
{
    (void)type, (void)K, (void)N;
    return 0;
}

void ref_gemm_pack(void *packed, compute_type type, stored b, size_t ldb, bool tb, int K, int N)
{
    (void)packed, (void)type, (void)b.data, (void)ldb, (void)tb, (void)K, (void)N;
}

void ref_column_sum(real *y, bool add, const real *x, size_t ldx, int rows, int width)
{
    for (int c = 0; c < width; c++) {
        real sum = 0;
        for (int r = 0; r < rows; r++) sum += x[(size_t)r * ldx + (size_t)c];
        y[c] = add ? y[c] + sum : sum;
    }
}

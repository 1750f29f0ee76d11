/* The last steps of a matrix product, in the order of gemm_args. */
#include "kernels/ref/ref.h"

void ref_finish(const gemm_args *g, int m, int n, real y)
{
    real *c = &g->c[(size_t)m * g->ldc + (size_t)n];
    if (g->bias) y += g->bias[n];
    if (g->pre) g->pre[(size_t)m * g->ldc + (size_t)n] = y;
    y = g->act == ACT_NONE ? y : (real)act_value(g->act, (double)y);
    if (g->residual) y += g->residual[(size_t)m * g->ldr + (size_t)n];
    *c = g->add ? *c + y : y;
}

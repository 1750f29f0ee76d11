/* What happens to a block of finished sums on its way to C: bias, pre, activation,
 * residual, and what C held, in the order of gemm_args.  One place, so that every
 * path through a matrix product ends in the same arithmetic. */
#ifndef VECTOR_GEMM_FINISH_H
#define VECTOR_GEMM_FINISH_H

#include "kernels/vector/vec_math.h"

INLINE void finish_vector(const gemm_args *g, vec y, int m, int n, vmask mask)
{
    size_t at = (size_t)m * g->ldc + (size_t)n;
    if (g->bias) y = vadd(y, vload_mask(g->bias + n, mask));
    if (g->pre) vstore_mask(g->pre + at, mask, y);
    y = vact(g->act, y);
    if (g->residual) y = vadd(y, vload_mask(g->residual + (size_t)m * g->ldr + (size_t)n, mask));
    if (g->add) y = vadd(vload_mask(g->c + at, mask), y);
    vstore_mask(g->c + at, mask, y);
}

/* sums (rows, columns), stride floats from row to row, go to C at (m, n).  Lanes of
 * sums behind the last column, up to a full register, are read and dropped. */
static inline void finish_block(const gemm_args *g, const float *sums, size_t stride, int m, int n, int rows, int columns)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j += VW)
            finish_vector(g, vload(sums + (size_t)r * stride + j), m + r, n + j, vtail(columns - j));
}

#endif

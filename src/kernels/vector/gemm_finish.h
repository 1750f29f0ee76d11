/* The last steps for a block of finished sums on its way to C: bias, pre, activation,
 * residual, and the old value of C, in the order of gemm_args.  All paths through a
 * matrix product use this, so they end in the same arithmetic. */
#ifndef VECTOR_GEMM_FINISH_H
#define VECTOR_GEMM_FINISH_H

#include "kernels/vector/vec_math.h"

/* sums (columns) of row m, from column n. */
INLINE void finish_row(const gemm_args *g, const float *sums, int m, int n, int columns)
{
    size_t at = (size_t)m * g->ldc + (size_t)n;
    for (int j = 0; j < columns; j += VW, at += VW) {
        vmask mask = vtail(columns - j);
        vec y = vload(sums + j);
        if (g->bias) y = vadd(y, vload_mask(g->bias + n + j, mask));
        if (g->pre) vstore_mask(g->pre + at, mask, y);
        if (g->act) y = vact(g->act, y);
        if (g->residual) y = vadd(y, vload_mask(g->residual + (size_t)m * g->ldr + (size_t)(n + j), mask));
        if (g->add) y = vadd(vload_mask(g->c + at, mask), y);
        vstore_mask(g->c + at, mask, y);
    }
}

INLINE bool finish_is_plain(const gemm_args *g) { return !g->bias && !g->pre && !g->act && !g->residual && !g->add; }

/* sums (rows, columns), stride floats from row to row, go to C at (m, n).  Lanes of
 * sums after the last column, up to a full register, are read and dropped. */
static inline void finish_block(const gemm_args *g, const float *sums, size_t stride, int m, int n, int rows, int columns)
{
    if (!finish_is_plain(g) || columns % VW) {
        for (int r = 0; r < rows; r++) finish_row(g, sums + (size_t)r * stride, m + r, n, columns);
        return;
    }
    for (int r = 0; r < rows; r++, sums += stride) {
        float *c = g->c + (size_t)(m + r) * g->ldc + (size_t)n;
        for (int j = 0; j < columns; j += VW) vstore(c + j, vload(sums + j));
    }
}

#endif

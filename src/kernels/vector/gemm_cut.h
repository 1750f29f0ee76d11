/* Splits a matrix product into tasks, and finds the part of B of a task. */
#ifndef VECTOR_GEMM_CUT_H
#define VECTOR_GEMM_CUT_H

#include "kernels/vector/vec_row.h"

static inline int cuts(int size, int most) { return (size + most - 1) / most; }

/* The place of B's number at (k, n). */
static inline stored b_at(const gemm_args *g, int k, int n)
{
    return stored_from(g->b, g->tb ? (size_t)n * g->ldb + (size_t)k : (size_t)k * g->ldb + (size_t)n);
}

/* The part-th of `parts` nearly equal runs of whole panels. */
static inline void share(int size, int panel, int parts, int part, int *begin, int *length)
{
    long long panels = cuts(size, panel);
    int end = lesser(size, (int)(panels * (part + 1) / parts) * panel);
    *begin = (int)(panels * part / parts) * panel;
    *length = end - *begin;
}

#endif

/* The vector kernels, by name: LEVEL(gemm) is gemm_avx2 or gemm_avx512.  What a
 * name means is said by the slot of the same name in kernels.h. */
#ifndef VECTOR_VECTOR_H
#define VECTOR_VECTOR_H

#include "kernels/vector/vec.h"

void LEVEL(gemm)(const gemm_args *g);
void LEVEL(column_sum)(real *y, bool add, const real *x, size_t ldx, int rows, int width);

#endif

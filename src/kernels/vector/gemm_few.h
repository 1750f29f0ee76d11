/* Matrix products of so few rows that reading B is their whole cost. */
#ifndef VECTOR_GEMM_FEW_H
#define VECTOR_GEMM_FEW_H

#include "kernels/vector/vec.h"

bool LEVEL(gemm_is_few)(const gemm_args *g);
void LEVEL(gemm_few)(const gemm_args *g);

#endif

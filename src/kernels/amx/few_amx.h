/* Fp32 products of so few rows with weights stored (N,K) in bf16 that reading those is their whole cost. */
#ifndef AMX_FEW_AMX_H
#define AMX_FEW_AMX_H

#include "kernels/kernels.h"

bool gemm_is_few_amx(const gemm_args *g);
void gemm_few_amx(const gemm_args *g);

#endif

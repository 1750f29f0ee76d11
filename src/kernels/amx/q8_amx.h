/* Matrix products of several rows with B in q8_0, on tiles of bytes. */
#ifndef AMX_Q8_AMX_H
#define AMX_Q8_AMX_H

#include "kernels/kernels.h"

/* Whether that is the faster way. */
bool gemm_is_q8_amx(const gemm_args *g);
void gemm_q8_amx(const gemm_args *g);

#endif

/* Matrix products with B in blocks, on tiles of bytes where there are 16 rows or more. */
#ifndef AMX_BLOCKS_AMX_H
#define AMX_BLOCKS_AMX_H

#include "kernels/kernels.h"

void gemm_blocks_amx(const gemm_args *g);

#endif

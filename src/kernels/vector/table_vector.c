/* What this width replaces in the table; the rest stays as it was. */
#include "kernels/vector/vector.h"

void LEVEL(kernels)(kernels *k)
{
    k->name = VW == 16 ? "avx512" : "avx2";
    k->gemm = LEVEL(gemm);
    k->column_sum = LEVEL(column_sum);
}

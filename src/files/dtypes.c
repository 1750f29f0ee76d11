/* The types of tensors in files: their names, their sizes, and which of them kernels take as they are. */
#include "files/dtypes.h"

/* A type that kernels take has its block and bytes in their table. */
static const struct { const char *name; size_t bytes; stored_type stored; } TYPES[DT_COUNT] = {
    [DT_BOOL] = { "BOOL", 1, STORED_TYPES }, [DT_U8] = { "U8", 1, STORED_TYPES }, [DT_I8] = { "I8", 1, STORED_TYPES },
    [DT_I16] = { "I16", 2, STORED_TYPES }, [DT_U16] = { "U16", 2, STORED_TYPES }, [DT_I32] = { "I32", 4, STORED_TYPES },
    [DT_U32] = { "U32", 4, STORED_TYPES }, [DT_I64] = { "I64", 8, STORED_TYPES }, [DT_U64] = { "U64", 8, STORED_TYPES },
    [DT_F16] = { "F16", 2, STORED_F16 }, [DT_BF16] = { "BF16", 2, STORED_BF16 }, [DT_F32] = { "F32", 4, STORED_REAL },
    [DT_F64] = { "F64", 8, STORED_TYPES }, [DT_OTHER] = { "OTHER", 0, STORED_TYPES },
    [DT_Q4_0] = { "Q4_0", 0, STORED_Q4_0 }, [DT_Q4_1] = { "Q4_1", 0, STORED_Q4_1 }, [DT_Q5_0] = { "Q5_0", 0, STORED_Q5_0 },
    [DT_Q5_1] = { "Q5_1", 0, STORED_Q5_1 }, [DT_Q8_0] = { "Q8_0", 0, STORED_Q8_0 }, [DT_Q2_K] = { "Q2_K", 0, STORED_Q2_K },
    [DT_Q3_K] = { "Q3_K", 0, STORED_Q3_K }, [DT_Q4_K] = { "Q4_K", 0, STORED_Q4_K }, [DT_Q5_K] = { "Q5_K", 0, STORED_Q5_K },
    [DT_Q6_K] = { "Q6_K", 0, STORED_Q6_K },
};

_Static_assert(sizeof(real) == sizeof(float), "this room is not built in double");

const char *dtype_name(dtype t)  { return TYPES[t].name; }
size_t      dtype_bytes(dtype t) { return TYPES[t].bytes; }

bool dtype_stored(dtype t, stored_type *type)
{
    *type = TYPES[t].stored;
    return *type < STORED_TYPES;
}

int dtype_block(dtype t) { return TYPES[t].stored < STORED_TYPES ? stored_formats[TYPES[t].stored].block : 1; }

bool dtype_size(dtype t, size_t count, size_t *bytes)
{
    size_t block = (size_t)dtype_block(t), each = block > 1 ? stored_formats[TYPES[t].stored].bytes : TYPES[t].bytes;
    return each && count % block == 0 && size_mul(count / block, each, bytes);
}

dtype dtype_of(stored_type type)
{
    int t = 0;
    while (t < DT_COUNT && TYPES[t].stored != type) t++;
    return t < DT_COUNT ? (dtype)t : DT_OTHER;
}

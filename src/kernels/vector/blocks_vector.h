/* Products with weights in blocks, at this width (ref/gemm_blocks_ref.c defines them).  A strip of VW columns of B
 * goes through in pieces of some blocks.  A piece is unpacked to bytes without sign, four k of every column side by
 * side, with the scales of all columns in one register; then all rows are multiplied by it while it is in the
 * first-level cache.  So few rows and many are one path, and B is read once. */
#ifndef VECTOR_BLOCKS_VECTOR_H
#define VECTOR_BLOCKS_VECTOR_H

#include "kernels/blocks.h"
#include "kernels/half.h"
#include "kernels/vector/vec_int.h"

enum { PIECE_K = 1024,                          /* most k of a piece */
       PIECE_RUNS = PIECE_K / 16, PIECE_BLOCKS = PIECE_K / 32 };

/* q (k / 4, VW, 4): a number is q - offset_of(type) times its scales.  Scales and bases (blocks, VW), factors and
 * shares (runs, VW); factors are there in the types of 256 numbers, bases and shares in those that have a base. */
typedef struct {
    _Alignas(64) uint8_t q[PIECE_K * VW];
    float scale[PIECE_BLOCKS * VW], base[PIECE_BLOCKS * VW], share[PIECE_RUNS * VW];
    int32_t factor[PIECE_RUNS * VW];
    bool sign;                                  /* said before: numbers of q8_0 keep their sign, and have no offset */
} piece;

INLINE int offset_of(const stored_type type, bool sign)
{
    switch (type) {
    case STORED_Q8_0: return sign ? 0 : 128;
    case STORED_Q6_K: return 32;
    case STORED_Q5_0: return 16;
    case STORED_Q4_0: return 8;
    case STORED_Q3_K: return 4;
    default:          return 0;
    }
}

/* A row of A, rounded, block by block: (blocks, rows) of block_bytes each, which are
 *   int8 q (block), float scale, int32 start (runs): -offset_of times the sum of the run, float sum (runs). */
INLINE size_t row_block_bytes(const int block, const int run) { return (size_t)block + sizeof(float) + 2 * sizeof(int32_t) * (size_t)(block / run); }

INLINE vint magnitude(vec x) { return iand(ibits(x), iset(0x7fffffff)); }

/* The record of one block of a row (blocks_vector.h). */
INLINE void round_block(const int block, const int run, int offset, const float *x, uint8_t *record)
{
    vint most = izero();
    for (int i = 0; i < block; i += VW) most = imax(most, magnitude(vload(x + i)));
    uint32_t bits = (uint32_t)igreatest(most);
    float size = float_of_bits(bits);
    bool zero = size < 0x1p-100f;
    float scale = zero ? 0 : size / 127, steps = zero || bits >= 0x7f800000 ? 0 : 127 / size;
    memcpy(record + block, &scale, sizeof scale);
    uint8_t *starts = record + block + sizeof scale, *sums = starts + block / run * (int)sizeof(int32_t);
    for (int r = 0; r < block / run; r++) {
        vint sum = izero();
        for (int i = r * run; i < (r + 1) * run; i += VW) {
            vint q = steps > 0 ? iround(vmul(vload(x + i), vset1(steps))) : izero();
            istore_bytes((int8_t *)record + i, q);
            sum = iadd(sum, q);
        }
        int32_t whole = isum(sum), start = -offset * whole;
        float as_float = (float)whole;
        memcpy(starts + 4 * r, &start, sizeof start);
        memcpy(sums + 4 * r, &as_float, sizeof as_float);
    }
}

/* What will be read after a strip, of which each block of a piece fetches its part. */
typedef struct { const uint8_t *next, *end; } errand;

/* Blocks of the VW columns from p, `stride` bytes apart; columns from `columns` on are zeros. */
void LEVEL(unpack_blocks)(stored_type type, piece *to, const uint8_t *p, size_t stride, int blocks, int columns, errand *e);

/* sums (rows, VW) more by a piece; row: of A's records of the first block, `rows_apart` records from block to block. */
typedef void blocks_product(stored_type type, const piece *b, int blocks, const uint8_t *row, int rows_apart, int rows, float *sums, bool first);
blocks_product LEVEL(multiply_blocks), multiply_blocks_vnni;

/* The product by one of these; sign: q8_0 keeps its sign. */
void LEVEL(gemm_blocks_by)(const gemm_args *g, blocks_product *multiply, bool sign);

#endif

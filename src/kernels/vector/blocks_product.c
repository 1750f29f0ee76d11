/* Rows times a piece of unpacked blocks.  Compiled once more with -DVNNI, for the instruction that sums four
 * products of bytes in 32 bits; else pairs are summed in 16 bits, as many as fit, and those in 32. */
#include "kernels/vector/blocks_vector.h"
#include <string.h>

enum { K4 = 4 * VW };

/* What the code for a type depends on.  fits: how many sums of pairs fit 16 bits, from the largest number without its
 * offset (31 in blocks of 32 but for q8_0's 128, whose sign is kept, and in runs of 32, else 63) and 127, a row's. */
typedef struct { int block, run, fits; bool base, factors, sign; } shape;
#define WHOLE         ((shape){ 32, 32, 4, false, false, false })
#define WHOLE_BASED   ((shape){ 32, 32, 4, true, false, false })
#define WHOLE_SIGNED  ((shape){ 32, 32, 1, false, false, true })
#define RUNS_32_BASED ((shape){ 256, 32, 4, true, true, false })
#define RUNS_16_BASED ((shape){ 256, 16, 2, true, true, false })
#define RUNS_16       ((shape){ 256, 16, 2, false, true, false })

INLINE vint four_of(const uint8_t *p) { int32_t x; memcpy(&x, p, sizeof x); return iset(x); }
INLINE float float_at(const uint8_t *p) { float x; memcpy(&x, p, sizeof x); return x; }

#ifdef VNNI
#define MULTIPLY multiply_blocks_vnni
/* sums += products of a run of `steps` times four k. */
INLINE void sum_run(const shape t, const int rows, vint *sums, const uint8_t *q, const uint8_t *const *row, const int steps)
{
    (void)t;
    UNROLL for (int k = 0; k < steps; k++) {
        vint w = iload(q + k * K4);
        UNROLL for (int r = 0; r < rows; r++) sums[r] = _mm512_dpbusd_epi32(sums[r], w, four_of(row[r] + 4 * k));
    }
}
#else
#define MULTIPLY LEVEL(multiply_blocks)
INLINE void sum_run(const shape t, const int rows, vint *sums, const uint8_t *q, const uint8_t *const *row, const int steps)
{
    const int fits = t.fits < steps ? t.fits : steps;
    vint pairs[8];
    UNROLL for (int k = 0; k < steps; k++) {
        vint w = iload(q + k * K4), size = t.sign ? iabs8(w) : w;
        UNROLL for (int r = 0; r < rows; r++) {
            vint a = four_of(row[r] + 4 * k), two = imadd8(size, t.sign ? isign8(a, w) : a);
            pairs[r] = k % fits ? iadd16(pairs[r], two) : two;
        }
        if (k % fits == fits - 1)
            UNROLL for (int r = 0; r < rows; r++) sums[r] = iadd(sums[r], imadd16(pairs[r], iset(0x00010001)));
    }
}
#endif

INLINE void multiply(const shape t, const int rows, const piece *b, int blocks, const uint8_t *first_row, int rows_apart, float *sums, bool first)
{
    const int runs = t.block / t.run;
    const size_t record = row_block_bytes(t.block, t.run), scale_at = (size_t)t.block, start_at = scale_at + 4, sum_at = start_at + 4 * (size_t)runs;
    const uint8_t *q = b->q, *row[8];
    vec c[8];
    UNROLL for (int r = 0; r < rows; r++) {
        c[r] = first ? vzero() : vload(sums + r * VW);
        row[r] = first_row + (size_t)r * record;
    }
    for (int k = 0; k < blocks; k++, q += t.block * VW) {
        vint all[8];
        vec shares[8];
        UNROLL for (int r = 0; r < rows; r++) all[r] = izero();
        for (int i = 0; i < runs; i++) {
            const uint8_t *at[8];
            vint sum[8];
            UNROLL for (int r = 0; r < rows; r++) {
                at[r] = row[r] + i * t.run;
                sum[r] = four_of(row[r] + start_at + 4 * (size_t)i);
            }
            sum_run(t, rows, sum, q + i * t.run * VW, at, t.run / 4);
            if (t.factors) {
                vint factor = iload(b->factor + (k * runs + i) * VW);
                UNROLL for (int r = 0; r < rows; r++) all[r] = iadd(all[r], imul(factor, sum[r]));
            } else
                UNROLL for (int r = 0; r < rows; r++) all[r] = sum[r];
        }
        vec scale = vload(b->scale + k * VW);
        UNROLL for (int r = 0; r < rows; r++) c[r] = vfma(ifloat(all[r]), vmul(scale, vset1(float_at(row[r] + scale_at))), c[r]);
        if (t.base) {
            UNROLL for (int r = 0; r < rows; r++) shares[r] = t.factors ? vzero() : vset1(float_at(row[r] + sum_at));
            for (int i = 0; i < runs && t.factors; i++) {   /* whole numbers below 2^24: exact */
                vec share = vload(b->share + (k * runs + i) * VW);
                UNROLL for (int r = 0; r < rows; r++) shares[r] = vfma(share, vset1(float_at(row[r] + sum_at + 4 * (size_t)i)), shares[r]);
            }
            vec base = vload(b->base + k * VW);
            UNROLL for (int r = 0; r < rows; r++) c[r] = vfma(shares[r], vmul(base, vset1(float_at(row[r] + scale_at))), c[r]);
        }
        UNROLL for (int r = 0; r < rows; r++) row[r] += (size_t)rows_apart * record;
    }
    UNROLL for (int r = 0; r < rows; r++) vstore(sums + r * VW, c[r]);
}

/* As many rows at a time as registers hold. */
enum { MOST = REGISTERS == 32 ? 8 : 4 };

INLINE void multiply_all(const shape t, const piece *b, int blocks, const uint8_t *row, int rows_apart, int rows, float *sums, bool first)
{
    const size_t record = row_block_bytes(t.block, t.run);
    for (int some; rows; rows -= some, row += (size_t)some * record, sums += some * VW) {
        some = rows >= MOST ? MOST : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
        if (some == MOST) multiply(t, MOST, b, blocks, row, rows_apart, sums, first);
        else if (some == 4) multiply(t, 4, b, blocks, row, rows_apart, sums, first);
        else if (some == 2) multiply(t, 2, b, blocks, row, rows_apart, sums, first);
        else multiply(t, 1, b, blocks, row, rows_apart, sums, first);
    }
}

void MULTIPLY(stored_type type, const piece *b, int blocks, const uint8_t *row, int rows_apart, int rows, float *sums, bool first)
{
    switch (type) {
    case STORED_Q4_0: case STORED_Q5_0: multiply_all(WHOLE, b, blocks, row, rows_apart, rows, sums, first); break;
    case STORED_Q4_1: case STORED_Q5_1: multiply_all(WHOLE_BASED, b, blocks, row, rows_apart, rows, sums, first); break;
    case STORED_Q4_K: case STORED_Q5_K: multiply_all(RUNS_32_BASED, b, blocks, row, rows_apart, rows, sums, first); break;
    case STORED_Q3_K: case STORED_Q6_K: multiply_all(RUNS_16, b, blocks, row, rows_apart, rows, sums, first); break;
    case STORED_Q2_K: multiply_all(RUNS_16_BASED, b, blocks, row, rows_apart, rows, sums, first); break;
    default:          multiply_all(WHOLE_SIGNED, b, blocks, row, rows_apart, rows, sums, first); break;
    }
}

/* Many rows times a piece of unpacked blocks (vector/blocks_vector.h) on Intel's tiles of bytes, 16 rows and 16
 * columns at a time; what is left of the rows goes the way of few.  Sums of integers are exact, so the bits are
 * those of the definition.  A block of 32 numbers is one product of tiles, whose sums are scaled and added.  In
 * blocks of 256 each number is first multiplied by its factor; the product, of 14 bits, is divided into 128 times a
 * high byte and a low one, whose sums over the whole block need no factors any more:  I = 128 (high . a) + low . a. */
#include "kernels/amx/blocks_amx.h"
#include "kernels/amx/amx.h"
#include "kernels/vector/blocks_vector.h"
#include <string.h>

enum { ROWS = 16, K4 = 4 * VW, STEP = 64, BLOCK = 256, STEPS = BLOCK / STEP };

/* The tiles; compilers want their numbers as text. */
#define LOW_SUMS 0
#define HIGH_SUMS 1
#define OF_A 2
#define LOW_B 3
#define HIGH_B 4

/* Tiles of A have `bytes` of k in a row, and those of B as many in a column. */
static void tiles_on(int bytes)
{
    tile_config c = { .palette = 1 };
    for (int t = LOW_SUMS; t <= HIGH_B; t++) c.row_bytes[t] = STEP, c.rows[t] = ROWS;
    c.row_bytes[OF_A] = (uint16_t)bytes;
    c.rows[LOW_B] = c.rows[HIGH_B] = (uint8_t)(bytes / 4);
    _tile_loadconfig(&c);
}

INLINE vint int_at(const uint8_t *p) { int32_t x; memcpy(&x, p, sizeof x); return iset(x); }
INLINE vec float_at(const uint8_t *p) { float x; memcpy(&x, p, sizeof x); return vset1(x); }

/* ---- blocks of 32 ---------------------------------------------------------------- */

INLINE void multiply_32(const bool base, const piece *b, int blocks, const uint8_t *row, size_t record, size_t apart, float *sums, bool first)
{
    enum { SCALE = 32, START = SCALE + 4, SUM = START + 4 };  /* of a record */
    _Alignas(64) int32_t out[2][ROWS * VW];
    vec c[ROWS];
    UNROLL for (int r = 0; r < ROWS; r++) c[r] = first ? vzero() : vload(sums + r * VW);
    for (int k = 0; k < blocks; k++, row += apart) {
        int32_t *products = out[k % 2];
        vec scale = vload(b->scale + k * VW), least = base ? vload(b->base + k * VW) : vzero();
        _tile_zero(LOW_SUMS);
        _tile_loadd(OF_A, row, record);
        _tile_loadd(LOW_B, b->q + (size_t)k * 8 * K4, K4);
        _tile_dpbsud(LOW_SUMS, OF_A, LOW_B);
        _tile_stored(LOW_SUMS, products, K4);
        MEMORY_BARRIER();
        UNROLL for (int r = 0; r < ROWS; r++) {
            const uint8_t *at = row + (size_t)r * record;
            vec of_row = float_at(at + SCALE);
            c[r] = vfma(ifloat(iadd(iload(products + r * VW), int_at(at + START))), vmul(scale, of_row), c[r]);
            if (base) c[r] = vfma(float_at(at + SUM), vmul(least, of_row), c[r]);
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++) vstore(sums + r * VW, c[r]);
}

/* ---- blocks of 256 ----------------------------------------------------------------- */

typedef struct { _Alignas(64) uint8_t low[BLOCK * VW]; uint8_t high[BLOCK * VW]; } planes;

/* Numbers times factors, two of 16 bits in a lane, as low and high bytes. */
INLINE vint times(vint numbers, int offset, vint factor)
{
    return _mm512_mullo_epi16(_mm512_sub_epi16(numbers, _mm512_set1_epi16((int16_t)offset)), factor);
}
INLINE vint low_of(vint x) { return iand(x, iset(0x007f007f)); }
INLINE vint high_of(vint x) { return iand(_mm512_srai_epi16(x, 7), iset(0x00ff00ff)); }

static void divide(planes *to, const uint8_t *q, const int32_t *factors, int run, int offset)
{
    const vint bytes = iset(0x00ff00ff);
    for (int k = 0; k < BLOCK / 4; k++, q += K4) {
        vint w = iload(q), f = iload(factors + k * 4 / run * VW), factor = ior(iand(f, iset(0xffff)), ileft(f, 16));
        vint even = times(iand(w, bytes), offset, factor), odd = times(iand(_mm512_srli_epi16(w, 8), bytes), offset, factor);
        istore(to->low + k * K4, ior(low_of(even), ileft(low_of(odd), 8)));
        istore(to->high + k * K4, ior(high_of(even), ileft(high_of(odd), 8)));
    }
}

/* sums (ROWS, VW) more by block k of the piece. */
INLINE void multiply_256(const int runs, const bool base, const piece *b, int k, const planes *p, const uint8_t *row, size_t record, float *sums, bool first)
{
    enum { SCALE = BLOCK };
    const size_t sum_at = SCALE + 4 + 4 * (size_t)runs;
    _Alignas(64) int32_t low[ROWS * VW], high[ROWS * VW];
    const vec scale = vload(b->scale + k * VW), least = base ? vload(b->base + k * VW) : vzero();
    _tile_zero(LOW_SUMS);
    _tile_zero(HIGH_SUMS);
    for (int s = 0; s < STEPS; s++) {
        _tile_loadd(OF_A, row + s * STEP, record);
        _tile_loadd(LOW_B, p->low + s * 16 * K4, K4);
        _tile_loadd(HIGH_B, p->high + s * 16 * K4, K4);
        _tile_dpbssd(LOW_SUMS, OF_A, LOW_B);
        _tile_dpbssd(HIGH_SUMS, OF_A, HIGH_B);
    }
    _tile_stored(LOW_SUMS, low, K4);
    _tile_stored(HIGH_SUMS, high, K4);
    MEMORY_BARRIER();
    for (int r = 0; r < ROWS; r++, row += record) {
        vec c = first ? vzero() : vload(sums + r * VW), of_row = float_at(row + SCALE), shares = vzero();
        c = vfma(ifloat(iadd(ileft(iload(high + r * VW), 7), iload(low + r * VW))), vmul(scale, of_row), c);
        if (base) {
            UNROLL for (int i = 0; i < runs; i++)             /* whole numbers below 2^24: exact */
                shares = vfma(vload(b->share + (k * runs + i) * VW), float_at(row + sum_at + 4 * (size_t)i), shares);
            c = vfma(shares, vmul(least, of_row), c);
        }
        vstore(sums + r * VW, c);
    }
}

/* ---- all rows ------------------------------------------------------------------------ */

static void rows_of_256(stored_type type, const piece *b, int blocks, const uint8_t *row, size_t record, size_t apart, int rows, float *sums, bool first)
{
    const int run = stored_formats[type].run, runs = BLOCK / run;
    planes p;
    tiles_on(STEP);
    for (int k = 0; k < blocks; k++, row += apart) {
        divide(&p, b->q + (size_t)k * BLOCK * VW, b->factor + k * runs * VW, run, offset_of(type, false));
        MEMORY_BARRIER();
        for (int r = 0; r < rows; r += ROWS) {
            const uint8_t *from = row + (size_t)r * record;
            float *to = sums + r * VW;
            bool begin = first && k == 0;
            if (type == STORED_Q2_K) multiply_256(16, true, b, k, &p, from, record, to, begin);
            else if (run == 16) multiply_256(16, false, b, k, &p, from, record, to, begin);
            else multiply_256(8, true, b, k, &p, from, record, to, begin);
        }
    }
}

static void rows_of_32(stored_type type, const piece *b, int blocks, const uint8_t *row, size_t record, size_t apart, int rows, float *sums, bool first)
{
    tiles_on(32);
    for (int r = 0; r < rows; r += ROWS) {
        if (stored_formats[type].has_base) multiply_32(true, b, blocks, row + (size_t)r * record, record, apart, sums + r * VW, first);
        else multiply_32(false, b, blocks, row + (size_t)r * record, record, apart, sums + r * VW, first);
    }
}

static void multiply_blocks_amx(stored_type type, const piece *b, int blocks, const uint8_t *row, int rows_apart, int rows, float *sums, bool first)
{
    const stored_format *f = &stored_formats[type];
    const size_t record = row_block_bytes(f->block, f->run), apart = (size_t)rows_apart * record;
    int whole = rows / ROWS * ROWS;
    if (whole) {
        if (f->block == BLOCK) rows_of_256(type, b, blocks, row, record, apart, whole, sums, first);
        else rows_of_32(type, b, blocks, row, record, apart, whole, sums, first);
        _tile_release();
    }
    if (whole < rows) multiply_blocks_vnni(type, b, blocks, row + (size_t)whole * record, rows_apart, rows - whole, sums + whole * VW, first);
}

void gemm_blocks_amx(const gemm_args *g)
{
    if (g->M > 0 && g->N > 0) gemm_blocks_by_avx512(g, multiply_blocks_amx, false);
}

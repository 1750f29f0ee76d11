/* Operands of bf16 products in the layout of the tiles (Intel SDM, TDPBF16PS): a tile of A is
 * 16 rows of 32 k; a tile of B is 16 pairs of k, each 16 columns of two neighbours.  Two tiles
 * side by side make a panel of 32 rows or columns, 2 KiB for each 32 k, and K is filled up with
 * zeros.  An operand in parts has, for each 32 k, as many of these one after the other.
 *
 * A source is `across` if its k are adjacent in memory, `along` if its rows or
 * columns are.  A from rows and B from columns are plain copies; the other two transpose a
 * 16 x 16 block of pairs. */
#ifndef AMX_PACK_AMX_H
#define AMX_PACK_AMX_H

#include "kernels/vector/gemm_cut.h"
#include "kernels/vector/vec_stored.h"

enum { PANEL = 32, STEP = 32, TILE = 512, STEP_SIZE = 2 * TILE };       /* the last two in bf16 elements */

static inline int steps_of(int K) { return (K + STEP - 1) / STEP; }

/* Which bf16 of a number: the nearest, the nearest to what that leaves of it, and what then is left: three times 8
 * bits are all of a float.  Where the nearest is not finite, the others are 0. */
typedef enum { NEAREST, SECOND, THIRD } bf16_part;

/* What the nearest bf16 leaves of x. */
INLINE vec rest_of(vec x)
{
    vec nearest = vwiden_bf16((__m256i)_mm512_cvtneps_pbh(x));
    return _mm512_maskz_sub_ps(_knot_mask16(_mm512_fpclass_ps_mask(nearest, 0x99)), x, nearest);
}

/* Two registers as bf16, the first below. */
INLINE __m512i as_bf16(const bf16_part part, vec low, vec high)
{
    if (part != NEAREST) low = rest_of(low), high = rest_of(high);
    if (part == THIRD) low = rest_of(low), high = rest_of(high);
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* The first n of 32 numbers from number i of src on, as bf16 in order, followed by zeros. */
INLINE __m512i load_bf16(const stored_type type, const bf16_part part, const void *src, size_t i, int n)
{
    if (type == STORED_BF16) return _mm512_maskz_loadu_epi16(n >= 32 ? ~0u : (1u << n) - 1, (const uint16_t *)src + i);
    vec low = vload_stored(type, src, i, n), high = n > VW ? vload_stored(type, src, i + VW, n - VW) : vzero();
    return as_bf16(part, low, high);
}

/* 16 numbers of k and 16 of k+1, the two halves, as 16 pairs. */
INLINE __m512i pairs(__m512i halves)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                           23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, halves);
}

/* The first `lanes` numbers from i on and as many from j on, each as 16 of bf16, side by side; without j, zeros. */
INLINE __m512i load_two_bf16(const stored_type type, const bf16_part part, const void *src, size_t i, size_t j, bool both, int lanes)
{
    if (type == STORED_BF16) {
        __m256i low = vload_halves_n((const uint16_t *)src + i, lanes);
        return _mm512_inserti64x4(_mm512_castsi256_si512(low), both ? vload_halves_n((const uint16_t *)src + j, lanes) : _mm256_setzero_si256(), 1);
    }
    vec low = vload_stored(type, src, i, lanes), high = both ? vload_stored(type, src, j, lanes) : vzero();
    return as_bf16(part, low, high);
}

/* x[i], lane j becomes x[j], lane i. */
INLINE void turn(__m512i x[16])
{
    __m512i y[16];
    for (int i = 0; i < 16; i += 4) {
        __m512i a = _mm512_unpacklo_epi32(x[i], x[i + 1]), b = _mm512_unpackhi_epi32(x[i], x[i + 1]);
        __m512i c = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]), d = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
        y[i] = _mm512_unpacklo_epi64(a, c), y[i + 1] = _mm512_unpackhi_epi64(a, c);
        y[i + 2] = _mm512_unpacklo_epi64(b, d), y[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for (int i = 0; i < 4; i++) {
        __m512i a = _mm512_shuffle_i32x4(y[i], y[i + 4], 0x88), b = _mm512_shuffle_i32x4(y[i], y[i + 4], 0xdd);
        __m512i c = _mm512_shuffle_i32x4(y[i + 8], y[i + 12], 0x88), d = _mm512_shuffle_i32x4(y[i + 8], y[i + 12], 0xdd);
        x[i] = _mm512_shuffle_i32x4(a, c, 0x88), x[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
        x[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88), x[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

/* One tile from a source across: rows r of src, k of them valid (at most 32), rows at most 16. */
INLINE void tile_across(const stored_type type, const bf16_part part, const bool transposed, uint16_t *tile, const void *src, size_t ld, int rows, int k)
{
    __m512i x[16];
    for (int r = 0; r < 16; r++) x[r] = r < rows ? load_bf16(type, part, src, (size_t)r * ld, k) : _mm512_setzero_si512();
    if (transposed) turn(x);
    for (int r = 0; r < 16; r++) _mm512_storeu_si512(tile + 32 * r, x[r]);
}

/* One tile from a source along: k rows of src (at most 32), `lanes` columns valid (at most 16). */
INLINE void tile_along(const stored_type type, const bf16_part part, const bool transposed, uint16_t *tile, const void *src, size_t ld, int lanes, int k)
{
    __m512i x[16];
    for (int p = 0; p < 16; p++)
        x[p] = 2 * p < k ? pairs(load_two_bf16(type, part, src, (size_t)(2 * p) * ld, (size_t)(2 * p + 1) * ld, 2 * p + 1 < k, lanes)) : _mm512_setzero_si512();
    if (transposed) turn(x);
    for (int p = 0; p < 16; p++) _mm512_storeu_si512(tile + 32 * p, x[p]);
}

/* The tile of rows or columns from w on, k from s; the same of the next part is STEP_SIZE further. */
static inline uint16_t *tile_at(uint16_t *panels, size_t panel_size, int parts, int w, int s)
{
    return panels + (size_t)(w / PANEL) * panel_size + (size_t)(s / STEP * parts) * STEP_SIZE + (w % PANEL ? TILE : 0);
}

/* `width` rows of A or columns of B, k of K, as panels; panel_size elements from one panel to the next.
 * is_a chooses the kind of tile.  Either way the source is read in long runs of few rows. */
INLINE void pack_panels(const stored_type type, const int parts, const bool is_a, const bool across, uint16_t *dst, size_t panel_size, const void *src, size_t ld, int width, int k)
{
    stored from = { .type = type, .data = src };
    if (across) {
        for (int w = 0; w < width; w += 16)
            for (int s = 0; s < k; s += STEP) {
                uint16_t *tile = tile_at(dst, panel_size, parts, w, s);
                const void *at = stored_from(from, (size_t)w * ld + (size_t)s).data;
                UNROLL for (int p = 0; p < parts; p++, tile += STEP_SIZE)
                    tile_across(type, (bf16_part)p, !is_a, tile, at, ld, lesser(16, width - w), lesser(STEP, k - s));
            }
    } else {
        for (int s = 0; s < k; s += STEP)
            for (int w = 0; w < width; w += 16) {
                uint16_t *tile = tile_at(dst, panel_size, parts, w, s);
                const void *at = stored_from(from, (size_t)s * ld + (size_t)w).data;
                UNROLL for (int p = 0; p < parts; p++, tile += STEP_SIZE)
                    tile_along(type, (bf16_part)p, is_a, tile, at, ld, lesser(16, width - w), lesser(STEP, k - s));
            }
    }
}

#endif

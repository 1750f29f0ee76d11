/* One product of panels (pack_amx.h) on the tiles: sums of 32 x 32 in four of them. */
#ifndef AMX_TILES_AMX_H
#define AMX_TILES_AMX_H

#include "kernels/amx/amx.h"
#include "kernels/amx/pack_amx.h"
#include "kernels/vector/vec_transpose.h"

static inline void tiles_on(void)
{
    tile_config c = { .palette = 1 };
    for (int i = 0; i < 8; i++) c.row_bytes[i] = 64, c.rows[i] = 16;
    _tile_loadconfig(&c);
}

/* Prefetches a little with every step: a run of lines of the next panel of B, and the
 * rows of C that are written next. */
typedef struct { const uint16_t *b; int b_lines; const float *c; size_t ldc; int c_rows, c_row; } errand;

INLINE void fetch(errand *e, int steps)
{
    for (int i = 0; i < e->b_lines; i++, e->b += 32) _mm_prefetch((const char *)e->b, _MM_HINT_T1);
    for (int i = 0; i < PANEL && e->c_row < e->c_rows; i += steps, e->c_row++, e->c += e->ldc) {
        __asm__ volatile("prefetchw %0" : : "m"(e->c[0]));
        __asm__ volatile("prefetchw %0" : : "m"(e->c[16]));
    }
}

/* out (32,32), `stride` floats from row to row, = from (32,32 contiguous; NULL is zero) + a b: of each step every
 * part of a times every part of b.  Without `lower` the first 16 rows alone. */
INLINE void multiply(const bool lower, const int a_parts, const int b_parts, int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e)
{
    size_t bytes = stride * sizeof *out;
    errand local = *e;
    MEMORY_BARRIER();
    _tile_zero(0);
    _tile_zero(1);
    if (lower) _tile_zero(2);
    if (lower) _tile_zero(3);
    if (from) {
        _tile_loadd(0, from, 128);
        _tile_loadd(1, from + 16, 128);
        if (lower) _tile_loadd(2, from + 16 * PANEL, 128);
        if (lower) _tile_loadd(3, from + 16 * PANEL + 16, 128);
    }
    for (int s = 0; s < steps; s++, b += b_parts * STEP_SIZE)
        UNROLL for (int i = 0; i < a_parts; i++, a += STEP_SIZE) {
            _tile_loadd(4, a, 64);
            UNROLL for (int j = 0; j < b_parts; j++) {
                _tile_loadd(6, b + j * STEP_SIZE, 64);
                _tile_loadd(7, b + j * STEP_SIZE + TILE, 64);
                if (lower && j == 0) _tile_loadd(5, a + TILE, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                if (i == 0 && j == 0) fetch(&local, steps);
                if (lower) _tile_dpbf16ps(2, 5, 6);
                if (lower) _tile_dpbf16ps(3, 5, 7);
            }
        }
    _tile_stored(0, out, bytes);
    _tile_stored(1, out + 16, bytes);
    if (lower) _tile_stored(2, out + 16 * stride, bytes);
    if (lower) _tile_stored(3, out + 16 * stride + 16, bytes);
    MEMORY_BARRIER();
    e->b = local.b;
}

/* One function for each pair of numbers of parts. */
typedef void product_function(int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e);
#define PRODUCT(a_parts, b_parts) \
    static void product_##a_parts##_##b_parts(int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e) \
    { multiply(true, a_parts, b_parts, steps, a, b, from, out, stride, e); } \
    static void upper_##a_parts##_##b_parts(int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e) \
    { multiply(false, a_parts, b_parts, steps, a, b, from, out, stride, e); }

#endif

/* ggml's blocks of 32 numbers (ggml-quants), taken apart.  A scale d and, in the *_1 types, a
 * base m in float16, then the bits of the numbers.
 *   q4_0  d, 16 bytes                     x = d (q - 8)
 *   q4_1  d, m, 16 bytes                  x = d q + m
 *   q5_0  d, u32 of fifth bits, 16 bytes  x = d (q - 16)
 *   q5_1  d, m, u32, 16 bytes             x = d q + m
 *   q8_0  d, 32 signed bytes              x = d q
 * The low half of byte j is number j, the high half number j + 16. */
#include "kernels/blocks.h"
#include "kernels/half.h"

enum { NUMBERS = 32, HALF = NUMBERS / 2 };

static uint32_t u32_at(const uint8_t *p) { uint32_t x; memcpy(&x, p, sizeof x); return x; }
/* base NULL: there is none. */
static void set_scales(block_parts *out, const uint8_t *scale, const uint8_t *base)
{
    out->scale = float_from_f16_at(scale);
    out->base = base ? float_from_f16_at(base) : 0;
    out->factor[0] = 1;
    out->share[0] = base != NULL;
}

/* Halves of bytes, with a fifth bit each from `fifth`, less `middle`. */
static void set_numbers(block_parts *out, const uint8_t *halves, uint32_t fifth, int middle)
{
    for (int j = 0; j < HALF; j++) {
        out->q[j] = (int8_t)((halves[j] & 15) + (int)(fifth >> j & 1) * 16 - middle);
        out->q[j + HALF] = (int8_t)((halves[j] >> 4) + (int)(fifth >> (j + HALF) & 1) * 16 - middle);
    }
}

void parts_q4_0(const uint8_t *p, block_parts *out) { set_scales(out, p, NULL), set_numbers(out, p + 2, 0, 8); }
void parts_q4_1(const uint8_t *p, block_parts *out) { set_scales(out, p, p + 2), set_numbers(out, p + 4, 0, 0); }
void parts_q5_0(const uint8_t *p, block_parts *out) { set_scales(out, p, NULL), set_numbers(out, p + 6, u32_at(p + 2), 16); }
void parts_q5_1(const uint8_t *p, block_parts *out) { set_scales(out, p, p + 2), set_numbers(out, p + 8, u32_at(p + 4), 0); }

void parts_q8_0(const uint8_t *p, block_parts *out)
{
    set_scales(out, p, NULL);
    memcpy(out->q, p + 2, NUMBERS);
}

/* ggml's K types (ggml-quants), taken apart: blocks of 256 numbers in runs of 16 or 32, each with an
 * integer factor and, in q2, q4 and q5, an integer share of a common base, which is taken off.
 *   q2_K  16 bytes (factor, share << 4), 64 of 2-bit numbers, d, base                     x = d f q - base s
 *   q3_K  32 bytes of third bits, 64 of 2-bit numbers, 12 of 6-bit factors, d             x = d (f - 32) (q - 4)
 *   q4_K  d, base, 12 bytes of 6-bit factors and shares, 128 of 4-bit numbers             x = d f q - base s
 *   q5_K  d, base, 12 bytes, 32 of fifth bits, 128 of 4-bit numbers                       x = d f q - base s
 *   q6_K  128 bytes of 4 low bits, 64 of 2 high bits, 16 signed factors, d                x = d f (q - 32)
 * Numbers that share bytes are 32 apart in q2, q3, q4 and q5; in q6 low bits are 64 apart, high bits 32. */
#include "kernels/blocks.h"
#include "kernels/half.h"

enum { NUMBERS = 256 };

static void set_scales(block_parts *out, const uint8_t *scale, const uint8_t *base)
{
    out->scale = float_from_f16_at(scale);
    out->base = base ? -float_from_f16_at(base) : 0;
    memset(out->share, 0, sizeof out->share);
}

/* Number i of those that have two bits each. */
static int two_bits(const uint8_t *p, int i) { return p[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }
/* Number i of those that have four bits each. */
static int four_bits(const uint8_t *p, int i) { return p[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 15; }

void parts_q2_k(const uint8_t *p, block_parts *out)
{
    set_scales(out, p + 80, p + 82);
    for (int r = 0; r < 16; r++) out->factor[r] = p[r] & 15, out->share[r] = p[r] >> 4;
    for (int i = 0; i < NUMBERS; i++) out->q[i] = (int8_t)two_bits(p + 16, i);
}

/* Factor r: four low bits in the first 8 bytes, two high bits in the last 4. */
static int q3_factor(const uint8_t *p, int r) { return (p[r % 8] >> r / 8 * 4 & 15) | (p[8 + r % 4] >> r / 4 * 2 & 3) << 4; }

void parts_q3_k(const uint8_t *p, block_parts *out)
{
    set_scales(out, p + 108, NULL);
    for (int r = 0; r < 16; r++) out->factor[r] = q3_factor(p + 96, r) - 32;
    for (int i = 0; i < NUMBERS; i++) out->q[i] = (int8_t)(two_bits(p + 32, i) + (p[i % 32] >> i / 32 & 1) * 4 - 4);
}

/* Eight factors, then eight shares, of six bits: the first four of each in a byte of their own, whose two upper bits
 * are those of the last four, whose lower bits lie in the last 4 bytes. */
static int six_bits(const uint8_t *p, int r, bool share)
{
    const uint8_t *own = p + (share ? 4 : 0);
    return r < 4 ? own[r] & 63 : (p[8 + r - 4] >> (share ? 4 : 0) & 15) | own[r - 4] >> 6 << 4;
}

static void set_six_bits(block_parts *out, const uint8_t *p)
{
    for (int r = 0; r < 8; r++) out->factor[r] = six_bits(p, r, false), out->share[r] = six_bits(p, r, true);
}

void parts_q4_k(const uint8_t *p, block_parts *out)
{
    set_scales(out, p, p + 2);
    set_six_bits(out, p + 4);
    for (int i = 0; i < NUMBERS; i++) out->q[i] = (int8_t)four_bits(p + 16, i);
}

void parts_q5_k(const uint8_t *p, block_parts *out)
{
    set_scales(out, p, p + 2);
    set_six_bits(out, p + 4);
    for (int i = 0; i < NUMBERS; i++) out->q[i] = (int8_t)(four_bits(p + 48, i) + (p[16 + i % 32] >> i / 32 & 1) * 16);
}

void parts_q6_k(const uint8_t *p, block_parts *out)
{
    set_scales(out, p + 208, NULL);
    for (int r = 0; r < 16; r++) out->factor[r] = (int8_t)p[192 + r];
    for (int i = 0; i < NUMBERS; i++) {
        int low = p[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15;
        out->q[i] = (int8_t)((low | two_bits(p + 128, i) << 4) - 32);
    }
}

/* Strips of weights in blocks, unpacked: the bytes of VW columns are transposed as they are packed, 16 at a time,
 * and then taken apart.  blocks_ref.c and blocks_k_ref.c describe the types. */
#include "kernels/vector/blocks_vector.h"
#include <string.h>

enum { K4 = 4 * VW, LINE = 64 };                             /* bytes of four k of all columns */

INLINE vint ibyte(unsigned x) { return iset((int32_t)(x * 0x01010101u)); }
INLINE vint ilow_half(vint x)  { return iand(x, ibyte(15)); }
INLINE vint ihigh_half(vint x) { return iand(iright(x, 4), ibyte(15)); }

/* Bits of a byte that come to stand `up` higher, or lower where that is negative; the others are 0. */
INLINE vint ibits_of(vint x, const int up, const unsigned mask) { return iand(up < 0 ? iright(x, -up) : ileft(x, up), ibyte(mask)); }

/* Transposes 16 bytes of each column from p, and fetches as many of what is read after this strip: a few lines at a
 * time, and to the second-level cache, since the buffers for lines to the first hold 16 and the next request waits. */
INLINE void take(vint x[4], const uint8_t *p, size_t stride, errand *e)
{
    itranspose(x, p, stride);
    UNROLL for (int i = 0; i < 16 * VW; i += LINE) FETCH_L2(e->next + i);
    e->next += e->next < e->end ? 16 * VW : 0;
}

/* ---- blocks of 32 ---------------------------------------------------------------------------- */

/* The 32 bits at p of each column. */
#if VW == 16
INLINE vint word_of_columns(const uint8_t *p, size_t stride)
{
    const vint lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_i32gather_epi32(imul(lane, iset((int32_t)stride)), (const void *)p, 1);
}
#else
INLINE vint word_of_columns(const uint8_t *p, size_t stride)
{
    uint32_t x[VW];
    UNROLL for (int c = 0; c < VW; c++) memcpy(x + c, p + (size_t)c * stride, sizeof *x);
    return iload(x);
}
#endif

/* x | 16 where the bit of its number is set: four bits of `fifth` from bit 4 * k4 on. */
INLINE vint iwith_fifth(vint x, vint fifth, const int k4)
{
    vint bits = iand(iright(fifth, 4 * k4), iset(15));       /* 8 4 2 1 of a lane, to a byte each */
    bits = iand(ior(ior(bits, ileft(bits, 7)), ior(ileft(bits, 14), ileft(bits, 21))), ibyte(1));
    return ior(x, ileft(bits, 4));
}

INLINE void unpack_32(const stored_type type, const bool sign, piece *to, const uint8_t *p, size_t stride, int blocks, errand *e)
{
    const size_t bytes = type == STORED_Q4_0 ? 18 : type == STORED_Q4_1 ? 20 : type == STORED_Q5_0 ? 22 : type == STORED_Q5_1 ? 24 : 34;
    const bool has_base = type == STORED_Q4_1 || type == STORED_Q5_1, has_fifth = type == STORED_Q5_0 || type == STORED_Q5_1;
    const size_t head = has_base ? 4 : 2, at = bytes - (type == STORED_Q8_0 ? 32 : 16);
    for (int b = 0; b < blocks; b++, p += bytes) {
        uint8_t *q = to->q + b * 8 * K4;
        vint x[4], y[4], scales = word_of_columns(p, stride), fifth = has_fifth ? word_of_columns(p + head, stride) : izero();
        take(x, p + at, stride, e);
        if (type == STORED_Q8_0) take(y, p + at + 16, stride, e);
        UNROLL for (int j = 0; j < 4; j++) {
            vint low = x[j], high = y[j];
            if (type != STORED_Q8_0) high = ihigh_half(low), low = ilow_half(low);
            else if (!sign) low = ixor(low, ibyte(128)), high = ixor(high, ibyte(128));
            if (has_fifth) low = iwith_fifth(low, fifth, j), high = iwith_fifth(high, fifth, j + 4);
            istore(q + j * K4, low);
            istore(q + (j + 4) * K4, high);
        }
        vstore(to->scale + b * VW, ihalves(scales));
        if (has_base) vstore(to->base + b * VW, ihalves(iright(scales, 16)));
    }
}

/* ---- blocks of 256 ----------------------------------------------------------------------------- */

/* Byte `at` of the 16 that were transposed to x, in the lowest bits, and bits above it. */
INLINE vint ibyte_at(const vint x[4], const int at) { return iright(x[at / 4], at % 4 * 8); }

typedef struct { uint8_t *q; int32_t *factor; float *share, *scale, *base; } block_of_256;

INLINE void put_scales(const block_of_256 *to, vint scale, vint base, const bool has_base)
{
    vstore(to->scale, ihalves(scale));
    if (has_base) vstore(to->base, vneg(ihalves(base)));
}

INLINE void put_run(const block_of_256 *to, const int r, vint factor, vint share)
{
    istore(to->factor + r * VW, factor);
    vstore(to->share + r * VW, ifloat(share));
}

/* q4 and q5: 16 bytes of scale, base, factors and shares, then in q5 32 of fifth bits, then 128. */
INLINE void unpack_q45(const bool has_fifth, const block_of_256 *to, const uint8_t *p, size_t stride, errand *e)
{
    vint h[4], x[4], fifth[8];
    take(h, p, stride, e);
    put_scales(to, h[0], iright(h[0], 16), true);
    const vint six = iset(63), four = iset(15), upper = iset(0x30);
    UNROLL for (int r = 0; r < 4; r++) {
        vint factor = ibyte_at(h, 4 + r), share = ibyte_at(h, 8 + r), low = ibyte_at(h, 12 + r);
        put_run(to, r, iand(factor, six), iand(share, six));
        put_run(to, r + 4, ior(iand(low, four), iand(iright(factor, 2), upper)), ior(iand(iright(low, 4), four), iand(iright(share, 2), upper)));
    }
    if (has_fifth) take(fifth, p + 16, stride, e), take(fifth + 4, p + 32, stride, e);
    p += has_fifth ? 48 : 16;
    UNROLL for (int part = 0; part < 8; part++) {            /* 16 bytes: 16 numbers of run r, and of the next */
        int r = part / 2 * 2, at = 8 * r + part % 2 * 4;
        take(x, p + 16 * part, stride, e);
        UNROLL for (int j = 0; j < 4; j++) {
            vint low = ilow_half(x[j]), high = ihigh_half(x[j]), bits = fifth[part % 2 * 4 + j];
            if (has_fifth) low = ior(low, ibits_of(bits, 4 - r, 16)), high = ior(high, ibits_of(bits, 3 - r, 16));
            istore(to->q + (at + j) * K4, low);
            istore(to->q + (at + 8 + j) * K4, high);
        }
    }
}

INLINE void unpack_q6(const block_of_256 *to, const uint8_t *p, size_t stride, errand *e)
{
    vint x[4], h[8];
    take(x, p + 194, stride, e);                             /* factors 2 to 15, and the scale in the last two bytes */
    put_scales(to, iright(x[3], 16), izero(), false);
    UNROLL for (int r = 2; r < 16; r++) istore(to->factor + r * VW, iright_signed(ileft(x[(r - 2) / 4], 24 - (r - 2) % 4 * 8), 24));
    take(x, p + 192, stride, e);
    UNROLL for (int r = 0; r < 2; r++) istore(to->factor + r * VW, iright_signed(ileft(x[0], 24 - r * 8), 24));
    UNROLL for (int half = 0; half < 2; half++) {
        take(h, p + 128 + 32 * half, stride, e);
        take(h + 4, p + 144 + 32 * half, stride, e);
        UNROLL for (int part = 0; part < 4; part++) {        /* 16 bytes: 16 numbers, and those 64 further on */
            take(x, p + 64 * half + 16 * part, stride, e);
            UNROLL for (int j = 0; j < 4; j++) {
                int at = 32 * half + 4 * part + j;
                vint bits = h[part % 2 * 4 + j];
                istore(to->q + at * K4, ior(ilow_half(x[j]), ibits_of(bits, part < 2 ? 4 : 2, 0x30)));
                istore(to->q + (at + 16) * K4, ior(ihigh_half(x[j]), ibits_of(bits, part < 2 ? 0 : -2, 0x30)));
            }
        }
    }
}

/* Four numbers of two bits in a byte, 32 apart; with third bits, one for each run of 32 in a byte, or without. */
INLINE void unpack_two_bits(const bool has_third, const block_of_256 *to, const uint8_t *p, const uint8_t *third, size_t stride, errand *e)
{
    vint x[4], h[8];
    if (has_third) take(h, third, stride, e), take(h + 4, third + 16, stride, e);
    UNROLL for (int part = 0; part < 4; part++) {
        take(x, p + 16 * part, stride, e);
        UNROLL for (int j = 0; j < 4; j++)
            UNROLL for (int i = 0; i < 4; i++) {
                int run = part / 2 * 4 + i;
                vint q = ibits_of(x[j], -2 * i, 3);
                if (has_third) q = ior(q, ibits_of(h[part % 2 * 4 + j], 2 - run, 4));
                istore(to->q + (8 * run + part % 2 * 4 + j) * K4, q);
            }
    }
}

INLINE void unpack_q2(const block_of_256 *to, const uint8_t *p, size_t stride, errand *e)
{
    vint h[4];
    take(h, p + 68, stride, e);
    put_scales(to, h[3], iright(h[3], 16), true);
    take(h, p, stride, e);
    UNROLL for (int r = 0; r < 16; r++) put_run(to, r, iand(ibyte_at(h, r), iset(15)), iand(iright(ibyte_at(h, r), 4), iset(15)));
    unpack_two_bits(false, to, p + 16, NULL, stride, e);
}

INLINE void unpack_q3(const block_of_256 *to, const uint8_t *p, size_t stride, errand *e)
{
    vint h[4];
    take(h, p + 94, stride, e);                              /* factors from byte 2 on, and the scale in the last two */
    put_scales(to, iright(h[3], 16), izero(), false);
    UNROLL for (int r = 0; r < 16; r++) {
        vint low = iand(iright(ibyte_at(h, 2 + r % 8), r / 8 * 4), iset(15)), high = iand(iright(ibyte_at(h, 10 + r % 4), r / 4 * 2), iset(3));
        istore(to->factor + r * VW, isub(ior(low, ileft(high, 4)), iset(32)));
    }
    unpack_two_bits(true, to, p + 32, p, stride, e);
}

INLINE void unpack_256(const stored_type type, piece *to, const uint8_t *p, size_t stride, int blocks, errand *e)
{
    const size_t bytes = type == STORED_Q2_K ? 84 : type == STORED_Q3_K ? 110 : type == STORED_Q4_K ? 144 : type == STORED_Q5_K ? 176 : 210;
    const int runs = type == STORED_Q4_K || type == STORED_Q5_K ? 8 : 16;
    for (int b = 0; b < blocks; b++, p += bytes) {
        block_of_256 at = { to->q + (size_t)b * 64 * K4, to->factor + b * runs * VW, to->share + b * runs * VW, to->scale + b * VW, to->base + b * VW };
        if (type == STORED_Q2_K) unpack_q2(&at, p, stride, e);
        else if (type == STORED_Q3_K) unpack_q3(&at, p, stride, e);
        else if (type == STORED_Q6_K) unpack_q6(&at, p, stride, e);
        else unpack_q45(type == STORED_Q5_K, &at, p, stride, e);
    }
}

/* ---- a piece --------------------------------------------------------------------------------------- */

static void unpack(stored_type type, piece *to, const uint8_t *p, size_t stride, int blocks, errand *e)
{
    switch (type) {
    case STORED_Q4_0: unpack_32(STORED_Q4_0, false, to, p, stride, blocks, e); break;
    case STORED_Q4_1: unpack_32(STORED_Q4_1, false, to, p, stride, blocks, e); break;
    case STORED_Q5_0: unpack_32(STORED_Q5_0, false, to, p, stride, blocks, e); break;
    case STORED_Q5_1: unpack_32(STORED_Q5_1, false, to, p, stride, blocks, e); break;
    case STORED_Q8_0:
        if (to->sign) unpack_32(STORED_Q8_0, true, to, p, stride, blocks, e);
        else unpack_32(STORED_Q8_0, false, to, p, stride, blocks, e);
        break;
    case STORED_Q2_K: unpack_256(STORED_Q2_K, to, p, stride, blocks, e); break;
    case STORED_Q3_K: unpack_256(STORED_Q3_K, to, p, stride, blocks, e); break;
    case STORED_Q4_K: unpack_256(STORED_Q4_K, to, p, stride, blocks, e); break;
    case STORED_Q5_K: unpack_256(STORED_Q5_K, to, p, stride, blocks, e); break;
    default:          unpack_256(STORED_Q6_K, to, p, stride, blocks, e); break;
    }
}

void LEVEL(unpack_blocks)(stored_type type, piece *to, const uint8_t *p, size_t stride, int blocks, int columns, errand *e)
{
    uint8_t copy[VW * PIECE_K / 32 * 34];                    /* of a strip that is not full */
    if (columns < VW) {
        size_t bytes = (size_t)blocks * stored_formats[type].bytes;
        memset(copy, 0, VW * bytes);
        for (int c = 0; c < columns; c++) memcpy(copy + (size_t)c * bytes, p + (size_t)c * stride, bytes);
        p = copy, stride = bytes;
    }
    unpack(type, to, p, stride, blocks, e);
}

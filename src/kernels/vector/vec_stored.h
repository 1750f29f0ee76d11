/* Stored numbers to floats, a register or a run at a time.  The type is a
 * constant wherever speed matters: a switch stands outside the loops. */
#ifndef VECTOR_VEC_STORED_H
#define VECTOR_VEC_STORED_H

#include "kernels/blocks.h"
#include "kernels/half.h"
#include "kernels/ref/ref.h"
#include "kernels/vector/vec_row.h"
#include <string.h>

#if VW == 16
typedef __m256i vhalves;                        /* VW numbers of 16 bits */
INLINE vhalves vload_halves(const uint16_t *p) { return _mm256_loadu_si256((const void *)p); }
INLINE vhalves vload_halves_n(const uint16_t *p, int n) { return _mm256_maskz_loadu_epi16(vtail(n), p); }
INLINE vec vwiden_f16(vhalves x) { return _mm512_cvtph_ps(x); }
INLINE vec vwiden_bf16(vhalves x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }
#elif VW == 8
typedef __m128i vhalves;
INLINE vhalves vload_halves(const uint16_t *p) { return _mm_loadu_si128((const void *)p); }
INLINE vec vwiden_f16(vhalves x) { return _mm256_cvtph_ps(x); }
INLINE vec vwiden_bf16(vhalves x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)); }
#else
typedef uint16x4_t vhalves;
INLINE vhalves vload_halves(const uint16_t *p) { return vld1_u16(p); }
INLINE vec vwiden_f16(vhalves x) { return vcvt_f32_f16(vreinterpret_f16_u16(x)); }
INLINE vec vwiden_bf16(vhalves x) { return vreinterpretq_f32_u32(vshll_n_u16(x, 16)); }
#endif
#if VW < 16
INLINE vhalves vload_halves_n(const uint16_t *p, int n)
{
    uint16_t some[VW] = { 0 };
    memcpy(some, p, (size_t)n * sizeof *some);
    return vload_halves(some);
}
#endif

/* Pairs of bf16, one in each lane of 32 bits: the first of each, the second of each, widened. */
#if VW == 16
INLINE vec vpair_even(vec x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(x), 16)); }
INLINE vec vpair_odd(vec x) { return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32((int)0xffff0000))); }
#elif VW == 8
INLINE vec vpair_even(vec x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(x), 16)); }
INLINE vec vpair_odd(vec x) { return _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32((int)0xffff0000))); }
#else
INLINE vec vpair_even(vec x) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(x), 16)); }
INLINE vec vpair_odd(vec x) { return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0xffff0000))); }
#endif

INLINE vec vwiden(const stored_type type, vhalves x) { return type == STORED_F16 ? vwiden_f16(x) : vwiden_bf16(x); }

/* Numbers i .. of data in the first n lanes, 0 in the others. */
INLINE vec vload_stored(const stored_type type, const void *data, size_t i, int n)
{
    if (type == STORED_REAL) return vload_n((const float *)data + i, n);
    const uint16_t *p = (const uint16_t *)data + i;
    return vwiden(type, n >= VW ? vload_halves(p) : vload_halves_n(p, n));
}

typedef enum { WIDEN, WIDEN_ROUNDED, WIDEN_ADDED } widen_kind;         /* y = x, y = x rounded to bf16, y += x */

INLINE void widen_typed(const stored_type type, const widen_kind kind, float *y, const void *data, int n)
{
    for (int i = 0; i < n; i += VW) {
        vec x = vload_stored(type, data, (size_t)i, n - i);
        vstore_add(y + i, n - i, kind == WIDEN_ADDED, kind == WIDEN_ROUNDED ? vround_bf16(x) : x);
    }
}

static inline void widen_blocks(widen_kind kind, float *y, stored x, int n)
{
    float block[MOST_BLOCK];
    const int size = stored_formats[x.type].block;
    for (int i = 0; i < n; i += size) {
        ref_widen(block, stored_from(x, (size_t)i), (size_t)size);
        widen_typed(STORED_REAL, kind, y + i, block, size);
    }
}

INLINE vec vwiden_bytes(const uint8_t *p)
{
#if VW == 16
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
#elif VW == 8
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
#else
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
#endif
}

/* Keys and values in blocks: a scale of 16 bits, then 32 bytes.  Zero is added so that none comes out negative, as in
 * ref_widen. */
INLINE void widen_q8_0(const widen_kind kind, float *y, const uint8_t *block, int n)
{
    for (int i = 0; i < n; i += 32, block += 34) {
        vec scale = vset1(float_from_f16((uint16_t)(block[0] | block[1] << 8)));
        UNROLL for (int j = 0; j < 32; j += VW) {
            vec x = vfma(scale, vwiden_bytes(block + 2 + j), vzero());
            vstore_add(y + i + j, VW, kind == WIDEN_ADDED, kind == WIDEN_ROUNDED ? vround_bf16(x) : x);
        }
    }
}

INLINE void widen_any(const widen_kind kind, float *y, stored x, int n)
{
    switch (x.type) {
    case STORED_F16:  widen_typed(STORED_F16, kind, y, x.data, n); break;
    case STORED_BF16: widen_typed(STORED_BF16, kind, y, x.data, n); break;
    case STORED_REAL: widen_typed(STORED_REAL, kind, y, x.data, n); break;
    case STORED_Q8_0: widen_q8_0(kind, y, x.data, n); break;
    default:          widen_blocks(kind, y, x, n); break;
    }
}

INLINE vhalves vnarrow_f16(vec x)
{
#if VW == 16
    return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif VW == 8
    return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
#else
    return vreinterpret_u16_f16(vcvt_f16_f32(x));
#endif
}

/* n floats to a type that ref_narrow writes. */
static inline void narrow_run(void *y, stored_type type, const float *x, int n)
{
    if (type != STORED_F16) { ref_narrow(y, type, x, (size_t)n); return; }
    for (int i = 0; i < n; i += VW) {
        vhalves halves = vnarrow_f16(vload_n(x + i, n - i));
        memcpy((uint16_t *)y + i, &halves, (size_t)lesser(n - i, VW) * sizeof(uint16_t));
    }
}

/* A run of n numbers. */
static inline void widen_run(widen_kind kind, float *y, stored x, int n)
{
    switch (kind) {
    case WIDEN_ADDED:   widen_any(WIDEN_ADDED, y, x, n); break;
    case WIDEN_ROUNDED: widen_any(WIDEN_ROUNDED, y, x, n); break;
    default:            widen_any(WIDEN, y, x, n); break;
    }
}

#endif

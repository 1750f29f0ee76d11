/* A register of integers, as wide as one of floats: VW lanes of 32 bits, each of them also two of 16 or four of 8. */
#ifndef VECTOR_VEC_INT_H
#define VECTOR_VEC_INT_H

#include "kernels/vector/vec.h"
#include <stdint.h>
#include <string.h>

#if VW == 16

typedef __m512i vint;
INLINE vint izero(void) { return _mm512_setzero_si512(); }
INLINE vint iset(int32_t x) { return _mm512_set1_epi32(x); }
INLINE vint iload(const void *p) { return _mm512_loadu_si512(p); }
INLINE void istore(void *p, vint v) { _mm512_storeu_si512(p, v); }
INLINE vint iand(vint a, vint b) { return _mm512_and_si512(a, b); }
INLINE vint ior(vint a, vint b) { return _mm512_or_si512(a, b); }
INLINE vint ixor(vint a, vint b) { return _mm512_xor_si512(a, b); }
INLINE vint iadd(vint a, vint b) { return _mm512_add_epi32(a, b); }
INLINE vint iadd16(vint a, vint b) { return _mm512_add_epi16(a, b); }
INLINE vint isub(vint a, vint b) { return _mm512_sub_epi32(a, b); }
INLINE vint imul(vint a, vint b) { return _mm512_mullo_epi32(a, b); }
INLINE vint imax(vint a, vint b) { return _mm512_max_epi32(a, b); }
INLINE vint ileft(vint a, const int n) { return _mm512_slli_epi32(a, (unsigned)n); }
INLINE vint iright(vint a, const int n) { return _mm512_srli_epi32(a, (unsigned)n); }             /* zeros come in */
INLINE vint iright_signed(vint a, const int n) { return _mm512_srai_epi32(a, (unsigned)n); }
INLINE vec  ifloat(vint a) { return _mm512_cvtepi32_ps(a); }
INLINE vint iround(vec a) { return _mm512_cvtps_epi32(a); }                                        /* nearest even */
INLINE vint ibits(vec a) { return _mm512_castps_si512(a); }
/* Pairs of a (unsigned) times b, bytes, to 16 bits; pairs of 16 bits to 32. */
INLINE vint imadd8(vint a, vint b) { return _mm512_maddubs_epi16(a, b); }
INLINE vint imadd16(vint a, vint b) { return _mm512_madd_epi16(a, b); }
INLINE vint iabs8(vint a) { return _mm512_abs_epi8(a); }
/* b, bytes, where a is not negative, else -b. */
INLINE vint isign8(vint b, vint a) { return _mm512_mask_sub_epi8(b, _mm512_movepi8_mask(a), izero(), b); }
/* The low halves of the lanes as float16. */
INLINE vec ihalves(vint a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }
/* Lanes as signed bytes, each in -128 .. 127. */
INLINE void istore_bytes(int8_t *p, vint a) { _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(a)); }
INLINE int isum(vint a) { return _mm512_reduce_add_epi32(a); }
INLINE int igreatest(vint a) { return _mm512_reduce_max_epi32(a); }

/* Lane q of 128 bits from p + 4q * stride. */
INLINE vint igather_quads(const uint8_t *p, size_t stride)
{
    vint v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));
    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, _mm_loadu_si128((const void *)(p + 4 * stride)));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, _mm_loadu_si128((const void *)(p + 8 * stride)));
    return _mm512_mask_broadcast_i32x4(v, 0xf000, _mm_loadu_si128((const void *)(p + 12 * stride)));
}
INLINE vint ilow32(vint a, vint b)  { return _mm512_unpacklo_epi32(a, b); }
INLINE vint ihigh32(vint a, vint b) { return _mm512_unpackhi_epi32(a, b); }
INLINE vint ilow64(vint a, vint b)  { return _mm512_unpacklo_epi64(a, b); }
INLINE vint ihigh64(vint a, vint b) { return _mm512_unpackhi_epi64(a, b); }

#elif VW == 8

typedef __m256i vint;
INLINE vint izero(void) { return _mm256_setzero_si256(); }
INLINE vint iset(int32_t x) { return _mm256_set1_epi32(x); }
INLINE vint iload(const void *p) { return _mm256_loadu_si256(p); }
INLINE void istore(void *p, vint v) { _mm256_storeu_si256(p, v); }
INLINE vint iand(vint a, vint b) { return _mm256_and_si256(a, b); }
INLINE vint ior(vint a, vint b) { return _mm256_or_si256(a, b); }
INLINE vint ixor(vint a, vint b) { return _mm256_xor_si256(a, b); }
INLINE vint iadd(vint a, vint b) { return _mm256_add_epi32(a, b); }
INLINE vint iadd16(vint a, vint b) { return _mm256_add_epi16(a, b); }
INLINE vint isub(vint a, vint b) { return _mm256_sub_epi32(a, b); }
INLINE vint imul(vint a, vint b) { return _mm256_mullo_epi32(a, b); }
INLINE vint imax(vint a, vint b) { return _mm256_max_epi32(a, b); }
INLINE vint ileft(vint a, const int n) { return _mm256_slli_epi32(a, n); }
INLINE vint iright(vint a, const int n) { return _mm256_srli_epi32(a, n); }
INLINE vint iright_signed(vint a, const int n) { return _mm256_srai_epi32(a, n); }
INLINE vec  ifloat(vint a) { return _mm256_cvtepi32_ps(a); }
INLINE vint iround(vec a) { return _mm256_cvtps_epi32(a); }
INLINE vint ibits(vec a) { return _mm256_castps_si256(a); }
INLINE vint imadd8(vint a, vint b) { return _mm256_maddubs_epi16(a, b); }
INLINE vint imadd16(vint a, vint b) { return _mm256_madd_epi16(a, b); }
INLINE vint iabs8(vint a) { return _mm256_abs_epi8(a); }
INLINE vint isign8(vint b, vint a) { return _mm256_sign_epi8(b, a); }
INLINE __m128i inarrow(vint a) { return _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)); }
INLINE vec ihalves(vint a) { return _mm256_cvtph_ps(inarrow(_mm256_and_si256(a, _mm256_set1_epi32(0xffff)))); }
INLINE void istore_bytes(int8_t *p, vint a)
{
    __m128i x = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64((void *)p, _mm_packs_epi16(x, x));
}
INLINE int isum(vint a)
{
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    q = _mm_add_epi32(q, _mm_unpackhi_epi64(q, q));
    return _mm_cvtsi128_si32(q) + _mm_extract_epi32(q, 1);
}
INLINE int igreatest(vint a)
{
    __m128i q = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    q = _mm_max_epi32(q, _mm_unpackhi_epi64(q, q));
    return _mm_cvtsi128_si32(_mm_max_epi32(q, _mm_shuffle_epi32(q, 1)));
}
INLINE vint igather_quads(const uint8_t *p, size_t stride)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)p)), _mm_loadu_si128((const void *)(p + 4 * stride)), 1);
}
INLINE vint ilow32(vint a, vint b)  { return _mm256_unpacklo_epi32(a, b); }
INLINE vint ihigh32(vint a, vint b) { return _mm256_unpackhi_epi32(a, b); }
INLINE vint ilow64(vint a, vint b)  { return _mm256_unpacklo_epi64(a, b); }
INLINE vint ihigh64(vint a, vint b) { return _mm256_unpackhi_epi64(a, b); }

#else

typedef int32x4_t vint;
INLINE vint izero(void) { return vdupq_n_s32(0); }
INLINE vint iset(int32_t x) { return vdupq_n_s32(x); }
INLINE vint iload(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
INLINE void istore(void *p, vint v) { vst1q_u8(p, vreinterpretq_u8_s32(v)); }
INLINE vint iand(vint a, vint b) { return vandq_s32(a, b); }
INLINE vint ior(vint a, vint b) { return vorrq_s32(a, b); }
INLINE vint ixor(vint a, vint b) { return veorq_s32(a, b); }
INLINE vint iadd(vint a, vint b) { return vaddq_s32(a, b); }
INLINE vint isub(vint a, vint b) { return vsubq_s32(a, b); }
INLINE vint imul(vint a, vint b) { return vmulq_s32(a, b); }
INLINE vint imax(vint a, vint b) { return vmaxq_s32(a, b); }
INLINE vint ileft(vint a, const int n) { return a << n; }
INLINE vint iright(vint a, const int n) { return vreinterpretq_s32_u32(vreinterpretq_u32_s32(a) >> n); }
INLINE vint iright_signed(vint a, const int n) { return a >> n; }
INLINE vec  ifloat(vint a) { return vcvtq_f32_s32(a); }
INLINE vint iround(vec a) { return vcvtnq_s32_f32(a); }
INLINE vint ibits(vec a) { return vreinterpretq_s32_f32(a); }
INLINE int16x8_t ishorts(vint a) { return vreinterpretq_s16_s32(a); }
INLINE int8x16_t ibytes(vint a) { return vreinterpretq_s8_s32(a); }
INLINE int16x8_t imul8(uint8x8_t a, int8x8_t b) { return vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(a)), vmovl_s8(b)); }
INLINE vint iadd16(vint a, vint b) { return vreinterpretq_s32_s16(vaddq_s16(ishorts(a), ishorts(b))); }
INLINE vint imadd8(vint a, vint b)
{
    uint8x16_t u = vreinterpretq_u8_s32(a);
    return vreinterpretq_s32_s16(vpaddq_s16(imul8(vget_low_u8(u), vget_low_s8(ibytes(b))), imul8(vget_high_u8(u), vget_high_s8(ibytes(b)))));
}
INLINE vint imadd16(vint a, vint b)
{
    return vpaddq_s32(vmull_s16(vget_low_s16(ishorts(a)), vget_low_s16(ishorts(b))), vmull_high_s16(ishorts(a), ishorts(b)));
}
INLINE vint iabs8(vint a) { return vreinterpretq_s32_s8(vabsq_s8(ibytes(a))); }
INLINE vint isign8(vint b, vint a) { return vreinterpretq_s32_s8(vbslq_s8(vcltzq_s8(ibytes(a)), vnegq_s8(ibytes(b)), ibytes(b))); }
INLINE vec ihalves(vint a) { return vcvt_f32_f16(vreinterpret_f16_s16(vmovn_s32(a))); }
INLINE void istore_bytes(int8_t *p, vint a)
{
    int16x4_t x = vmovn_s32(a);
    int8x8_t bytes = vmovn_s16(vcombine_s16(x, x));
    memcpy(p, &bytes, VW);
}
INLINE int isum(vint a) { return vaddvq_s32(a); }
INLINE int igreatest(vint a) { return vmaxvq_s32(a); }
INLINE vint igather_quads(const uint8_t *p, size_t stride) { (void)stride; return iload(p); }
INLINE vint ilow32(vint a, vint b)  { return vzip1q_s32(a, b); }
INLINE vint ihigh32(vint a, vint b) { return vzip2q_s32(a, b); }
INLINE vint ilow64(vint a, vint b)  { return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b))); }
INLINE vint ihigh64(vint a, vint b) { return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b))); }

#endif

/* 16 bytes of each of VW columns, `stride` bytes apart: out[j] has bytes 4j .. 4j+3 of every column in its lanes. */
INLINE void itranspose(vint out[4], const uint8_t *p, size_t stride)
{
    vint a = igather_quads(p, stride), b = igather_quads(p + stride, stride);
    vint c = igather_quads(p + 2 * stride, stride), d = igather_quads(p + 3 * stride, stride);
    vint ab = ilow32(a, b), cd = ilow32(c, d);
    out[0] = ilow64(ab, cd), out[1] = ihigh64(ab, cd);
    ab = ihigh32(a, b), cd = ihigh32(c, d);
    out[2] = ilow64(ab, cd), out[3] = ihigh64(ab, cd);
}

#endif

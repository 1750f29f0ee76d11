/* A register of VW floats, at the width this file is compiled for: NEON of ARMv8 (4), AVX2
 * with FMA (8) or AVX-512 F, BW, DQ, VL (16).  Every file of this folder is compiled once for
 * each that the processor's architecture may have, and LEVEL(name) gives its functions the level's
 * name: gemm_neon, gemm_avx2, gemm_avx512.  REGISTERS says how many there are.
 *
 * The tail of a row is done with masked loads and stores and otherwise the same
 * instructions, so an element's value never depends on where its row ends.
 * Nothing here may become scalar code, which would round differently. */
#ifndef VECTOR_VEC_H
#define VECTOR_VEC_H

#include "kernels/kernels.h"
#ifdef __aarch64__
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define LEVEL(name) PASTE(name, LEVEL_SUFFIX)
#define INLINE static inline __attribute__((always_inline, unused))
/* Before a loop whose length the compiler knows, and before one of any length. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_16 _Pragma("clang loop unroll_count(16)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_16 _Pragma("GCC unroll 16")
#endif

/* Asks for the line at p, which may be any address: in the first-level cache, in the second, or to be written. */
#define FETCH_L1(p) __builtin_prefetch((p), 0, 3)
#define FETCH_L2(p) __builtin_prefetch((p), 0, 2)
#ifdef __aarch64__
#define FETCH_TO_WRITE(p) __builtin_prefetch((p), 1, 3)
#else
#define FETCH_TO_WRITE(p) __asm__ volatile("prefetchw %0" : : "m"(*(p)))
#endif

#if defined(__AVX512F__)

#define LEVEL_SUFFIX avx512
#define VW 16
#define REGISTERS 32
typedef __m512 vec;
typedef __mmask16 vmask;

INLINE vec vzero(void) { return _mm512_setzero_ps(); }
INLINE vec vset1(float x) { return _mm512_set1_ps(x); }
INLINE vec vload(const float *p) { return _mm512_loadu_ps(p); }
INLINE void vstore(float *p, vec v) { _mm512_storeu_ps(p, v); }

/* The first n lanes, 0 <= n; all of them from VW on. */
INLINE vmask vtail(int n) { return (vmask)(n >= VW ? 0xffffu : (1u << n) - 1); }
/* Other lanes 0, their memory not touched. */
INLINE vec vload_mask(const float *p, vmask m) { return _mm512_maskz_loadu_ps(m, p); }
INLINE void vstore_mask(float *p, vmask m, vec v) { _mm512_mask_storeu_ps(p, m, v); }

INLINE vec vadd(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec vsub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE vec vmul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec vdiv(vec a, vec b) { return _mm512_div_ps(a, b); }
INLINE vec vsqrt(vec a) { return _mm512_sqrt_ps(a); }
INLINE vec vfma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }       /* a b + c */
INLINE vec vfnma(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }     /* c - a b */
/* Of a NaN and b, b: put the value that may be NaN second. */
INLINE vec vmin(vec a, vec b) { return _mm512_min_ps(a, b); }
INLINE vec vmax(vec a, vec b) { return _mm512_max_ps(a, b); }
INLINE vec vneg(vec a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
INLINE vec vabs(vec a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
INLINE vec vround(vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

INLINE vmask vless(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
INLINE vmask vequal(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
INLINE vec vselect(vmask m, vec yes, vec no) { return _mm512_mask_blend_ps(m, no, yes); }

INLINE vec vscale2(vec a, vec n) { return _mm512_scalef_ps(a, n); }             /* a 2^n, n whole, |n| < 250 */

/* a rounded to bfloat16, nearest even; a NaN stays one. */
INLINE vec vround_bf16(vec a)
{
    __m512i u = _mm512_castps_si512(a);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    r = _mm512_and_si512(r, _mm512_set1_epi32((int)0xffff0000));
    return _mm512_mask_mov_ps(_mm512_castsi512_ps(r), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}

INLINE __m256 vhalf_low(vec a) { return _mm512_castps512_ps256(a); }
INLINE __m256 vhalf_high(vec a) { return _mm512_extractf32x8_ps(a, 1); }
INLINE __m256 vfold_add(vec a) { return _mm256_add_ps(vhalf_low(a), vhalf_high(a)); }
INLINE __m256 vfold_max(vec a) { return _mm256_max_ps(vhalf_low(a), vhalf_high(a)); }

#elif defined(__AVX2__) && defined(__FMA__)

#define LEVEL_SUFFIX avx2
#define VW 8
#define REGISTERS 16
typedef __m256 vec;
typedef __m256i vmask;

INLINE vec vzero(void) { return _mm256_setzero_ps(); }
INLINE vec vset1(float x) { return _mm256_set1_ps(x); }
INLINE vec vload(const float *p) { return _mm256_loadu_ps(p); }
INLINE void vstore(float *p, vec v) { _mm256_storeu_ps(p, v); }

/* The first n lanes, 0 <= n; all of them from VW on. */
INLINE vmask vtail(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
/* Other lanes 0, their memory not touched. */
INLINE vec vload_mask(const float *p, vmask m) { return _mm256_maskload_ps(p, m); }
INLINE void vstore_mask(float *p, vmask m, vec v) { _mm256_maskstore_ps(p, m, v); }

INLINE vec vadd(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec vsub(vec a, vec b) { return _mm256_sub_ps(a, b); }
INLINE vec vmul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec vdiv(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE vec vsqrt(vec a) { return _mm256_sqrt_ps(a); }
INLINE vec vfma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }       /* a b + c */
INLINE vec vfnma(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }     /* c - a b */
/* Of a NaN and b, b: put the value that may be NaN second. */
INLINE vec vmin(vec a, vec b) { return _mm256_min_ps(a, b); }
INLINE vec vmax(vec a, vec b) { return _mm256_max_ps(a, b); }
INLINE vec vneg(vec a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
INLINE vec vabs(vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
INLINE vec vround(vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

INLINE vmask vless(vec a, vec b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
INLINE vmask vequal(vec a, vec b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
INLINE vec vselect(vmask m, vec yes, vec no) { return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(m)); }

INLINE vec vpower2(__m256i n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
INLINE vec vscale2(vec a, vec n)            /* a 2^n, n whole, |n| < 250: in two steps, since 2^n alone may overflow */
{
    __m256i all = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(all, 1);
    return vmul(vmul(a, vpower2(half)), vpower2(_mm256_sub_epi32(all, half)));
}

/* a rounded to bfloat16, nearest even; a NaN stays one. */
INLINE vec vround_bf16(vec a)
{
    __m256i u = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    r = _mm256_and_si256(r, _mm256_set1_epi32((int)0xffff0000));
    return _mm256_blendv_ps(_mm256_castsi256_ps(r), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

INLINE __m256 vfold_add(vec a) { return a; }
INLINE __m256 vfold_max(vec a) { return a; }

#elif defined(__aarch64__)

#define LEVEL_SUFFIX neon
#define VW 4
#define REGISTERS 32
typedef float32x4_t vec;
typedef uint32x4_t vmask;

INLINE vec vzero(void) { return vdupq_n_f32(0); }
INLINE vec vset1(float x) { return vdupq_n_f32(x); }
INLINE vec vload(const float *p) { return vld1q_f32(p); }
INLINE void vstore(float *p, vec v) { vst1q_f32(p, v); }

/* The first n lanes, 0 <= n; all of them from VW on. */
INLINE vmask vtail(int n) { return vcltq_s32((int32x4_t){ 0, 1, 2, 3 }, vdupq_n_s32(n)); }
/* Other lanes 0, their memory not touched. */
INLINE vec vload_mask(const float *p, vmask m)
{
    vec v = vzero();
    if (vgetq_lane_u32(m, 0)) v = vld1q_lane_f32(p, v, 0);
    if (vgetq_lane_u32(m, 1)) v = vld1q_lane_f32(p + 1, v, 1);
    if (vgetq_lane_u32(m, 2)) v = vld1q_lane_f32(p + 2, v, 2);
    if (vgetq_lane_u32(m, 3)) v = vld1q_lane_f32(p + 3, v, 3);
    return v;
}
INLINE void vstore_mask(float *p, vmask m, vec v)
{
    if (vgetq_lane_u32(m, 0)) vst1q_lane_f32(p, v, 0);
    if (vgetq_lane_u32(m, 1)) vst1q_lane_f32(p + 1, v, 1);
    if (vgetq_lane_u32(m, 2)) vst1q_lane_f32(p + 2, v, 2);
    if (vgetq_lane_u32(m, 3)) vst1q_lane_f32(p + 3, v, 3);
}

INLINE vec vadd(vec a, vec b) { return vaddq_f32(a, b); }
INLINE vec vsub(vec a, vec b) { return vsubq_f32(a, b); }
INLINE vec vmul(vec a, vec b) { return vmulq_f32(a, b); }
INLINE vec vdiv(vec a, vec b) { return vdivq_f32(a, b); }
INLINE vec vsqrt(vec a) { return vsqrtq_f32(a); }
INLINE vec vfma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }             /* a b + c */
INLINE vec vfnma(vec a, vec b, vec c) { return vfmsq_f32(c, a, b); }            /* c - a b */
/* Of a NaN and b, b: put the value that may be NaN second. */
INLINE vec vmin(vec a, vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
INLINE vec vmax(vec a, vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE vec vneg(vec a) { return vnegq_f32(a); }
INLINE vec vabs(vec a) { return vabsq_f32(a); }
INLINE vec vround(vec a) { return vrndnq_f32(a); }

INLINE vmask vless(vec a, vec b) { return vcltq_f32(a, b); }
INLINE vmask vequal(vec a, vec b) { return vceqq_f32(a, b); }
INLINE vec vselect(vmask m, vec yes, vec no) { return vbslq_f32(m, yes, no); }

INLINE vec vpower2(int32x4_t n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)); }
INLINE vec vscale2(vec a, vec n)            /* a 2^n, n whole, |n| < 250: in two steps, since 2^n alone may overflow */
{
    int32x4_t all = vcvtq_s32_f32(n), half = vshrq_n_s32(all, 1);
    return vmul(vmul(a, vpower2(half)), vpower2(vsubq_s32(all, half)));
}

/* a rounded to bfloat16, nearest even; a NaN stays one. */
INLINE vec vround_bf16(vec a)
{
    uint32x4_t u = vreinterpretq_u32_f32(a), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    uint32x4_t r = vandq_u32(vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd), vdupq_n_u32(0xffff0000));
    return vbslq_f32(vceqq_f32(a, a), vreinterpretq_f32_u32(r), a);
}

#else
#error "this folder is compiled for NEON, for AVX2 with FMA, or for AVX-512"
#endif

/* Sum and maximum of the lanes, by halves: always the same tree. */
#if VW == 4
INLINE float vsum(vec a)
{
    float32x2_t q = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(q, 0) + vget_lane_f32(q, 1);
}
INLINE float vmaximum(vec a)
{
    vec q = vmax(a, vextq_f32(a, a, 2));
    return vgetq_lane_f32(vmax(q, vextq_f32(q, q, 1)), 0);
}
#else
INLINE float vsum(vec a)
{
    __m256 e = vfold_add(a);
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

INLINE float vmaximum(vec a)
{
    __m256 e = vfold_max(a);
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
#endif

#endif

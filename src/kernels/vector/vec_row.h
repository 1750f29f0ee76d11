/* A row in registers: its tail, its blocks, and sums of floats kept in double.
 * Lane i of a sum holds the elements i mod VW, and the lanes are folded in one
 * fixed order, so zeros after a row change nothing. */
#ifndef VECTOR_VEC_ROW_H
#define VECTOR_VEC_ROW_H

#include "kernels/vector/vec.h"
#include <math.h>

/* n: elements left in the row, VW of them or a tail. */
INLINE vec  vload_n(const float *p, int n) { return n >= VW ? vload(p) : vload_mask(p, vtail(n)); }
INLINE vec  vload_or(const float *p, int n, float rest) { return n >= VW ? vload(p) : vselect(vtail(n), vload_mask(p, vtail(n)), vset1(rest)); }
INLINE void vstore_n(float *p, int n, vec v) { if (n >= VW) vstore(p, v); else vstore_mask(p, vtail(n), v); }
INLINE void vstore_add(float *p, int n, bool add, vec v) { vstore_n(p, n, add ? vadd(vload_n(p, n), v) : v); }

/* Work is cut in pieces whose size depends on the shape of a row alone. */
enum { PIECE = 16384 };                                     /* elements */
INLINE int pieces(size_t n, size_t size) { return (int)((n + size - 1) / size); }
INLINE int rows_in_piece(int width) { return width >= PIECE ? 1 : PIECE / (width > 0 ? width : 1); }
INLINE int lesser(int a, int b) { return a < b ? a : b; }

typedef struct { size_t first; int n; } span;
INLINE span span_of(size_t n, int task)                     /* piece number task of n elements */
{
    size_t first = (size_t)task * PIECE;
    return (span){ first, (int)(n - first < PIECE ? n - first : PIECE) };
}

#if VW == 16
typedef struct { __m512d low, high; } vsum2;
INLINE __m512d vlow(vec x)  { return _mm512_cvtps_pd(vhalf_low(x)); }
INLINE __m512d vhigh(vec x) { return _mm512_cvtps_pd(vhalf_high(x)); }
INLINE vsum2 vsum2_zero(void) { return (vsum2){ _mm512_setzero_pd(), _mm512_setzero_pd() }; }
INLINE void vsum2_add(vsum2 *s, vec x)
{
    s->low = _mm512_add_pd(s->low, vlow(x));
    s->high = _mm512_add_pd(s->high, vhigh(x));
}
INLINE void vsum2_fma(vsum2 *s, vec x, vec y)               /* products are exact too */
{
    s->low = _mm512_fmadd_pd(vlow(x), vlow(y), s->low);
    s->high = _mm512_fmadd_pd(vhigh(x), vhigh(y), s->high);
}
INLINE __m256d vsum2_fold(vsum2 s)
{
    __m512d d = _mm512_add_pd(s.low, s.high);
    return _mm256_add_pd(_mm512_castpd512_pd256(d), _mm512_extractf64x4_pd(d, 1));
}
#elif VW == 8
typedef struct { __m256d low, high; } vsum2;
INLINE __m256d vlow(vec x)  { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
INLINE __m256d vhigh(vec x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
INLINE vsum2 vsum2_zero(void) { return (vsum2){ _mm256_setzero_pd(), _mm256_setzero_pd() }; }
INLINE void vsum2_add(vsum2 *s, vec x)
{
    s->low = _mm256_add_pd(s->low, vlow(x));
    s->high = _mm256_add_pd(s->high, vhigh(x));
}
INLINE void vsum2_fma(vsum2 *s, vec x, vec y)               /* products are exact too */
{
    s->low = _mm256_fmadd_pd(vlow(x), vlow(y), s->low);
    s->high = _mm256_fmadd_pd(vhigh(x), vhigh(y), s->high);
}
INLINE __m256d vsum2_fold(vsum2 s) { return _mm256_add_pd(s.low, s.high); }
#else
typedef struct { float64x2_t low, high; } vsum2;
INLINE float64x2_t vlow(vec x)  { return vcvt_f64_f32(vget_low_f32(x)); }
INLINE float64x2_t vhigh(vec x) { return vcvt_high_f64_f32(x); }
INLINE vsum2 vsum2_zero(void) { return (vsum2){ vdupq_n_f64(0), vdupq_n_f64(0) }; }
INLINE void vsum2_add(vsum2 *s, vec x)
{
    s->low = vaddq_f64(s->low, vlow(x));
    s->high = vaddq_f64(s->high, vhigh(x));
}
INLINE void vsum2_fma(vsum2 *s, vec x, vec y)               /* products are exact too */
{
    s->low = vfmaq_f64(s->low, vlow(x), vlow(y));
    s->high = vfmaq_f64(s->high, vhigh(x), vhigh(y));
}
#endif

#if VW == 4
INLINE double vsum2_total(vsum2 s)
{
    float64x2_t d = vaddq_f64(s.low, s.high);
    return vgetq_lane_f64(d, 0) + vgetq_lane_f64(d, 1);
}
#else
INLINE double vsum2_total(vsum2 s)
{
    __m256d q = vsum2_fold(s);
    __m128d d = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}
#endif

INLINE float row_maximum(const float *x, int n)
{
    vec best = vset1(-INFINITY);
    for (int i = 0; i < n; i += VW) best = vmax(best, vload_or(x + i, n - i, -INFINITY));
    return vmaximum(best);
}

#endif

/* Dropout's coin for VW elements at once: the streams of base/random.h in 64-bit
 * lanes, so that a mask is the same at every level. */
#ifndef VECTOR_VEC_RANDOM_H
#define VECTOR_VEC_RANDOM_H

#include "base/random.h"
#include "kernels/vector/vec.h"
#include <math.h>

/* unit(key, i) >= p as an integer comparison: unit is a multiple of 2^-53. */
INLINE uint64_t keep_from(float p) { return (uint64_t)ceil((double)p * 0x1p53); }

#if VW == 16
typedef __m512i wide;
INLINE wide wide_set(uint64_t x) { return _mm512_set1_epi64((long long)x); }
INLINE wide wide_load(const uint64_t *p) { return _mm512_loadu_si512(p); }
INLINE wide wide_add(wide a, wide b) { return _mm512_add_epi64(a, b); }
INLINE wide wide_mul(wide a, wide b) { return _mm512_mullo_epi64(a, b); }
#define wide_shift_xor(x, n) _mm512_xor_si512(x, _mm512_srli_epi64(x, n))
#elif VW == 8
typedef __m256i wide;
INLINE wide wide_set(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
INLINE wide wide_load(const uint64_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE wide wide_add(wide a, wide b) { return _mm256_add_epi64(a, b); }
INLINE wide wide_mul(wide a, wide b)
{
    __m256i cross = _mm256_mullo_epi32(a, _mm256_shuffle_epi32(b, 0xb1));       /* low a high b, high a low b */
    cross = _mm256_slli_epi64(_mm256_add_epi32(cross, _mm256_srli_epi64(cross, 32)), 32);
    return _mm256_add_epi64(_mm256_mul_epu32(a, b), cross);
}
#define wide_shift_xor(x, n) _mm256_xor_si256(x, _mm256_srli_epi64(x, n))
#else
typedef uint64x2_t wide;
INLINE wide wide_set(uint64_t x) { return vdupq_n_u64(x); }
INLINE wide wide_load(const uint64_t *p) { return vld1q_u64(p); }
INLINE wide wide_add(wide a, wide b) { return vaddq_u64(a, b); }
INLINE wide wide_mul(wide a, wide b) { return a * b; }          /* in the general registers */
#define wide_shift_xor(x, n) veorq_u64(x, vshrq_n_u64(x, n))
#endif

INLINE wide wide_mix(wide x)                                /* mix64 */
{
    x = wide_add(x, wide_set(0x9e3779b97f4a7c15u));
    x = wide_mul(wide_shift_xor(x, 30), wide_set(0xbf58476d1ce4e5b9u));
    x = wide_mul(wide_shift_xor(x, 27), wide_set(0x94d049bb133111ebu));
    return wide_shift_xor(x, 31);
}

#if VW == 16
INLINE wide wide_drawn(wide x) { return _mm512_srli_epi64(wide_mix(x), 11); }
INLINE vmask keep_pair(wide low, wide high, uint64_t from)
{
    __mmask8 l = _mm512_cmpge_epi64_mask(wide_drawn(low), wide_set(from));
    __mmask8 h = _mm512_cmpge_epi64_mask(wide_drawn(high), wide_set(from));
    return (vmask)((unsigned)l | (unsigned)h << 8);
}
#elif VW == 8
INLINE wide wide_drawn(wide x) { return _mm256_srli_epi64(wide_mix(x), 11); }
INLINE vmask keep_pair(wide low, wide high, uint64_t from)
{
    __m256i below = wide_set(from - 1);                     /* from is at least 1 where p > 0; 0 - 1 keeps all */
    __m256 l = _mm256_castsi256_ps(_mm256_cmpgt_epi64(wide_drawn(low), below));
    __m256 h = _mm256_castsi256_ps(_mm256_cmpgt_epi64(wide_drawn(high), below));
    __m256i even = _mm256_castps_si256(_mm256_shuffle_ps(l, h, 0x88));          /* l0 l1 h0 h1 | l2 l3 h2 h3 */
    return _mm256_permute4x64_epi64(even, 0xd8);
}
#else
INLINE wide wide_drawn(wide x) { return vshrq_n_u64(wide_mix(x), 11); }
INLINE vmask keep_pair(wide low, wide high, uint64_t from)
{
    return vuzp1q_u32(vreinterpretq_u32_u64(vcgeq_u64(wide_drawn(low), wide_set(from))), vreinterpretq_u32_u64(vcgeq_u64(wide_drawn(high), wide_set(from))));
}
#endif

/* Lanes: elements first, first + 1, ... of the stream named by key. */
INLINE vmask keep_run(uint64_t key, uint64_t first, uint64_t from)
{
    static const uint64_t step[16] = {
#define STEP(i) (uint64_t)(i) * 0xd1342543de82ef95u
        STEP(0), STEP(1), STEP(2), STEP(3), STEP(4), STEP(5), STEP(6), STEP(7),
        STEP(8), STEP(9), STEP(10), STEP(11), STEP(12), STEP(13), STEP(14), STEP(15)
#undef STEP
    };
    wide base = wide_set(key + first * 0xd1342543de82ef95u);
    return keep_pair(wide_add(base, wide_load(step)), wide_add(base, wide_load(step + VW / 2)), from);
}

/* Lanes: element i of the VW streams key[0], key[1], ... */
INLINE vmask keep_across(const uint64_t *key, uint64_t i, uint64_t from)
{
    wide base = wide_set(i * 0xd1342543de82ef95u);
    return keep_pair(wide_add(base, wide_load(key)), wide_add(base, wide_load(key + VW / 2)), from);
}

#endif

/* Transposes a VW x VW block of a row-major matrix: the
 * i-th register of the result holds column i, lane r from row[r].  Quarter rows go
 * straight from memory to their lanes, so only the shuffles inside lanes remain. */
#ifndef VECTOR_VEC_TRANSPOSE_H
#define VECTOR_VEC_TRANSPOSE_H

#include "kernels/vector/vec.h"

#if VW == 16

/* Lane q holds four elements of row r + 4q. */
INLINE vec vgather_quads(const float *const row[VW], int r, int k)
{
    vec v = _mm512_castps128_ps512(_mm_loadu_ps(row[r] + k));
    v = _mm512_mask_broadcast_f32x4(v, 0x00f0, _mm_loadu_ps(row[r + 4] + k));
    v = _mm512_mask_broadcast_f32x4(v, 0x0f00, _mm_loadu_ps(row[r + 8] + k));
    return _mm512_mask_broadcast_f32x4(v, 0xf000, _mm_loadu_ps(row[r + 12] + k));
}

/* Columns k .. k+3 */
INLINE void vtranspose_quad(vec out[4], const float *const row[VW], int k)
{
    vec a = vgather_quads(row, 0, k), b = vgather_quads(row, 1, k), c = vgather_quads(row, 2, k), d = vgather_quads(row, 3, k);
    __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
    out[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
    out[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
    ab = _mm512_castps_pd(_mm512_unpackhi_ps(a, b)), cd = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
    out[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
    out[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
}

#elif VW == 8

INLINE vec vgather_quads(const float *const row[VW], int r, int k)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row[r] + k)), _mm_loadu_ps(row[r + 4] + k), 1);
}

INLINE void vtranspose_quad(vec out[4], const float *const row[VW], int k)
{
    vec a = vgather_quads(row, 0, k), b = vgather_quads(row, 1, k), c = vgather_quads(row, 2, k), d = vgather_quads(row, 3, k);
    __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
    out[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
    out[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
    ab = _mm256_castps_pd(_mm256_unpackhi_ps(a, b)), cd = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    out[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
    out[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
}

#else

INLINE void vtranspose_quad(vec out[4], const float *const row[VW], int k)
{
    vec a = vload(row[0] + k), b = vload(row[1] + k), c = vload(row[2] + k), d = vload(row[3] + k);
    vec ac = vzip1q_f32(a, c), bd = vzip1q_f32(b, d);
    out[0] = vzip1q_f32(ac, bd), out[1] = vzip2q_f32(ac, bd);
    ac = vzip2q_f32(a, c), bd = vzip2q_f32(b, d);
    out[2] = vzip1q_f32(ac, bd), out[3] = vzip2q_f32(ac, bd);
}

#endif

INLINE void vtranspose(vec out[VW], const float *const row[VW], int k)
{
    for (int q = 0; q < VW / 4; q++) vtranspose_quad(out + 4 * q, row, k + 4 * q);
}

#endif

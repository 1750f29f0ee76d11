/* Packs operands of an fp32 matrix product: dst[k][width], with the elements of one
 * register next to each other.  COMPUTE_BF16 rounds them on the way. */
#ifndef VECTOR_GEMM_PACK_H
#define VECTOR_GEMM_PACK_H

#include "kernels/vector/vec_transpose.h"
#include <string.h>

enum { LANES = 2 * VW, BLOCK = 16, GROUP = VW == 16 ? 8 : VW };     /* rows that are transposed together */

#if VW == 16
INLINE __m256 two_quarters(const float *low, const float *high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}

INLINE __m256 half_rounded(bool bf16, __m256 a)
{
    if (!bf16) return a;
    __m256i u = _mm256_castps_si256(a), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    r = _mm256_and_si256(r, _mm256_set1_epi32((int)0xffff0000));
    return _mm256_blendv_ps(_mm256_castsi256_ps(r), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

/* Four columns of a group of rows: element (r, k+i) goes to dst[i * width + r].  Quarter rows
 * go straight from memory to their lanes, so only the shuffles inside lanes remain. */
INLINE void transpose_quads(const bool bf16, float *dst, size_t width, const float *const row[GROUP], int k)
{
    __m256 a = two_quarters(row[0] + k, row[4] + k), b = two_quarters(row[1] + k, row[5] + k);
    __m256 c = two_quarters(row[2] + k, row[6] + k), d = two_quarters(row[3] + k, row[7] + k);
    a = half_rounded(bf16, a), b = half_rounded(bf16, b), c = half_rounded(bf16, c), d = half_rounded(bf16, d);
    __m256d low_ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), low_cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
    __m256d high_ab = _mm256_castps_pd(_mm256_unpackhi_ps(a, b)), high_cd = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    _mm256_storeu_ps(dst, _mm256_castpd_ps(_mm256_unpacklo_pd(low_ab, low_cd)));
    _mm256_storeu_ps(dst + width, _mm256_castpd_ps(_mm256_unpackhi_pd(low_ab, low_cd)));
    _mm256_storeu_ps(dst + 2 * width, _mm256_castpd_ps(_mm256_unpacklo_pd(high_ab, high_cd)));
    _mm256_storeu_ps(dst + 3 * width, _mm256_castpd_ps(_mm256_unpackhi_pd(high_ab, high_cd)));
}
#else
INLINE void transpose_quads(const bool bf16, float *dst, size_t width, const float *const row[GROUP], int k)
{
    vec quad[4];
    vtranspose_quad(quad, row, k);
    for (int i = 0; i < 4; i++) vstore(dst + (size_t)i * width, bf16 ? vround_bf16(quad[i]) : quad[i]);
}
#endif

/* Columns k .. k+columns-1 (at most BLOCK) of all rows. */
INLINE void transpose_block(const bool bf16, float *dst, size_t width, const float *const *row, int groups, int k, int columns)
{
    for (int group = groups - 1; group >= 0; group--)
        for (int i = 0; i < columns; i += 4)
            transpose_quads(bf16, dst + (size_t)i * width + GROUP * group, width, row + GROUP * group, k + i);
}

/* From rows of k: row r of the source becomes lane r, at most LANES of them.  Rows are taken
 * by groups, so that their lines fit in one set of the cache when the stride aliases, the last
 * ones first: lanes after the last row repeat it and may spill over into the next k's first,
 * which are written later. */
INLINE void pack_across(const bool bf16, float *dst, size_t width, const float *src, size_t ld, int rows, int kc)
{
    const float *row[LANES];
    float last[LANES][BLOCK], transposed[BLOCK + 1][LANES];
    int groups = (rows + GROUP - 1) / GROUP, k = 0;
    for (int r = 0; r < GROUP * groups; r++) row[r] = src + (size_t)(r < rows ? r : rows - 1) * ld;
    for (; k + BLOCK <= kc; k += BLOCK, dst += BLOCK * width) transpose_block(bf16, dst, width, row, groups, k, BLOCK);
    if (k == kc) return;
    for (int r = 0; r < GROUP * groups; r++) {
        memset(last[r], 0, sizeof last[r]);
        memcpy(last[r], row[r] + k, (size_t)(kc - k) * sizeof **row);
        row[r] = last[r];
    }
    transpose_block(bf16, transposed[0], LANES, row, groups, 0, BLOCK);
    for (int i = 0; k + i < kc; i++, dst += width)
        for (int j = 0; j < groups; j++) memcpy(dst + j * GROUP, transposed[i] + j * GROUP, GROUP * sizeof *dst);
}

/* From columns of k: up to 2 VW elements lie side by side already.  Lanes after the last
 * are 0, and spill over as above. */
INLINE void pack_along(const bool bf16, float *dst, size_t width, const float *src, size_t ld, int lanes, int kc)
{
    vmask low = vtail(lanes), high = vtail(lanes > VW ? lanes - VW : 0);
    for (int k = 0; k < kc; k++, src += ld, dst += width) {
        vec x = vload_mask(src, low);
        if (lanes > VW) {
            vec y = vload_mask(src + VW, high);
            vstore(dst + VW, bf16 ? vround_bf16(y) : y);
        }
        vstore(dst, bf16 ? vround_bf16(x) : x);
    }
}

#endif

/* A head's matrix S (value, key) in registers, in one of two layouts.
 *   columns   values on the lanes: [key][padded values], so that what is summed over
 *             keys is summed down the columns, in ascending order
 *   rows      keys on the lanes: [value][padded keys], zeros after the last key, so
 *             that what is summed over values is summed down the rows
 * Forward works in columns, backward, whose gradients of r, keys and decays are
 * sums over values, in rows. */
#ifndef VECTOR_WKV_HEAD_H
#define VECTOR_WKV_HEAD_H

#include "base/threads.h"
#include "kernels/vector/vec_math.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vec_transpose.h"
#include <string.h>

enum { WKV_GROUPS = REGISTERS == 32 ? 4 : 2 };              /* registers of values that share what is read of a key */
/* channels of a head whose matrices fit in a thread's scratch */
enum { WKV_MOST_FORWARD = 1024, WKV_MOST_BACKWARD = 256 };

INLINE int padded(int n) { return (n + VW - 1) / VW * VW; }

/* n numbers and zeros up to a whole number of registers. */
INLINE void pad_row(float *to, const float *from, int n)
{
    for (int i = 0; i < n; i += VW) vstore(to + i, vload_n(from + i, n - i));
}

/* A head's part of a row to come: rows of wide models lie far apart, which no hardware foresees.  It may lie outside
 * the array. */
INLINE void prefetch(const float *row, int n)
{
    for (int i = 0; i < n; i += 16) FETCH_L2((const void *)((uintptr_t)row + (size_t)i * sizeof *row));
}

/* At element j of a row, a sixteenth of the lines at `ahead` of up to eight arrays (absent: NULL): what is fetched
 * all at once holds the row up. */
INLINE void prefetch_piece(const float *const all[8], size_t ahead, int j)
{
    const float *row = all[j % 16 / 2];
    if (j % 2 == 0 && row) prefetch(row + ahead + j / 16 * 16, 1);
}

/* ---- columns ---- */

/* Turns the VW x VW block at `from` (rows `stride` apart) round, to `to`. */
INLINE void turn_block(float *to, size_t to_stride, const float *from, size_t stride)
{
    const float *row[VW];
    vec column[VW];
    for (int i = 0; i < VW; i++) row[i] = from + (size_t)i * stride;
    vtranspose(column, row, 0);
    for (int i = 0; i < VW; i++) vstore(to + (size_t)i * to_stride, column[i]);
}

/* S NULL: zeros. */
INLINE void columns_load(float *columns, const float *S, int N)
{
    const size_t P = (size_t)padded(N), n = (size_t)N;
    if (!S || N % VW) memset(columns, 0, P * n * sizeof *columns);
    for (size_t x = 0; S && N % VW == 0 && x < n; x += VW)
        for (size_t j = 0; j < n; j += VW) turn_block(columns + j * P + x, P, S + x * n + j, n);
    for (size_t x = 0; S && N % VW && x < n; x++)
        for (size_t j = 0; j < n; j++) columns[j * P + x] = S[x * n + j];
}

INLINE void columns_store(const float *columns, float *S, int N)
{
    const size_t P = (size_t)padded(N), n = (size_t)N;
    for (size_t x = 0; N % VW == 0 && x < n; x += VW)
        for (size_t j = 0; j < n; j += VW) turn_block(S + x * n + j, n, columns + j * P + x, P);
    for (size_t x = 0; N % VW && x < n; x++)
        for (size_t j = 0; j < n; j++) S[x * n + j] = columns[j * P + x];
}

/* ---- rows ---- */

INLINE void rows_load(float *rows, const float *S, int N)
{
    int P = padded(N);
    if (!S) memset(rows, 0, (size_t)N * (size_t)P * sizeof *rows);
    for (int x = 0; S && x < N; x++) pad_row(rows + x * P, S + (size_t)x * (size_t)N, N);
}

INLINE void rows_store(const float *rows, float *S, int N)
{
    int P = padded(N);
    for (int x = 0; x < N; x++)
        for (int j = 0; j < N; j += VW) vstore_n(S + (size_t)x * (size_t)N + j, N - j, vload(rows + x * P + j));
}

/* The sums of the lanes of four registers, to out. */
#if VW == 4
INLINE void store_four_sums(float *out, vec a, vec b, vec c, vec d) { vstore(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d))); }
#else
INLINE void store_four_sums(float *out, vec a, vec b, vec c, vec d)
{
    __m256 p = vfold_add(a), q = vfold_add(b), r = vfold_add(c), s = vfold_add(d);
    __m256 pq = _mm256_add_ps(_mm256_unpacklo_ps(p, q), _mm256_unpackhi_ps(p, q)), rs = _mm256_add_ps(_mm256_unpacklo_ps(r, s), _mm256_unpackhi_ps(r, s));
    __m256 all = _mm256_add_ps(_mm256_shuffle_ps(pq, rs, 0x44), _mm256_shuffle_ps(pq, rs, 0xee));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}
#endif

/* The sums of the lanes of `count` registers, 4 or 1. */
INLINE void store_sums(float *out, const vec sum[4], const int count)
{
    if (count == 4) store_four_sums(out, sum[0], sum[1], sum[2], sum[3]);
    else out[0] = vsum(sum[0]);
}

/* Where the backward of sequence s keeps the matrices of a head: one for every chunk of rows, at least one. */
INLINE float *kept_of(float *work, const int *start, int s, int heads, int head, int N)
{
    int chunks = (start[s + 1] - start[s] + WKV_CHUNK - 1) / WKV_CHUNK, before = start[s] / WKV_CHUNK + s;
    return work + ((size_t)heads * (size_t)before + (size_t)head * (size_t)chunks) * (size_t)N * (size_t)N;
}

#endif

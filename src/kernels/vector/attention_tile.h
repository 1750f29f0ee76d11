/* Attention inside one tile: small matrix products in registers, transposes, and the
 * mask of dropout.
 *
 * Every element of a product is one chain of multiply-adds over k ascending, in
 * whatever tile it is computed: so a query decoded alone gives the same bytes as
 * the same query among others. */
#ifndef VECTOR_ATTENTION_TILE_H
#define VECTOR_ATTENTION_TILE_H

#include "base/threads.h"
#include "kernels/ref/ref.h"
#include "kernels/vector/vec_math.h"
#include "kernels/vector/vec_random.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vec_transpose.h"

enum { TILE = 64 };                             /* keys in a block, from key 0 on; queries in a tile */
enum { HEAD_DIM_MAX = 4096 };                   /* whose tiles fit in a thread's scratch; wider heads are ref's */
enum { STRIP_ROWS = 6, STRIP_VECS = REGISTERS == 32 ? 4 : 2 };      /* of C, in registers; twice the rows of one */

_Static_assert((7 * HEAD_DIM_MAX + 2 * TILE) * TILE * sizeof(float) <= THREAD_SCRATCH_BYTES, "an attention tile fits in scratch");

typedef enum { FRESH, JOIN } tile_mode;         /* C = A B, C = factor C + A B */

typedef struct {
    int M, N, K;
    const float *a; size_t a_row, a_col;        /* A(m,k) = a[m a_row + k a_col] */
    const float *b; size_t ldb;
    float *c; size_t ldc;
    tile_mode mode;
    const float *factor;                        /* (M), for JOIN; NULL: ones */
} tile_product;

/* A few queries read keys and values once, in short rows far apart, which the
 * processor does not prefetch by itself. */
enum { AHEAD = 12, LINE = 16 };                 /* rows; floats */
INLINE void fetch_rows(const tile_product *t, int m, int rows)
{
    for (int r = m; r < lesser(m + rows, t->M); r++)
        for (int k = 0; k < t->K; k += LINE) FETCH_L1(t->a + (size_t)r * t->a_row + k);
}

/* rows rows of C from row m on, vecs registers wide from column n on.  Rows after
 * the last are computed as copies of it and not stored. */
INLINE void product_strip(const tile_product *t, int m, int n, int rows, int vecs)
{
    const float *a[2 * STRIP_ROWS], *b = t->b + n;
    vmask last = vtail(t->N - n - (vecs - 1) * VW);
    vec c[2 * STRIP_ROWS][STRIP_VECS];
    UNROLL for (int r = 0; r < rows; r++) {
        size_t row = (size_t)lesser(m + r, t->M - 1);
        a[r] = t->a + row * t->a_row;
        const float *from = t->c + row * t->ldc + n;
        UNROLL for (int v = 0; v < vecs; v++) {
            c[r][v] = t->mode == FRESH ? vzero() : v < vecs - 1 ? vload(from + v * VW) : vload_mask(from + v * VW, last);
            if (t->mode == JOIN && t->factor) c[r][v] = vmul(c[r][v], vset1(t->factor[row]));
        }
    }
    if (vecs == 1) fetch_rows(t, m + rows, rows);
    for (int k = 0; k < t->K; k++, b += t->ldb) {
        vec x[STRIP_VECS];
        if (rows == 1) UNROLL for (int v = 0; v < vecs; v++) FETCH_L1(b + AHEAD * t->ldb + v * VW);
        UNROLL for (int v = 0; v < vecs; v++) x[v] = v < vecs - 1 ? vload(b + v * VW) : vload_mask(b + v * VW, last);
        UNROLL for (int r = 0; r < rows; r++) {
            vec y = vset1(a[r][(size_t)k * t->a_col]);
            UNROLL for (int v = 0; v < vecs; v++) c[r][v] = vfma(y, x[v], c[r][v]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        float *to = t->c + (size_t)(m + r) * t->ldc + n;
        if (m + r < t->M) {
            UNROLL for (int v = 0; v < vecs - 1; v++) vstore(to + v * VW, c[r][v]);
            vstore_mask(to + (vecs - 1) * VW, last, c[r][vecs - 1]);
        }
    }
}

INLINE void product_columns(const tile_product *t, int n, int vecs)
{
    const int rows = vecs == 1 ? 2 * STRIP_ROWS : STRIP_ROWS;
    if (t->M == 1) product_strip(t, 0, n, 1, vecs);
    else for (int m = 0; m < t->M; m += rows) product_strip(t, m, n, rows, vecs);
}

static void product_columns_1(const tile_product *t, int n) { product_columns(t, n, 1); }
static void product_columns_2(const tile_product *t, int n) { product_columns(t, n, 2); }
#if REGISTERS == 32
static void product_columns_3(const tile_product *t, int n) { product_columns(t, n, 3); }
static void product_columns_4(const tile_product *t, int n) { product_columns(t, n, 4); }
#endif

static void product(tile_product t)
{
    static void (*const columns[STRIP_VECS])(const tile_product *, int) = {
        product_columns_1, product_columns_2,
#if REGISTERS == 32
        product_columns_3, product_columns_4,
#endif
    };
    for (int n = 0; n < t.N; n += STRIP_VECS * VW) columns[lesser(pieces((size_t)(t.N - n), VW), STRIP_VECS) - 1](&t, n);
}

/* ---- masks ------------------------------------------------------------------------ */

/* The keys that the query at position p of a sequence of `keys` keys attends to: first to last. */
INLINE int first_key(const attention_args *a, int p) { return a->window > 0 && p > a->window ? p - a->window : 0; }
INLINE int last_key(const attention_args *a, int p, int keys)
{
    int last = a->causal ? p : keys - 1;
    return a->window > 0 && last - p > a->window ? p + a->window : last;
}

/* Where a mask cuts a tile, columns from[m] .. until[m]-1 of its row m are used; both ascend
 * with the rows, and may be outside the tile. */
typedef struct { int from[TILE], until[TILE]; } edges;

static void turn_edges(edges *columns, int n, const edges *rows, int m)
{
    for (int j = 0, from = 0, until = 0; j < n; j++) {
        while (from < m && rows->until[from] <= j) from++;
        while (until < m && rows->from[until] <= j) until++;
        columns->from[j] = from, columns->until[j] = until;
    }
}

/* A product of which a row of C needs only some of the terms, or some of the columns. */
typedef enum { TERMS, COLUMNS } extent;

static void product_part(tile_product t, extent e, const edges *edge)      /* of M rows; NULL: the whole product */
{
    enum { BAND = 2 * STRIP_ROWS };
    if (!edge) { product(t); return; }
    for (int m = 0; m < t.M; m += BAND) {
        tile_product part = t;
        part.M = lesser(BAND, t.M - m);
        part.a += (size_t)m * t.a_row;
        part.c += (size_t)m * t.ldc;
        if (t.factor) part.factor += m;
        int size = e == TERMS ? t.K : t.N, until = lesser(size, edge->until[m + part.M - 1]);
        int from = edge->from[m] > 0 ? lesser(size, edge->from[m]) : 0;
        if (e == TERMS) part.a += (size_t)from * t.a_col, part.b += (size_t)from * t.ldb, part.K = until - from;
        else            from = from / VW * VW, part.b += from, part.c += from, part.N = until - from;
        product(part);
    }
}

/* to (width, TILE) = the transpose of rows row[0] .. row[n-1]; up to whole registers
 * columns after n repeat the last row. */
static void transpose_tile(float *to, const float *const row[TILE], int n, int width)
{
    for (int r = 0; r < n; r += VW) {
        const float *from[VW];
        for (int i = 0; i < VW; i++) from[i] = row[lesser(r + i, n - 1)];
        int k = 0;
        for (vec quad[4]; k + 4 <= width; k += 4) {
            vtranspose_quad(quad, from, k);
            for (int i = 0; i < 4; i++) vstore(to + (k + i) * TILE + r, quad[i]);
        }
        for (; k < width; k++)
            for (int i = 0; i < VW; i++) to[k * TILE + r + i] = from[i][k];
    }
}

INLINE uint64_t attention_key(const attention_args *a, int row, int head)
{
    return key_of(key_of(a->row_key[row], a->layer_key), (uint64_t)head);
}

#endif

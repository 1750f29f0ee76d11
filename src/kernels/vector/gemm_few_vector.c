/* Matrix products of few rows, as in decoding: their cost is reading B.
 * So B is read once, in its stored form and order, and widened piece by piece into
 * the first-level cache.  If B is stored (N,K), a piece is some k of a strip of
 * columns, transposed in registers; if it is stored (K,N), a piece is some rows of a span
 * of columns, which are added to the sums of the columns.
 *
 * Each element of C is the chain of gemm_vector.c: fused multiply-adds, k ascending
 * from zero, whatever the piece or the number of rows. */
#include "base/threads.h"
#include "kernels/vector/gemm_cut.h"
#include "kernels/vector/gemm_few.h"
#include "kernels/vector/gemm_finish.h"
#include "kernels/vector/gemm_pack.h"
#include "kernels/vector/vec_stored.h"
#include "kernels/vector/vec_transpose.h"

enum { MOST_ROWS = 8,
       STRIP = 32, STRIP_K = 64,                /* of B stored (N,K) */
       SPAN = 256, SPAN_K = 8,                  /* of B stored (K,N) */
       MOST_COLUMNS = 2048 };                   /* of a task, stored (K,N) */

/* The scratch of the calling thread holds A for all threads; after it come each thread's own piece and sums. */
#define SHARED_BYTES ((size_t)4 << 20)
_Static_assert(SHARED_BYTES + (STRIP * STRIP_K + SPAN * SPAN_K + MOST_ROWS * MOST_COLUMNS) * sizeof(float) <= THREAD_SCRATCH_BYTES, "scratch");

typedef struct { const gemm_args *g; const float *a; int tasks; } few;      /* a: (K,M) */

static float *own_scratch(void) { return (float *)(void *)((char *)thread_scratch() + SHARED_BYTES); }

static widen_kind kind_of(const gemm_args *g) { return g->type == COMPUTE_BF16 ? WIDEN_ROUNDED : WIDEN; }

/* ---- B stored (N,K) ---------------------------------------------------------------------- */

/* The number of registers of columns that are summed side by side: enough to hide the latency of a sum, and few
 * enough to fit. */
INLINE int side_by_side(const int rows) { return rows == 1 ? STRIP / VW : rows == 2 ? 2 : 1; }

/* sums (rows, STRIP) of kc products more, of `many` registers of columns; piece (columns, STRIP_K) */
INLINE void sum_turned(const int rows, const int many, const float *a, const float *piece, int kc, float *sums, bool begin)
{
    vec c[MOST_ROWS][STRIP / VW];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int j = 0; j < many; j++) c[r][j] = begin ? vzero() : vload(sums + r * STRIP + j * VW);
    for (int k = 0; k < kc; k += 4) {
        UNROLL for (int j = 0; j < many; j++) {
            const float *row[VW];
            vec b[4];
            UNROLL for (int i = 0; i < VW; i++) row[i] = piece + (j * VW + i) * STRIP_K;
            vtranspose_quad(b, row, k);
            UNROLL for (int q = 0; q < 4; q++)
                if (k + q < kc)
                    UNROLL for (int r = 0; r < rows; r++) c[r][j] = vfma(vset1(a[(k + q) * rows + r]), b[q], c[r][j]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int j = 0; j < many; j++) vstore(sums + r * STRIP + j * VW, c[r][j]);
}

INLINE void strip_of(const int rows, const few *f, int n, int columns, float *piece, float *sums)
{
    const gemm_args *g = f->g;
    for (int k = 0; k == 0 || k < g->K; k += STRIP_K) {
        int kc = lesser(STRIP_K, g->K - k);
        for (int i = 0; i < columns; i++) widen_run(kind_of(g), piece + i * STRIP_K, b_at(g, k, n + i), kc);
        for (int j = 0; j < columns; j += side_by_side(rows) * VW)
            sum_turned(rows, side_by_side(rows), f->a + (size_t)k * (size_t)rows, piece + j * STRIP_K, kc, sums + j, k == 0);
    }
    finish_block(g, sums, STRIP, 0, n, rows, columns);
}

static void strip(const few *f, int n, int columns, float *piece, float *sums)
{
    switch (f->g->M) {
    case 1: strip_of(1, f, n, columns, piece, sums); break;
    case 2: strip_of(2, f, n, columns, piece, sums); break;
    case 3: strip_of(3, f, n, columns, piece, sums); break;
    case 4: strip_of(4, f, n, columns, piece, sums); break;
    case 5: strip_of(5, f, n, columns, piece, sums); break;
    case 6: strip_of(6, f, n, columns, piece, sums); break;
    case 7: strip_of(7, f, n, columns, piece, sums); break;
    default: strip_of(8, f, n, columns, piece, sums); break;
    }
}

static void strips(void *context, int task)
{
    const few *f = context;
    float *piece = own_scratch(), *sums = piece + STRIP * STRIP_K;
    int n, columns;
    share(f->g->N, STRIP, f->tasks, task, &n, &columns);
    for (int i = 0; i < columns; i += STRIP) strip(f, n + i, lesser(STRIP, columns - i), piece, sums);
}

/* ---- B stored (K,N) ---------------------------------------------------------------------- */

/* sums (rows, stride) of kc products more; b (kc, ldb), of which `columns` may be read */
INLINE void join(const int rows, const float *a, const float *b, size_t ldb, int kc, int columns, float *sums, size_t stride, bool begin)
{
    vec c[MOST_ROWS];
    for (int j = 0; j < columns; j += VW) {
        vmask mask = vtail(columns - j);
        UNROLL for (int r = 0; r < rows; r++) c[r] = begin ? vzero() : vload(sums + (size_t)r * stride + j);
        UNROLL for (int k = 0; k < SPAN_K; k++) {
            if (k == kc) break;
            vec x = vload_mask(b + (size_t)k * ldb + (size_t)j, mask);
            UNROLL for (int r = 0; r < rows; r++) c[r] = vfma(vset1(a[k * rows + r]), x, c[r]);
        }
        UNROLL for (int r = 0; r < rows; r++) vstore(sums + (size_t)r * stride + j, c[r]);
    }
}

static void join_rows(int rows, const float *a, const float *b, size_t ldb, int kc, int columns, float *sums, size_t stride, bool begin)
{
    switch (rows) {
    case 1: join(1, a, b, ldb, kc, columns, sums, stride, begin); break;
    case 2: join(2, a, b, ldb, kc, columns, sums, stride, begin); break;
    case 3: join(3, a, b, ldb, kc, columns, sums, stride, begin); break;
    case 4: join(4, a, b, ldb, kc, columns, sums, stride, begin); break;
    case 5: join(5, a, b, ldb, kc, columns, sums, stride, begin); break;
    case 6: join(6, a, b, ldb, kc, columns, sums, stride, begin); break;
    case 7: join(7, a, b, ldb, kc, columns, sums, stride, begin); break;
    default: join(8, a, b, ldb, kc, columns, sums, stride, begin); break;
    }
}

static void spans(void *context, int task)
{
    const few *f = context;
    const gemm_args *g = f->g;
    float *piece = own_scratch(), *sums = piece + SPAN * SPAN_K;
    bool as_it_is = g->b.type == STORED_REAL && g->type == COMPUTE_F32;
    int n, columns;
    share(g->N, VW, f->tasks, task, &n, &columns);
    for (int k = 0; k == 0 || k < g->K; k += SPAN_K)
        for (int j = 0; j < columns; j += SPAN) {
            int width = lesser(SPAN, columns - j), kc = lesser(SPAN_K, g->K - k);
            const float *b = piece, *a = f->a + (size_t)k * (size_t)g->M;
            size_t ldb = SPAN;
            if (as_it_is) b = b_at(g, k, n + j).data, ldb = g->ldb;
            else for (int i = 0; i < kc; i++) widen_run(kind_of(g), piece + i * SPAN, b_at(g, k + i, n + j), width);
            join_rows(g->M, a, b, ldb, kc, width, sums + j, MOST_COLUMNS, k == 0);
        }
    finish_block(g, sums, MOST_COLUMNS, 0, n, g->M, columns);
}

/* ---- the whole ---------------------------------------------------------------------------- */

bool LEVEL(gemm_is_few)(const gemm_args *g)
{
    return g->M <= MOST_ROWS && ((size_t)g->K * (size_t)g->M + LANES) * sizeof(float) <= SHARED_BYTES;
}

/* Stores A as (K,M), which a single row already is. */
static const float *few_rows(const gemm_args *g)
{
    float *a = thread_scratch();
    size_t M = (size_t)g->M;
    if (M == 1 && !g->ta && g->type == COMPUTE_F32) return g->a;
    if (g->ta && g->type == COMPUTE_BF16) pack_along(true, a, M, g->a, g->lda, g->M, g->K);
    else if (g->ta) pack_along(false, a, M, g->a, g->lda, g->M, g->K);
    else if (g->type == COMPUTE_BF16) pack_across(true, a, M, g->a, g->lda, g->M, g->K);
    else pack_across(false, a, M, g->a, g->lda, g->M, g->K);
    return a;
}

/* Strips are given out in runs that are adjacent in memory; a row of B stored (K,N) is split into few long spans. */
void LEVEL(gemm_few)(const gemm_args *g)
{
    few f = { .g = g, .a = few_rows(g) };
    int threads = threads_count();
    if (g->tb) {
        f.tasks = lesser(cuts(g->N, STRIP), 8 * threads);
        parallel_for(f.tasks, strips, &f);
    } else {
        f.tasks = lesser(cuts(g->N, 4 * VW), threads);
        while (cuts(cuts(g->N, VW), f.tasks) * VW > MOST_COLUMNS) f.tasks += threads;
        parallel_for(f.tasks, spans, &f);
    }
}

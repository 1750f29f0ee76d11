/* Matrix products of few rows, as in decoding: their cost is reading B.
 * So B is read once, in its stored form and order, and what will be read is fetched
 * from memory while products are summed.  If B is stored (N,K), some k of a strip of
 * columns at a time are copied to the first-level cache and transposed in registers; if
 * it is stored (K,N), some rows at a time are added to the sums of all columns.
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

enum { MOST_ROWS = 8, LINE = 64,                /* bytes of a line of the cache */
       STRIP = 32, PIECE_K = 64, AHEAD = 2,     /* of B stored (N,K); pieces */
       SPAN = 256, SPAN_K = 8, ROW_AHEAD = 2048,        /* of B stored (K,N); bytes */
       SUMS = 16384 };                          /* of a task, stored (K,N) */

/* The scratch of the calling thread holds A for all threads; after it come each thread's own piece and sums. */
#define SHARED_BYTES ((size_t)4 << 20)
_Static_assert(SHARED_BYTES + (STRIP * PIECE_K + SPAN * SPAN_K + SUMS) * sizeof(float) <= THREAD_SCRATCH_BYTES, "scratch");

typedef struct { const gemm_args *g; const float *a; int tasks; } few;      /* a: (K,M) */

static float *own_scratch(void) { return (float *)(void *)((char *)thread_scratch() + SHARED_BYTES); }

static widen_kind kind_of(const gemm_args *g) { return g->type == COMPUTE_BF16 ? WIDEN_ROUNDED : WIDEN; }

/* X(argument, rows) for each number of rows. */
#define EACH_ROWS(X, argument) X(argument, 1) X(argument, 2) X(argument, 3) X(argument, 4) X(argument, 5) X(argument, 6) X(argument, 7) X(argument, 8)

/* ---- B stored (N,K) ---------------------------------------------------------------------- */

/* Copies kc numbers of each of `columns` columns to a piece (STRIP, PIECE_K), where zeros follow them. */
typedef void copy_function(const gemm_args *g, void *piece, int n, int columns, int k, int kc);

INLINE void copy_typed(const stored_type type, const gemm_args *g, float *piece, int n, int columns, int k, int kc)
{
    const char *from = b_at(g, k, n).data;
    size_t stride = stored_bytes(type, g->ldb);
    for (int i = 0; i < columns; i++, from += stride, piece += PIECE_K)
        if (kc == PIECE_K) UNROLL for (int j = 0; j < PIECE_K; j += VW) vstore(piece + j, vload_stored(type, from, (size_t)j, VW));
        else for (int j = 0; j < kc; j += VW) vstore(piece + j, vload_stored(type, from, (size_t)j, kc - j));
}

static void copy_f32(const gemm_args *g, void *piece, int n, int columns, int k, int kc) { copy_typed(STORED_REAL, g, piece, n, columns, k, kc); }
static void copy_f16(const gemm_args *g, void *piece, int n, int columns, int k, int kc) { copy_typed(STORED_F16, g, piece, n, columns, k, kc); }

static void copy_widened(const gemm_args *g, void *piece, int n, int columns, int k, int kc)
{
    float *to = piece;
    memset(to, 0, STRIP * PIECE_K * sizeof *to);
    for (int i = 0; i < columns; i++) widen_run(kind_of(g), to + i * PIECE_K, b_at(g, k, n + i), kc);
}

/* bf16 stays as it is: half a piece. */
static void copy_bf16(const gemm_args *g, void *piece, int n, int columns, int k, int kc)
{
    const uint16_t *from = b_at(g, k, n).data;
    uint16_t *to = piece;
    if (kc < PIECE_K) memset(to, 0, STRIP * PIECE_K * sizeof *to);
    for (int i = 0; i < columns; i++, from += g->ldb, to += PIECE_K)
        if (kc < PIECE_K) memcpy(to, from, (size_t)kc * sizeof *to);
        else UNROLL for (int j = 0; j < PIECE_K; j += 2 * VW) vstore((float *)(void *)(to + j), vload((const float *)(const void *)(from + j)));
}

static copy_function *copy_of(const gemm_args *g)
{
    if (g->b.type == STORED_BF16) return copy_bf16;
    if (g->type == COMPUTE_BF16) return copy_widened;
    return g->b.type == STORED_REAL ? copy_f32 : g->b.type == STORED_F16 ? copy_f16 : copy_widened;
}

/* What the thread reads AHEAD pieces later, of which each step fetches some columns: a burst of misses would hold up
 * the sums. */
typedef struct { const char *at; size_t stride, bytes; int columns; } errand;

INLINE void fetch(errand *e, const int columns)
{
    UNROLL for (int i = 0; i < columns; i++) {
        if (e->columns-- <= 0) return;
        for (size_t j = 0; j < e->bytes; j += LINE) FETCH_L2(e->at + j);
        e->at += e->stride;
    }
}

static errand errand_at(const gemm_args *g, int n, int k)
{
    k += AHEAD * PIECE_K;
    if (k >= g->K) k -= cuts(g->K, PIECE_K) * PIECE_K, n += STRIP;
    if (n >= g->N || k < 0) return (errand){ 0 };
    return (errand){ b_at(g, k, n).data, stored_bytes(g->b.type, g->ldb), stored_bytes(g->b.type, PIECE_K), lesser(STRIP, g->N - n) };
}

/* The number of registers of columns that are summed side by side: enough to hide the latency of a sum, and few
 * enough to fit. */
INLINE int side_by_side(const int rows) { return rows == 1 ? STRIP / VW : rows == 2 ? 2 : 1; }

/* Of a register of columns the next k: 4, or 8 of halves, which are transposed in pairs. */
INLINE int step_k(const bool halves) { return halves ? 8 : 4; }

INLINE void transpose_step(const bool halves, vec out[8], const float *at)
{
    const int stride = halves ? PIECE_K / 2 : PIECE_K;
    const float *row[VW];
    vec quad[4];
    UNROLL for (int i = 0; i < VW; i++) row[i] = at + i * stride;
    vtranspose_quad(quad, row, 0);
    UNROLL for (int i = 0; i < step_k(halves); i++) out[i] = !halves ? quad[i] : i % 2 ? vpair_odd(quad[i / 2]) : vpair_even(quad[i / 2]);
}

/* Adds the products of a piece's first `steps` steps to the sums (rows, STRIP) of `many` registers of columns. */
INLINE void add_piece(const bool halves, const int rows, const int many, const float *a, const float *piece, int column, int steps, float *sums, bool begin, errand *e)
{
    const int fetched = many * VW * step_k(halves) / PIECE_K, stride = halves ? PIECE_K / 2 : PIECE_K;
    vec c[MOST_ROWS][STRIP / VW];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int j = 0; j < many; j++) c[r][j] = begin ? vzero() : vload(sums + r * STRIP + column + j * VW);
    const float *at = piece + column * stride;
    for (int s = 0; s < steps; s++, a += step_k(halves) * rows, at += 4) {
        __asm__("" : "+r"(at));                         /* else a pointer is kept for each row, in memory */
        fetch(e, fetched ? fetched : 1);
        UNROLL for (int j = 0; j < many; j++) {
            vec b[8];
            transpose_step(halves, b, at + j * VW * stride);
            UNROLL for (int k = 0; k < step_k(halves); k++)
                UNROLL for (int r = 0; r < rows; r++) c[r][j] = vfma(vset1(a[k * rows + r]), b[k], c[r][j]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int j = 0; j < many; j++) vstore(sums + r * STRIP + column + j * VW, c[r][j]);
}

INLINE void strip_of(const bool halves, const int rows, const few *f, int n, int columns, float *piece, float *sums)
{
    const gemm_args *g = f->g;
    copy_function *copy = copy_of(g);
    float last[PIECE_K * MOST_ROWS];
    for (int k = 0; k == 0 || k < g->K; k += PIECE_K) {
        int kc = lesser(PIECE_K, g->K - k), steps = cuts(kc, step_k(halves));
        const float *a = f->a + (size_t)k * (size_t)rows;
        errand e = errand_at(g, n, k);
        copy(g, piece, n, columns, k, kc);
        if (kc % step_k(halves)) {                      /* zeros follow the last numbers of A too */
            memset(last, 0, sizeof last);
            a = memcpy(last, a, (size_t)(kc * rows) * sizeof *a);
        }
        for (int j = 0; j < columns; j += side_by_side(rows) * VW) add_piece(halves, rows, side_by_side(rows), a, piece, j, steps, sums, k == 0, &e);
    }
    finish_block(g, sums, STRIP, 0, n, rows, columns);
}

typedef void strip_function(const few *f, int n, int columns, float *piece, float *sums);
#define STRIP_FUNCTION(halves, rows) \
    static void strip_##halves##_##rows(const few *f, int n, int columns, float *piece, float *sums) { strip_of(halves, rows, f, n, columns, piece, sums); }
#define STRIP_NAME(halves, rows) strip_##halves##_##rows,
EACH_ROWS(STRIP_FUNCTION, 0)
EACH_ROWS(STRIP_FUNCTION, 1)

/* Tasks that one thread is likely to get one after the other are adjacent in memory. */
static int in_turns(const few *f, int task)
{
    int threads = lesser(threads_count(), f->tasks), each = f->tasks / threads;
    return task < each * threads ? task % threads * each + task / threads : task;
}

static void strips(void *context, int task)
{
    static strip_function *const functions[2][MOST_ROWS] = { { EACH_ROWS(STRIP_NAME, 0) }, { EACH_ROWS(STRIP_NAME, 1) } };
    const few *f = context;
    const gemm_args *g = f->g;
    strip_function *strip = functions[g->b.type == STORED_BF16][g->M - 1];
    float *piece = own_scratch(), *sums = piece + STRIP * PIECE_K;
    int n, columns;
    share(g->N, STRIP, f->tasks, in_turns(f, task), &n, &columns);
    for (int i = 0; i < columns; i += STRIP) strip(f, n + i, lesser(STRIP, columns - i), piece, sums);
}

/* ---- B stored (K,N) ---------------------------------------------------------------------- */

/* Columns of a task, whose sums are (rows, most_columns). */
INLINE int most_columns(const int rows) { return SUMS / rows / VW * VW; }

/* Fetches, of what is read ROW_AHEAD bytes later in these rows of B or at the beginning of the next ones, the lines
 * whose turn it is at column j: each is fetched once. */
INLINE void fetch_rows(const stored_type type, const void *b, size_t ldb, int columns, int j)
{
    const int size = type == STORED_REAL ? 4 : 2, rows = SPAN_K * VW * size / LINE;
    int row = j / VW % (SPAN_K / rows) * rows, column = j + lesser(ROW_AHEAD / size, columns);
    if (column >= columns) column -= columns, row += SPAN_K;
    const char *at = (const char *)b + ((size_t)row * ldb + (size_t)column) * (size_t)size;
    UNROLL for (int i = 0; i < rows; i++) FETCH_L1(at + (size_t)i * ldb * (size_t)size);
}

/* Adds kc products to the sums of one register of columns, of which b holds n, from number `at`
 * on. */
INLINE void add_register(const stored_type type, const int rows, const float *a, const void *b, size_t at, size_t ldb, const int kc, int n, float *sums, bool begin)
{
    vec c[MOST_ROWS];
    UNROLL for (int r = 0; r < rows; r++) c[r] = begin ? vzero() : vload(sums + r * most_columns(rows));
    UNROLL_16 for (int k = 0; k < kc; k++) {
        vec x = vload_stored(type, b, at + (size_t)k * ldb, n);
        UNROLL for (int r = 0; r < rows; r++) c[r] = vfma(vset1(a[k * rows + r]), x, c[r]);
    }
    UNROLL for (int r = 0; r < rows; r++) vstore(sums + r * most_columns(rows), c[r]);
}

/* Of all columns; b is (kc, ldb), of which `columns` may be read. */
INLINE void add_rows(const stored_type type, const int rows, const float *a, const void *b, size_t ldb, int kc, int columns, float *sums, bool begin)
{
    int j = 0;
    for (; kc == SPAN_K && j + VW <= columns; j += VW) {
        fetch_rows(type, b, ldb, columns, j);
        add_register(type, rows, a, b, (size_t)j, ldb, SPAN_K, VW, sums + j, begin);
    }
    for (; j < columns; j += VW) add_register(type, rows, a, b, (size_t)j, ldb, kc, columns - j, sums + j, begin);
}

typedef void rows_function(const float *a, const void *b, size_t ldb, int kc, int columns, float *sums, bool begin);
#define ROWS_FUNCTION(type, rows) \
    static void rows_##type##_##rows(const float *a, const void *b, size_t ldb, int kc, int columns, float *sums, bool begin) \
    { add_rows(STORED_##type, rows, a, b, ldb, kc, columns, sums, begin); }
#define ROWS_NAME(type, rows) rows_##type##_##rows,
EACH_ROWS(ROWS_FUNCTION, REAL)
EACH_ROWS(ROWS_FUNCTION, F16)
EACH_ROWS(ROWS_FUNCTION, BF16)

/* NULL: B's numbers are widened first. */
static rows_function *rows_of(const gemm_args *g)
{
    static rows_function *const functions[STORED_TYPES][MOST_ROWS] = {
        [STORED_REAL] = { EACH_ROWS(ROWS_NAME, REAL) }, [STORED_F16] = { EACH_ROWS(ROWS_NAME, F16) }, [STORED_BF16] = { EACH_ROWS(ROWS_NAME, BF16) } };
    return g->type == COMPUTE_BF16 && g->b.type != STORED_BF16 ? NULL : functions[g->b.type][g->M - 1];
}

static void add_widened(const gemm_args *g, const float *a, int n, int columns, int k, int kc, float *piece, float *sums)
{
    static rows_function *const functions[MOST_ROWS] = { EACH_ROWS(ROWS_NAME, REAL) };
    for (int j = 0; j < columns; j += SPAN) {
        int width = lesser(SPAN, columns - j);
        for (int i = 0; i < kc; i++) widen_run(kind_of(g), piece + i * SPAN, b_at(g, k + i, n + j), width);
        functions[g->M - 1](a, piece, SPAN, kc, width, sums + j, k == 0);
    }
}

static void spans(void *context, int task)
{
    const few *f = context;
    const gemm_args *g = f->g;
    float *piece = own_scratch(), *sums = piece + SPAN * SPAN_K;
    rows_function *add = rows_of(g);
    int n, columns;
    share(g->N, VW, f->tasks, task, &n, &columns);
    for (int k = 0; k == 0 || k < g->K; k += SPAN_K) {
        const float *a = f->a + (size_t)k * (size_t)g->M;
        int kc = lesser(SPAN_K, g->K - k);
        if (add) add(a, b_at(g, k, n).data, g->ldb, kc, columns, sums, k == 0);
        else add_widened(g, a, n, columns, k, kc, piece, sums);
    }
    finish_block(g, sums, (size_t)most_columns(g->M), 0, n, g->M, columns);
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
        while (cuts(cuts(g->N, VW), f.tasks) * VW > most_columns(g->M)) f.tasks += threads;
        parallel_for(f.tasks, spans, &f);
    }
}

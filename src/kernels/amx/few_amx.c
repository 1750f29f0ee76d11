/* Few rows times weights stored (N,K) in bf16.  The weights are the left operand, whose tiles lie in memory as they
 * are wanted: 16 of B's columns by 32 k.  A's rows stand side by side in the tiles of the right one, one for each part
 * of their numbers.  The order of sums is that of gemm_amx.c, so a row has the same bits here and there.
 *
 * A strip of columns goes through K in one run; what will be read AHEAD numbers later is fetched meanwhile. */
#include "kernels/amx/few_amx.h"
#include "kernels/amx/amx.h"
#include "base/threads.h"
#include "kernels/amx/pack_amx.h"
#include "kernels/vector/gemm_finish.h"

enum { MOST_ROWS = 16, PARTS = 3, GROUP = 16, STRIP = 2 * GROUP, AHEAD = 256 };

/* The scratch of the calling thread holds A for all threads. */
#define SHARED_BYTES ((size_t)4 << 20)

typedef struct { const gemm_args *g; const uint16_t *a; int tasks; } few;

/* The tiles; compilers want their numbers as text.  The parts of A, of weights, and the sums of two groups. */
#define A_0 0
#define A_1 1
#define A_2 2
#define WEIGHTS 3
#define SUMS_0 4
#define SUMS_1 5

/* Tiles of A and of sums have M columns. */
static void tiles_on(int M)
{
    tile_config c = { .palette = 1 };
    for (int t = A_0; t <= SUMS_1; t++) c.row_bytes[t] = (uint16_t)(4 * M), c.rows[t] = 16;
    c.row_bytes[WEIGHTS] = 64;
    MEMORY_BARRIER();
    _tile_loadconfig(&c);
}

/* ---- A --------------------------------------------------------------------------------------- */

/* Numbers of A's tile, and of a step with all its parts. */
static size_t part_size(int M) { return (size_t)STEP * (size_t)M; }
static size_t step_size(int M) { return PARTS * part_size(M); }

/* Pairs of k by columns, which are A's rows. */
static void pack_step(uint16_t *to, const gemm_args *g, int k)
{
    const int M = g->M, n = lesser(STEP, g->K - k);
    uint16_t rows[PARTS][MOST_ROWS][STEP];
    for (int r = 0; r < M; r++) {
        size_t at = (size_t)r * g->lda + (size_t)k;
        _mm512_storeu_si512(rows[0][r], load_bf16(STORED_REAL, NEAREST, g->a, at, n));
        _mm512_storeu_si512(rows[1][r], load_bf16(STORED_REAL, SECOND, g->a, at, n));
        _mm512_storeu_si512(rows[2][r], load_bf16(STORED_REAL, THIRD, g->a, at, n));
    }
    for (int part = 0; part < PARTS; part++)
        for (int pair = 0; pair < STEP; pair += 2)
            for (int r = 0; r < M; r++, to += 2) memcpy(to, rows[part][r] + pair, 2 * sizeof *to);
}

/* ---- strips ------------------------------------------------------------------------------------ */

/* Fetches a line of each row of a group, of which `columns` are there. */
INLINE void fetch(const char *at, size_t stride, int columns)
{
    for (int i = 0; i < columns; i++, at += stride) _mm_prefetch(at, _MM_HINT_T1);
}

/* Where the strip's numbers AHEAD of k are, or those of the next strip. */
static const char *ahead_of(const gemm_args *g, int n, int k)
{
    k += AHEAD;
    if (k >= g->K) k -= cuts(g->K, STEP) * STEP, n += STRIP;
    return k < 0 || k >= g->K || n + STRIP > g->N ? NULL : b_at(g, k, n).data;
}

/* Adds the products of one tile of weights, of which `columns` and `kc` k are there, to its group's sums. */
#define MULTIPLY_GROUP(sums)                                                                    \
    do {                                                                                        \
        if (columns >= GROUP && kc == STEP) _tile_loadd(WEIGHTS, w, stride);                    \
        else {                                                                                  \
            tile_across(STORED_BF16, NEAREST, false, scratch, w, g->ldb, columns, kc);          \
            MEMORY_BARRIER();                                                                   \
            _tile_loadd(WEIGHTS, scratch, 64);                                                  \
        }                                                                                       \
        _tile_dpbf16ps(sums, WEIGHTS, A_0);                                                     \
        _tile_dpbf16ps(sums, WEIGHTS, A_1);                                                     \
        _tile_dpbf16ps(sums, WEIGHTS, A_2);                                                     \
        MEMORY_BARRIER();                                                                       \
    } while (0)

/* sums (STRIP, M) of the columns from n on. */
static void multiply_strip(const few *f, int n, float *sums)
{
    const gemm_args *g = f->g;
    const size_t stride = g->ldb * sizeof(uint16_t), out = (size_t)(4 * g->M), part = part_size(g->M);
    const int there = lesser(STRIP, g->N - n);
    _Alignas(64) uint16_t scratch[TILE];
    const uint16_t *a = f->a;
    _tile_zero(SUMS_0);
    _tile_zero(SUMS_1);
    for (int k = 0; k < g->K; k += STEP, a += step_size(g->M)) {
        const int kc = lesser(STEP, g->K - k);
        const char *w = b_at(g, k, n).data, *next = ahead_of(g, n, k);
        _tile_loadd(A_0, a, out);
        _tile_loadd(A_1, a + part, out);
        _tile_loadd(A_2, a + 2 * part, out);
        int columns = lesser(GROUP, there);
        if (next) fetch(next, stride, GROUP);
        MULTIPLY_GROUP(SUMS_0);
        columns = there - GROUP, w += GROUP * stride;
        if (columns <= 0) continue;
        if (next) fetch(next + GROUP * stride, stride, GROUP);
        MULTIPLY_GROUP(SUMS_1);
    }
    _tile_stored(SUMS_0, sums, out);
    _tile_stored(SUMS_1, sums + GROUP * g->M, out);
    MEMORY_BARRIER();
}

static void strip(const few *f, int n)
{
    const gemm_args *g = f->g;
    float sums[STRIP * MOST_ROWS], rows[MOST_ROWS][STRIP];
    multiply_strip(f, n, sums);
    for (int c = 0; c < STRIP; c++)
        for (int r = 0; r < g->M; r++) rows[r][c] = sums[c * g->M + r];
    finish_block(g, rows[0], STRIP, 0, n, g->M, lesser(STRIP, g->N - n));
}

static void strips(void *context, int task)
{
    const few *f = context;
    int n, columns;
    share(f->g->N, STRIP, f->tasks, task, &n, &columns);
    tiles_on(f->g->M);
    for (int i = 0; i < columns; i += STRIP) strip(f, n + i);
    _tile_release();
}

/* ---- the whole ----------------------------------------------------------------------------------- */

bool gemm_is_few_amx(const gemm_args *g)
{
    return g->type == COMPUTE_F32 && g->b.type == STORED_BF16 && g->tb && !g->ta && g->M > 0 && g->M <= MOST_ROWS
        && (size_t)cuts(g->K, STEP) * step_size(g->M) * sizeof(uint16_t) <= SHARED_BYTES;
}

void gemm_few_amx(const gemm_args *g)
{
    uint16_t *a = thread_scratch();
    for (int k = 0; k < g->K; k += STEP) pack_step(a + (size_t)(k / STEP) * step_size(g->M), g, k);
    few f = { .g = g, .a = a, .tasks = lesser(cuts(g->N, STRIP), 8 * threads_count()) };
    parallel_for(f.tasks, strips, &f);
}

/* fp32 matrix products after Goto & van de Geijn 2008: C is cut into tiles, one
 * task each; a task packs KC columns of its rows of A, then takes B by panels of NR
 * columns, packs one into the first-level cache and goes down A with a block of MR x NR
 * sums in registers.  Between blocks of K the sums are in scratch.
 *
 * Each element of C is one chain of fused multiply-adds, k ascending from zero,
 * whatever the tile, the panel or the number of rows beside it. */
#include "base/threads.h"
#include "kernels/blocks.h"
#include "kernels/vector/gemm_cut.h"
#include "kernels/vector/gemm_few.h"
#include "kernels/vector/gemm_finish.h"
#include "kernels/vector/gemm_pack.h"
#include "kernels/vector/vec_stored.h"
#include "kernels/vector/vector.h"

#if VW == 16
#define MR 14                                   /* 28 registers of sums, 2 of B, 1 of A */
#elif VW == 8
#define MR 6                                    /* 12, 2, 1 of 16 */
#else
#define MR 8                                    /* 16, 2, 8 of 32: as many rows of A as a panel of it is packed by */
#endif
#define NR (2 * VW)
enum { KC = 256,                                /* a panel of B is 32 or 16 KiB */
       /* Most of a task: A's block and the sums stay in the second-level cache. */
       TILE_ROWS = 40 * 14, TILE_COLUMNS = 768,
       KC_FEW = 64,
       SMALL_COLUMNS = 64, FEW_ROWS = 4 * MR,
       A_PANELS = TILE_ROWS / MR + 1,           /* packed, of KC columns each */
       ALONG = 8 };

typedef struct { const gemm_args *g; int tiles_m, tiles_n; } grid;

/* ---- packing ------------------------------------------------------------------------- */

/* Floats from one panel of A to the next: stores of whole registers spill over its end. */
static size_t panel_size(int kc) { return (size_t)MR * (size_t)kc + VW; }

/* Rows m .. m+rows-1 of A, columns k .. k+kc-1, in panels of MR rows. */
INLINE void pack_rows(const bool bf16, const gemm_args *g, float *dst, int m, int rows, int k, int kc)
{
    size_t panel = panel_size(kc);
    if (!g->ta) {
        for (int i = 0; i < rows; i += MR, dst += panel)
            pack_across(bf16, dst, MR, g->a + (size_t)(m + i) * g->lda + (size_t)k, g->lda, lesser(MR, rows - i), kc);
        return;
    }
    for (int p = 0; p < kc; p += ALONG) {              /* a few rows of the source at a time, all their panels */
        float *out = dst + (size_t)p * MR;
        for (int i = 0; i < rows; i += MR, out += panel)
            pack_along(bf16, out, MR, g->a + (size_t)(k + p) * g->lda + (size_t)(m + i), g->lda, lesser(MR, rows - i), lesser(ALONG, kc - p));
    }
}

/* Columns n .. n+columns-1 of B (at most NR), rows k .. k+kc-1, as one panel. */
INLINE void pack_columns(const bool bf16, const gemm_args *g, float *dst, int n, int columns, int k, int kc)
{
    const float *b = b_at(g, k, n).data;
    if (g->tb) pack_across(bf16, dst, NR, b, g->ldb, columns, kc);
    else pack_along(bf16, dst, NR, b, g->ldb, columns, kc);
}

/* The same of numbers that are not stored as floats, widened some rows at a time. */
static void pack_widened(const gemm_args *g, float *dst, int n, int columns, int k, int kc)
{
    enum { SOME = 64 };
    float piece[SOME * NR];
    widen_kind kind = g->type == COMPUTE_BF16 ? WIDEN_ROUNDED : WIDEN;
    for (int i = 0; i < kc; i += SOME) {
        int some = lesser(SOME, kc - i);
        if (!g->tb) {
            for (int p = 0; p < some; p++) widen_run(kind, piece + p * NR, b_at(g, k + i + p, n), columns);
            pack_along(false, dst + (size_t)i * NR, NR, piece, NR, columns, some);
        } else {
            for (int c = 0; c < columns; c++) widen_run(kind, piece + c * SOME, b_at(g, k + i, n + c), some);
            pack_across(false, dst + (size_t)i * NR, NR, piece, SOME, columns, some);
        }
    }
}

static void pack_a(const gemm_args *g, float *dst, int m, int rows, int k, int kc)
{
    if (g->type == COMPUTE_BF16) pack_rows(true, g, dst, m, rows, k, kc);
    else pack_rows(false, g, dst, m, rows, k, kc);
}

static void pack_b(const gemm_args *g, float *dst, int n, int columns, int k, int kc)
{
    if (g->b.type != STORED_REAL) pack_widened(g, dst, n, columns, k, kc);
    else if (g->type == COMPUTE_BF16) pack_columns(true, g, dst, n, columns, k, kc);
    else pack_columns(false, g, dst, n, columns, k, kc);
}

/* ---- the product of two panels ----------------------------------------------------- */

/* Prefetches a little at a time while products are summed, since a burst of misses would
 * stall them: for each of the first `turns` chunks, pairs of lines of `count` rows of B's next panel; for every
 * chunk, a row that will be written. */
typedef struct { const char *b; size_t b_turn, b_stride; int count, turns; const float *c; size_t c_stride; } errand;
enum { CHUNK = 16, LINE = 64, PAIR = 2 * LINE };             /* of k, between turns; bytes */

INLINE void fetch(const errand *e, int turn)
{
    const float *c = e->c + (size_t)turn * e->c_stride;
    if (turn < e->turns) {
        const char *b = e->b + (size_t)turn * e->b_turn;
        for (int i = 0; i < e->count; i++, b += e->b_stride) {
            FETCH_L2(b);
            FETCH_L2(b + LINE);
        }
    }
    FETCH_TO_WRITE(c);
    FETCH_TO_WRITE(c + NR - 1);
}

INLINE void multiply_step(const int rows, vec c[MR][2], const float *a, const float *b)
{
    vec b0 = vload(b), b1 = vload(b + VW);
    UNROLL for (int r = 0; r < rows; r++) {
        vec x = vset1(a[r]);
        c[r][0] = vfma(x, b0, c[r][0]);
        c[r][1] = vfma(x, b1, c[r][1]);
    }
}

INLINE void multiply_rows(const int rows, int kc, const float *a, const float *b, const float *from, float *sums, const errand *e)
{
    vec c[MR][2];
    int k = 0;
    UNROLL for (int r = 0; r < rows; r++) {
        c[r][0] = vload(from + r * NR);
        c[r][1] = vload(from + r * NR + VW);
    }
    for (; k + CHUNK <= kc; k += CHUNK) {
        fetch(e, k / CHUNK);
        for (int i = 0; i < CHUNK; i++, a += MR, b += NR) multiply_step(rows, c, a, b);
    }
    for (; k < kc; k++, a += MR, b += NR) multiply_step(rows, c, a, b);
    UNROLL for (int r = 0; r < rows; r++) {
        vstore(sums + r * NR, c[r][0]);
        vstore(sums + r * NR + VW, c[r][1]);
    }
}

/* sums = from + a b; from is sums or zeros */
static void multiply(int rows, int kc, const float *a, const float *b, const float *from, float *sums, const errand *e)
{
    switch (rows) {
    case 1: multiply_rows(1, kc, a, b, from, sums, e); break;
    case 2: multiply_rows(2, kc, a, b, from, sums, e); break;
    case 3: multiply_rows(3, kc, a, b, from, sums, e); break;
    case 4: multiply_rows(4, kc, a, b, from, sums, e); break;
    case 5: multiply_rows(5, kc, a, b, from, sums, e); break;
#if MR > 6
    case 6: multiply_rows(6, kc, a, b, from, sums, e); break;
    case 7: multiply_rows(7, kc, a, b, from, sums, e); break;
#endif
#if MR > 8
    case 8: multiply_rows(8, kc, a, b, from, sums, e); break;
    case 9: multiply_rows(9, kc, a, b, from, sums, e); break;
    case 10: multiply_rows(10, kc, a, b, from, sums, e); break;
    case 11: multiply_rows(11, kc, a, b, from, sums, e); break;
    case 12: multiply_rows(12, kc, a, b, from, sums, e); break;
    case 13: multiply_rows(13, kc, a, b, from, sums, e); break;
#endif
    default: multiply_rows(MR, kc, a, b, from, sums, e); break;
    }
}

/* ---- tiles --------------------------------------------------------------------------- */

/* While the i-th of `blocks` of rows meets this panel: its part of B's panel at column n, if there is one. */
INLINE void fetch_b(errand *e, const gemm_args *g, int i, int blocks, int n, int end, int k, int kc)
{
    int width = lesser(NR, end - n), rows = g->tb ? width : kc;
    int share_of_rows = (rows + blocks - 1) / blocks, row = i * share_of_rows, turns = kc / CHUNK;
    e->turns = 0;
    if (width <= 0 || row >= rows || turns < 1) return;
    e->b = g->tb ? b_at(g, k, n + row).data : b_at(g, k + row, n).data;
    e->b_stride = stored_bytes(g->b.type, g->ldb);
    if (g->tb) {
        e->b_turn = PAIR, e->turns = cuts((int)stored_bytes(g->b.type, (size_t)kc), PAIR), e->count = lesser(share_of_rows, rows - row);
    } else {
        e->count = (share_of_rows + turns - 1) / turns;
        e->b_turn = (size_t)e->count * e->b_stride, e->turns = turns;
    }
}

/* The memory of a task: a panel of B, packed rows of A, and sums. */
typedef struct { int m, rows, n, columns, kc; float *a, *b, *sums; } tile;

static int block_of(const gemm_args *g, const tile *t, int k) { return lesser(t->kc, g->K - k); }

/* One meeting of a panel of B with the rows of a task, and the panel after it (columns n2 .., none when n2 is at
 * the task's end). */
typedef struct { int n, k, n2, k2; const float *a; float *sums; } meeting;

static void multiply_panel(const gemm_args *g, const tile *t, const meeting *at)
{
    static const float zeros[MR * NR];
    const float *a = at->a;
    float *sums = at->sums;
    int end = t->n + t->columns, width = lesser(NR, end - at->n), kc = block_of(g, t, at->k), blocks = cuts(t->rows, MR);
    bool last = at->k + kc >= g->K;
    for (int i = 0; i < t->rows; i += MR, sums += MR * NR, a += panel_size(kc)) {
        int height = lesser(MR, t->rows - i), m = t->m + i;
        errand e = { .c = sums, .c_stride = NR };
        if (last) e.c = g->c + (size_t)m * g->ldc + (size_t)at->n, e.c_stride = g->ldc;
        fetch_b(&e, g, i / MR, blocks, at->n2, end, at->k2, block_of(g, t, at->k2));
        multiply(height, kc, a, t->b, at->k ? sums : zeros, sums, &e);
        if (last) finish_block(g, sums, NR, m, at->n, height, width);
    }
}

static void meet(const gemm_args *g, const tile *t, const meeting *at)
{
    int width = lesser(NR, t->n + t->columns - at->n);
    pack_b(g, t->b, at->n, width, at->k, block_of(g, t, at->k));
    multiply_panel(g, t, at);
}

/* Many rows: a block of A at a time goes through all panels, and their sums are kept. */
static void by_blocks(const gemm_args *g, const tile *t)
{
    size_t strip = (size_t)(cuts(t->rows, MR)) * (MR * NR);
    for (int k = 0; k == 0 || k < g->K; k += t->kc) {
        meeting at = { .n = t->n, .k = k, .k2 = k, .a = t->a, .sums = t->sums };
        pack_a(g, t->a, t->m, t->rows, k, block_of(g, t, k));
        for (; at.n < t->n + t->columns; at.n += NR, at.sums += strip) {
            at.n2 = at.n + NR;
            meet(g, t, &at);
        }
    }
}

/* Few rows, whose whole A is packed: B is read in its own order, each panel from end to end. */
static void by_panels(const gemm_args *g, const tile *t)
{
    size_t block = (size_t)(cuts(t->rows, MR)) * panel_size(t->kc);
    for (int k = 0; k < g->K; k += t->kc) pack_a(g, t->a + (size_t)(k / t->kc) * block, t->m, t->rows, k, block_of(g, t, k));
    for (int n = t->n; n < t->n + t->columns; n += NR)
        for (int k = 0; k == 0 || k < g->K; k += t->kc) {
            meeting at = { .n = n, .k = k, .n2 = n, .k2 = k + t->kc, .a = t->a + (size_t)(k / t->kc) * block, .sums = t->sums };
            if (at.k2 >= g->K) at.n2 += NR, at.k2 = 0;
            meet(g, t, &at);
        }
}

static void gemm_tile(void *context, int task)
{
    const grid *of = context;
    const gemm_args *g = of->g;
    tile t = { .b = thread_scratch() };
    t.a = t.b + NR * KC, t.sums = t.a + A_PANELS * panel_size(KC);
    share(g->M, MR, of->tiles_m, task % of->tiles_m, &t.m, &t.rows);
    share(g->N, NR, of->tiles_n, task / of->tiles_m, &t.n, &t.columns);
    t.kc = KC_FEW;
    if (t.rows <= FEW_ROWS && (size_t)cuts(t.rows, MR) * (size_t)cuts(g->K, KC_FEW) * panel_size(KC_FEW) <= A_PANELS * panel_size(KC)) {
        by_panels(g, &t);
        return;
    }
    t.kc = KC;
    by_blocks(g, &t);
}

/* Tiles differ in size by a panel at most, and when they are few, each thread gets as many.  Few rows of A may well
 * be packed once per tile, but not for a tile that is narrower than they are many. */
static grid cut(const gemm_args *g)
{
    int threads = threads_count(), widest = g->N / (4 * threads) > g->M ? g->N / (4 * threads) : g->M;
    widest = widest > TILE_COLUMNS ? TILE_COLUMNS : widest < SMALL_COLUMNS ? SMALL_COLUMNS : widest;
    grid t = { g, cuts(g->M, TILE_ROWS), cuts(g->N, widest) };
    while (t.tiles_m * t.tiles_n % threads && t.tiles_m * t.tiles_n < 8 * threads && t.tiles_n < cuts(g->N, NR)) t.tiles_n++;
    return t;
}

void LEVEL(gemm)(const gemm_args *said)
{
    const gemm_args g = as_stored(said);
    if (g.M < 1 || g.N < 1) return;
    if (in_blocks(g.b.type)) LEVEL(gemm_blocks)(&g);
    else if (LEVEL(gemm_is_few)(&g)) LEVEL(gemm_few)(&g);
    else {
        grid t = cut(&g);
        parallel_for(t.tiles_m * t.tiles_n, gemm_tile, &t);
    }
}

/* ---- sums of columns ------------------------------------------------------------------ */

enum { SUM_VECTORS = 4, SUM_WIDTH = SUM_VECTORS * VW };

typedef struct { float *y; bool add; const float *x; size_t ldx; int rows, width; } column_args;

static void column_part(void *context, int task)
{
    const column_args *s = context;
    int first = task * SUM_WIDTH;
    vec sum[SUM_VECTORS];
    vmask mask[SUM_VECTORS];
    UNROLL for (int j = 0; j < SUM_VECTORS; j++) {
        int left = s->width - first - j * VW;
        sum[j] = vzero(), mask[j] = vtail(left > 0 ? left : 0);
    }
    for (int r = 0; r < s->rows; r++) {
        const float *x = s->x + (size_t)r * s->ldx + (size_t)first;
        UNROLL for (int j = 0; j < SUM_VECTORS; j++) sum[j] = vadd(sum[j], vload_mask(x + j * VW, mask[j]));
    }
    for (int j = 0; j < SUM_VECTORS; j++) {
        float *y = s->y + first + j * VW;
        vstore_mask(y, mask[j], s->add ? vadd(vload_mask(y, mask[j]), sum[j]) : sum[j]);
    }
}

void LEVEL(column_sum)(real *y, bool add, const real *x, size_t ldx, int rows, int width)
{
    column_args s = { y, add, x, ldx, rows, width };
    parallel_for(cuts(width, SUM_WIDTH), column_part, &s);
}

/* fp32 matrix products after Goto & van de Geijn 2008: C is cut into tiles, one
 * task each; a task packs KC columns of its rows of A, then takes B by panels of NR
 * columns, packs one into the first-level cache and runs down A with a block of MR x NR
 * sums in registers.  Sums wait in scratch between blocks of K.
 *
 * Each element of C is one chain of fused multiply-adds, k ascending from zero,
 * whatever the tile, the panel or the number of rows beside it. */
#include "base/threads.h"
#include "kernels/vector/gemm_finish.h"
#include "kernels/vector/gemm_pack.h"
#include "kernels/vector/vector.h"

#if VW == 16
#define MR 14                                   /* 28 registers of sums, 2 of B, 1 of A */
#else
#define MR 6                                    /* 12, 2, 1 of 16 */
#endif
#define NR (2 * VW)
enum { KC = 256,                                /* a panel of B is 32 or 16 KiB */
       TILE_ROWS = 40 * 14, TILE_COLUMNS = 768, /* most of a task: A's block and the sums stay in the second-level cache */
       SMALL_COLUMNS = 64,
       ALONG = 8 };

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct { const gemm_args *g; int tiles_m, tiles_n; } grid;

static int smaller(int a, int b) { return a < b ? a : b; }

/* ---- packing ------------------------------------------------------------------------- */

/* Floats from one panel of A to the next: stores of whole registers spill over its end. */
static size_t panel_size(int kc) { return (size_t)MR * (size_t)kc + VW; }

/* Rows m .. m+rows-1 of A, columns k .. k+kc-1, in panels of MR rows. */
INLINE void pack_rows(const bool bf16, const gemm_args *g, float *dst, int m, int rows, int k, int kc)
{
    size_t panel = panel_size(kc);
    if (!g->ta) {
        for (int i = 0; i < rows; i += MR, dst += panel)
            pack_across(bf16, dst, MR, g->a + (size_t)(m + i) * g->lda + (size_t)k, g->lda, smaller(MR, rows - i), kc);
        return;
    }
    for (int p = 0; p < kc; p += ALONG) {              /* a few rows of the source at a time, all their panels */
        float *out = dst + (size_t)p * MR;
        for (int i = 0; i < rows; i += MR, out += panel)
            pack_along(bf16, out, MR, g->a + (size_t)(k + p) * g->lda + (size_t)(m + i), g->lda, smaller(MR, rows - i), smaller(ALONG, kc - p));
    }
}

/* Columns n .. n+columns-1 of B (at most NR), rows k .. k+kc-1, as one panel. */
INLINE void pack_columns(const bool bf16, const gemm_args *g, float *dst, int n, int columns, int k, int kc)
{
    if (g->tb) pack_across(bf16, dst, NR, g->b + (size_t)n * g->ldb + (size_t)k, g->ldb, columns, kc);
    else pack_along(bf16, dst, NR, g->b + (size_t)k * g->ldb + (size_t)n, g->ldb, columns, kc);
}

static void pack_a(const gemm_args *g, float *dst, int m, int rows, int k, int kc)
{
    if (g->type == COMPUTE_BF16) pack_rows(true, g, dst, m, rows, k, kc);
    else pack_rows(false, g, dst, m, rows, k, kc);
}

static void pack_b(const gemm_args *g, float *dst, int n, int columns, int k, int kc)
{
    if (g->type == COMPUTE_BF16) pack_columns(true, g, dst, n, columns, k, kc);
    else pack_columns(false, g, dst, n, columns, k, kc);
}

/* ---- the product of two panels ----------------------------------------------------- */

INLINE void multiply_rows(const int rows, int kc, const float *a, const float *b, const float *from, float *sums)
{
    vec c[MR][2];
    UNROLL for (int r = 0; r < rows; r++) {
        c[r][0] = vload(from + r * NR);
        c[r][1] = vload(from + r * NR + VW);
    }
    for (int k = 0; k < kc; k++, a += MR, b += NR) {
        vec b0 = vload(b), b1 = vload(b + VW);
        UNROLL for (int r = 0; r < rows; r++) {
            vec x = vset1(a[r]);
            c[r][0] = vfma(x, b0, c[r][0]);
            c[r][1] = vfma(x, b1, c[r][1]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        vstore(sums + r * NR, c[r][0]);
        vstore(sums + r * NR + VW, c[r][1]);
    }
}

/* sums = from + a b; from is sums or zeros */
static void multiply(int rows, int kc, const float *a, const float *b, const float *from, float *sums)
{
    switch (rows) {
    case 1: multiply_rows(1, kc, a, b, from, sums); break;
    case 2: multiply_rows(2, kc, a, b, from, sums); break;
    case 3: multiply_rows(3, kc, a, b, from, sums); break;
    case 4: multiply_rows(4, kc, a, b, from, sums); break;
    case 5: multiply_rows(5, kc, a, b, from, sums); break;
#if MR > 6
    case 6: multiply_rows(6, kc, a, b, from, sums); break;
    case 7: multiply_rows(7, kc, a, b, from, sums); break;
    case 8: multiply_rows(8, kc, a, b, from, sums); break;
    case 9: multiply_rows(9, kc, a, b, from, sums); break;
    case 10: multiply_rows(10, kc, a, b, from, sums); break;
    case 11: multiply_rows(11, kc, a, b, from, sums); break;
    case 12: multiply_rows(12, kc, a, b, from, sums); break;
    case 13: multiply_rows(13, kc, a, b, from, sums); break;
#endif
    default: multiply_rows(MR, kc, a, b, from, sums); break;
    }
}

/* ---- tiles --------------------------------------------------------------------------- */

/* The part-th of `parts` nearly equal runs of whole panels. */
static void share(int size, int panel, int parts, int part, int *begin, int *length)
{
    long long panels = (size + panel - 1) / panel;
    int end = smaller(size, (int)(panels * (part + 1) / parts) * panel);
    *begin = (int)(panels * part / parts) * panel;
    *length = end - *begin;
}

static void gemm_tile(void *context, int task)
{
    static const float zeros[MR * NR];
    const grid *t = context;
    const gemm_args *g = t->g;
    float *b = thread_scratch(), *a = b + NR * KC, *sums = a + (TILE_ROWS / MR + 1) * panel_size(KC);
    int m, rows, n, columns;
    share(g->M, MR, t->tiles_m, task % t->tiles_m, &m, &rows);
    share(g->N, NR, t->tiles_n, task / t->tiles_m, &n, &columns);
    for (int k = 0; k == 0 || k < g->K; k += KC) {
        int kc = smaller(KC, g->K - k);
        pack_a(g, a, m, rows, k, kc);
        float *block = sums;
        size_t panel = panel_size(kc);
        for (int j = 0; j < columns; j += NR) {
            int width = smaller(NR, columns - j);
            pack_b(g, b, n + j, width, k, kc);
            const float *rows_of_a = a;
            for (int i = 0; i < rows; i += MR, block += MR * NR, rows_of_a += panel) {
                int height = smaller(MR, rows - i);
                if (k + kc >= g->K) finish_soon(g, m + i, n + j, height, width);
                multiply(height, kc, rows_of_a, b, k ? block : zeros, block);
                if (k + kc >= g->K) finish_block(g, block, NR, m + i, n + j, height, width);
            }
        }
    }
}

static int cuts(int size, int most) { return (size + most - 1) / most; }

/* Tiles differ in size by a panel at most, and when they are few, each thread gets as many. */
static grid cut(const gemm_args *g)
{
    int threads = threads_count(), widest = g->M < TILE_COLUMNS ? g->M : TILE_COLUMNS;
    if (widest < SMALL_COLUMNS) widest = SMALL_COLUMNS;
    grid t = { g, cuts(g->M, TILE_ROWS), cuts(g->N, widest) };
    while (t.tiles_m * t.tiles_n % threads && t.tiles_m * t.tiles_n < 8 * threads && t.tiles_n < cuts(g->N, NR)) t.tiles_n++;
    return t;
}

void LEVEL(gemm)(const gemm_args *g)
{
    if (g->M < 1 || g->N < 1) return;
    grid t = cut(g);
    parallel_for(t.tiles_m * t.tiles_n, gemm_tile, &t);
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

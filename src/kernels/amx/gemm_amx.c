/* bf16 matrix products on Intel's tiles: sums of 32 x 32 in four of them, A and B in the layout of
 * pack_amx.h.  A task takes a run of rows, packs KC columns of A into its second-level cache, and goes
 * through B panel by panel.  B was packed by the caller (once per step), or is packed here, by all
 * threads into the calling thread's scratch before the products begin; one that does not fit is packed by
 * each task as it goes.
 *
 * Each element is one chain of TDPBF16PS, k ascending by pairs from zero: neither the tile nor KC nor who
 * packed changes a bit of it. */
#include "base/threads.h"
#include "kernels/amx/pack_amx.h"
#include "kernels/vector/gemm_finish.h"
#include <string.h>

enum { KC = 1024, ROWS = 256, COLUMNS = 1024,   /* most of a task when sums must wait between blocks of K */
       WIDE = 4096,                             /* most columns of a task when they need not */
       PACK_COLUMNS = 128 };                    /* of B, per task of packing */

/* Scratch: B for everyone in the calling thread's; behind it each thread's own block of A, panel of B and sums. */
#define SHARED_BYTES ((size_t)6 << 20)
enum { A_SIZE = ROWS * KC, B_SIZE = PANEL * KC, SUMS = PANEL * PANEL };
_Static_assert(SHARED_BYTES + 2 * (A_SIZE + B_SIZE) + 4 * ROWS * COLUMNS <= THREAD_SCRATCH_BYTES, "scratch");

typedef struct {
    const gemm_args *g;
    const uint16_t *b;                          /* packed panels, or NULL: each task packs */
    uint16_t *shared;
    int tiles_m, tiles_n;
} job;

/* ---- tiles ----------------------------------------------------------------------------- */

typedef struct { uint8_t palette, start_row, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } tile_config;

static void tiles_on(void)
{
    tile_config c = { .palette = 1 };
    for (int i = 0; i < 8; i++) c.row_bytes[i] = 64, c.rows[i] = 16;
    _tile_loadconfig(&c);
}

/* The compilers' tile intrinsics do not say that they read and write memory. */
#define MEMORY_BARRIER() __asm__ volatile("" : : : "memory")

/* out (32,32), `stride` floats from row to row, = from (32,32 contiguous; NULL is zero) + a b. */
static void multiply(int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride)
{
    size_t bytes = stride * sizeof *out;
    MEMORY_BARRIER();
    if (from) {
        _tile_loadd(0, from, 128);
        _tile_loadd(1, from + 16, 128);
        _tile_loadd(2, from + 16 * PANEL, 128);
        _tile_loadd(3, from + 16 * PANEL + 16, 128);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int s = 0; s < steps; s++, a += STEP_SIZE, b += STEP_SIZE) {
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + TILE, 64);
        _tile_loadd(5, a + TILE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, out, bytes);
    _tile_stored(1, out + 16, bytes);
    _tile_stored(2, out + 16 * stride, bytes);
    _tile_stored(3, out + 16 * stride + 16, bytes);
    MEMORY_BARRIER();
}

/* The same for the upper 16 rows alone. */
static void multiply_upper(int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride)
{
    size_t bytes = stride * sizeof *out;
    MEMORY_BARRIER();
    if (from) {
        _tile_loadd(0, from, 128);
        _tile_loadd(1, from + 16, 128);
    } else {
        _tile_zero(0);
        _tile_zero(1);
    }
    for (int s = 0; s < steps; s++, a += STEP_SIZE, b += STEP_SIZE) {
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + TILE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
    }
    _tile_stored(0, out, bytes);
    _tile_stored(1, out + 16, bytes);
    MEMORY_BARRIER();
}

static void product(int rows, int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride)
{
    if (rows > 16) multiply(steps, a, b, from, out, stride);
    else multiply_upper(steps, a, b, from, out, stride);
}

/* ---- packing ----------------------------------------------------------------------------- */

/* Rows m .. of A, k .. of K, panels of KC. */
static void pack_a(const gemm_args *g, uint16_t *dst, int m, int rows, int k, int kc)
{
    size_t panel = (size_t)steps_of(kc) * STEP_SIZE;
    if (g->ta) pack_panels(true, false, dst, panel, g->a + (size_t)k * g->lda + (size_t)m, g->lda, rows, kc);
    else pack_panels(true, true, dst, panel, g->a + (size_t)m * g->lda + (size_t)k, g->lda, rows, kc);
}

/* Columns n .. of B, rows k .. */
static void pack_b(uint16_t *dst, size_t panel, const float *b, size_t ldb, bool tb, int n, int columns, int k, int kc)
{
    if (tb) pack_panels(false, true, dst, panel, b + (size_t)n * ldb + (size_t)k, ldb, columns, kc);
    else pack_panels(false, false, dst, panel, b + (size_t)k * ldb + (size_t)n, ldb, columns, kc);
    if (columns % PANEL && columns % PANEL <= 16)                        /* the panel's second tile */
        for (int s = 0; s < steps_of(kc); s++)
            memset(dst + (size_t)(columns / PANEL) * panel + (size_t)s * STEP_SIZE + TILE, 0, TILE * sizeof *dst);
}

typedef struct { uint16_t *dst; const float *b; size_t ldb; bool tb; int K, N; } pack_args;

static void pack_part(void *context, int task)
{
    const pack_args *p = context;
    size_t panel = (size_t)steps_of(p->K) * STEP_SIZE;
    int n = task * PACK_COLUMNS;
    pack_b(p->dst + (size_t)(n / PANEL) * panel, panel, p->b, p->ldb, p->tb, n, least(PACK_COLUMNS, p->N - n), 0, p->K);
}

static size_t packed_bytes(int K, int N)
{
    return (size_t)((N + PANEL - 1) / PANEL) * (size_t)steps_of(K) * STEP_SIZE * sizeof(uint16_t);
}

static size_t gemm_pack_bytes_amx(compute_type type, int K, int N)
{
    return type == COMPUTE_BF16 ? packed_bytes(K, N) : 0;
}

static void gemm_pack_amx(void *packed, compute_type type, const real *b, size_t ldb, bool tb, int K, int N)
{
    pack_args p = { packed, b, ldb, tb, K, N };
    if (type == COMPUTE_BF16) parallel_for((N + PACK_COLUMNS - 1) / PACK_COLUMNS, pack_part, &p);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

/* The part-th of `parts` nearly equal runs of whole panels. */
static void share(int size, int parts, int part, int *begin, int *length)
{
    long long panels = (size + PANEL - 1) / PANEL;
    int end = least(size, (int)(panels * (part + 1) / parts) * PANEL);
    *begin = (int)(panels * part / parts) * PANEL;
    *length = end - *begin;
}

/* One panel of B against all rows of the task. */
static void multiply_panel(const gemm_args *g, const uint16_t *a, const uint16_t *b, float *sums, int m, int rows, int n, int columns, int k, int kc)
{
    float block[SUMS];
    size_t panel = (size_t)steps_of(kc) * STEP_SIZE;
    bool last = k + kc >= g->K, plain = last && columns == PANEL && finish_is_plain(g);
    for (int i = 0; i < rows; i += PANEL, a += panel, sums += SUMS) {
        int height = least(PANEL, rows - i);
        if (last) finish_soon(g, m + i, n, height, columns);
        float *out = !last ? sums : block;
        if (plain && (height == PANEL || height == 16)) {
            product(height, steps_of(kc), a, b, k ? sums : NULL, g->c + (size_t)(m + i) * g->ldc + (size_t)n, g->ldc);
            continue;
        }
        product(height, steps_of(kc), a, b, k ? sums : NULL, out, PANEL);
        if (last) finish_block(g, block, PANEL, m + i, n, height, columns);
    }
}

static void multiply_part(void *context, int task)
{
    const job *j = context;
    const gemm_args *g = j->g;
    uint16_t *a = (uint16_t *)((char *)thread_scratch() + SHARED_BYTES), *own_b = a + A_SIZE;
    float *sums = (float *)(own_b + B_SIZE);
    int m, rows, n, columns;
    share(g->M, j->tiles_m, task % j->tiles_m, &m, &rows);
    share(g->N, j->tiles_n, task / j->tiles_m, &n, &columns);
    size_t whole = (size_t)steps_of(g->K) * STEP_SIZE;
    tiles_on();
    for (int k = 0; k == 0 || k < g->K; k += KC) {
        int kc = least(KC, g->K - k);
        pack_a(g, a, m, rows, k, kc);
        for (int i = 0; i < columns; i += PANEL) {
            int width = least(PANEL, columns - i);
            const uint16_t *b = own_b;
            if (j->b) b = j->b + (size_t)((n + i) / PANEL) * whole + (size_t)(k / STEP) * STEP_SIZE;
            else pack_b(own_b, 0, g->b, g->ldb, g->tb, n + i, width, k, kc);
            multiply_panel(g, a, b, sums + (size_t)i * ROWS, m, rows, n + i, width, k, kc);
        }
    }
    _tile_release();
}

static int cuts(int size, int most) { return (size + most - 1) / most; }

static void gemm_bf16(const gemm_args *g)
{
    int threads = threads_count();
    job j = { .g = g, .b = g->packed };
    if (!j.b && packed_bytes(g->K, g->N) <= SHARED_BYTES) {
        uint16_t *shared = thread_scratch();
        gemm_pack_amx(shared, COMPUTE_BF16, g->b, g->ldb, g->tb, g->K, g->N);
        j.b = shared;
    }
    j.tiles_m = cuts(g->M, ROWS);
    j.tiles_n = cuts(g->N, g->K > KC ? COLUMNS : WIDE);
    while (j.tiles_m * j.tiles_n % threads && j.tiles_m * j.tiles_n < 8 * threads && j.tiles_n < cuts(g->N, PANEL)) j.tiles_n++;
    parallel_for(j.tiles_m * j.tiles_n, multiply_part, &j);
}

static void (*gemm_f32)(const gemm_args *);

static void gemm_amx(const gemm_args *g)
{
    if (g->type != COMPUTE_BF16) gemm_f32(g);
    else if (g->M > 0 && g->N > 0) gemm_bf16(g);
}

void kernels_amx(kernels *k)
{
    k->name = "amx";
    gemm_f32 = k->gemm;
    k->gemm = gemm_amx;
    k->gemm_pack_bytes = gemm_pack_bytes_amx;
    k->gemm_pack = gemm_pack_amx;
}

/* bf16 matrix products on Intel's tiles: sums of 32 x 32 in four of them, A and B in the layout of
 * pack_amx.h.  A task takes a run of rows, packs A into its second-level cache, and goes through B panel by
 * panel, in blocks of KC that stay in the first-level cache.  B was packed by the caller (once per step), or is
 * packed here, by all threads into the calling thread's scratch before the products begin; one that does not
 * fit is packed by each task as it goes.
 *
 * Each element is one chain of TDPBF16PS, k ascending by pairs from zero: neither the blocks nor the thread that
 * packed changes a bit of it. */
#include "base/threads.h"
#include "kernels/amx/blocks_amx.h"
#include "kernels/amx/pack_amx.h"
#include "kernels/vector/gemm_finish.h"
#include <string.h>

enum { ROWS = 256,                              /* most rows of a task */
       KC = 256,                                /* a block of a panel of B is 16 KiB */
       K_WHOLE = 2560, K_CHUNK = 1024,          /* A is packed whole up to the first; longer ones by the second */
       WIDE = 4096,                             /* most columns of a task */
       PACK_COLUMNS = 128, PACK_ROWS = STEP };  /* of B, per task of packing */

/* Scratch: B for everyone in the calling thread's; after it each thread's own A, panel of B and sums. */
#define SHARED_BYTES ((size_t)6 << 20)
#define OWN_BYTES (THREAD_SCRATCH_BYTES - SHARED_BYTES)
enum { SUMS = PANEL * PANEL };

static int chunk_of(int K) { return K < 1 ? 1 : K <= K_WHOLE ? K : K_CHUNK; }

/* Most columns of a task whose sums wait between chunks of K. */
static int columns_between_chunks(void)
{
    size_t operands = (size_t)(ROWS + PANEL) * K_CHUNK * sizeof(uint16_t);
    return (int)((OWN_BYTES - operands) / (ROWS * sizeof(float)) / PANEL * PANEL);
}
_Static_assert((ROWS + PANEL) * K_WHOLE * sizeof(uint16_t) + ROWS * PANEL * sizeof(float) <= OWN_BYTES, "scratch");

typedef struct {
    const gemm_args *g;
    const uint16_t *b;                          /* packed panels, or NULL: each task packs */
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

/* Prefetches a little with every step: a run of lines of the next panel of B, and the
 * rows of C that are written next. */
typedef struct { const uint16_t *b; int b_lines; const float *c; size_t ldc; int c_rows, c_row; } errand;

INLINE void fetch(errand *e, int steps)
{
    for (int i = 0; i < e->b_lines; i++, e->b += 32) _mm_prefetch((const char *)e->b, _MM_HINT_T1);
    for (int i = 0; i < PANEL && e->c_row < e->c_rows; i += steps, e->c_row++, e->c += e->ldc) {
        __asm__ volatile("prefetchw %0" : : "m"(e->c[0]));
        __asm__ volatile("prefetchw %0" : : "m"(e->c[16]));
    }
}

/* out (32,32), `stride` floats from row to row, = from (32,32 contiguous; NULL is zero) + a b. */
static void multiply(int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e)
{
    size_t bytes = stride * sizeof *out;
    errand local = *e;
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
        fetch(&local, steps);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, out, bytes);
    _tile_stored(1, out + 16, bytes);
    _tile_stored(2, out + 16 * stride, bytes);
    _tile_stored(3, out + 16 * stride + 16, bytes);
    MEMORY_BARRIER();
    e->b = local.b;
}

/* The same for the upper 16 rows alone. */
static void multiply_upper(int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e)
{
    size_t bytes = stride * sizeof *out;
    errand local = *e;
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
        fetch(&local, steps);
    }
    _tile_stored(0, out, bytes);
    _tile_stored(1, out + 16, bytes);
    MEMORY_BARRIER();
    e->b = local.b;
}

static void product(int rows, int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e)
{
    if (rows > 16) multiply(steps, a, b, from, out, stride, e);
    else multiply_upper(steps, a, b, from, out, stride, e);
}

/* ---- packing ----------------------------------------------------------------------------- */

/* Rows m .. of A, k .. of K, panels of KC. */
static void pack_a(const gemm_args *g, uint16_t *dst, int m, int rows, int k, int kc)
{
    size_t panel = (size_t)steps_of(kc) * STEP_SIZE;
    if (g->ta) pack_panels(STORED_REAL, true, false, dst, panel, g->a + (size_t)k * g->lda + (size_t)m, g->lda, rows, kc);
    else pack_panels(STORED_REAL, true, true, dst, panel, g->a + (size_t)m * g->lda + (size_t)k, g->lda, rows, kc);
}

INLINE void pack_b_typed(const stored_type type, uint16_t *dst, size_t panel, const void *b, size_t ldb, bool tb, int columns, int kc)
{
    if (tb) pack_panels(type, false, true, dst, panel, b, ldb, columns, kc);
    else pack_panels(type, false, false, dst, panel, b, ldb, columns, kc);
}

/* Columns n .. of B, rows k .. */
static void pack_b(uint16_t *dst, size_t panel, stored b, size_t ldb, bool tb, int n, int columns, int k, int kc)
{
    stored from = stored_from(b, tb ? (size_t)n * ldb + (size_t)k : (size_t)k * ldb + (size_t)n);
    switch (b.type) {
    case STORED_F16:  pack_b_typed(STORED_F16, dst, panel, from.data, ldb, tb, columns, kc); break;
    case STORED_BF16: pack_b_typed(STORED_BF16, dst, panel, from.data, ldb, tb, columns, kc); break;
    default:          pack_b_typed(STORED_REAL, dst, panel, from.data, ldb, tb, columns, kc); break;
    }
    if (columns % PANEL && columns % PANEL <= 16)                        /* the panel's second tile */
        for (int s = 0; s < steps_of(kc); s++)
            memset(dst + (size_t)(columns / PANEL) * panel + (size_t)s * STEP_SIZE + TILE, 0, TILE * sizeof *dst);
}

typedef struct { uint16_t *dst; stored b; size_t ldb; bool tb; int K, N; } pack_args;

/* A task reads long runs: a few whole rows of (N,K), or all columns of a few rows of (K,N). */
static void pack_part(void *context, int task)
{
    const pack_args *p = context;
    size_t panel = (size_t)steps_of(p->K) * STEP_SIZE;
    int n = task * PACK_COLUMNS, k = task * PACK_ROWS;
    if (p->tb) pack_b(p->dst + (size_t)(n / PANEL) * panel, panel, p->b, p->ldb, true, n, lesser(PACK_COLUMNS, p->N - n), 0, p->K);
    else pack_b(p->dst + (size_t)(k / STEP) * STEP_SIZE, panel, p->b, p->ldb, false, 0, p->N, k, lesser(PACK_ROWS, p->K - k));
}

static size_t packed_bytes(int K, int N)
{
    return (size_t)((N + PANEL - 1) / PANEL) * (size_t)steps_of(K) * STEP_SIZE * sizeof(uint16_t);
}

static size_t gemm_pack_bytes_amx(compute_type type, int K, int N)
{
    return type == COMPUTE_BF16 ? packed_bytes(K, N) : 0;
}

static void gemm_pack_amx(void *packed, compute_type type, stored b, size_t ldb, bool tb, int K, int N)
{
    pack_args p = { packed, b, ldb, tb, K, N };
    if (type == COMPUTE_BF16) parallel_for(tb ? cuts(N, PACK_COLUMNS) : cuts(K, PACK_ROWS), pack_part, &p);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

typedef struct { const uint16_t *a; size_t panel; float *sums; int m, rows; } block_of_rows;

/* kc columns of A from a (panels apart as in r) times the block b, for all rows of the task. */
static void multiply_block(const gemm_args *g, const block_of_rows *r, const uint16_t *a, const uint16_t *b, int n, int columns, int kc, bool first, bool last)
{
    float finished[SUMS], *sums = r->sums;
    int steps = steps_of(kc), blocks = (r->rows + PANEL - 1) / PANEL;
    bool plain = last && columns == PANEL && finish_is_plain(g);
    errand e = { .b = b + (size_t)steps * STEP_SIZE, .b_lines = (PANEL + blocks - 1) / blocks, .ldc = g->ldc };
    for (int i = 0; i < r->rows; i += PANEL, a += r->panel, sums += SUMS) {
        int height = lesser(PANEL, r->rows - i);
        float *c = g->c + (size_t)(r->m + i) * g->ldc + (size_t)n;
        const float *from = first ? NULL : sums;
        e.c_row = 0, e.c_rows = last && columns == PANEL ? lesser(PANEL, r->rows - i - PANEL) : 0;
        e.c = c + PANEL * g->ldc;
        if (plain && (height == PANEL || height == 16)) {
            product(height, steps, a, b, from, c, g->ldc, &e);
            continue;
        }
        product(height, steps, a, b, from, last ? finished : sums, PANEL, &e);
        if (last) finish_block(g, finished, PANEL, r->m + i, n, height, columns);
    }
}

/* Columns k .. k+kc-1 of A are packed; they are multiplied with one panel of B. */
static void multiply_panel(const gemm_args *g, const block_of_rows *r, const uint16_t *b, int n, int columns, int k, int kc)
{
    for (int i = 0; i == 0 || i < kc; i += KC) {
        size_t at = (size_t)(i / STEP) * STEP_SIZE;
        multiply_block(g, r, r->a + at, b + at, n, columns, lesser(KC, kc - i), k + i == 0, k + i + KC >= g->K);
    }
}

static void multiply_part(void *context, int task)
{
    const job *j = context;
    const gemm_args *g = j->g;
    int chunk = chunk_of(g->K), n, columns;
    size_t panel = (size_t)steps_of(chunk) * STEP_SIZE, whole = (size_t)steps_of(g->K) * STEP_SIZE;
    uint16_t *a = (uint16_t *)((char *)thread_scratch() + SHARED_BYTES), *own_b = a + ROWS / PANEL * panel;
    float *sums = (float *)(own_b + panel);
    block_of_rows r = { .a = a, .sums = sums };
    share(g->M, PANEL, j->tiles_m, task % j->tiles_m, &r.m, &r.rows);
    share(g->N, PANEL, j->tiles_n, task / j->tiles_m, &n, &columns);
    tiles_on();
    for (int k = 0; k == 0 || k < g->K; k += chunk) {
        int kc = lesser(chunk, g->K - k);
        r.panel = (size_t)steps_of(kc) * STEP_SIZE;
        pack_a(g, a, r.m, r.rows, k, kc);
        for (int i = 0; i < columns; i += PANEL) {
            int width = lesser(PANEL, columns - i);
            const uint16_t *b = own_b;
            if (j->b) b = j->b + (size_t)((n + i) / PANEL) * whole + (size_t)(k / STEP) * STEP_SIZE;
            else pack_b(own_b, 0, g->b, g->ldb, g->tb, n + i, width, k, kc);
            if (chunk < g->K) r.sums = sums + (size_t)i * ROWS;
            multiply_panel(g, &r, b, n + i, width, k, kc);
        }
    }
    _tile_release();
}

/* Rows are divided first, since a task packs its own; if they are few, columns are divided. */
static void cut(job *j)
{
    const gemm_args *g = j->g;
    int threads = threads_count(), widest = g->K > K_WHOLE ? columns_between_chunks() : WIDE;
    j->tiles_m = cuts(g->M, ROWS);
    if (j->tiles_m < threads && g->M / threads >= 2 * PANEL) j->tiles_m = threads;
    if (j->tiles_m < threads) widest = lesser(widest, cuts(g->N, g->M <= PANEL ? 4 * threads : threads));
    j->tiles_n = cuts(g->N, widest < 2 * PANEL ? 2 * PANEL : widest);
    while (j->tiles_m * j->tiles_n % threads && j->tiles_m * j->tiles_n < 8 * threads && j->tiles_n < cuts(g->N, PANEL)) j->tiles_n++;
}

static void gemm_bf16(const gemm_args *g)
{
    job j = { .g = g, .b = g->packed };
    if (!j.b && packed_bytes(g->K, g->N) <= SHARED_BYTES) {
        uint16_t *shared = thread_scratch();
        gemm_pack_amx(shared, COMPUTE_BF16, g->b, g->ldb, g->tb, g->K, g->N);
        j.b = shared;
    }
    cut(&j);
    parallel_for(j.tiles_m * j.tiles_n, multiply_part, &j);
}

static void (*gemm_f32)(const gemm_args *);

static void gemm_amx(const gemm_args *said)
{
    const gemm_args g = as_stored(said);
    if (in_blocks(g.b.type)) gemm_blocks_amx(&g);
    else if (g.type != COMPUTE_BF16) gemm_f32(&g);
    else if (g.M > 0 && g.N > 0) gemm_bf16(&g);
}

void kernels_amx(kernels *k)
{
    k->name = "amx";
    gemm_f32 = k->gemm;
    k->gemm = gemm_amx;
    k->gemm_pack_bytes = gemm_pack_bytes_amx;
    k->gemm_pack = gemm_pack_amx;
}

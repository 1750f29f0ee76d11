/* Matrix products of bf16 on Intel's tiles: sums of 32 x 32 in four of them, operands in the layout of pack_amx.h.
 * A task takes a run of rows of the left operand, packs them into its second-level cache, and goes through
 * the right one panel by panel, in blocks of KC that stay in the first-level cache.  The right operand was
 * packed by the caller (once per step), or is packed here, by all threads into the calling thread's scratch before the
 * products begin; one that does not fit goes through in parts, or is packed by each task as it goes.
 *
 * Fp32 products with weights stored in bf16 go the same way.  Each number of A is three bf16, which are all of its 24
 * bits; of each step of 32 k the products of all parts are added, those of the first part first.  Weights stored
 * (N,K) are the left operand there, which is packed without turning tiles.
 *
 * Each sum is one chain of TDPBF16PS, k ascending by pairs from zero: neither the blocks nor the thread that
 * packed changes a bit of it. */
#include "base/threads.h"
#include "kernels/amx/blocks_amx.h"
#include "kernels/amx/few_amx.h"
#include "kernels/amx/q8_amx.h"
#include "kernels/amx/tiles_amx.h"
#include "kernels/vector/gemm_finish.h"

enum { ROWS = 256,                              /* most rows of a task, as they are packed */
       KC = 256,                                /* a block of a panel is 16 KiB */
       K_WHOLE = 2560, K_CHUNK = 1024,          /* the left operand is packed whole, or by the second */
       WIDE = 4096,                             /* most columns of a task */
       PACK_COLUMNS = 128, PACK_ROWS = STEP };  /* of the right operand, per task of packing */

/* Scratch: the right operand for everyone in the calling thread's; after it each thread's own left operand, panel of
 * the right one, and sums. */
#define SHARED_BYTES ((size_t)6 << 20)
#define OWN_BYTES (THREAD_SCRATCH_BYTES - SHARED_BYTES)
enum { SUMS = PANEL * PANEL, MOST_PARTS = 3 };
_Static_assert((ROWS + MOST_PARTS * PANEL) * K_WHOLE * sizeof(uint16_t) + ROWS * PANEL * sizeof(float) <= OWN_BYTES, "scratch");

/* Rows of the left or columns of the right operand, `size` of them from `first` on. */
typedef struct {
    stored all; size_t ld;
    bool across;                                /* the k of one are adjacent in memory */
    int parts;                                  /* bf16 of a number */
    int first, size;
} operand;

typedef struct {
    const gemm_args *g;
    operand left, right;
    bool turned;                                /* the left operand is B: sums are those of C transposed */
    const uint16_t *packed;                     /* the right operand's panels, or NULL: each task packs */
    int lefts, rights;                          /* tasks are a run of the one and a run of the other */
} job;

/* The size of a panel with k of K. */
static size_t panel_size(const operand *o, int k) { return (size_t)(steps_of(k) * o->parts) * STEP_SIZE; }

static int chunk_of(int K) { return K < 1 ? 1 : K <= K_WHOLE ? K : K_CHUNK; }

/* Most columns of a task whose sums wait between chunks of K. */
static int columns_between_chunks(void)
{
    size_t operands = (size_t)(ROWS + MOST_PARTS * PANEL) * K_CHUNK * sizeof(uint16_t);
    return (int)((OWN_BYTES - operands) / (ROWS * sizeof(float)) / PANEL * PANEL);
}

/* ---- packing ----------------------------------------------------------------------------- */

INLINE void pack_typed(const stored_type type, const int parts, const bool is_left, uint16_t *dst, size_t panel, const operand *o, const void *from, int count, int kc)
{
    if (o->across) pack_panels(type, parts, is_left, true, dst, panel, from, o->ld, count, kc);
    else pack_panels(type, parts, is_left, false, dst, panel, from, o->ld, count, kc);
}

/* `count` from number i of the operand on, kc of K from k on; panel elements from one panel to the next. */
INLINE void pack_any(const bool is_left, uint16_t *dst, size_t panel, const operand *o, int i, int count, int k, int kc)
{
    size_t at = (size_t)(o->first + i);
    const void *from = stored_from(o->all, o->across ? at * o->ld + (size_t)k : (size_t)k * o->ld + at).data;
    switch (o->all.type) {
    case STORED_F16:  pack_typed(STORED_F16, 1, is_left, dst, panel, o, from, count, kc); break;
    case STORED_BF16: pack_typed(STORED_BF16, 1, is_left, dst, panel, o, from, count, kc); break;
    default:
        if (o->parts == 3) pack_typed(STORED_REAL, 3, is_left, dst, panel, o, from, count, kc);
        else pack_typed(STORED_REAL, 1, is_left, dst, panel, o, from, count, kc);
        break;
    }
}

static void pack_left(uint16_t *dst, size_t panel, const operand *o, int i, int count, int k, int kc)
{
    pack_any(true, dst, panel, o, i, count, k, kc);
}

static void pack_right(uint16_t *dst, size_t panel, const operand *o, int i, int count, int k, int kc)
{
    pack_any(false, dst, panel, o, i, count, k, kc);
    if (count % PANEL && count % PANEL <= 16)                            /* the last panel's second tiles */
        for (int s = 0; s < steps_of(kc) * o->parts; s++)
            memset(dst + (size_t)(count / PANEL) * panel + (size_t)s * STEP_SIZE + TILE, 0, TILE * sizeof *dst);
}

typedef struct { uint16_t *dst; const operand *right; int K; } pack_args;

/* A task reads long runs: a few whole columns, or of all columns a few k. */
static void pack_part(void *context, int task)
{
    const pack_args *p = context;
    const operand *o = p->right;
    size_t panel = panel_size(o, p->K);
    int n = task * PACK_COLUMNS, k = task * PACK_ROWS;
    if (o->across) pack_right(p->dst + (size_t)(n / PANEL) * panel, panel, o, n, lesser(PACK_COLUMNS, o->size - n), 0, p->K);
    else pack_right(p->dst + panel_size(o, k), panel, o, 0, o->size, k, lesser(PACK_ROWS, p->K - k));
}

static void pack_all(uint16_t *dst, const operand *right, int K)
{
    pack_args p = { dst, right, K };
    parallel_for(right->across ? cuts(right->size, PACK_COLUMNS) : cuts(K, PACK_ROWS), pack_part, &p);
}

static size_t gemm_pack_bytes_amx(compute_type type, int K, int N)
{
    operand right = { .parts = 1 };
    return type == COMPUTE_BF16 ? (size_t)cuts(N, PANEL) * panel_size(&right, K) * sizeof(uint16_t) : 0;
}

static void gemm_pack_amx(void *packed, compute_type type, stored b, size_t ldb, bool tb, int K, int N)
{
    operand right = { .all = b, .ld = ldb, .across = tb, .parts = 1, .size = N };
    if (type == COMPUTE_BF16) pack_all(packed, &right, K);
}

/* ---- finishing ----------------------------------------------------------------------------- */

static void transpose(float *to, const float *from)
{
    for (int r = 0; r < PANEL; r += VW)
        for (int c = 0; c < PANEL; c += VW) {
            const float *row[VW];
            vec x[VW];
            for (int i = 0; i < VW; i++) row[i] = from + (r + i) * PANEL;
            vtranspose(x, row, c);
            for (int i = 0; i < VW; i++) vstore(to + (c + i) * PANEL + r, x[i]);
        }
}

/* sums (32,32) of `rows` of the left operand from i on and `columns` of the right one from n on. */
static void finish(const job *j, const float *sums, int i, int rows, int n, int columns)
{
    if (j->turned) {
        float turned[SUMS];
        transpose(turned, sums);
        finish_block(j->g, turned, PANEL, n, i, columns, rows);
    } else finish_block(j->g, sums, PANEL, i, n, rows, columns);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

PRODUCT(1, 1)
PRODUCT(3, 1)
PRODUCT(1, 3)

static void product(const job *j, int rows, int steps, const uint16_t *a, const uint16_t *b, const float *from, float *out, size_t stride, errand *e)
{
    static product_function *const functions[MOST_PARTS + 1][MOST_PARTS + 1][2] = {
        [1][1] = { upper_1_1, product_1_1 }, [3][1] = { upper_3_1, product_3_1 }, [1][3] = { upper_1_3, product_1_3 } };
    functions[j->left.parts][j->right.parts][rows > 16](steps, a, b, from, out, stride, e);
}

typedef struct { const uint16_t *a; size_t panel; float *sums; int m, rows; } block_of_rows;

/* kc columns of the left operand from a (panels apart as in r) times the block b of `columns` columns from n on, for
 * all rows of the task. */
static void multiply_block(const job *j, const block_of_rows *r, const uint16_t *a, const uint16_t *b, int n, int columns, int kc, bool first, bool last)
{
    const gemm_args *g = j->g;
    float finished[SUMS], *sums = r->sums;
    int steps = steps_of(kc), blocks = cuts(r->rows, PANEL);
    bool straight = last && columns == PANEL && !j->turned, plain = straight && finish_is_plain(g);
    errand e = { .b = b + panel_size(&j->right, kc), .b_lines = cuts(PANEL * j->right.parts, blocks), .ldc = g->ldc };
    for (int i = 0; i < r->rows; i += PANEL, a += r->panel, sums += SUMS) {
        int m = r->m + i, height = lesser(PANEL, r->rows - i);
        float *c = straight ? g->c + (size_t)m * g->ldc + (size_t)n : finished;
        const float *from = first ? NULL : sums;
        e.c_row = 0, e.c_rows = straight ? lesser(PANEL, r->rows - i - PANEL) : 0;
        e.c = c + PANEL * g->ldc;
        if (plain && (height == PANEL || height == 16)) {
            product(j, height, steps, a, b, from, c, g->ldc, &e);
            continue;
        }
        product(j, height, steps, a, b, from, last ? finished : sums, PANEL, &e);
        if (last) finish(j, finished, m, height, n, columns);
    }
}

/* Columns k .. k+kc-1 of the left operand are packed; they are multiplied with one panel of the right one. */
static void multiply_panel(const job *j, const block_of_rows *r, const uint16_t *b, int n, int columns, int k, int kc)
{
    const int most = j->right.parts == 1 ? KC : KC / 2;
    for (int i = 0; i == 0 || i < kc; i += most)
        multiply_block(j, r, r->a + panel_size(&j->left, i), b + panel_size(&j->right, i), n, columns, lesser(most, kc - i), k + i == 0, k + i + most >= j->g->K);
}

static void multiply_part(void *context, int task)
{
    const job *j = context;
    const int K = j->g->K, chunk = chunk_of(K);
    int n, columns;
    uint16_t *a = (uint16_t *)((char *)thread_scratch() + SHARED_BYTES), *own_b = a + ROWS / PANEL * (size_t)steps_of(chunk) * STEP_SIZE;
    float *sums = (float *)(own_b + panel_size(&j->right, chunk));
    block_of_rows r = { .a = a, .sums = sums };
    share(j->left.size, PANEL, j->lefts, task % j->lefts, &r.m, &r.rows);
    share(j->right.size, PANEL, j->rights, task / j->lefts, &n, &columns);
    tiles_on();
    for (int k = 0; k == 0 || k < K; k += chunk) {
        int kc = lesser(chunk, K - k);
        r.panel = panel_size(&j->left, kc);
        pack_left(a, r.panel, &j->left, r.m, r.rows, k, kc);
        for (int i = 0; i < columns; i += PANEL) {
            int width = lesser(PANEL, columns - i);
            const uint16_t *b = own_b;
            if (j->packed) b = j->packed + (size_t)((n + i) / PANEL) * panel_size(&j->right, K) + panel_size(&j->right, k);
            else pack_right(own_b, 0, &j->right, n + i, width, k, kc);
            if (chunk < K) r.sums = sums + (size_t)i * ROWS;
            multiply_panel(j, &r, b, j->right.first + n + i, width, k, kc);
        }
    }
    _tile_release();
}

/* The most rows of a task. */
static int most_rows(const job *j) { return ROWS / j->left.parts / PANEL * PANEL; }

/* Rows are divided first, since a task packs its own; if they are few, columns are divided. */
static void multiply_all(job *j)
{
    const int M = j->left.size, N = j->right.size;
    int threads = threads_count(), widest = j->g->K > K_WHOLE ? columns_between_chunks() : WIDE;
    j->lefts = cuts(M, most_rows(j));
    if (j->lefts < threads && M / threads >= 2 * PANEL) j->lefts = threads;
    if (j->lefts < threads) widest = lesser(widest, cuts(N, M <= PANEL ? 4 * threads : threads));
    j->rights = cuts(N, widest < 2 * PANEL ? 2 * PANEL : widest);
    while (j->lefts * j->rights % threads && j->lefts * j->rights < 8 * threads && j->rights < cuts(N, PANEL)) j->rights++;
    parallel_for(j->lefts * j->rights, multiply_part, j);
}

static void gemm_bf16(const gemm_args *g)
{
    const bool f32 = g->type == COMPUTE_F32;
    const operand a = { .all = { .data = g->a }, .ld = g->lda, .across = !g->ta, .parts = f32 ? 3 : 1, .size = g->M };
    const operand b = { .all = g->b, .ld = g->ldb, .across = g->tb, .parts = 1, .size = g->N };
    job j = { .g = g, .left = a, .right = b, .packed = g->packed };
    if (f32 && g->tb) j.left = b, j.right = a, j.turned = true;
    const int all = j.right.size, most = (int)(SHARED_BYTES / (panel_size(&j.right, g->K) * sizeof(uint16_t) + 1)) * PANEL;
    bool one_task_has_all = j.left.size <= most_rows(&j);
    if (g->packed || !most || (one_task_has_all && all > most)) multiply_all(&j);
    else for (int n = 0; n < all; n += most) {
        j.right.first = n, j.right.size = lesser(most, all - n);
        pack_all(thread_scratch(), &j.right, g->K);
        j.packed = thread_scratch();
        multiply_all(&j);
    }
}

static void (*gemm_f32)(const gemm_args *);

static void gemm_amx(const gemm_args *said)
{
    const gemm_args g = as_stored(said);
    if (gemm_is_q8_amx(&g)) gemm_q8_amx(&g);
    else if (in_blocks(g.b.type)) gemm_blocks_amx(&g);
    else if (g.type == COMPUTE_F32 && g.b.type != STORED_BF16) gemm_f32(&g);
    else if (gemm_is_few_amx(&g)) gemm_few_amx(&g);
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

/* Products with weights in q8_0 on Intel's tiles of bytes.  The weights are the left operand, whose tiles lie in
 * memory as they are wanted: the 32 numbers of a block by 16 of B's columns, so nothing is unpacked.  A's rows,
 * rounded, stand side by side in the tiles of the right one, 16 in a group.  A block is one product of tiles, whose
 * sums of integers are exact; scaled and added block by block they have the bits of the definition
 * (ref/gemm_blocks_ref.c). */
#include "kernels/amx/q8_amx.h"
#include "kernels/amx/amx.h"
#include "base/threads.h"
#include "kernels/vector/blocks_vector.h"
#include "kernels/vector/gemm_cut.h"
#include "kernels/vector/gemm_finish.h"
#include "kernels/vector/vec_transpose.h"

enum { GROUP = 16, BLOCK = 32, BLOCK_BYTES = 34, SCALE_BYTES = 2, FEW = 7, MOST_ROWS = 4096 };

/* Of a block of a group of rows: their numbers and scales. */
typedef struct { int8_t q[BLOCK / 4][GROUP][4]; float scale[GROUP]; } record;

/* The scratch of the calling thread holds A for all threads; after it come the scales of each thread's strip. */
#define SHARED_BYTES ((size_t)4 << 20)
_Static_assert(SHARED_BYTES + sizeof(float) * GROUP * (LONGEST_IN_BLOCKS / BLOCK) <= THREAD_SCRATCH_BYTES, "scratch");

/* Rows m .. m + count - 1 of A; `a` is (groups, blocks). */
typedef struct { const gemm_args *g; record *a; int m, count, groups, blocks, tasks; } job;

/* ---- A ----------------------------------------------------------------------------------------- */

static void pack_block(const float *x, int r, record *to)
{
    uint8_t one[BLOCK + sizeof(float) + 2 * sizeof(int32_t)];           /* row_block_bytes(BLOCK, BLOCK) */
    round_block(BLOCK, BLOCK, 0, x, one);
    for (int i = 0; i < BLOCK / 4; i++) memcpy(to->q[i][r], one + 4 * i, 4);
    memcpy(to->scale + r, one + BLOCK, sizeof *to->scale);
}

/* Rows that are not there are zeros. */
static void pack_group(void *context, int group)
{
    const job *j = context;
    const int rows = lesser(GROUP, j->count - group * GROUP);
    const float *x = j->g->a + (size_t)(j->m + group * GROUP) * j->g->lda;
    record *to = j->a + (size_t)group * (size_t)j->blocks;
    for (int k = 0; k < j->blocks; k++, to++, x += BLOCK) {
        if (rows < GROUP) memset(to, 0, sizeof *to);
        for (int r = 0; r < rows; r++) pack_block(x + (size_t)r * j->g->lda, r, to);
    }
}

/* ---- tiles ---------------------------------------------------------------------------------------- */

/* The tiles; compilers want their numbers as text. */
#define WEIGHTS 0
#define ROWS 1
#define SUMS 2

static void tiles_on(int columns)
{
    tile_config c = { .palette = 1 };
    c.row_bytes[WEIGHTS] = BLOCK, c.rows[WEIGHTS] = c.rows[SUMS] = (uint8_t)columns;
    c.row_bytes[ROWS] = c.row_bytes[SUMS] = 4 * GROUP, c.rows[ROWS] = BLOCK / 4;
    MEMORY_BARRIER();
    _tile_loadconfig(&c);
}

/* out (columns, rows) = the sums of a block; w: the numbers of its first column. */
INLINE void multiply_block(const uint8_t *w, size_t stride, const record *rows, int32_t *out)
{
    _tile_zero(SUMS);
    _tile_loadd(WEIGHTS, w, stride);
    _tile_loadd(ROWS, rows->q, 4 * GROUP);
    _tile_dpbssd(SUMS, WEIGHTS, ROWS);
    _tile_stored(SUMS, out, 4 * GROUP);
    MEMORY_BARRIER();
}

/* ---- strips ------------------------------------------------------------------------------------------ */

/* scales (blocks, 16) of the columns at w; those that are not there are 0. */
static void scales_of(const uint8_t *w, size_t stride, int blocks, int columns, float *scales)
{
    const vint lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), at = imul(lane, iset((int32_t)stride));
    for (int k = 0; k < blocks; k++, w += BLOCK_BYTES)
        vstore(scales + k * GROUP, ihalves(_mm512_mask_i32gather_epi32(izero(), vtail(columns), at, (const void *)w, 1)));
}

/* sums (rows, columns) of a group of rows and the columns at w.  The tiles are one block ahead of the scales, and with
 * each block as much of what is read after this strip is fetched. */
static void multiply_group(const uint8_t *w, size_t stride, int blocks, const record *rows, const float *scales, float *sums, errand *e)
{
    _Alignas(64) int32_t out[2][GROUP * GROUP] = { { 0 } };
    vec c[GROUP];
    UNROLL for (int v = 0; v < GROUP; v++) c[v] = vzero();
    w += SCALE_BYTES;
    multiply_block(w, stride, rows, out[0]);
    for (int k = 0; k < blocks; k++, rows++) {
        w += BLOCK_BYTES;
        if (k + 1 < blocks) multiply_block(w, stride, rows + 1, out[(k + 1) % 2]);
        for (int i = 0; i < GROUP * BLOCK_BYTES && e->next < e->end; i += 64, e->next += 64) FETCH_L2(e->next);
        const int32_t *products = out[k % 2];
        const vec of_rows = vload(rows->scale);
        UNROLL for (int v = 0; v < GROUP; v++)
            c[v] = vfma(ifloat(iload(products + v * GROUP)), vmul(vset1(scales[k * GROUP + v]), of_rows), c[v]);
    }
    _Alignas(64) float columns[GROUP][GROUP];
    const float *column[GROUP];
    UNROLL for (int v = 0; v < GROUP; v++) vstore(columns[v], c[v]), column[v] = columns[v];
    vtranspose(c, column, 0);
    UNROLL for (int r = 0; r < GROUP; r++) vstore(sums + r * GROUP, c[r]);
}

static void strip(const job *j, int n, int columns, errand *e)
{
    const size_t stride = stored_bytes(STORED_Q8_0, j->g->ldb);
    const uint8_t *w = b_at(j->g, 0, n).data;
    float *scales = (float *)(void *)((char *)thread_scratch() + SHARED_BYTES);
    _Alignas(64) float sums[GROUP * GROUP];
    scales_of(w, stride, j->blocks, columns, scales);
    for (int i = 0; i < j->groups; i++) {
        multiply_group(w, stride, j->blocks, j->a + (size_t)i * (size_t)j->blocks, scales, sums, e);
        finish_block(j->g, sums, GROUP, j->m + i * GROUP, n, lesser(GROUP, j->count - i * GROUP), columns);
    }
}

static void strips(void *context, int task)
{
    const job *j = context;
    const size_t bytes = GROUP * stored_bytes(STORED_Q8_0, j->g->ldb);
    int n, columns;
    share(j->g->N, GROUP, j->tasks, task, &n, &columns);
    tiles_on(GROUP);
    for (int i = 0; i < columns; i += GROUP) {
        const int some = lesser(GROUP, columns - i);
        const uint8_t *next = (const uint8_t *)b_at(j->g, 0, n + i).data + bytes;
        errand e = { next, columns - i >= 2 * GROUP ? next + bytes : next };
        if (some < GROUP) tiles_on(some);
        strip(j, n + i, some, &e);
    }
    _tile_release();
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static int most_rows(const gemm_args *g)
{
    const size_t groups = SHARED_BYTES / (sizeof(record) * (size_t)(g->K / BLOCK));
    return groups < MOST_ROWS / GROUP ? (int)groups * GROUP : MOST_ROWS;
}

bool gemm_is_q8_amx(const gemm_args *g) { return g->b.type == STORED_Q8_0 && g->M > FEW && g->N > 0 && g->K > 0 && most_rows(g) > 0; }

void gemm_q8_amx(const gemm_args *g)
{
    job j = { .g = g, .a = thread_scratch(), .blocks = g->K / BLOCK, .tasks = lesser(cuts(g->N, GROUP), 8 * threads_count()) };
    for (j.m = 0; j.m < g->M; j.m += j.count) {
        j.count = lesser(most_rows(g), g->M - j.m);
        j.groups = cuts(j.count, GROUP);
        parallel_for(j.groups, pack_group, &j);
        parallel_for(j.tasks, strips, &j);
    }
}

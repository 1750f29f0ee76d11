/* Products with weights in blocks: rows of A are rounded once, as many as fit the shared scratch; then the strips of
 * B are given out in runs that are adjacent in memory, and each is unpacked piece by piece and multiplied by all of
 * those rows. */
#include "base/threads.h"
#include "kernels/ref/ref.h"
#include "kernels/vector/blocks_vector.h"
#include "kernels/vector/gemm_cut.h"
#include "kernels/vector/gemm_finish.h"
#include "kernels/vector/vector.h"

/* The scratch of the calling thread holds the rounded rows for all threads; after them come each thread's own piece
 * and sums. */
#define SHARED_BYTES ((size_t)4 << 20)
enum { MOST_ROWS = 4096, SMALL = 1 << 16 };                  /* rounded by one thread: elements */
_Static_assert(SHARED_BYTES + sizeof(piece) + MOST_ROWS * VW * sizeof(float) + 64 <= THREAD_SCRATCH_BYTES, "scratch");

typedef struct {
    const gemm_args *g;
    const stored_format *f;
    int offset;                                              /* of the numbers of a piece */
    uint8_t *rows; size_t record;
    int m, count;                                            /* these rows of A */
    int tasks;
    blocks_product *multiply;
} job;

/* ---- rows ------------------------------------------------------------------------------------------ */

/* One row; blocks of all rows stand side by side. */
static void round_row(void *context, int r)
{
    const job *j = context;
    const float *x = j->g->a + (size_t)(j->m + r) * j->g->lda;
    uint8_t *record = j->rows + (size_t)r * j->record;
    for (int k = 0; k < j->g->K; k += j->f->block, x += j->f->block, record += (size_t)j->count * j->record) {
        if (j->f->block == 32) round_block(32, 32, j->offset, x, record);
        else if (j->f->run == 32) round_block(256, 32, j->offset, x, record);
        else round_block(256, 16, j->offset, x, record);
    }
}

/* ---- strips ---------------------------------------------------------------------------------------- */

static void strip(const job *j, int n, int columns, piece *b, float *sums, errand *e)
{
    const gemm_args *g = j->g;
    const size_t stride = stored_bytes(g->b.type, g->ldb);
    const uint8_t *column = b_at(g, 0, n).data;
    const int all = g->K / j->f->block, most = PIECE_K / j->f->block;
    for (int k = 0; k < all; k += most) {
        int blocks = lesser(most, all - k);
        LEVEL(unpack_blocks)(g->b.type, b, column + (size_t)k * j->f->bytes, stride, blocks, columns, e);
        j->multiply(g->b.type, b, blocks, j->rows + (size_t)k * (size_t)j->count * j->record, j->count, j->count, sums, k == 0);
    }
    finish_block(g, sums, VW, j->m, n, j->count, columns);
}

static void strips(void *context, int task)
{
    const job *j = context;
    piece *b = (void *)((char *)thread_scratch() + SHARED_BYTES);
    float *sums = (float *)(void *)(b + 1);
    int n, columns;
    share(j->g->N, VW, j->tasks, task, &n, &columns);
    b->sign = j->offset == 0;
    const size_t bytes = stored_bytes(j->g->b.type, j->g->ldb);
    const uint8_t *end = (const uint8_t *)b_at(j->g, 0, n).data + (size_t)columns * bytes;
    for (int i = 0; i < columns; i += VW) {
        const uint8_t *next = (const uint8_t *)b_at(j->g, 0, n + i).data + VW * bytes;
        errand e = { next < end ? next : end, next + VW * bytes < end ? next + VW * bytes : end };
        strip(j, n + i, lesser(VW, columns - i), b, sums, &e);
    }
}

static void multiply_rows(job *j)
{
    if ((size_t)j->count * (size_t)j->g->K < SMALL) for (int r = 0; r < j->count; r++) round_row(j, r);
    else parallel_for(j->count, round_row, j);
    parallel_for(j->tasks, strips, j);
}

void LEVEL(gemm_blocks_by)(const gemm_args *g, blocks_product *multiply, bool sign)
{
    const stored_format *f = &stored_formats[g->b.type];
    const size_t record = row_block_bytes(f->block, f->run), row = record * (size_t)(g->K / f->block);
    int most = (int)(SHARED_BYTES / (row + 1));
    if (!most || !g->K) {
        ref_gemm_blocks(g);
        return;
    }
    job j = { .g = g, .f = f, .offset = offset_of(g->b.type, sign), .rows = thread_scratch(), .record = record,
              .tasks = lesser(cuts(g->N, VW), 8 * threads_count()), .multiply = multiply };
    for (j.m = 0; j.m < g->M; j.m += j.count) {
        j.count = lesser(lesser(most, MOST_ROWS), g->M - j.m);
        multiply_rows(&j);
    }
}

void LEVEL(gemm_blocks)(const gemm_args *g)
{
#if VW == 16
    if (__builtin_cpu_supports("avx512vnni")) { LEVEL(gemm_blocks_by)(g, multiply_blocks_vnni, false); return; }
#endif
    LEVEL(gemm_blocks_by)(g, LEVEL(multiply_blocks), true);
}

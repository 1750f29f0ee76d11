/* Moving rows: embeddings, cache writes, dropout. */
#include "base/threads.h"
#include "kernels/vector/vec_random.h"
#include "kernels/vector/vec_stored.h"
#include "kernels/vector/vector.h"

typedef struct {
    float *to; stored from;
    const int *index;                           /* of rows to read */
    bool add;
    int rows, width;
} gathering;

static void gather_piece(void *context, int task)
{
    const gathering *c = context;
    int block = rows_in_piece(c->width), first = task * block, end = lesser(c->rows, first + block);
    size_t width = (size_t)c->width;
    for (int r = first; r < end; r++)
        widen_run(c->add ? WIDEN_ADDED : WIDEN, c->to + (size_t)r * width, stored_from(c->from, (size_t)c->index[r] * width), c->width);
}

void LEVEL(gather)(real *y, bool add, stored table, const int *index, int rows, int width)
{
    gathering c = { .to = y, .from = table, .index = index, .add = add, .rows = rows, .width = width };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(width)), gather_piece, &c);
}

typedef struct { char *dst; stored_type type; size_t dst_stride; const int *index; const float *src; size_t src_stride; int rows, width; } putting;

static void put_piece(void *context, int task)
{
    const putting *c = context;
    int block = rows_in_piece(c->width), first = task * block, end = lesser(c->rows, first + block);
    for (int r = first; r < end; r++)
        narrow_run(c->dst + stored_bytes(c->type, (size_t)c->index[r] * c->dst_stride), c->type, c->src + (size_t)r * c->src_stride, c->width);
}

void LEVEL(put_rows)(void *dst, stored_type type, size_t dst_stride, const int *index, const real *src, size_t src_stride, int rows, int width)
{
    putting c = { dst, type, dst_stride, index, src, src_stride, rows, width };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(width)), put_piece, &c);
}

typedef struct { float *y; stored x; size_t n; } widening;

static void widen_piece(void *context, int task)
{
    const widening *w = context;
    span s = span_of(w->n, task);
    widen_run(WIDEN, w->y + s.first, stored_from(w->x, s.first), s.n);
}

void LEVEL(widen)(real *y, stored x, size_t n)
{
    widening w = { y, x, n };
    parallel_for(pieces(n, PIECE), widen_piece, &w);
}

/* ---- scatter: a task owns a slice of the columns, so several rows may be added to one row of the table ---- */

enum { SLICE = 64 };

typedef struct { float *table; const float *dy; const int *index; int rows, width; size_t size; } scattering;

static void clear_piece(void *context, int task)
{
    const scattering *c = context;
    span s = span_of(c->size, task);
    for (int i = 0; i < s.n; i += VW) vstore_n(c->table + s.first + i, s.n - i, vzero());
}

static void scatter_slice(void *context, int task)
{
    const scattering *c = context;
    int first = task * SLICE, n = lesser(c->width - first, SLICE);
    for (int r = 0; r < c->rows; r++) {
        float *to = c->table + (size_t)c->index[r] * (size_t)c->width + first;
        const float *from = c->dy + (size_t)r * (size_t)c->width + first;
        for (int i = 0; i < n; i += VW) vstore_add(to + i, n - i, true, vload_n(from + i, n - i));
    }
}

void LEVEL(scatter)(real *dtable, bool add, const real *dy, const int *index, int rows, int width, int table_rows)
{
    scattering c = { .table = dtable, .dy = dy, .index = index, .rows = rows, .width = width,
                     .size = (size_t)table_rows * (size_t)width };
    if (!add) parallel_for(pieces(c.size, PIECE), clear_piece, &c);
    parallel_for(pieces((size_t)width, SLICE), scatter_slice, &c);
}

/* ---- dropout ---- */

typedef struct { float *y; bool add; const float *x; float p; const uint64_t *row_key; uint64_t layer_key; int rows, width; } dropping;

static void drop_rows(void *context, int task)
{
    const dropping *c = context;
    int block = rows_in_piece(c->width), first = task * block, end = lesser(c->rows, first + block);
    uint64_t from = keep_from(c->p);
    vec divisor = vset1(1 - c->p);
    for (int r = first; r < end; r++) {
        uint64_t key = key_of(c->row_key[r], c->layer_key);
        size_t row = (size_t)r * (size_t)c->width;
        for (int i = 0; i < c->width; i += VW) {
            int n = c->width - i;
            vec kept = vselect(keep_run(key, (uint64_t)i, from), vdiv(vload_n(c->x + row + i, n), divisor), vzero());
            vstore_add(c->y + row + i, n, c->add, kept);
        }
    }
}

void LEVEL(dropout)(real *y, bool add, const real *x, real p, const uint64_t *row_key, uint64_t layer_key, int rows, int width)
{
    dropping c = { y, add, x, p, row_key, layer_key, rows, width };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(width)), drop_rows, &c);
}

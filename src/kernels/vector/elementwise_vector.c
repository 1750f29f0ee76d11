/* Elementwise kernels, in pieces of constant size. */
#include "base/threads.h"
#include "kernels/vector/vec_math.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

typedef struct { float *y; bool add; const float *a, *b; activation act; size_t n; } elementwise;

static void copy_piece(void *context, int task)
{
    const elementwise *e = context;
    span s = span_of(e->n, task);
    const float *x = e->a + s.first;
    float *y = e->y + s.first;
    for (int i = 0; i < s.n; i += VW) vstore_add(y + i, s.n - i, e->add, vload_n(x + i, s.n - i));
}

void LEVEL(copy)(real *y, bool add, const real *x, size_t n)
{
    elementwise e = { .y = y, .add = add, .a = x, .n = n };
    parallel_for(pieces(n, PIECE), copy_piece, &e);
}

static void sum_piece(void *context, int task)
{
    const elementwise *e = context;
    span s = span_of(e->n, task);
    const float *a = e->a + s.first, *b = e->b + s.first;
    float *y = e->y + s.first;
    for (int i = 0; i < s.n; i += VW) vstore_n(y + i, s.n - i, vadd(vload_n(a + i, s.n - i), vload_n(b + i, s.n - i)));
}

void LEVEL(sum)(real *y, const real *a, const real *b, size_t n)
{
    elementwise e = { .y = y, .a = a, .b = b, .n = n };
    parallel_for(pieces(n, PIECE), sum_piece, &e);
}

typedef struct { float *y; bool add; const float *x; float factor; size_t n; } scaling;

static void scale_piece(void *context, int task)
{
    const scaling *e = context;
    span s = span_of(e->n, task);
    const float *x = e->x + s.first;
    float *y = e->y + s.first;
    for (int i = 0; i < s.n; i += VW) vstore_add(y + i, s.n - i, e->add, vmul(vset1(e->factor), vload_n(x + i, s.n - i)));
}

void LEVEL(scale)(real *y, bool add, const real *x, real factor, size_t n)
{
    scaling e = { y, add, x, factor, n };
    parallel_for(pieces(n, PIECE), scale_piece, &e);
}

/* ---- activations ---- */

static void act_piece(void *context, int task)
{
    const elementwise *e = context;
    span s = span_of(e->n, task);
    const float *x = e->a + s.first;
    float *y = e->y + s.first;
    for (int i = 0; i < s.n; i += VW) vstore_n(y + i, s.n - i, vact(e->act, vload_n(x + i, s.n - i)));
}

void LEVEL(act)(real *y, const real *x, activation act, size_t n)
{
    elementwise e = { .y = y, .a = x, .act = act, .n = n };
    parallel_for(pieces(n, PIECE), act_piece, &e);
}

static void act_backward_piece(void *context, int task)
{
    const elementwise *e = context;
    span s = span_of(e->n, task);
    const float *dy = e->a + s.first, *x = e->b + s.first;
    float *dx = e->y + s.first;
    for (int i = 0; i < s.n; i += VW) {
        vec slope = vact_slope(e->act, vload_n(x + i, s.n - i));
        vstore_add(dx + i, s.n - i, e->add, vmul(vload_n(dy + i, s.n - i), slope));
    }
}

void LEVEL(act_backward)(real *dx, bool add, const real *dy, const real *x, activation act, size_t n)
{
    elementwise e = { .y = dx, .add = add, .a = dy, .b = x, .act = act, .n = n };
    parallel_for(pieces(n, PIECE), act_backward_piece, &e);
}

/* ---- gated linear units ---- */

typedef struct {
    float *y, *dgate, *dup; bool add_gate, add_up;
    const float *dy, *gate, *up; size_t stride;
    activation act; int rows, width;
} gated;

static void glu_row(const gated *g, float *y, const float *gate, const float *up)
{
    for (int i = 0; i < g->width; i += VW) {
        int n = g->width - i;
        vstore_n(y + i, n, vmul(vact(g->act, vload_n(gate + i, n)), vload_n(up + i, n)));
    }
}

static void glu_backward_row(const gated *g, const float *d_y, size_t at)
{
    for (int i = 0; i < g->width; i += VW, at += VW) {
        int n = g->width - i;
        vec dy = vload_n(d_y + i, n), gate = vload_n(g->gate + at, n), up = vload_n(g->up + at, n);
        vstore_add(g->dgate + at, n, g->add_gate, vmul(vmul(dy, up), vact_slope(g->act, gate)));
        vstore_add(g->dup + at, n, g->add_up, vmul(dy, vact(g->act, gate)));
    }
}

static void glu_rows(void *context, int task)
{
    const gated *g = context;
    int block = rows_in_piece(g->width), end = lesser(g->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++) {
        size_t row = (size_t)r * (size_t)g->width, at = (size_t)r * g->stride;
        if (g->dy) glu_backward_row(g, g->dy + row, at);
        else glu_row(g, g->y + row, g->gate + at, g->up + at);
    }
}

static void each_glu_row(gated g) { parallel_for(pieces((size_t)g.rows, (size_t)rows_in_piece(g.width)), glu_rows, &g); }

void LEVEL(glu)(real *y, const real *gate, const real *up, size_t stride, activation act, int rows, int width)
{
    each_glu_row((gated){ .y = y, .gate = gate, .up = up, .stride = stride, .act = act, .rows = rows, .width = width });
}

void LEVEL(glu_backward)(real *dgate, bool add_gate, real *dup, bool add_up, const real *dy,
                         const real *gate, const real *up, size_t stride, activation act, int rows, int width)
{
    each_glu_row((gated){ .dgate = dgate, .dup = dup, .add_gate = add_gate, .add_up = add_up, .dy = dy, .gate = gate, .up = up, .stride = stride,
                          .act = act, .rows = rows, .width = width });
}

/* ---- y = a + (b - a) m ---- */

typedef struct { float *y, *da, *db, *dm; bool add_a, add_b, add_m; const float *dy, *a, *b, *m; size_t n; } mixture;

static void lerp_piece(void *context, int task)
{
    const mixture *g = context;
    span s = span_of(g->n, task);
    for (int i = 0; i < s.n; i += VW) {
        size_t at = s.first + (size_t)i;
        int n = s.n - i;
        vec a = vload_n(g->a + at, n);
        vstore_n(g->y + at, n, vfma(vsub(vload_n(g->b + at, n), a), vload_n(g->m + at, n), a));
    }
}

void LEVEL(lerp)(real *y, const real *a, const real *b, const real *m, size_t n)
{
    mixture g = { .y = y, .a = a, .b = b, .m = m, .n = n };
    parallel_for(pieces(n, PIECE), lerp_piece, &g);
}

static void lerp_backward_piece(void *context, int task)
{
    const mixture *g = context;
    span s = span_of(g->n, task);
    for (int i = 0; i < s.n; i += VW) {
        size_t at = s.first + (size_t)i;
        int n = s.n - i;
        vec dy = vload_n(g->dy + at, n), db = vmul(dy, vload_n(g->m + at, n)), dm = vmul(dy, vsub(vload_n(g->b + at, n), vload_n(g->a + at, n)));
        if (g->da) vstore_add(g->da + at, n, g->add_a, vsub(dy, db));
        if (g->db) vstore_add(g->db + at, n, g->add_b, db);
        if (g->dm) vstore_add(g->dm + at, n, g->add_m, dm);
    }
}

void LEVEL(lerp_backward)(real *da, bool add_a, real *db, bool add_b, real *dm, bool add_m, const real *dy,
                          const real *a, const real *b, const real *m, size_t n)
{
    mixture g = { .da = da, .db = db, .dm = dm, .add_a = add_a, .add_b = add_b, .add_m = add_m, .dy = dy, .a = a, .b = b, .m = m, .n = n };
    parallel_for(pieces(n, PIECE), lerp_backward_piece, &g);
}

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

static void glu_piece(void *context, int task)
{
    const elementwise *e = context;
    span s = span_of(e->n, task);
    const float *gate = e->a + s.first, *up = e->b + s.first;
    float *y = e->y + s.first;
    for (int i = 0; i < s.n; i += VW)
        vstore_n(y + i, s.n - i, vmul(vact(e->act, vload_n(gate + i, s.n - i)), vload_n(up + i, s.n - i)));
}

void LEVEL(glu)(real *y, const real *gate, const real *up, activation act, size_t n)
{
    elementwise e = { .y = y, .a = gate, .b = up, .act = act, .n = n };
    parallel_for(pieces(n, PIECE), glu_piece, &e);
}

typedef struct { float *dgate, *dup; bool add_gate, add_up; const float *dy, *gate, *up; activation act; size_t n; } glu_gradient;

static void glu_backward_piece(void *context, int task)
{
    const glu_gradient *g = context;
    span s = span_of(g->n, task);
    for (int i = 0; i < s.n; i += VW) {
        size_t at = s.first + (size_t)i;
        int n = s.n - i;
        vec dy = vload_n(g->dy + at, n), gate = vload_n(g->gate + at, n), up = vload_n(g->up + at, n);
        vstore_add(g->dgate + at, n, g->add_gate, vmul(vmul(dy, up), vact_slope(g->act, gate)));
        vstore_add(g->dup + at, n, g->add_up, vmul(dy, vact(g->act, gate)));
    }
}

void LEVEL(glu_backward)(real *dgate, bool add_gate, real *dup, bool add_up, const real *dy,
                         const real *gate, const real *up, activation act, size_t n)
{
    glu_gradient g = { dgate, dup, add_gate, add_up, dy, gate, up, act, n };
    parallel_for(pieces(n, PIECE), glu_backward_piece, &g);
}

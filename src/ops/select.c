/* The rows a head looks at: masked positions, last tokens, first tokens.  One gather. */
#include "ops/ops.h"

static void forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    const batch *b = run_batch(n);
    if (b->select) k->gather(out_data(n, 0), false, in_data(n, 0), b->select, live_rows(y), y->width);
    else           k->copy(out_data(n, 0), false, in_data(n, 0), (size_t)live_rows(y) * (size_t)y->width);
}

static void backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    const batch *b = run_batch(n);
    bool join;
    real *dx = grad_in(n, 0, &join);
    if (!dx) return;
    if (b->select) k->scatter(dx, join, grad_out(n, 0), b->select, live_rows(y), y->width, live_rows(n->in[0]));
    else           k->copy(dx, join, grad_out(n, 0), (size_t)live_rows(y) * (size_t)y->width);
}

static const op op_select = { .name = "select_rows", .forward = forward, .backward = backward };

tensor *select_rows(graph *g, tensor *x)
{
    if (!graph_ok(g) || !graph_settings(g)->capacity[ROWS_SELECTED]) return x;
    return output(append(g, &op_select, (tensor *[]){ x }, 1), 0, ROWS_SELECTED, 0, x->width);
}

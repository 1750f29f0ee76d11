/* The rows that a head reads: those that the batch selects (masked positions, the last token), or one for each
 * sequence. */
#include "ops/ops.h"
#include <string.h>

static void forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    const batch *b = run_batch(n);
    if (b->select) k->gather(out_data(n, 0), false, in_stored(n, 0), b->select, live_rows(y), y->width);
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

/* ---- one for each sequence ---------------------------------------------------- */

static void pool_forward(const node *n, const kernels *k)
{
    k->pool(out_data(n, 0), in_data(n, 0) + (size_t)n->i[1] * (size_t)n->out[0]->width, run_batch(n)->start, (pooling)n->i[0], live_rows(n->out[0]), n->out[0]->width);
}

static void pool_backward(const node *n, const kernels *k)
{
    bool join;
    real *dx = grad_in(n, 0, &join);
    const size_t before = (size_t)n->i[1] * (size_t)n->out[0]->width;
    /* Moved by a row, the kernel may only add. */
    if (dx && before && !join) memset(dx, 0, (size_t)live_rows(n->in[0]) * (size_t)n->in[0]->width * sizeof *dx);
    if (dx) k->pool_backward(dx + before, join || before, grad_out(n, 0), run_batch(n)->start, (pooling)n->i[0], live_rows(n->out[0]), n->out[0]->width);
}

static const op op_sequence_rows = { .name = "sequence_rows", .forward = pool_forward, .backward = pool_backward };

tensor *sequence_rows(graph *g, tensor *x, pooling how)
{
    if (!graph_ok(g)) return NULL;
    require(g, x->space == ROWS_TOKENS, "sequence_rows: the rows are not those of all tokens");
    node *n = append(g, &op_sequence_rows, (tensor *[]){ x }, 1);
    if (n) n->i[0] = (int)how;
    return output(n, 0, ROWS_SEQS, 0, x->width);
}

tensor *second_rows(graph *g, tensor *x)
{
    tensor *y = sequence_rows(g, x, POOL_FIRST);
    if (y) y->from->i[1] = 1;
    return y;
}

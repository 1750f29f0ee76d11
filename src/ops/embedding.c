/* Token embedding: y[r] = table[ids[r]], and learned positions: y[r] = x[r] + table[pos[r]]. */
#include "ops/ops.h"

static void embedding_forward(const node *n, const kernels *k)
{
    k->gather(out_data(n, 0), false, in_data(n, 0), run_batch(n)->ids, live_rows(n->out[0]), n->out[0]->width);
}

static void embedding_backward(const node *n, const kernels *k)
{
    bool join;
    real *dtable = grad_in(n, 0, &join);
    if (dtable) k->scatter(dtable, join, grad_out(n, 0), run_batch(n)->ids, live_rows(n->out[0]), n->out[0]->width, n->in[0]->rows);
}

static const op op_embedding = { .name = "embedding", .forward = embedding_forward, .backward = embedding_backward };

tensor *embedding(graph *g, tensor *table)
{
    if (!graph_ok(g)) return NULL;
    node *n = append(g, &op_embedding, (tensor *[]){ table }, 1);
    return output(n, 0, ROWS_TOKENS, 0, table->width);
}

static void positions_forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    int rows = live_rows(y);
    if (!n->in_place) k->copy(y->data, false, in_data(n, 0), (size_t)rows * (size_t)y->width);
    k->gather(y->data, true, in_data(n, 1), run_batch(n)->pos, rows, y->width);
}

static void positions_backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    bool join;
    int rows = live_rows(y);
    real *dtable = grad_in(n, 1, &join);
    if (dtable) k->scatter(dtable, join, grad_out(n, 0), run_batch(n)->pos, rows, y->width, n->in[1]->rows);
    real *dx = grad_in(n, 0, &join);
    if (dx && dx != grad_out(n, 0)) k->copy(dx, join, grad_out(n, 0), (size_t)rows * (size_t)y->width);
}

static const op op_positions = { .name = "add_positions", .forward = positions_forward, .backward = positions_backward, .in_place = true };

tensor *add_positions(graph *g, tensor *x, tensor *table)
{
    if (!graph_ok(g)) return NULL;
    require(g, x->width == table->width, "positions are %d wide, the rows %d", table->width, x->width);
    node *n = append(g, &op_positions, (tensor *[]){ x, table }, 2);
    return output(n, 0, x->space, x->rows, x->width);
}

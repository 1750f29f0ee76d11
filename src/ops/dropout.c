/* Dropout.  Srivastava et al. 2014.  The mask is a function of (seed, step,
 * sample, position, layer), so backward and recomputation draw it again, and it
 * does not matter how a step is split.  A row that was selected has the key of the
 * token it is of, one that stands for a sequence that of its first token. */
#include "ops/ops.h"

static const uint64_t *row_keys(const node *n)
{
    const tensor *y = n->out[0];
    const batch *b = run_batch(n);
    uint64_t *keys = (uint64_t *)(uintptr_t)n->data;        /* the graph's own */
    if (!keys) return b->row_key;
    for (int r = 0; r < live_rows(y); r++) keys[r] = b->row_key[y->space == ROWS_SEQS ? b->start[r] : b->select ? b->select[r] : r];
    return keys;
}

static void forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    k->dropout(out_data(n, 0), false, in_data(n, 0), n->f[0], row_keys(n), n->key, live_rows(y), y->width);
}

static void backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    bool join;
    real *dx = grad_in(n, 0, &join);
    if (dx) k->dropout(dx, join, grad_out(n, 0), n->f[0], row_keys(n), n->key, live_rows(y), y->width);
}

static const op op_dropout = { .name = "dropout", .forward = forward, .backward = backward };

tensor *dropout(graph *g, tensor *x, double p)
{
    if (!graph_ok(g) || p == 0 || !training(g)) return x;
    require(g, p > 0 && p < 1, "dropout: a probability of %g", p);
    node *n = append(g, &op_dropout, (tensor *[]){ x }, 1);
    if (n) n->f[0] = (real)p;
    if (n && x->space != ROWS_TOKENS) n->data = graph_constant(g, (size_t)capacity_rows(x) * sizeof(uint64_t) + 1);
    return output(n, 0, x->space, x->rows, x->width);
}

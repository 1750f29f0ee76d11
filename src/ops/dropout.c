/* Dropout.  Srivastava et al. 2014.  The mask is a function of (seed, step,
 * sample, position, layer), so backward and recomputation make it again and the
 * accumulation split does not matter. */
#include "ops/ops.h"

static void forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    k->dropout(out_data(n, 0), false, in_data(n, 0), n->f[0], run_batch(n)->row_key, n->key, live_rows(y), y->width);
}

static void backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    bool join;
    real *dx = grad_in(n, 0, &join);
    if (dx) k->dropout(dx, join, grad_out(n, 0), n->f[0], run_batch(n)->row_key, n->key, live_rows(y), y->width);
}

static const op op_dropout = { .name = "dropout", .forward = forward, .backward = backward };

tensor *dropout(graph *g, tensor *x, double p)
{
    if (!graph_ok(g) || p == 0 || !training(g)) return x;
    require(g, p > 0 && p < 1, "dropout: a probability of %g", p);
    node *n = append(g, &op_dropout, (tensor *[]){ x }, 1);
    if (n) n->f[0] = (real)p;
    return output(n, 0, x->space, x->rows, x->width);
}

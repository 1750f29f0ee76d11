/* LayerNorm.  Ba et al. 2016.  y = (x - mean) / sqrt(var + eps) * w + b over the last dimension. */
#include "ops/ops.h"

enum { X, W, B };

static void forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    exact *mean = training(n->graph) ? save_data(n, 0) : work_data(n), *rstd = training(n->graph) ? save_data(n, 1) : mean + y->rows;
    k->layer_norm(out_data(n, 0), mean, rstd, in_data(n, X), in_data(n, W), in_data(n, B), n->f[0], live_rows(y), y->width);
}

static void backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    bool join, join_w = false, join_b = false;
    real *dx = grad_in(n, X, &join);
    real *dw = n->in[W] ? grad_in(n, W, &join_w) : NULL;
    real *db = n->in[B] ? grad_in(n, B, &join_b) : NULL;
    k->layer_norm_backward(dx, join, dw, db, dw ? join_w : join_b, grad_out(n, 0), in_data(n, X), in_data(n, W),
                           save_data(n, 0), save_data(n, 1), live_rows(y), y->width);
}

static const op op_layer_norm = { .name = "layer_norm", .forward = forward, .backward = backward, .reads = IN(X) | IN(W) | SAVE(0) | SAVE(1) };

tensor *layer_norm(graph *g, tensor *x, tensor *w, tensor *b, double eps)
{
    if (!graph_ok(g)) return NULL;
    require(g, !w || w->width == x->width, "layer_norm: the weight has %d entries, its input is %d wide", w ? w->width : 0, x->width);
    require(g, !b || b->width == x->width, "layer_norm: the bias has %d entries, its input is %d wide", b ? b->width : 0, x->width);
    node *n = append(g, &op_layer_norm, (tensor *[]){ x, w, b }, 3);
    if (!n) return NULL;
    n->f[0] = (real)eps;
    save(n, 0, x->space, 1);                                /* mean */
    save(n, 1, x->space, 1);                                /* 1 / standard deviation */
    if (!training(g)) workspace(n, x->rows, 2);             /* scratch memory for both */
    return output(n, 0, x->space, x->rows, x->width);
}

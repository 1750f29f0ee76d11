/* RMSNorm.  Zhang & Sennrich 2019.  y = x / sqrt(mean(x^2) + eps) * w over the last dimension. */
#include "ops/ops.h"

enum { X, W };

static void forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    k->rms_norm(out_data(n, 0), training(n->graph) ? save_data(n, 0) : work_data(n), in_data(n, X), in_data(n, W), n->f[0], live_rows(y), y->width);
}

static void backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    bool join, join_param = false;
    real *dx = grad_in(n, X, &join);
    real *dw = n->in[W] ? grad_in(n, W, &join_param) : NULL;
    k->rms_norm_backward(dx, join, dw, join_param, grad_out(n, 0), in_data(n, X), in_data(n, W), save_data(n, 0), live_rows(y), y->width);
}

static const op op_rms_norm = { .name = "rms_norm", .forward = forward, .backward = backward, .reads = IN(X) | IN(W) | SAVE(0) };

tensor *rms_norm(graph *g, tensor *x, tensor *w, double eps)
{
    if (!graph_ok(g)) return NULL;
    require(g, !w || w->width == x->width, "rms_norm: the weight has %d entries, its input is %d wide", w ? w->width : 0, x->width);
    node *n = append(g, &op_rms_norm, (tensor *[]){ x, w }, 2);
    if (!n) return NULL;
    n->f[0] = (real)eps;
    save(n, 0, x->space, 1);                                /* 1 / root mean square */
    if (!training(g)) workspace(n, x->rows, 1);
    return output(n, 0, x->space, x->rows, x->width);
}

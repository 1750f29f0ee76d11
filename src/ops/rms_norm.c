/* RMSNorm.  Zhang & Sennrich 2019.  y = x / sqrt(mean(x^2) + eps) * w over the last dimension, or over each of the
 * equal parts of it that the heads are. */
#include "ops/ops.h"

enum { X, W };

/* Rows of the kernel: heads. */
static int rows_of(const node *n) { return live_rows(n->out[0]) * n->i[0]; }
static int width_of_head(const node *n) { return n->out[0]->width / n->i[0]; }

static void forward(const node *n, const kernels *k)
{
    k->rms_norm(out_data(n, 0), training(n->graph) ? save_data(n, 0) : work_data(n), in_data(n, X), in_data(n, W), n->f[0], rows_of(n), width_of_head(n));
}

static void backward(const node *n, const kernels *k)
{
    bool join, join_param = false;
    real *dx = grad_in(n, X, &join);
    real *dw = n->in[W] ? grad_in(n, W, &join_param) : NULL;
    k->rms_norm_backward(dx, join, dw, join_param, grad_out(n, 0), in_data(n, X), in_data(n, W), save_data(n, 0), rows_of(n), width_of_head(n));
}

static const op op_rms_norm = { .name = "rms_norm", .forward = forward, .backward = backward, .reads = IN(X) | IN(W) | SAVE(0) };

tensor *rms_norm_heads(graph *g, tensor *x, tensor *w, double eps, int heads)
{
    if (!graph_ok(g)) return NULL;
    if (!heads) heads = 1;
    require(g, x->width % heads == 0, "rms_norm: %d heads in a width of %d", heads, x->width);
    require(g, !w || w->width == x->width / heads, "rms_norm: the weight has %d entries, its input is %d wide", w ? w->width : 0, x->width / heads);
    node *n = append(g, &op_rms_norm, (tensor *[]){ x, w }, 2);
    if (!n) return NULL;
    n->f[0] = (real)eps;
    n->i[0] = heads;
    save(n, 0, x->space, heads);                            /* 1 / root mean square */
    if (!training(g)) workspace(n, x->rows, heads);
    return output(n, 0, x->space, x->rows, x->width);
}

tensor *rms_norm(graph *g, tensor *x, tensor *w, double eps) { return rms_norm_heads(g, x, w, eps, 1); }

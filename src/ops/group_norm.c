/* Group normalisation, with a head as a group.  Wu & He 2018.  It uses the kernel of RWKV-7's read-out, which without
 * its bonus is the same arithmetic. */
#include "ops/ops.h"

enum { X, W, B };

static wkv7_read_args arguments(const node *n)
{
    return (wkv7_read_args){ .rows = live_rows(n->out[0]), .width = n->out[0]->width, .N = n->i[0], .eps = n->f[0],
                             .y = in_data(n, X), .w = in_data(n, W), .b = in_data(n, B) };
}

static void forward(const node *n, const kernels *k)
{
    wkv7_read_args a = arguments(n);
    a.out = out_data(n, 0);
    k->wkv7_read(&a);
}

static void backward(const node *n, const kernels *k)
{
    wkv7_read_args a = arguments(n);
    a.dout = grad_out(n, 0);
    a.dy = grad_in(n, X, &a.add_dy);
    a.dw = grad_in(n, W, &a.add_dw);
    a.db = grad_in(n, B, &a.add_db);
    k->wkv7_read_backward(&a);
}

static const op op_group_norm = { .name = "group_norm", .forward = forward, .backward = backward, .reads = IN(X) };

tensor *group_norm(graph *g, tensor *x, group_norm_options o)
{
    if (!graph_ok(g)) return NULL;
    require(g, o.N > 0 && x->width % o.N == 0, "group_norm: groups of %d do not divide %d channels", o.N, x->width);
    require(g, o.w->width == x->width && o.b->width == x->width, "group_norm: %d channels, %d weights and %d biases", x->width, o.w->width, o.b->width);
    node *n = append(g, &op_group_norm, (tensor *[]){ x, o.w, o.b }, 3);
    if (!n) return NULL;
    n->i[0] = o.N;
    n->f[0] = (real)o.eps;
    return output(n, 0, x->space, x->rows, x->width);
}

/* y = act(x W + b) + residual: bias, activation and residual are epilogues of
 * one matrix product.  With z = x W + b and dz = dy * act'(z):
 *   dx = dz W',  dW = x' dz,  db = sum of dz's rows,  dresidual = dy. */
#include "ops/ops.h"

enum { X, W, BIAS, RESIDUAL };
enum { LAYOUT, ACT };

static void forward(const node *n, const kernels *k)
{
    const tensor *w = n->in[W], *y = n->out[0];
    bool tb = n->i[LAYOUT] == OUT_IN;
    int in = n->in[X]->width, out = y->width;
    k->gemm(&(gemm_args){
        .M = live_rows(y), .N = out, .K = in, .type = compute(n),
        .a = in_data(n, X), .lda = (size_t)in,
        .b = in_stored(n, W), .ldb = (size_t)(tb ? in : out), .tb = tb, .packed = packed_weight(n, w, tb),
        .c = out_data(n, 0), .ldc = (size_t)out,
        .bias = in_data(n, BIAS), .act = (activation)n->i[ACT], .pre = n->out[1] ? n->out[1]->data : NULL,
        .residual = in_data(n, RESIDUAL), .ldr = (size_t)out });
}

static void backward(const node *n, const kernels *k)
{
    const tensor *w = n->in[W], *y = n->out[0];
    bool tb = n->i[LAYOUT] == OUT_IN, join;
    int rows = live_rows(y), in = n->in[X]->width, out = y->width;
    real *dz = grad_out(n, 0);

    real *dresidual = grad_in(n, RESIDUAL, &join);
    if (dresidual) k->copy(dresidual, join, dz, (size_t)rows * (size_t)out);
    if (n->i[ACT] != ACT_NONE) k->act_backward(dz, false, dz, out_data(n, 1), (activation)n->i[ACT], (size_t)rows * (size_t)out);

    real *dx = grad_in(n, X, &join);
    if (dx) k->gemm(&(gemm_args){
        .M = rows, .N = in, .K = out, .type = compute(n), .add = join,
        .a = dz, .lda = (size_t)out,
        .b = in_stored(n, W), .ldb = (size_t)(tb ? in : out), .tb = !tb, .packed = packed_weight(n, w, !tb),
        .c = dx, .ldc = (size_t)in });

    real *dw = grad_in(n, W, &join);
    if (dw) {
        gemm_args a = { .K = rows, .type = compute(n), .add = join, .ta = true, .c = dw };
        const real *x = in_data(n, X);
        if (tb) { a.M = out; a.N = in;  a.a = dz; a.lda = (size_t)out; a.b.data = x;  a.ldb = (size_t)in; }
        else    { a.M = in;  a.N = out; a.a = x;  a.lda = (size_t)in;  a.b.data = dz; a.ldb = (size_t)out; }
        a.ldc = (size_t)a.N;
        k->gemm(&a);
    }
    real *db = n->in[BIAS] ? grad_in(n, BIAS, &join) : NULL;
    if (db) k->column_sum(db, join, dz, (size_t)out, rows, out);
}

static double flops(const node *n) { return 2.0 * capacity_rows(n->out[0]) * n->in[X]->width * n->out[0]->width; }

static const op op_linear = { .name = "linear", .weights = IN(W), .forward = forward, .backward = backward, .reads = IN(X) | OUT(1), .flops = flops };

tensor *linear(graph *g, tensor *x, tensor *w, tensor *bias, linear_options o)
{
    if (!graph_ok(g)) return NULL;
    int out = o.layout == OUT_IN ? w->rows : w->width, in = o.layout == OUT_IN ? w->width : w->rows;
    require(g, x->width == in, "linear: the weight takes %d inputs, its input has %d", in, x->width);
    require(g, !bias || bias->width == out, "linear: the bias has %d entries for %d outputs", bias ? bias->width : 0, out);
    require(g, !o.residual || (o.residual->width == out && o.residual->space == x->space), "linear: the residual is %d wide, the output %d",
            o.residual ? o.residual->width : 0, out);
    node *n = append(g, &op_linear, (tensor *[]){ x, w, bias, o.residual }, 4);
    if (!n) return NULL;
    n->i[LAYOUT] = (int)o.layout;
    n->i[ACT] = (int)o.act;
    pack(n, w, o.layout == OUT_IN, in, out);
    if (training(g)) pack(n, w, o.layout != OUT_IN, out, in);
    tensor *y = output(n, 0, x->space, x->rows, out);
    if (o.act != ACT_NONE && training(g)) output(n, 1, x->space, x->rows, out);        /* z, which backward reads */
    return y;
}

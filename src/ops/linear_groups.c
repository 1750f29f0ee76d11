/* One matrix product for each group of an input's columns, for the five products
 * of low rank that RWKV-6 mixes rows by: y[m] = x_m w[m] + bias[m]. */
#include "ops/ops.h"

enum { X, W, BIAS };

typedef struct { int rows, part, out; size_t stride; } sizes;

static sizes sizes_of(const node *n)
{
    int groups = n->i[0], width = n->in[X]->width;
    return (sizes){ live_rows(n->out[0]), width / groups, n->out[0]->width, (size_t)width };
}

static stored weight(const node *n, int m, sizes s) { return stored_from(in_stored(n, W), (size_t)m * (size_t)s.part * (size_t)s.out); }

static void forward(const node *n, const kernels *k)
{
    sizes s = sizes_of(n);
    for (int m = 0; m < n->i[0]; m++)
        k->gemm(&(gemm_args){ .M = s.rows, .N = s.out, .K = s.part, .type = compute(n), .a = in_data(n, X) + m * s.part, .lda = s.stride,
                              .b = weight(n, m, s), .ldb = (size_t)s.out, .c = out_data(n, m), .ldc = (size_t)s.out, .bias = in_data(n, BIAS + m) });
}

static void backward(const node *n, const kernels *k)
{
    sizes s = sizes_of(n);
    bool add_x, add_w, add_bias;
    real *dx = grad_in(n, X, &add_x), *dw = grad_in(n, W, &add_w);
    for (int m = 0; m < n->i[0]; m++) {
        const real *dy = grad_out(n, m);
        real *dbias = grad_in(n, BIAS + m, &add_bias);
        if (dx) k->gemm(&(gemm_args){ .M = s.rows, .N = s.part, .K = s.out, .type = compute(n), .add = add_x, .a = dy, .lda = (size_t)s.out,
                                      .b = weight(n, m, s), .ldb = (size_t)s.out, .tb = true, .c = dx + m * s.part, .ldc = s.stride });
        if (dw) k->gemm(&(gemm_args){ .M = s.part, .N = s.out, .K = s.rows, .type = compute(n), .add = add_w, .a = in_data(n, X) + m * s.part, .lda = s.stride,
                                      .ta = true, .b.data = dy, .ldb = (size_t)s.out, .c = dw + (size_t)m * (size_t)s.part * (size_t)s.out, .ldc = (size_t)s.out });
        if (dbias) k->column_sum(dbias, add_bias, dy, (size_t)s.out, s.rows, s.out);
    }
}

static double flops(const node *n) { return 2.0 * capacity_rows(n->out[0]) * n->in[X]->width * n->out[0]->width; }

static const op op_linear_groups = { .name = "linear_groups", .weights = IN(W), .forward = forward, .backward = backward, .reads = IN(X), .flops = flops };

tensor_list linear_groups(graph *g, tensor *x, tensor *w, tensor_list bias)
{
    const int groups = list_length(&bias);
    tensor *in[MAX_IN] = { x, w };
    tensor_list y = { 0 };
    if (!graph_ok(g)) return y;
    if (!require(g, groups && x->width % groups == 0, "linear_groups: %d columns in %d groups", x->width, groups)) return y;
    require(g, w->rows == x->width, "linear_groups: the weight takes %d inputs, there are %d", w->rows, x->width);
    for (int m = 0; m < groups; m++) {
        in[BIAS + m] = bias.at[m];
        require(g, bias.at[m]->width == w->width, "linear_groups: a bias of %d for %d outputs", bias.at[m]->width, w->width);
    }
    node *n = append(g, &op_linear_groups, in, MAX_IN);
    if (!n) return y;
    read_as(n, w, READ_OTHERWISE);                           /* it multiplies by parts of it */
    n->i[0] = groups;
    for (int m = 0; m < groups; m++) y.at[m] = output(n, m, x->space, x->rows, w->width);
    return y;
}

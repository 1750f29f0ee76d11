/* Images as tokens.  Dosovitskiy et al. 2021, equation 1: a convolution whose
 * stride is its size is one linear map of each patch,
 *   y[r] = W patch[r] + b,
 * and the first row of each sequence is the class token instead, in DeiT the second one is the distillation token.
 * The patches are the batch's; W (width, channels, side, side) lies like a patch row.
 *   dW = dy' patch and db = sum of dy over the rows of patches, dtoken over the others. */
#include "ops/ops.h"

enum { W, BIAS, TOKEN, SECOND };

static int patch_width(const node *n) { return (int)(n->in[W]->param->count / (size_t)n->out[0]->width); }

static void forward(const node *n, const kernels *k)
{
    const batch *b = run_batch(n);
    int rows = live_rows(n->out[0]), in = patch_width(n), out = n->out[0]->width;
    k->gemm(&(gemm_args){ .M = rows, .N = out, .K = in, .type = compute(n), .a = b->patches, .lda = (size_t)in,
                          .b = in_stored(n, W), .ldb = (size_t)in, .tb = true, .packed = packed_weight(n, n->in[W], true),
                          .c = out_data(n, 0), .ldc = (size_t)out, .bias = in_data(n, BIAS) });
    k->put_rows(out_data(n, 0), STORED_REAL, (size_t)out, b->start, in_data(n, TOKEN), 0, b->seqs, out);
    if (n->in[SECOND]) k->put_rows(out_data(n, 0) + out, STORED_REAL, (size_t)out, b->start, in_data(n, SECOND), 0, b->seqs, out);
}

/* The gradient of a token, the row `place` of each sequence, whose own become zero. */
static void token_backward(const node *n, const kernels *k, int input, int place)
{
    const batch *b = run_batch(n);
    const int out = n->out[0]->width;
    bool join;
    real *dy = grad_out(n, 0) + (size_t)place * (size_t)out, *of_tokens = work_data(n), *zeros = of_tokens + (size_t)graph_settings(n->graph)->capacity[ROWS_SEQS] * (size_t)out;
    real *dtoken = grad_in(n, input, &join);
    k->gather(of_tokens, false, (stored){ .data = dy }, b->start, b->seqs, out);
    if (dtoken) k->column_sum(dtoken, join, of_tokens, (size_t)out, b->seqs, out);
    for (int c = 0; c < out; c++) zeros[c] = 0;
    k->put_rows(dy, STORED_REAL, (size_t)out, b->start, zeros, 0, b->seqs, out);
}

static void backward(const node *n, const kernels *k)
{
    const batch *b = run_batch(n);
    int rows = live_rows(n->out[0]), in = patch_width(n), out = n->out[0]->width;
    bool join;
    real *dy = grad_out(n, 0);
    token_backward(n, k, TOKEN, 0);
    if (n->in[SECOND]) token_backward(n, k, SECOND, 1);
    real *dw = grad_in(n, W, &join);
    if (dw) k->gemm(&(gemm_args){ .M = out, .N = in, .K = rows, .type = compute(n), .add = join, .ta = true, .a = dy, .lda = (size_t)out,
                                  .b.data = b->patches, .ldb = (size_t)in, .c = dw, .ldc = (size_t)in });
    real *dbias = grad_in(n, BIAS, &join);
    if (dbias) k->column_sum(dbias, join, dy, (size_t)out, rows, out);
}

static double flops(const node *n) { return 2.0 * capacity_rows(n->out[0]) * patch_width(n) * n->out[0]->width; }

static const op op_patches = { .name = "patches", .weights = IN(W), .forward = forward, .backward = backward, .flops = flops };

tensor *patches(graph *g, tensor *w, tensor *bias, tensor *token, tensor *second)
{
    if (!graph_ok(g)) return NULL;
    int out = token->width;
    require(g, bias->width == out && w->param->count % (size_t)out == 0, "patches: a weight of %zu, a bias of %d, a token of %d", w->param->count, bias->width, out);
    node *n = append(g, &op_patches, (tensor *[]){ w, bias, token, second }, 4);
    if (!n) return NULL;
    pack(n, w, true, (int)(w->param->count / (size_t)out), out);
    if (training(g)) workspace(n, graph_settings(g)->capacity[ROWS_SEQS] + 1, out);
    return output(n, 0, ROWS_TOKENS, 0, out);
}

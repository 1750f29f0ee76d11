/* Head and cross-entropy.  loss[r] = -weight[r] log softmax(hidden[r] W' + bias)[target[r]];
 * of one row for each sequence the target is its label and the weight 1.
 * While training, the gradients of hidden, W and bias are computed in the same
 * pass: a tile of logits is computed once and replaced by its own gradient, so logits never exist for a whole batch.
 * With l2_wrap the gradient also includes that of half its factor times the square of each row's largest logit, which
 * is not part of the loss.  Capped logits are cap tanh(x / cap), and their gradients are multiplied by its slope.
 * A graph that does not train has a second result: whether each target was the likeliest. */
#include "ops/ops.h"
#include <assert.h>

enum { HIDDEN, W, BIAS };
enum { TILE = 256 };                                    /* rows of logits at a time: constant, so sums have one order */

enum { WRAP, CAP };

/* Adds l2_wrap's part to the gradients of the largest logits of a tile. */
typedef struct { exact value[TILE]; int index[TILE]; } peaks;

static void add_peaks(real *dlogits, const peaks *p, const real *weight, real factor, int rows, int vocab)
{
    for (int r = 0; r < rows; r++) dlogits[(size_t)r * (size_t)vocab + (size_t)p->index[r]] += factor * (weight ? weight[r] : 1) * p->value[r];
}

/* x = cap tanh(x / cap); inner: x / cap, for the slope. */
static void cap_logits(const kernels *k, real *x, real *inner, real cap, size_t count)
{
    k->scale(inner, false, x, 1 / cap, count);
    k->act(x, inner, ACT_TANH, count);
    k->scale(x, false, x, cap, count);
}

static void forward(const node *n, const kernels *k)
{
    const batch *b = run_batch(n);
    const tensor *w = n->in[W];
    int rows = live_rows(n->out[0]), width = n->in[HIDDEN]->width, vocab = w ? w->rows : width;
    bool train = training(n->graph), join_hidden = false, join_w = false, join_bias = false;
    real *dhidden = train ? grad_in(n, HIDDEN, &join_hidden) : NULL, *dw = train && w ? grad_in(n, W, &join_w) : NULL;
    bool labels = n->out[0]->space == ROWS_SEQS;
    const int *target = labels ? b->label : b->target;
    const real *weight = labels ? NULL : b->weight;
    real scale = labels ? b->seq_scale : b->scale;
    real *dbias = train && n->in[BIAS] ? grad_in(n, BIAS, &join_bias) : NULL, *logits = work_data(n), *loss = out_data(n, 0);
    exact *right = n->out[1] ? out_data(n, 1) : NULL;
    real wrap = train ? n->f[WRAP] : 0, cap = n->f[CAP], *inner = cap > 0 ? logits + (size_t)n->i[0] * (size_t)vocab : NULL;
    peaks most;

    /* The batch builder has checked the targets. */
    for (int r = 0; r < rows; r++) assert(target[r] >= 0 && target[r] < vocab);
    for (int r = 0; r == 0 || r < rows; r += TILE) {         /* once even without rows, so that gradients become zero */
        int m = rows - r < TILE ? rows - r : TILE;
        const real *h = in_data(n, HIDDEN) + (size_t)r * (size_t)width;
        if (!w) k->copy(logits, false, h, (size_t)m * (size_t)vocab);
        else k->gemm(&(gemm_args){ .M = m, .N = vocab, .K = width, .type = compute(n), .a = h, .lda = (size_t)width,
                              .b = in_stored(n, W), .ldb = (size_t)width, .tb = true, .packed = packed_weight(n, w, true),
                              .c = logits, .ldc = (size_t)vocab, .bias = in_data(n, BIAS) });
        if (cap > 0) cap_logits(k, logits, inner, cap, (size_t)m * (size_t)vocab);
        if (right) k->correct(right + r, logits, target + r, weight ? weight + r : NULL, m, vocab);
        if (wrap > 0) k->largest(most.value, most.index, logits, m, vocab);
        k->cross_entropy(logits, loss + r, target + r, weight ? weight + r : NULL, train, scale, m, vocab);
        if (wrap > 0) add_peaks(logits, &most, weight ? weight + r : NULL, wrap * scale, m, vocab);
        if (train && cap > 0) k->act_backward(logits, false, logits, inner, ACT_TANH, (size_t)m * (size_t)vocab);
        if (dhidden && !w) k->copy(dhidden + (size_t)r * (size_t)width, join_hidden, logits, (size_t)m * (size_t)vocab);
        else if (dhidden) k->gemm(&(gemm_args){ .M = m, .N = width, .K = vocab, .type = compute(n), .add = join_hidden, .a = logits, .lda = (size_t)vocab,
                                           .b = in_stored(n, W), .ldb = (size_t)width, .packed = packed_weight(n, w, false),
                                           .c = dhidden + (size_t)r * (size_t)width, .ldc = (size_t)width });
        if (dw) k->gemm(&(gemm_args){ .M = vocab, .N = width, .K = m, .type = compute(n), .add = join_w || r, .a = logits, .lda = (size_t)vocab, .ta = true,
                                      .b.data = h, .ldb = (size_t)width, .c = dw, .ldc = (size_t)width });
        if (dbias) k->column_sum(dbias, join_bias || r, logits, (size_t)vocab, m, vocab);
    }
}

static double flops(const node *n)
{
    return 2.0 * capacity_rows(n->out[0]) * n->in[HIDDEN]->width * (n->in[W] ? n->in[W]->rows : 0);
}

static const op op_cross_entropy = { .name = "cross_entropy", .weights = IN(W), .forward = forward, .forward_backward = true, .flops = flops };

tensor *capped_cross_entropy(graph *g, tensor *hidden, tensor *w, tensor *bias, double cap)
{
    if (!graph_ok(g)) return NULL;
    require(g, !w || hidden->width == w->width, "head: the weight takes %d inputs, hidden states have %d", w ? w->width : 0, hidden->width);
    node *n = append(g, &op_cross_entropy, (tensor *[]){ hidden, w, bias }, 3);
    if (!n) return NULL;
    if (w) pack(n, w, true, w->width, w->rows);
    if (w && training(g)) pack(n, w, false, w->rows, w->width);
    n->i[0] = TILE < hidden->rows ? TILE : hidden->rows;
    n->f[CAP] = (real)cap;
    workspace(n, (cap > 0 ? 2 : 1) * n->i[0], w ? w->rows : hidden->width);
    tensor *loss = output(n, 0, hidden->space, hidden->rows, 1);
    if (loss) loss->keep = true;
    tensor *right = training(g) ? NULL : output(n, 1, hidden->space, hidden->rows, 1);
    if (right) right->keep = true;
    return loss;
}

tensor *cross_entropy(graph *g, tensor *hidden, tensor *w, tensor *bias) { return capped_cross_entropy(g, hidden, w, bias, 0); }

void l2_wrap(tensor *loss, double factor) { if (loss) loss->from->f[WRAP] = (real)factor; }

tensor *correct(const tensor *loss) { return loss->from->out[1]; }

/* Attention.  Vaswani et al. 2017, with grouped key/value heads (Ainslie et al.
 * 2023).  Scores are never stored: forward keeps the log-sum-exp of each query
 * and head, backward recomputes the probabilities (Dao et al. 2022).  ALiBi (Press
 * et al. 2022) is symmetric where attention is bidirectional (Portes et al. 2023);
 * its biases are computed from positions where they are needed and have no gradient.  Learned biases of
 * distances are a tensor (Raffel et al. 2020); scores can be capped (Gemma 2). */
#include "ops/observe.h"
#include "ops/ops.h"
#include <math.h>
#include <stdlib.h>

enum { Q, K, V, K_STATE, V_STATE, BIAS };
enum { HEADS, KV_HEADS, HEAD_DIM, CAUSAL, WINDOW };
enum { SCALE, DROPOUT, CAP };

static bool fused(const node *n) { return !n->in[K]; }

/* The column of its tensor at which operand i (Q, K or V) begins. */
static size_t column(const node *n, int i)
{
    size_t q = (size_t)n->i[HEADS] * (size_t)n->i[HEAD_DIM], kv = (size_t)n->i[KV_HEADS] * (size_t)n->i[HEAD_DIM];
    return !fused(n) || i == Q ? 0 : i == K ? q : q + kv;
}

static int holder(const node *n, int i) { return fused(n) ? Q : i; }
static const real *operand(const node *n, int i) { return in_data(n, holder(n, i)) + column(n, i); }
static size_t stride(const node *n, int i) { return (size_t)n->in[holder(n, i)]->width; }

static attention_args arguments(const node *n)
{
    const batch *b = run_batch(n);
    bool cached = n->in[K_STATE] != NULL;
    stored k = cached ? in_stored(n, K_STATE) : (stored){ .data = operand(n, K) }, v = cached ? in_stored(n, V_STATE) : (stored){ .data = operand(n, V) };
    return (attention_args){
        .seqs = b->seqs, .heads = n->i[HEADS], .kv_heads = n->i[KV_HEADS], .head_dim = n->i[HEAD_DIM],
        .start = b->start, .kv_start = key_start(n, cached), .past = keys_before(n, cached),
        .causal = n->i[CAUSAL], .window = n->i[WINDOW], .alibi = n->data, .scale = n->f[SCALE], .cap = n->f[CAP],
        .bias = in_data(n, BIAS), .reach = n->in[BIAS] ? n->in[BIAS]->width / 2 : 0,
        .q = operand(n, Q), .q_stride = stride(n, Q),
        .k = k, .k_stride = cached ? (size_t)n->in[K_STATE]->width : stride(n, K),
        .v = v, .v_stride = cached ? (size_t)n->in[V_STATE]->width : stride(n, V),
        .o = out_data(n, 0), .o_stride = (size_t)n->out[0]->width, .lse = save_data(n, 0),
        .dropout = b->row_key && training(n->graph) ? n->f[DROPOUT] : 0, .row_key = b->row_key, .layer_key = n->key };
}

static void forward(const node *n, const kernels *k)
{
    int rows = live_rows(n->out[0]), kv = n->i[KV_HEADS] * n->i[HEAD_DIM];
    for (int i = 0; i < 2 && n->in[K_STATE]; i++) {
        const tensor *cache = n->in[K_STATE + i];
        k->put_rows(cache->data, cache->type, (size_t)kv, state_rows(n), operand(n, K + i), stride(n, K + i), rows, kv);
    }
    attention_args a = arguments(n);
    k->attention(&a);
}

static void backward(const node *n, const kernels *k)
{
    attention_args a = arguments(n);
    a.d_o = grad_out(n, 0);
    a.delta = work_data(n);
    real **d[3] = { &a.dq, &a.dk, &a.dv };
    bool *join[3] = { &a.add_dq, &a.add_dk, &a.add_dv };
    for (int i = Q; i <= V; i++) {
        real *whole = grad_in(n, holder(n, i), join[i]);
        *d[i] = whole ? whole + column(n, i) : NULL;
    }
    a.dbias = n->in[BIAS] ? grad_in(n, BIAS, &a.add_dbias) : NULL;
    if (a.dq || a.dk || a.dv || a.dbias) k->attention_backward(&a);
}

static double flops(const node *n)              /* for sequences of equal length */
{
    double rows = capacity_rows(n->out[0]), seqs = graph_settings(n->graph)->capacity[ROWS_SEQS];
    double keys = rows / (seqs > 0 ? seqs : 1), sees = n->i[CAUSAL] ? keys / 2 : keys, near = n->i[WINDOW] * (n->i[CAUSAL] ? 1.0 : 2.0) + 1;
    return 4.0 * rows * (n->i[WINDOW] ? fmin(sees, near) : sees) * n->out[0]->width;
}

double alibi_slope(int heads, int h)
{
    int power = 1;
    while (2 * power <= heads) power *= 2;
    return h < power ? exp2(-8.0 * (h + 1) / power) : exp2(-8.0 * (2 * (h - power) + 1) / (2 * power));
}

static const exact *slopes(graph *g, int heads)
{
    exact *m = graph_constant(g, (size_t)heads * sizeof *m);
    for (int h = 0; m && h < heads; h++) m[h] = (exact)alibi_slope(heads, h);
    return m;
}

static const op op_attention = { .name = "attention", .forward = forward, .backward = backward,
                                 .reads = IN(Q) | IN(K) | IN(V) | IN(BIAS) | OUT(0) | SAVE(0), .flops = flops };

tensor *attention(graph *g, tensor *q, tensor *k, tensor *v, attention_options o)
{
    if (!graph_ok(g)) return NULL;
    if (!o.kv_heads) o.kv_heads = o.heads;
    if (!require(g, o.heads > 0 && o.kv_heads > 0 && o.heads % o.kv_heads == 0, "attention: %d key/value heads do not divide %d heads", o.kv_heads, o.heads)) return NULL;
    int all = k ? o.heads : o.heads + 2 * o.kv_heads, head_dim = q->width / all, width = o.heads * head_dim, kv = o.kv_heads * head_dim;
    require(g, q->width == all * head_dim, "attention: %d heads in a width of %d", all, q->width);
    require(g, !k || (k->width == kv && v && v->width == kv), "attention: keys of %d heads of %d in a width of %d", o.kv_heads, head_dim, k ? k->width : 0);
    int context = graph_settings(g)->context, block = stored_formats[graph_settings(g)->cache].block;
    require(g, !o.causal || head_dim % block == 0, "keys in heads of %d numbers cannot be kept as %s, in blocks of %d: keep them as f16", head_dim,
            stored_formats[graph_settings(g)->cache].name, block);
    require(g, o.window >= 0, "attention: a window of %d", o.window);
    require(g, o.alibi + (o.bias != NULL) + (o.cap > 0) < 2, "attention: ALiBi, learned biases and a cap do not go together");
    require(g, !o.bias || (o.bias->rows == o.heads && o.bias->width > 2 * (context ? context : 1) - 2), "attention: biases of %d heads and %d distances for %d heads and a context of %d",
            o.bias ? o.bias->rows : 0, o.bias ? o.bias->width : 0, o.heads, context);
    tensor *ks = o.causal ? state(g, "k", context, kv) : NULL, *vs = o.causal ? state(g, "v", context, kv) : NULL;
    node *n = append(g, &op_attention, (tensor *[]){ q, k, v, ks, vs, o.bias }, 6);
    if (!n) return NULL;
    n->i[HEADS] = o.heads;
    n->i[KV_HEADS] = o.kv_heads;
    n->i[HEAD_DIM] = head_dim;
    n->i[CAUSAL] = o.causal;
    n->i[WINDOW] = o.window;
    n->data = o.alibi ? slopes(g, o.heads) : NULL;
    n->f[SCALE] = (real)(o.scale > 0 ? o.scale : 1 / sqrt(head_dim));
    n->f[DROPOUT] = (real)o.dropout;
    n->f[CAP] = (real)o.cap;
    save(n, 0, ROWS_TOKENS, o.heads);
    if (training(g)) workspace(n, q->rows, o.heads);
    return output(n, 0, q->space, q->rows, width);
}

/* ---- its weights ---- */

int attention_heads(const node *n) { return n->op == &op_attention ? n->i[HEADS] : 0; }

/* Copies columns first .. of the weights from the outputs (rows, heads head_dim). */
static void take_weights(const attention_args *a, int rows, int first, real *p)
{
    for (int h = 0; h < a->heads; h++)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < a->head_dim && first + c < rows; c++)
                p[((size_t)h * (size_t)rows + (size_t)r) * (size_t)rows + (size_t)(first + c)] = a->o[(size_t)r * a->o_stride + (size_t)(h * a->head_dim + c)];
}

bool attention_weights(const node *n, const kernels *k, real *p)
{
    attention_args a = arguments(n);
    const int rows = live_rows(n->out[0]), D = a.head_dim;
    const size_t width = (size_t)a.kv_heads * (size_t)D, all = (size_t)a.heads * (size_t)D, count = (size_t)rows * (width + all);
    real *values = xalloc(count + 1, sizeof *values);
    if (!values) return false;
    a.v = (stored){ .data = values };
    a.v_stride = width;
    a.o = values + (size_t)rows * width;
    a.o_stride = all;
    a.lse = NULL;
    for (int first = 0; first < rows; first += D) {          /* values of D keys at a time are unit vectors */
        for (size_t i = 0; i < (size_t)rows * width; i++) values[i] = 0;
        for (int c = 0; c < D && first + c < rows; c++)
            for (int h = 0; h < a.kv_heads; h++) values[(size_t)(first + c) * width + (size_t)(h * D + c)] = 1;
        k->attention(&a);
        take_weights(&a, rows, first, p);
    }
    free(values);
    return true;
}

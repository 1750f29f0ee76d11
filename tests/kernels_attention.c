/* Attention against whole score matrices in double: ragged batches, grouped heads,
 * cached keys, strides with gaps, windows, ALiBi, learned biases, caps, dropout; and the bytes of decoding. */
#include "kernels_check.h"
#include "kernels/ref/ref.h"
#include <math.h>
#include <stdlib.h>

/* A batch of sequences; gaps between rows keep what they held. */
typedef struct { attention_args a; const real *k, *v; int rows, kv_rows, widths[4]; int start[6], kv_start[5], past[5]; } batch;

enum { Q, K, V, O };

static size_t stride_of(const batch *b, int which)
{
    const attention_args *a = &b->a;
    return which == Q ? a->q_stride : which == K ? a->k_stride : which == V ? a->v_stride : a->o_stride;
}

static size_t size_of(const batch *b, int which)
{
    return (size_t)(which == Q || which == O ? b->rows : b->kv_rows) * stride_of(b, which);
}

/* A result: NaN inside its columns without add, small values in its gaps. */
static real *result(const batch *b, int which, bool add)
{
    real *p = filled(size_of(b, which), 1e-3);
    for (size_t i = 0; i < size_of(b, which); i++)
        if (i % stride_of(b, which) < (size_t)b->widths[which]) p[i] = add ? (real)uniform(-1, 1) : (real)NAN;
    return p;
}

static double *expected(const batch *b, int which, const real *y, bool add)
{
    double *p = doubles(y, size_of(b, which));
    for (size_t i = 0; !add && i < size_of(b, which); i++)
        if (i % stride_of(b, which) < (size_t)b->widths[which]) p[i] = 0;
    return p;
}

static void make_batch(batch *b, bool causal, bool cached, int longest, int head_dim)
{
    attention_args *a = &b->a;
    *b = (batch){0};
    a->seqs = 1 + below(4);
    a->kv_heads = 1 + below(2);
    a->heads = a->kv_heads * (1 + below(3));
    a->head_dim = head_dim;
    a->causal = causal;
    a->scale = (real)(1 / sqrt(head_dim));
    a->start = b->start, a->kv_start = b->kv_start, a->past = b->past;
    for (int s = 0; s < a->seqs; s++) {
        int queries = s == 1 && below(3) == 0 ? 0 : size_up_to(longest);
        b->past[s] = cached ? below(longest) : 0;
        b->kv_start[s] = cached ? b->kv_rows + below(5) : b->rows;
        b->kv_rows = b->kv_start[s] + b->past[s] + queries;
        b->start[s + 1] = b->rows += queries;
    }
    b->widths[Q] = b->widths[O] = a->heads * head_dim;
    b->widths[K] = b->widths[V] = a->kv_heads * head_dim;
    a->q_stride = (size_t)(b->widths[Q] + below(3)), a->k_stride = (size_t)(b->widths[K] + below(3));
    a->v_stride = (size_t)(b->widths[V] + below(3)), a->o_stride = (size_t)(b->widths[O] + below(3));
    a->q = filled(size_of(b, Q), 2), a->k.data = b->k = filled(size_of(b, K), 2), a->v.data = b->v = filled(size_of(b, V), 1);
    a->o = result(b, O, false);
    a->lse = blank((size_t)(b->rows * a->heads));
}

/* The numbers that are nearest in `type`, in their order, and as reals again. */
static stored rounded(const real **x, size_t n, stored_type type)
{
    const stored_format *f = &stored_formats[type];
    n = (n + (size_t)f->block - 1) / (size_t)f->block * (size_t)f->block;
    real *from = blank(n), *back = blank(n);
    void *bytes = blank(stored_bytes(type, n) / sizeof(real) + 1);
    memcpy(from, *x, n * sizeof *from);
    ref_narrow(bytes, type, from, n);
    ref_widen(back, (stored){ .type = type, .data = bytes }, n);
    *x = back;
    return (stored){ .type = type, .data = bytes };
}

static void store_keys(batch *b, stored_type type)
{
    /* Rows are whole blocks. */
    if (type == STORED_Q8_0) b->a.k_stride = (size_t)b->widths[K], b->a.v_stride = (size_t)b->widths[V];
    b->a.k = rounded(&b->k, size_of(b, K), type);
    b->a.v = rounded(&b->v, size_of(b, V), type);
}

static void add_dropout(batch *b, double rate)
{
    b->a.dropout = (real)rate;
    b->a.row_key = keys((size_t)b->rows);
    b->a.layer_key = 5;
}

/* Slopes of no order, and a window: narrower and wider than a tile, wider than the sequence. */
static void add_bias(batch *b, bool alibi, int window)
{
    real *slopes = alibi ? blank((size_t)b->a.heads) : NULL;
    for (int h = 0; alibi && h < b->a.heads; h++) slopes[h] = (real)uniform(0, 1);
    b->a.alibi = slopes;
    b->a.window = window;
}

/* Learned biases of the distances in the longest sequence, or a cap on scores that reach it. */
static void shape_scores(batch *b, bool learned)
{
    int reach = 0;
    for (int s = 0; s < b->a.seqs; s++) reach = reach > b->past[s] + b->start[s + 1] - b->start[s] ? reach : b->past[s] + b->start[s + 1] - b->start[s];
    reach += below(3);
    if (learned) b->a.bias = filled((size_t)(b->a.heads * (2 * reach + 1)), 2), b->a.reach = reach;
    else b->a.cap = (real)uniform(0.5, 3);
}

/* ---- the definition ---------------------------------------------------------------------- */

typedef struct { double *o, *lse, *dq, *dk, *dv, *dbias; } results;        /* dq ... dbias: NULL for forward only */

static double dot(const real *x, const real *y, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
    return sum;
}

static void plain_query(const batch *b, const results *y, int s, int r, int h)
{
    const attention_args *a = &b->a;
    int D = a->head_dim, queries = b->start[s + 1] - b->start[s], kv = h / (a->heads / a->kv_heads);
    int sees = b->past[s] + queries, at = b->past[s] + r - b->start[s];
    size_t q = (size_t)r * a->q_stride + (size_t)(h * D), o = (size_t)r * a->o_stride + (size_t)(h * D);
    const size_t bias = (size_t)h * (size_t)(2 * a->reach + 1) + (size_t)(a->reach - at);
    double *p = calloc((size_t)sees * 4, sizeof *p), *m = p + sees, *dp = m + sees, *slope = dp + sees, max = -INFINITY, sum = 0, delta = 0;
    uint64_t key = a->dropout > 0 ? key_of(key_of(a->row_key[r], a->layer_key), (uint64_t)h) : 0;
    for (int j = 0; j < sees; j++) {
        p[j] = (double)a->scale * dot(a->q + q, b->k + (size_t)(b->kv_start[s] + j) * a->k_stride + kv * D, D);
        m[j] = !(a->dropout > 0) ? 1 : random_unit(key, (uint64_t)j) >= (double)a->dropout ? 1 / (1 - (double)a->dropout) : 0;
        if (a->alibi) p[j] -= (double)a->alibi[h] * fabs((double)at - j);
        if (a->bias) p[j] += (double)a->bias[bias + (size_t)j];
        double t = a->cap > 0 ? tanh(p[j] / (double)a->cap) : 0;
        slope[j] = 1 - t * t;
        if (a->cap > 0) p[j] = (double)a->cap * t;
        if ((a->causal && j > at) || (a->window && abs(at - j) > a->window)) p[j] = -INFINITY;
        max = fmax(max, p[j]);
    }
    for (int j = 0; j < sees; j++) sum += exp(p[j] - max);
    y->lse[r * a->heads + h] = max + log(sum);
    for (int j = 0; j < sees; j++) {
        size_t v = (size_t)(b->kv_start[s] + j) * a->v_stride + (size_t)(kv * D);
        p[j] = exp(p[j] - max) / sum;
        for (int c = 0; c < D; c++) y->o[o + (size_t)c] += m[j] * p[j] * (double)b->v[v + (size_t)c];
        if (y->dq) delta += p[j] * (dp[j] = m[j] * dot(a->d_o + o, b->v + v, D));
    }
    for (int j = 0; y->dq && j < sees; j++) {
        size_t at_k = (size_t)(b->kv_start[s] + j) * a->k_stride + (size_t)(kv * D), at_v = (size_t)(b->kv_start[s] + j) * a->v_stride + (size_t)(kv * D);
        double dx = slope[j] * p[j] * (dp[j] - delta), ds = (double)a->scale * dx;
        if (y->dbias) y->dbias[bias + (size_t)j] += dx;
        for (size_t c = 0; c < (size_t)D; c++) {
            y->dq[q + c] += ds * (double)b->k[at_k + c];
            y->dk[at_k + c] += ds * (double)a->q[q + c];
            y->dv[at_v + c] += m[j] * p[j] * (double)a->d_o[o + c];
        }
    }
    free(p);
}

static void plain_attention(const batch *b, const results *y)
{
    for (int s = 0; s < b->a.seqs; s++)
        for (int r = b->start[s]; r < b->start[s + 1]; r++)
            for (int h = 0; h < b->a.heads; h++) plain_query(b, y, s, r, h);
}

/* ---- the tests --------------------------------------------------------------------------- */

/* Scratch may hold anything, NaN too. */
static void spoil_scratch(void) { memset(thread_scratch(), 0xff, THREAD_SCRATCH_BYTES / 8); }

static const int head_dims[] = { 64, 1, 7, 16, 20, 33, 80, 128, 256 };

static void check_forward(const kernels *k, batch *b)
{
    results want = { .o = expected(b, O, b->a.o, false), .lse = doubles(NULL, (size_t)(b->rows * b->a.heads)) };
    plain_attention(b, &want);
    spoil_scratch();
    k->attention(&b->a);
    expect("attention", b->a.o, want.o, size_of(b, O), TOLERANCE);
    expect("attention, lse", b->a.lse, want.lse, (size_t)(b->rows * b->a.heads), TOLERANCE);
    real *o = b->a.o;
    b->a.o = result(b, O, false);
    b->a.lse = NULL;
    real *again = b->a.o;
    memcpy(again, o, size_of(b, O) * sizeof *o);
    k->attention(&b->a);
    expect_same("attention without lse", again, o, size_of(b, O));
}

void attention_forward(const kernels *k)
{
    EACH_FLAG(causal) EACH_FLAG(cached) for (int i = 0; i < 9; i++)
        for (int t = 0; t < (head_dims[i] % 32 ? 2 : 3); t++) {
            batch b;
            make_batch(&b, causal, cached, i < 5 ? 150 : 70, head_dims[i]);
            store_keys(&b, (stored_type[]){ STORED_REAL, STORED_F16, STORED_Q8_0 }[t]);
            check_forward(k, &b);
        }
}

static void check_gradient(const kernels *k, batch *b, bool add_dq, bool add_dk, bool add_dv)
{
    attention_args *a = &b->a;
    k->attention(a);
    a->d_o = filled(size_of(b, O), 1);
    a->delta = blank((size_t)(b->rows * a->heads));
    a->add_dq = add_dq, a->add_dk = add_dk, a->add_dv = add_dv;
    a->dq = result(b, Q, add_dq), a->dk = result(b, K, add_dk), a->dv = result(b, V, add_dv);
    size_t biases = a->bias ? (size_t)(a->heads * (2 * a->reach + 1)) : 0;
    a->add_dbias = add_dk;
    a->dbias = biases ? filled(biases, 1) : NULL;
    results want = { .o = expected(b, O, a->o, false), .lse = doubles(NULL, (size_t)(b->rows * a->heads)), .dbias = biases ? doubles(add_dk ? a->dbias : NULL, biases) : NULL,
                     .dq = expected(b, Q, a->dq, add_dq), .dk = expected(b, K, a->dk, add_dk), .dv = expected(b, V, a->dv, add_dv) };
    plain_attention(b, &want);
    spoil_scratch();
    k->attention_backward(a);
    expect("attention_backward, dq", a->dq, want.dq, size_of(b, Q), TOLERANCE);
    expect("attention_backward, dk", a->dk, want.dk, size_of(b, K), TOLERANCE);
    expect("attention_backward, dv", a->dv, want.dv, size_of(b, V), TOLERANCE);
    if (biases) expect("attention_backward, dbias", a->dbias, want.dbias, biases, TOLERANCE);
}

void attention_gradient(const kernels *k)
{
    EACH_FLAG(causal) for (int i = 0; i < 9; i++) {
        batch b;
        make_batch(&b, causal, false, i < 5 ? 150 : 70, head_dims[i]);
        check_gradient(k, &b, i & 1, i & 2, i & 4);
    }
}

static const int windows[] = { 5, 64, 1, 63, 65, 100, 4000 };

/* Without keys the scores are the distances alone. */
static void check_distances(const kernels *k, batch *b)
{
    b->a.q = filled(size_of(b, Q), 0);
    b->a.o = result(b, O, false), b->a.lse = blank((size_t)(b->rows * b->a.heads));
    check_forward(k, b);
}

void attention_near(const kernels *k)
{
    EACH_FLAG(causal) EACH_FLAG(cached) for (int i = 0; i < 7; i++) {
        batch b;
        make_batch(&b, causal, cached, cached ? 100 : 200, head_dims[1 + i % 4]);
        add_bias(&b, i != 2, i % 3 == 1 ? 0 : windows[i]);
        if (i == 6) add_dropout(&b, 0.3);
        check_forward(k, &b);
        if (b.a.alibi && i < 3) check_distances(k, &b);
    }
}

void attention_near_gradient(const kernels *k)
{
    EACH_FLAG(causal) for (int i = 0; i < 7; i++) {
        batch b;
        make_batch(&b, causal, false, 200, head_dims[1 + i % 4]);
        add_bias(&b, i != 2, i % 3 == 1 ? 0 : windows[i]);
        if (i == 6) add_dropout(&b, 0.3);
        check_gradient(k, &b, i & 1, i & 2, i & 4);
    }
}

void attention_shaped(const kernels *k)
{
    EACH_FLAG(causal) EACH_FLAG(cached) EACH_FLAG(learned) for (int i = 0; i < 4; i++) {
        batch b;
        make_batch(&b, causal, cached, i < 3 ? 150 : 70, head_dims[1 + i]);
        shape_scores(&b, learned);
        if (i % 2) b.a.window = windows[i];
        if (i == 2) add_dropout(&b, 0.3);
        check_forward(k, &b);
        if (!cached) b.a.lse = blank((size_t)(b.rows * b.a.heads)), check_gradient(k, &b, i & 1, i & 2, i & 1);
    }
}

void attention_dropout(const kernels *k)
{
    for (int i = 0; i < 4; i++) {
        batch b;
        make_batch(&b, i & 1, false, 100, head_dims[i]);
        add_dropout(&b, i < 2 ? 0.1 : 0.6);
        check_forward(k, &b);
        b.a.lse = blank((size_t)(b.rows * b.a.heads));
        check_gradient(k, &b, false, false, false);
    }
}

/* The last queries of a sequence, alone or a few at a time after their cache,
 * have the bytes of the full pass: whatever the group, the length, the company. */
void attention_decoding(const kernels *k)
{
    static const int lengths[] = { 200, 64, 65, 1, 129, 40 };
    for (int i = 0; i < 6; i++) {
        batch b;
        make_batch(&b, true, false, 1, head_dims[i]);
        add_bias(&b, i & 1, i < 3 ? 0 : windows[i]);
        if (i == 2) b.a.cap = (real)1.5;
        attention_args *a = &b.a;
        int length = lengths[i], seqs = 2;
        a->seqs = seqs;
        for (int s = 0; s <= seqs; s++) b.start[s] = s * length;
        for (int s = 0; s < seqs; s++) b.kv_start[s] = s * length, b.past[s] = 0;
        b.rows = b.kv_rows = seqs * length;
        a->q = filled(size_of(&b, Q), 2), a->k.data = b.k = filled(size_of(&b, K), 2), a->v.data = b.v = filled(size_of(&b, V), 1);
        if (i & 2) store_keys(&b, STORED_F16);
        else if (head_dims[i] % 32 == 0) store_keys(&b, STORED_Q8_0);
        real *full = a->o = result(&b, O, false), *lse = a->lse = blank((size_t)(b.rows * a->heads));
        k->attention(a);
        for (int at = 0, step; at < length; at += step) {
            batch d = b;
            attention_args *one = &d.a;
            step = at % 5 == 4 && at + 3 <= length ? 3 : 1;
            one->seqs = 1;
            one->start = d.start, one->past = d.past, one->kv_start = d.kv_start;
            d.start[0] = 0, d.start[1] = d.rows = step, d.past[0] = at, d.kv_start[0] = length;
            one->q += (size_t)(length + at) * one->q_stride;
            one->o = result(&d, O, false);
            one->lse = blank((size_t)(step * one->heads));
            spoil_scratch();
            k->attention(one);
            for (int r = 0; r < step; r++)
                expect_same("a decoded query", one->o + (size_t)r * one->o_stride, full + (size_t)(length + at + r) * a->o_stride, (size_t)b.widths[O]);
            expect_same("a decoded query, lse", one->lse, lse + (size_t)((length + at) * a->heads), (size_t)(step * a->heads));
        }
    }
}

/* A sequence of a batch has the bytes of the same sequence alone, forward and backward, whatever it sees. */
void attention_company(const kernels *k)
{
    for (int i = 0; i < 8; i++) {
        batch b;
        make_batch(&b, i & 1, false, 200, head_dims[1 + i % 4]);
        add_bias(&b, i & 2, i < 4 ? 0 : windows[i - 3]);
        if (!(i & 2)) shape_scores(&b, i & 4);
        attention_args *a = &b.a;
        k->attention(a);
        a->d_o = filled(size_of(&b, O), 1), a->delta = blank((size_t)(b.rows * a->heads));
        a->dq = result(&b, Q, false), a->dk = result(&b, K, false), a->dv = result(&b, V, false);
        k->attention_backward(a);
        for (int s = 0; s < a->seqs; s++) {
            attention_args one = *a;
            one.seqs = 1, one.start += s, one.kv_start += s, one.past += s;
            one.o = result(&b, O, false), one.lse = blank((size_t)(b.rows * a->heads));
            one.dq = result(&b, Q, false), one.dk = result(&b, K, false), one.dv = result(&b, V, false);
            k->attention(&one);
            k->attention_backward(&one);
            for (int r = b.start[s]; r < b.start[s + 1]; r++) {
                size_t R = (size_t)r;
                expect_same("o alone", one.o + R * a->o_stride, a->o + R * a->o_stride, (size_t)b.widths[O]);
                expect_same("dq alone", one.dq + R * a->q_stride, a->dq + R * a->q_stride, (size_t)b.widths[Q]);
                expect_same("dk alone", one.dk + R * a->k_stride, a->dk + R * a->k_stride, (size_t)b.widths[K]);
                expect_same("dv alone", one.dv + R * a->v_stride, a->dv + R * a->v_stride, (size_t)b.widths[V]);
            }
        }
    }
}

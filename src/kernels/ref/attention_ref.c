/* Attention, one query after another (equations in kernels.h).
 *
 *     p_j = exp(scale q.k_j - lse),  o = sum_j m_j p_j v_j
 *
 * m is dropout's mask, 1 without it; biases are part of the score.  Backward, with delta = o . do and
 * c' the slope of a capped score, 1 - (score / cap)^2, else 1:
 *
 *     ds_j = c' p_j (m_j do.v_j - delta)
 *     dq = scale sum_j ds_j k_j,  dk_j += scale ds_j q,  dv_j += m_j p_j do,  dbias += ds_j at its distance
 *
 * Scores are computed again in each pass, so no memory grows with the number of keys. */
#include "base/random.h"
#include "base/threads.h"
#include "kernels/ref/ref.h"
#include <math.h>
#include <stdlib.h>

/* One query row under one head, and the keys that it attends to. */
typedef struct {
    const attention_args *a;
    int row, head, at;          /* at: its position among the keys */
    int from, until;            /* the keys it sees */
    size_t q, o, kv;            /* element offsets: of the query, of its output; column of its keys' head */
    int kv_row;                 /* row of key 0 */
} query;

static double dot(const real *a, const real *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static size_t key_at(const query *t, int j)   { return (size_t)(t->kv_row + j) * t->a->k_stride + t->kv; }
static size_t value_at(const query *t, int j) { return (size_t)(t->kv_row + j) * t->a->v_stride + t->kv; }

/* The head of a key or a value, as reals: where it lies, or in scratch after the query's doubles. */
static const real *head_of(const query *t, stored x, size_t at)
{
    size_t width = (size_t)t->a->head_dim;
    real *room = (real *)((double *)thread_scratch() + width);
    if (x.type == STORED_REAL) return (const real *)x.data + at;
    ref_widen(room, stored_from(x, at), width);
    return room;
}

/* Where the bias of key j stands. */
static size_t bias_at(const query *t, int j) { return (size_t)t->head * (size_t)(2 * t->a->reach + 1) + (size_t)(t->a->reach + j - t->at); }

static double score(const query *t, int j)
{
    const attention_args *a = t->a;
    double alibi = a->alibi ? (double)a->alibi[t->head] * abs(t->at - j) : 0, bias = a->bias ? (double)a->bias[bias_at(t, j)] : 0, cap = (double)a->cap;
    double x = (double)a->scale * dot(a->q + t->q, head_of(t, a->k, key_at(t, j)), a->head_dim) - alibi + bias;
    return cap > 0 ? cap * tanh(x / cap) : x;
}

static double slope(const query *t, double score)
{
    double part = t->a->cap > 0 ? score / (double)t->a->cap : 0;
    return 1 - part * part;
}

static double mask(const query *t, int j)
{
    const attention_args *a = t->a;
    if (!(a->dropout > 0)) return 1;
    uint64_t key = key_of(key_of(a->row_key[t->row], a->layer_key), (uint64_t)t->head);
    return random_unit(key, (uint64_t)j) >= (double)a->dropout ? 1 / (1 - (double)a->dropout) : 0;
}

static void find_keys(query *t, int s)
{
    const attention_args *a = t->a;
    int last = a->past[s] + a->start[s + 1] - a->start[s] - 1, w = a->window;
    t->at = a->past[s] + t->row - a->start[s];
    if (a->causal) last = t->at;
    t->from = w > 0 && t->at > w ? t->at - w : 0;
    t->until = (w > 0 && last - t->at > w ? t->at + w : last) + 1;
}

static void each_query(const attention_args *a, void (*body)(const query *))
{
    for (int s = 0; s < a->seqs; s++)
        for (int h = 0; h < a->heads; h++)
            for (int r = a->start[s]; r < a->start[s + 1]; r++) {
                query t = { .a = a, .row = r, .head = h, .kv_row = a->kv_start[s] };
                find_keys(&t, s);
                t.q = (size_t)r * a->q_stride + (size_t)h * (size_t)a->head_dim;
                t.o = (size_t)r * a->o_stride + (size_t)h * (size_t)a->head_dim;
                t.kv = (size_t)(h / (a->heads / a->kv_heads)) * (size_t)a->head_dim;
                body(&t);
            }
}

static void forward(const query *t)
{
    const attention_args *a = t->a;
    double *o = thread_scratch(), max = -INFINITY, sum = 0;
    for (int c = 0; c < a->head_dim; c++) o[c] = 0;
    for (int j = t->from; j < t->until; j++) max = fmax(max, score(t, j));
    for (int j = t->from; j < t->until; j++) {
        double e = exp(score(t, j) - max), kept = e * mask(t, j);
        const real *v = head_of(t, a->v, value_at(t, j));
        sum += e;
        for (int c = 0; c < a->head_dim; c++) o[c] += kept * (double)v[c];
    }
    for (int c = 0; c < a->head_dim; c++) a->o[t->o + (size_t)c] = (real)(o[c] / sum);
    if (a->lse) a->lse[(size_t)t->row * (size_t)a->heads + (size_t)t->head] = (exact)(max + log(sum));
}

void ref_attention(const attention_args *a) { each_query(a, forward); }

static void backward(const query *t)
{
    const attention_args *a = t->a;
    const real *q = a->q + t->q, *d_o = a->d_o + t->o;
    size_t stat = (size_t)t->row * (size_t)a->heads + (size_t)t->head;
    double delta = dot(a->o + t->o, d_o, a->head_dim), *dq = thread_scratch();
    a->delta[stat] = (exact)delta;
    for (int c = 0; c < a->head_dim; c++) dq[c] = 0;
    for (int j = t->from; j < t->until; j++) {
        const real *k = head_of(t, a->k, key_at(t, j)), *v = head_of(t, a->v, value_at(t, j));
        real *dk = a->dk + key_at(t, j), *dv = a->dv + value_at(t, j);
        double x = score(t, j), p = exp(x - (double)a->lse[stat]), m = mask(t, j);
        double dx = slope(t, x) * p * (m * dot(d_o, v, a->head_dim) - delta), ds = (double)a->scale * dx;
        if (a->dbias) a->dbias[bias_at(t, j)] += (real)dx;
        for (int c = 0; c < a->head_dim; c++) {
            dq[c] += ds * (double)k[c];
            dk[c] += (real)(ds * (double)q[c]);
            dv[c] += (real)(m * p * (double)d_o[c]);
        }
    }
    for (int c = 0; c < a->head_dim; c++) {
        real *out = a->dq + t->q + c;
        *out = a->add_dq ? *out + (real)dq[c] : (real)dq[c];
    }
}

static void clear(real *x, size_t stride, int rows, int width)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < width; c++) x[(size_t)r * stride + (size_t)c] = 0;
}

void ref_attention_backward(const attention_args *a)
{
    int width = a->kv_heads * a->head_dim, biases = 2 * a->reach + 1;
    if (a->dbias && !a->add_dbias) clear(a->dbias, (size_t)biases, a->heads, biases);
    for (int s = 0; s < a->seqs; s++) {
        int rows = a->start[s + 1] - a->start[s];
        if (!a->add_dk) clear(a->dk + (size_t)a->kv_start[s] * a->k_stride, a->k_stride, rows, width);
        if (!a->add_dv) clear(a->dv + (size_t)a->kv_start[s] * a->v_stride, a->v_stride, rows, width);
    }
    each_query(a, backward);
}

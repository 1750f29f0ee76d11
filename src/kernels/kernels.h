/* One machine's arithmetic: pure functions on raw pointers and sizes, forward
 * next to backward.  Every slot has a plain C version in ref/, which defines
 * what it means and always stays naive; a faster level replaces the pointer.
 * Kernels do not know tensors, do not allocate and do not fail; parallelism is
 * one visible parallel_for inside a kernel and nowhere above.
 *
 * All matrices are row-major.  With `add` the result is added to the destination;
 * without it the destination is overwritten, whatever it held (NaN too).
 * Outputs never overlap inputs unless a slot says so.
 *
 * The law of order: each output element is reduced in ascending index order
 * with constant block sizes, never chosen from the number of rows, threads or an
 * address.  So a row's result does not depend on its neighbours in the batch,
 * nor on the number of threads, and zeros appended at the end of a reduction
 * change nothing. */
#ifndef KERNELS_H
#define KERNELS_H

#include "kernels/activation.h"
#include "kernels/stored.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum { POOL_FIRST, POOL_LAST, POOL_MEAN } pooling;        /* which row represents a sequence */
typedef enum { COMPUTE_F32, COMPUTE_BF16 } compute_type;       /* operands of GEMM; sums are always fp32 */

/* C (M,N) = A (M,K) . B (K,N), then in this order: the bias, the value before
 * the activation to `pre`, the activation, the residual, and with `add` what C
 * held.  residual may be c itself. */
typedef struct {
    int M, N, K;
    const real *a; size_t lda; bool ta;         /* ta: A is stored (K,M) */
    /* tb: B is stored (N,K), as PyTorch stores a linear layer's weight; a stride of whole blocks.  B in blocks is
     * stored so; then A is not stored (K,M), and is rounded to 8 bits whatever `type` (ref/gemm_blocks_ref.c). */
    stored b;      size_t ldb; bool tb;
    real *c;       size_t ldc; bool add;
    compute_type type;                          /* COMPUTE_BF16: a and b rounded to bf16 (nearest even), sums in fp32 */
    const void *packed;                         /* B as gemm_pack wrote it (b is then not read), or NULL */
    const real *bias;                           /* (N) or NULL */
    activation act;
    real *pre;                                  /* (M,N), stride ldc, or NULL */
    const real *residual; size_t ldr;           /* (M,N) or NULL */
} gemm_args;

/* The same product, where B was said as declared and is stored transposed. */
static inline gemm_args as_stored(const gemm_args *g)
{
    gemm_args it = *g;
    if (!g->b.rows) return it;
    it.tb = !g->tb;
    it.ldb = (size_t)g->b.rows;
    it.b.rows = it.b.columns = 0;
    return it;
}

/* Attention over ragged batches: o = softmax(scale * q k^T) v, query head h with
 * key/value head h / (heads / kv_heads).  T x T is never stored: keys are read
 * in blocks of constant size with a running maximum (Dao et al. 2022, Rabe &
 * Staats 2021), and only the log-sum-exp is kept for backward.
 * The queries of sequence s are rows start[s] .. start[s+1]-1 of q and o; its
 * keys are rows kv_start[s] + j of k and v, j = 0 .. past[s] + (number of its
 * queries) - 1.  Query i is at position p = past[s] + i.  If causal, it attends to keys
 * j <= p, else to all.  With a window, only to those with |p - j| <= window.  ALiBi (Press
 * et al. 2022) subtracts alibi[h] |p - j| from the scaled score, symmetric in p and j; learned
 * biases (Raffel et al. 2020) add bias[h][reach + j - p] to it; a cap makes it cap tanh(score / cap)
 * (Gemma 2).  At most one of the three. */
typedef struct {
    int seqs, heads, kv_heads, head_dim;
    const int *start;                           /* (seqs+1) */
    const int *kv_start;                        /* (seqs) */
    const int *past;                            /* (seqs) */
    bool causal;
    int window;                                 /* 0: none */
    const exact *alibi;                         /* (heads) slopes, or NULL */
    const real *bias; int reach;                /* (heads, 2 reach + 1) and the longest distance, or NULL */
    real cap;                                   /* 0: none */
    real scale;
    const real *q; stored k, v;                 /* backward: reals; in blocks: head_dim is whole blocks */
    size_t q_stride, k_stride, v_stride;        /* between rows; head h begins at column h*head_dim */
    real *o; size_t o_stride;
    exact *lse;                                 /* (rows, heads): natural log-sum-exp of the scores, or NULL */
    real dropout;                               /* of the probabilities; 0 for none */
    /* Query row r of head h keeps key j iff unit(key_of(key_of(row_key[r], layer_key), h), j) >= dropout; what is kept
     * is scaled by 1/(1-dropout). */
    const uint64_t *row_key; uint64_t layer_key;
    /* backward reads q, k, v, o, lse and: */
    const real *d_o;                            /* stride o_stride */
    real *dq, *dk, *dv;                         /* strides of q, k, v; always past 0, kv_start == start */
    bool add_dq, add_dk, add_dv;
    real *dbias; bool add_dbias;                /* as bias, or NULL; sequences in their order */
    exact *delta;                               /* (rows, heads) workspace: sum over head_dim of o * d_o */
} attention_args;

/* Pattention's normalisation of the raw scores (TokenFormer, eq. 5 and appendix; see ops/pattention.c). */
typedef enum { THETA_L2_GELU, THETA_GELU_L2, THETA_SOFTMAX } theta_kind;

/* The series activation (Wang et al. 2023, PanGu-pi; see ops/series.c): with z_i = scale[i,c] u[r,c] + bias[i,c],
 *   y[r,c] = (sum over i of gain[i,c] act_i(z_i)) v[r,c],  i ascending. */
enum { MAX_SERIES = 8 };
typedef struct {
    int rows, width, n;                         /* n branches */
    activation act[MAX_SERIES];
    const real *u, *v;                          /* (rows, width); v NULL: ones */
    const real *scale, *bias, *gain;            /* (n, width); gain NULL: ones */
    real *y;
    /* backward, which does not read y: */
    const real *dy;
    real *du, *dv, *dscale, *dbias, *dgain;     /* NULL where not wanted */
    bool add_du, add_dv, add_dscale, add_dbias, add_dgain;
} series_args;

/* Token shift (RWKV, Peng et al. 2023): each row is mixed with the row before it
 * in its sequence, p, once for each mix: y[m] = x * mix[m] + p * (1 - mix[m]),
 * or x + (p - x) * mix[m] if mix weighs the past.  The row before the first row of
 * sequence s is row from[s] of `before`, or zeros if from[s] < 0 or
 * before is NULL. */
enum { MAX_MIXES = 6 };
typedef struct {
    int seqs, width, mixes;
    const int *start;                           /* (seqs+1) */
    const exact *before; const int *from;       /* (slots, width), (seqs) */
    bool past;                                  /* mix weighs p, not x */
    bool per_row;                               /* mix and dmix are (rows, width) */
    const real *x, *mix[MAX_MIXES];             /* (rows, width), (width) */
    real *y[MAX_MIXES];
    /* backward, which does not look at `before`, reads x, mix and: */
    const exact *begin;                         /* (seqs, width) the rows before the first rows; NULL: zeros */
    /* (seqs, width) gradients of the last row as the next run's `before`, NULL: zeros; of begin, NULL: not wanted */
    const exact *d_end; exact *d_begin;
    const real *dy[MAX_MIXES];                  /* NULL: zeros */
    real *dx, *dmix[MAX_MIXES];                 /* NULL where not wanted */
    bool add_dx, add_dmix[MAX_MIXES];
} token_shift_args;

/* The weighted average of RWKV-4 (Peng et al. 2023), channel by channel, with w = -exp(decay):
 *   y_t = (sum over i<t of e^((t-1-i) w + k_i) v_i + e^(bonus+k_t) v_t) / (the same without v)
 * as a recurrence on (a, b, m): numerator and denominator over e^m.  Nothing overflows at any k. */
typedef struct {
    int seqs, width;
    const int *start;                           /* (seqs+1) */
    exact *state;                               /* (slots, 3 width): a, b, m; NULL: they begin empty, nothing is kept */
    const int *from, *to;                       /* (seqs) rows of state to begin from (negative: empty) and to end in */
    const real *k, *v, *decay, *bonus;          /* (rows, width) twice, (width) twice */
    real *y;
    /* backward, which does not look at `state`, reads these and y, and: */
    /* (seqs, 3 width) as in wkv6_args; gradients of a and b with m held, nothing in m's place */
    const exact *begin, *d_end; exact *d_begin;
    const real *dy;
    real *dk, *dv, *ddecay, *dbonus;            /* NULL where not wanted */
    bool add_dk, add_dv, add_ddecay, add_dbonus;
    exact *work;                                /* (2, rows, width) */
} wkv4_args;

/* The scan of RWKV-5 and 6 (Peng et al. 2024), a matrix S (value, key) for each head of N channels, heads side by side:
 *   y_t = S_{t-1} r_t + (sum over keys of r_t bonus key_t) v_t,
 *   S_t = S_{t-1} diag(w_t) + v_t key_t',  w = exp(-exp(decay))
 * Backward recomputes S for 16 rows at a time from the one of every 16 that it keeps. */
enum { WKV_CHUNK = 16 };
typedef struct {
    int seqs, width, N;
    const int *start;                           /* (seqs+1) */
    exact *state;                               /* (slots, width N); NULL: sequences begin empty, nothing is kept */
    const int *from, *to;                       /* as in wkv4_args */
    bool constant;                              /* decay and ddecay are (width): the same in every row */
    const real *r, *decay, *key, *v, *bonus;    /* (rows, width); bonus (width) */
    real *y;
    exact *work;                                /* (2, N, N); for backward (wkv_work_rows, N, N) */
    /* backward, which does not look at `state`: */
    const exact *begin;                         /* (seqs, width N) that the sequences began with; NULL: empty */
    /* (seqs, width N) gradients of the states after the last row, NULL: zeros; before the first, NULL: not wanted */
    const exact *d_end; exact *d_begin;
    const real *dy;
    real *dr, *ddecay, *dkey, *dv, *dbonus;     /* NULL where not wanted */
    bool add_dr, add_ddecay, add_dkey, add_dv, add_dbonus;
} wkv6_args;

/* Matrices (N,N) that the backward of a scan works in: one kept of every WKV_CHUNK rows of each head, and some of
 * one chunk. */
static inline int64_t wkv_work_rows(int rows, int seqs, int heads)
{
    return (int64_t)heads * (rows / WKV_CHUNK + seqs) + WKV_CHUNK + 6;
}

/* RWKV-7's time mix (Peng et al. 2025) in three parts, heads of N channels side by side in `width`.
 * Keys: from k and the rate a, with kappa = k * k_k over its length in each head,
 *   key = k (1 + (a - 1) k_a),  removal = kappa,  written = kappa * a. */
typedef struct {
    int rows, width, N;
    const real *k, *a, *k_k, *k_a;              /* (rows, width) twice, (width) twice */
    real *key, *removal, *written;
    /* backward: */
    const real *dkey, *dremoval, *dwritten;
    real *dk, *da, *dk_k, *dk_a;                /* NULL where not wanted */
    bool add_dk, add_da, add_dk_k, add_dk_a;
} wkv7_keys_args;

/* The scan, a matrix S (value, key) for each head that forgets, unlearns and learns (the delta rule):
 *   S_t = S_{t-1} (diag(w_t) - removal_t written_t') + v_t key_t',  y_t = S_t r_t,  w = exp(-e^(-1/2) sigmoid(decay)).
 * Backward recomputes S for 16 rows at a time from the one of every 16 that it keeps. */
typedef struct {
    int seqs, width, N;
    const int *start;                           /* (seqs+1) */
    exact *state;                               /* (slots, width N); NULL: sequences begin empty, nothing is kept */
    const int *from, *to;                       /* as in wkv4_args */
    const real *r, *decay, *key, *v, *removal, *written;
    real *y;
    exact *work;                                /* as in wkv6_args */
    /* backward: */
    const exact *begin, *d_end; exact *d_begin; /* as in wkv6_args */
    const real *dy;
    real *dr, *ddecay, *dkey, *dv, *dremoval, *dwritten;
    bool add_dr, add_ddecay, add_dkey, add_dv, add_dremoval, add_dwritten;
} wkv7_args;

/* What is read out: each head of y normalised, w and b per channel, and (sum over the head of r key bonus) v on top;
 * of RWKV-5 and 6, where r, key, v and bonus are NULL, without that. */
typedef struct {
    int rows, width, N;
    real eps;
    const real *y, *r, *key, *v, *w, *b, *bonus;
    real *out;
    /* backward: */
    const real *dout;
    real *dy, *dr, *dkey, *dv, *dw, *db, *dbonus;
    bool add_dy, add_dr, add_dkey, add_dv, add_dw, add_db, add_dbonus;
} wkv7_read_args;

typedef struct {                                /* AdamW with decoupled decay (Loshchilov & Hutter 2019) */
    real lr, beta1, beta2, eps, weight_decay;   /* w -= lr * (mhat / (sqrt(vhat) + eps) + weight_decay * w) */
    real correction1, correction2;              /* 1 - beta1^t, 1 - beta2^t */
    real scale;                                 /* multiplies the gradient first (clipping) */
} adamw_args;

typedef struct kernels {
    const char *name;                           /* the highest level in it: "ref", "avx2", ... */

    /* ---- matrix products ---- */
    void   (*gemm)(const gemm_args *);
    /* Bytes of B (K,N) packed for `type`, 0 when this level has no use for a packed form. */
    size_t (*gemm_pack_bytes)(compute_type type, int K, int N);
    void   (*gemm_pack)(void *packed, compute_type type, stored b, size_t ldb, bool tb, int K, int N);
    /* y (width) = or += sum over rows of x (rows, width): a bias's gradient. */
    void   (*column_sum)(real *y, bool add, const real *x, size_t ldx, int rows, int width);

    /* ---- rows ---- */
    /* y[r] = table[index[r]], r < rows.  0 <= index[r]: checked above. */
    void   (*gather)(real *y, bool add, stored table, const int *index, int rows, int width);
    /* y[i] = x[i], i < n: whole blocks. */
    void   (*widen)(real *y, stored x, size_t n);
    /* dtable[index[r]] += dy[r], rows ascending; without add the table (table_rows) is zeroed first. */
    void   (*scatter)(real *dtable, bool add, const real *dy, const int *index, int rows, int width, int table_rows);
    /* dst[index[r]] = src[r], rounded to `type`: storing new keys and values in a session's cache. */
    void   (*put_rows)(void *dst, stored_type type, size_t dst_stride, const int *index, const real *src, size_t src_stride, int rows, int width);

    /* y[s] = the first, last or mean row of x[start[s]] .. x[start[s+1]-1]; zeros of a sequence without rows. */
    void   (*pool)(real *y, const real *x, const int *start, pooling how, int seqs, int width);
    void   (*pool_backward)(real *dx, bool add, const real *dy, const int *start, pooling how, int seqs, int width);

    /* ---- elementwise; n is a count of elements ---- */
    void   (*copy)(real *y, bool add, const real *x, size_t n);
    void   (*sum)(real *y, const real *a, const real *b, size_t n);                         /* y = a + b; y may be a */
    /* y = act(x); dx may be dy */
    void   (*act)(real *y, const real *x, activation act, size_t n);
    void   (*act_backward)(real *dx, bool add, const real *dy, const real *x, activation act, size_t n);
    /* y (rows, width) = act(gate) * up (Shazeer 2020); stride: between rows of gate, of up and of their gradients,
     * which may lie side by side. */
    void   (*glu)(real *y, const real *gate, const real *up, size_t stride, activation act, int rows, int width);
    void   (*glu_backward)(real *dgate, bool add_gate, real *dup, bool add_up, const real *dy,
                           const real *gate, const real *up, size_t stride, activation act, int rows, int width);
    void   (*series)(const series_args *);
    void   (*series_backward)(const series_args *);
    void   (*scale)(real *y, bool add, const real *x, real factor, size_t n);          /* y = factor x; y may be x */
    /* y = a + (b - a) m; da, db, dm NULL where not wanted */
    void   (*lerp)(real *y, const real *a, const real *b, const real *m, size_t n);
    void   (*lerp_backward)(real *da, bool add_a, real *db, bool add_b, real *dm, bool add_m, const real *dy,
                            const real *a, const real *b, const real *m, size_t n);
    /* y[r,c] = x[r,c] / (1-p) where unit(key_of(row_key[r], layer_key), c) >= p, else 0.  Its own backward. */
    void   (*dropout)(real *y, bool add, const real *x, real p, const uint64_t *row_key, uint64_t layer_key, int rows, int width);

    /* ---- norms over the last dimension; w and b may be NULL (non-affine) ---- */
    void   (*layer_norm)(real *y, exact *mean, exact *rstd, const real *x, const real *w, const real *b, real eps, int rows, int width);
    void   (*layer_norm_backward)(real *dx, bool add, real *dw, real *db, bool add_param, const real *dy, const real *x,
                                  const real *w, const exact *mean, const exact *rstd, int rows, int width);
    void   (*rms_norm)(real *y, exact *rstd, const real *x, const real *w, real eps, int rows, int width);
    void   (*rms_norm_backward)(real *dx, bool add, real *dw, bool add_param, const real *dy, const real *x,
                                const real *w, const exact *rstd, int rows, int width);

    /* ---- positions ---- */
    /* Rotary embedding (Su et al. 2021), half-split pairs (i, i + rotary/2) of the first `rotary` channels of each
     * head: (u,w) -> (u cos - w sin, w cos + u sin); the other channels are copied, and so are the heads from
     * `rotated` on.  table (positions, rotary): cos then sin.  inverse: the transposed rotation, which is its
     * backward.  y may be x (without add). */
    void   (*rope)(real *y, bool add, const real *x, const exact *table, const int *pos, bool inverse,
                   int rows, int heads, int rotated, int head_dim, int rotary);

    /* ---- attention ---- */
    void   (*attention)(const attention_args *);
    void   (*attention_backward)(const attention_args *);

    /* ---- Pattention ---- */
    /* s (rows,n) = Theta(a) row-wise; stat (rows): L2 of a, L2 of gelu(a), or log-sum-exp of a.  tau2 is the squared
     * scale (the number of slots, unless a grown model keeps its old one); softmax multiplies by tau2 (the paper's
     * n).  A row whose L2 norm is 0 gives s = 0 and no gradient.  s may be a. */
    void   (*theta)(real *s, exact *stat, const real *a, theta_kind kind, real tau2, int rows, int n);
    /* da from ds, the raw scores a and stat; da may be ds. */
    void   (*theta_backward)(real *da, const real *ds, const real *a, const exact *stat, theta_kind kind, real tau2, int rows, int n);

    /* ---- RWKV ---- */
    void   (*token_shift)(const token_shift_args *);
    void   (*token_shift_backward)(const token_shift_args *);
    void   (*wkv4)(const wkv4_args *);
    void   (*wkv4_backward)(const wkv4_args *);
    void   (*wkv6)(const wkv6_args *);
    void   (*wkv6_backward)(const wkv6_args *);
    void   (*wkv7_keys)(const wkv7_keys_args *);
    void   (*wkv7_keys_backward)(const wkv7_keys_args *);
    void   (*wkv7)(const wkv7_args *);
    void   (*wkv7_backward)(const wkv7_args *);
    void   (*wkv7_read)(const wkv7_read_args *);
    void   (*wkv7_read_backward)(const wkv7_read_args *);

    /* ---- loss ---- */
    /* Row r of logits (rows, vocab): loss[r] = weight[r] * (lse - logits[target[r]]).  With backward the logits are
     * replaced by dloss/dlogits = scale * weight[r] * (softmax - onehot).  weight NULL: ones. */
    void   (*cross_entropy)(real *logits, exact *loss, const int *target, const real *weight, bool backward, real scale, int rows, int vocab);
    /* right[r] = 1 where no logit is above the target's and the weight is not 0, else 0. */
    void   (*correct)(exact *right, const real *logits, const int *target, const real *weight, int rows, int vocab);
    /* The largest of each row, and where it first stands. */
    void   (*largest)(exact *value, int *index, const real *x, int rows, int width);
    /* loss[r] = (x[r] - value[r])^2, and where wanted dx[r] = or += 2 scale (x[r] - value[r]). */
    void   (*squared_error)(exact *loss, real *dx, bool add, const real *x, const real *value, real scale, int rows);

    /* ---- parameters ---- */
    void   (*adamw)(real *w, real *m, real *v, const real *g, size_t n, const adamw_args *);
    /* in double, blocks of constant size; NaN or Inf shows in the result */
    double (*sum_of_squares)(const real *x, size_t n);
} kernels;

/* X(level, arguments) for each level that a processor of this architecture may have, on top of those before it: the
 * widths of vectors, and what only adds matrix products. */
#if defined(LITHE_DOUBLE)
#define KERNEL_WIDTHS(X, ...) X(ref, __VA_ARGS__)
#elif defined(__x86_64__)
#define KERNEL_WIDTHS(X, ...) X(ref, __VA_ARGS__) X(avx2, __VA_ARGS__) X(avx512, __VA_ARGS__)
#define KERNEL_LEVELS(X, ...) KERNEL_WIDTHS(X, __VA_ARGS__) X(amx, __VA_ARGS__)
#elif defined(__aarch64__)
#define KERNEL_WIDTHS(X, ...) X(ref, __VA_ARGS__) X(neon, __VA_ARGS__)
#else
#define KERNEL_WIDTHS(X, ...) X(ref, __VA_ARGS__)
#endif
#ifndef KERNEL_LEVELS
#define KERNEL_LEVELS KERNEL_WIDTHS
#endif
#define KERNEL_NAME(level, unused) #level,
#define KERNEL_FILL(level, unused) void kernels_##level(kernels *k);
KERNEL_LEVELS(KERNEL_FILL, )

/* The table of this machine: what the CPU and the operating system allow, up to
 * the level named by LITHE_CPU (unset: all). */
const kernels *kernels_default(void);
/* The table up to exactly this level, NULL when the machine lacks it. */
const kernels *kernels_level(const char *name);

#endif

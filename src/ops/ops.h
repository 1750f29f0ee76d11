/* Builders of the differentiable operations, each of which is one file.  After a build has failed, every builder
 * accepts NULL tensors and returns NULL. */
#ifndef OPS_H
#define OPS_H

#include "graph/graph.h"

/* A list of tensors; the first NULL ends it. */
typedef struct { tensor *at[MAX_MIXES]; } tensor_list;
static inline int list_length(const tensor_list *l)
{
    int n = 0;
    while (n < MAX_MIXES && l->at[n]) n++;
    return n;
}

/* (tokens, width) = the rows of table (vocab, width) named by the batch's ids. */
tensor *embedding(graph *g, tensor *table);
/* x + the rows of table (positions, width) named by the batch's positions. */
tensor *add_positions(graph *g, tensor *x, tensor *table);
tensor *add_positions_from(graph *g, tensor *x, tensor *table, int first);  /* position 0 is row `first` of the table */
/* x + the rows of table (types, width) named by the batch's token types, 0 and 1; a table of one row gives always that
 * row. */
tensor *add_types(graph *g, tensor *x, tensor *table);

/* (tokens, width): each sequence is a class token (1, width), a second token or NULL, and the batch's patches through w
 * (width, channels, side, side) and bias. */
tensor *patches(graph *g, tensor *w, tensor *bias, tensor *token, tensor *second);

/* How a weight is stored: (out,in) as PyTorch's Linear, (in,out) as GPT-2's Conv1D. */
typedef enum { OUT_IN, IN_OUT } layout;
typedef struct {
    layout layout;
    activation act;
    tensor *residual;                           /* added last; NULL for none */
} linear_options;
/* act(x w + bias) + residual.  bias (1,out) or NULL. */
tensor *linear(graph *g, tensor *x, tensor *w, tensor *bias, linear_options o);

/* (x - mean) / sqrt(var + eps) * w + b over the width, population variance; w, b NULL: non-affine.  Ba et al. 2016. */
tensor *layer_norm(graph *g, tensor *x, tensor *w, tensor *b, double eps);
/* x / sqrt(mean(x^2) + eps) * w.  Zhang & Sennrich 2019. */
tensor *rms_norm(graph *g, tensor *x, tensor *w, double eps);
/* The same of each of so many equal parts of a row by itself, w as wide as one of them; heads 0: of the whole. */
tensor *rms_norm_heads(graph *g, tensor *x, tensor *w, double eps, int heads);

tensor *add(graph *g, tensor *a, tensor *b);
tensor *activate(graph *g, tensor *x, activation act);
tensor *glu(graph *g, tensor *gate, tensor *up, activation act);     /* act(gate) * up */
tensor *glu_halves(graph *g, tensor *x, activation act);  /* the same of the first and second half of each row */
/* sum over i of gain_i act_i(scale_i u + bias_i), times v where it gates (NULL: it does not).  Parameters (n,
 * width), or (n) with `scalar`; gain NULL: ones. */
typedef struct { int n; activation act[MAX_SERIES]; tensor *scale, *bias, *gain; bool scalar; } series_options;
tensor *series(graph *g, tensor *u, tensor *v, series_options o);
tensor *times(graph *g, tensor *x, double factor);                   /* factor x; x itself for 1 */
tensor *capped(graph *g, tensor *x, double cap);                     /* cap tanh(x / cap); x itself for 0 */
/* Zeroes elements with probability p while training, scales the others by 1/(1-p); else, and for p 0, x itself. */
tensor *dropout(graph *g, tensor *x, double p);

/* Rotary positions (Su et al. 2021): the angle of pair i at position t is t * base^(-2i/dims). */
/* Dynamic scaling changes nothing within the context that the configuration says, and there is none beyond it. */
typedef enum { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN, ROPE_DYNAMIC, ROPE_LONG } rope_scaling;
enum { ROPE_FACTORS = 128 };
typedef struct {
    int dims;                                   /* rotated channels of each head, even */
    double base;
    rope_scaling scaling;
    double factor, low, high, original;         /* ROPE_LINEAR: factor; ROPE_LLAMA3 and ROPE_YARN: all four */
    double attention;                           /* ROPE_YARN, ROPE_LONG: what q and k are multiplied by */
    const double *factors;                      /* ROPE_LONG: by how much each of the dims/2 pairs is slower */
    bool exact;                                 /* ROPE_YARN: the bounds are not rounded to whole pairs */
} rope_options;
/* The RoPE table: cos and sin for every position that this graph can hold; dims 0: nothing is rotated. */
typedef struct { const exact *table; int dims; } rope_angles;
rope_angles rope_table(graph *g, rope_options o);
tensor *rope(graph *g, tensor *x, rope_angles a, int heads);
tensor *rope_first(graph *g, tensor *x, rope_angles a, int heads, int rotated);       /* the first ones of the heads */
tensor *rope_fused(graph *g, tensor *qkv, rope_angles a, int heads);  /* q and k of [q k v], of so many heads each */

/* softmax(q k' * scale) v.  q: heads * head_dim wide; k, v: kv_heads * head_dim; or q alone holds [q k v] side by
 * side (k, v NULL).  In decoding graphs the keys and values are appended to the slot's states "k" and "v" of the
 * scope, which this declares where attention is causal. */
typedef struct {
    int heads, kv_heads;                        /* kv_heads 0: as many as heads */
    bool causal;
    double scale;                               /* 0: 1/sqrt(head_dim) */
    double dropout;                             /* of the probabilities */
    bool alibi;                                 /* subtracts alibi_slope times the distance from each score */
    tensor *bias;                               /* what distance_bias gave, added to the scores; NULL: none */
    double cap;                                 /* scores x become cap tanh(x / cap); 0: none.  One of three at most */
    int window;                                 /* a token attends to those at most so far away; 0: all */
} attention_options;
/* Of head h: 2^(-8 (h+1) / heads) where heads is a power of two; else those of the largest power below come first, then
 * every second one of twice that power.  Press et al. 2022. */
double alibi_slope(int heads, int h);
tensor *attention(graph *g, tensor *q, tensor *k, tensor *v, attention_options o);

/* (heads, 2 reach + 1): the bias of each distance from -reach to reach, the row of table (32, heads) for its
 * distance_bucket.  Raffel et al. 2020. */
tensor *distance_bias(graph *g, tensor *table, int reach);
enum { DISTANCE_BUCKETS = 32 };
/* Of a key so many tokens after its query: buckets 16 to 31, before it and at it 0 to 15; up to 7 tokens each has its
 * own, further ones share theirs by the logarithm, as far as 128. */
int distance_bucket(int distance);

/* Mixtures of each row with the one before it in its sequence (RWKV): y[m] = x * mix[m] + before * (1 - mix[m]), or
 * with `past`, x + (before - x) * mix[m]; each mix (1, width), or each a row for every row of x.  In graphs that carry
 * state the last row is the slot's state `name`; name NULL: that of `state`, made by carried(), which `peek` reads and
 * leaves to another shift of the same x to renew. */
typedef struct { tensor_list mix; bool past, peek; const char *name; tensor *state; } token_shift_options;
tensor_list token_shift(graph *g, tensor *x, token_shift_options o);

/* RWKV-4's average of the values so far, e^key their weights, e^-e^decay what a step leaves of them, e^(bonus+key)
 * the newest's.  In graphs that carry state the sums are the slot's state `name`. */
typedef struct { tensor *k, *v, *decay, *bonus; } wkv4_inputs;
tensor *wkv4(graph *g, const char *name, wkv4_inputs in);

/* The scan of RWKV-5 and 6, heads of N channels: a row reads the matrix of those before it, and its own value
 * through the bonus.  decay: what w = exp(-exp(decay)) comes from, a row for every row of r, or one for all; decay
 * and bonus of as many numbers as r has channels.  In graphs that carry state its matrices are the slot's state
 * `name`. */
typedef struct { tensor *r, *decay, *key, *v, *bonus; int N; } wkv6_inputs;
tensor *wkv6(graph *g, const char *name, wkv6_inputs in);
/* (1, heads N): each number of x (1, heads), or e^ it, N times.  Cannot be trained. */
tensor *head_constants(graph *g, tensor *x, int N, bool exponential);

/* RWKV-7's time mix, heads of N channels.  Keys: see wkv7_keys_args. */
typedef struct { tensor *k, *rate, *k_k, *k_a; int N; } wkv7_keys_inputs;
typedef struct { tensor *key, *removal, *written; } wkv7_key_set;
wkv7_key_set wkv7_keys(graph *g, wkv7_keys_inputs in);
/* The scan; in graphs that carry state its matrices are the slot's state `name`. */
typedef struct { tensor *r, *decay, *key, *v, *removal, *written; int N; } wkv7_inputs;
tensor *wkv7(graph *g, const char *name, wkv7_inputs in);
/* Each head of y normalised, times w plus b, plus (sum of r key bonus over the head) v. */
typedef struct { tensor *y, *r, *key, *v, *w, *b, *bonus; int N; double eps; } wkv7_read_inputs;
tensor *wkv7_read(graph *g, wkv7_read_inputs in);

/* Each group of N channels less its mean, over its deviation, times w plus b (each of all channels).  Wu & He 2018. */
typedef struct { tensor *w, *b; int N; double eps; } group_norm_options;
tensor *group_norm(graph *g, tensor *x, group_norm_options o);

/* y[m] = x_m w[m] + bias[m], x_m the m-th of as many equal parts of x's columns; w (parts, part, out), each bias
 * (1, out). */
tensor_list linear_groups(graph *g, tensor *x, tensor *w, tensor_list bias);

/* a + (b - a) m, element by element. */
tensor *lerp(graph *g, tensor *a, tensor *b, tensor *m);

/* Theta(x keys') values: attention from tokens to parameter tokens (TokenFormer).  keys (slots, in), values
 * (slots, out).  tau2: the squared scale, 0 for the number of slots. */
typedef struct { theta_kind theta; double tau2; tensor *residual; } pattention_options;
tensor *pattention(graph *g, tensor *x, tensor *keys, tensor *values, pattention_options o);

/* The rows that the batch selects: (selected, width).  x itself where the head reads all rows. */
tensor *select_rows(graph *g, tensor *x);

/* One row for each sequence: its first, its last, or the mean of all; or its second. */
tensor *sequence_rows(graph *g, tensor *x, pooling how);
tensor *second_rows(graph *g, tensor *x);

/* Head and loss in one, tile by tile, so logits never exist for a whole batch: (head rows, 1) of
 * weight * -log softmax(hidden w' + bias)[target], not yet scaled.  w (vocab, width).  Of one row for each sequence
 * the targets are the batch's labels, and the gradient is scaled by seq_scale. */
tensor *cross_entropy(graph *g, tensor *hidden, tensor *w, tensor *bias);       /* w NULL: hidden are the logits */
tensor *capped_cross_entropy(graph *g, tensor *hidden, tensor *w, tensor *bias, double cap);    /* of capped logits */
/* Adds to its gradient that of factor/2 times the square of each row's largest logit (RWKV's L2Wrap); the loss does not
 * change. */
void    l2_wrap(tensor *loss, double factor);
/* For such a loss in a graph that does not train: 1 where the target is the likeliest token, else 0. */
tensor *correct(const tensor *loss);

/* (seqs, 1) of (x - value)^2, x (seqs, 1), value the batch's. */
tensor *squared_error(graph *g, tensor *x);

#endif

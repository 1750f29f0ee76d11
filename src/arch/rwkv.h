/* What the versions of RWKV share: parameters with the initial values of the authors' trainer, embedding and head, and
 * the channel mix. */
#ifndef ARCH_RWKV_H
#define ARCH_RWKV_H

#include "arch/fields.h"
#include "arch/layers.h"

/* ---- configurations ---- */

/* A configuration struct of version 4 to 6 begins with it and takes its fields. */
typedef struct {
    int vocab_size, context_length, hidden_size, num_hidden_layers, intermediate_size;
    double layer_norm_epsilon, l2_wrap;
} rwkv;

#define RWKV_HEADS_EPS 64e-5         /* of the norm of the heads, as the authors have it */
#define RWKV_FIELDS(vocabulary, length) \
    INT_OF(rwkv, vocab_size, vocabulary, VOCABULARY), INT_OF(rwkv, context_length, length, LENGTH), INT_OF(rwkv, hidden_size, 768, WIDTH), \
    INT_OF(rwkv, num_hidden_layers, 12, LAYERS), INT_OF(rwkv, intermediate_size, 0, INNER), REAL_OF(rwkv, layer_norm_epsilon, 1e-5, EPSILON), \
    REAL_OF(rwkv, l2_wrap, 1e-4, EPSILON)

/* The head is never the embedding. */
#define RWKV_OWN_HEAD { "tie_word_embeddings", "false|null" }
/* Of version 4 to 6, in the forms of transformers and of its remote code. */
extern const known_key rwkv_others[];
extern const recipe rwkv_recipe;            /* the optimizer settings of the authors' trainer */

/* Refuses attention of another width, which no version has.  Turns head_size_divisor into group_norm_epsilon. */
int    rwkv_normalize(json_t *config, lithe_error *err);
int    rwkv_context(const void *config);
double rwkv_l2_wrap(const void *config);
head   rwkv_language(graph *g, const void *config, tensor *rows);

/* ---- parameters ---- */

/* Element i of a fresh parameter, of its arguments; key names its stream of random numbers. */
typedef double rwkv_formula(const double *args, uint64_t key, size_t i);
typedef struct { rwkv_formula *formula; double args[3], lr_factor; } rwkv_init;          /* lr_factor 0 means 1 */

/* [1,1,C], as published files hold a number for each channel; [H,N]. */
tensor *rwkv_channels(graph *g, const char *name, int C, rwkv_init o);
tensor *rwkv_heads(graph *g, const char *name, int H, int N, rwkv_init o);

/* Of version 4 to 6.  Decays, args: last channel, exponent; bonuses, args: last channel, depth 0 .. 1. */
rwkv_formula rwkv_first_decay, rwkv_first_bonus, rwkv_constant;
double       rwkv_last(int C);                              /* the last of C channels, 1 of a single one */

/* Shares of token shift: channel i begins with x = (i/C)^power + more, or 1 - x where it weighs the past. */
typedef struct { double power, more; bool past; } rwkv_share;
tensor *rwkv_mix(graph *g, const char *name, int C, rwkv_share s);

/* ---- layers ---- */

/* The place of a layer, on which initial values depend, and what it shares with others. */
typedef struct {
    int layer, layers;
    double depth, left;                                     /* 0 .. 1 from the first to the last; 1 .. 1/layers */
    const struct rwkv_projections *projections;             /* NULL: rwkv_matrix */
    tensor **first_values;                                  /* version 7: those of its first layer, NULL before */
} rwkv_place;
rwkv_place rwkv_place_of(int layer, int layers);

/* x W' (+ residual) with the parameter NAME.weight (out,in): orthogonal times gain, or zero. */
typedef struct {
    axis_kind in, out;                                      /* AXIS_NONE: residual */
    double gain;
    activation act;
    tensor *residual;
} rwkv_options;
tensor *rwkv_matrix(graph *g, tensor *x, const char *name, int width, rwkv_options o);

/* What a hybrid uses in place of a time mix's matrices, which are square. */
typedef struct rwkv_projections {
    tensor *(*project)(const void *context, graph *g, tensor *x, const char *name, rwkv_options o);
    const void *context;
} rwkv_projections;
tensor *rwkv_project(graph *g, const rwkv_place *at, tensor *x, const char *name, rwkv_options o);

/* The affine norm of the heads at the output of a time mix. */
typedef struct { tensor *w, *b; } rwkv_head_norm;
rwkv_head_norm rwkv_ln_x(graph *g, int C, const rwkv_place *at);
tensor *rwkv_group_norm(graph *g, tensor *x, const rwkv_place *at, int N, double eps);

/* Each: x + the time mix of normalised rows h. */
typedef struct { int head_size, mix_rank, decay_rank; double eps; } rwkv6_sizes;         /* eps: of the heads' norm */
typedef struct { int head_dim, decay_rank, a_rank, v_rank, gate_rank; double eps; } rwkv7_sizes;
tensor *rwkv4_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at);
tensor *rwkv5_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at, int head_size, double eps);        /* 5.2 */
tensor *rwkv6_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at, rwkv6_sizes n);
tensor *rwkv7_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at, rwkv7_sizes n);
rwkv7_sizes rwkv7_sizes_for(int width, int head_dim);       /* the ranks of the authors' models, multiples of 32 */

/* The first matrices of a channel mix over normalised rows h: act(k), and of version 4 to 6 its receptance. */
typedef struct { tensor *key, *receptance; } rwkv_channel;
typedef struct {
    const char *key, *receptance;                           /* names of the two shares */
    rwkv_share share;
    int inner;
    double gain;                                            /* of ffn.key */
    activation act;
} rwkv_channel_options;
rwkv_channel rwkv_channel_key(graph *g, tensor *h, rwkv_channel_options o);
rwkv_channel rwkv4_channel_key(graph *g, tensor *h, int inner, rwkv_place at, activation act);
tensor      *rwkv7_channel_key(graph *g, tensor *h, int inner, rwkv_place at, activation act);

/* x + sigmoid(r) * (Wv k), of version 4 to 6. */
tensor *rwkv_channel_value(graph *g, tensor *x, rwkv_channel c);
int     rwkv_inner(int C);                                  /* 3.5 C, a multiple of 32 */

/* ---- both ends ---- */

tensor *rwkv_embed(graph *g, int vocab, int C, double eps); /* (tokens, C), through the first norm, ln0 */
tensor *rwkv_norm(graph *g, tensor *x, const char *name, double eps);
tensor *rwkv_final_norm(graph *g, tensor *x, double eps);
head    rwkv_head(graph *g, tensor *rows, int vocab);

#endif

/* What the versions of RWKV share: parameters with the initial values of the
 * authors' trainer, embedding and head. */
#ifndef ARCH_RWKV_H
#define ARCH_RWKV_H

#include "arch/layers.h"

/* Refuses what no version has: a tied head, attention of another width; head_size_divisor becomes group_norm_epsilon. */
int rwkv_normalize(json_t *config, lithe_error *err);

/* x W' (+ residual) with the parameter NAME.weight (out,in): orthogonal times gain, or zero. */
typedef struct { axis in, out; double gain; activation act; tensor *residual; } rwkv_options;
tensor *rwkv_matrix(graph *g, tensor *x, const char *name, int out, rwkv_options o);

/* How a time mix multiplies by its matrices: NULL is rwkv_matrix, a combination may put parameter tokens in their place. */
typedef struct { tensor *(*project)(const void *context, graph *g, tensor *x, const char *name, int out, rwkv_options o); const void *context; } rwkv_projections;

tensor *rwkv_projected(const rwkv_projections *p, graph *g, tensor *x, const char *name, int out, rwkv_options o);

/* Where a layer stands, which initial values depend on: depth 0 .. 1 from the first to the last, left 1 .. 1/L. */
typedef struct { int layer, layers; double depth, left; } rwkv_place;
rwkv_place rwkv_place_of(int layer, int layers);

/* A time mix of normalised rows x, added to residual, and what a channel mix makes of them before its second matrix
 * (version 4 also its receptance): the parts that hybrids combine. */
typedef struct { int head_dim, decay_rank, a_rank, v_rank, gate_rank; } rwkv7_sizes;
tensor *rwkv4_time_mix(graph *g, tensor *x, tensor *residual, rwkv_place at, const rwkv_projections *p);
tensor *rwkv4_channel_key(graph *g, tensor *x, int inner, rwkv_place at, activation act, tensor **receptance);
typedef struct { int head_size, mix_rank, decay_rank; double eps; } rwkv6_sizes;         /* eps: of the heads' norm */
tensor *rwkv6_time_mix(graph *g, tensor *x, tensor *residual, rwkv6_sizes n, rwkv_place at, const rwkv_projections *p);
/* first_values: NULL before the first layer of this kind, which sets it. */
tensor *rwkv7_time_mix(graph *g, tensor *x, tensor *residual, rwkv7_sizes n, rwkv_place at, const rwkv_projections *p, tensor **first_values);
tensor *rwkv7_channel_key(graph *g, tensor *x, int inner, rwkv_place at, activation act);
rwkv7_sizes rwkv7_sizes_for(int width, int head_dim);          /* ranks as the authors' models have them, in multiples of 32 */

/* A parameter of one number for each channel, [1,1,C] as the published files hold it. */
typedef double rwkv_formula(const double *args, uint64_t key, size_t i);
tensor *rwkv_channels(graph *g, const char *name, int C, rwkv_formula *formula, const double args[3], double lr_factor);

/* Shares of token shift: channel i begins with x = (i/C)^power + more, or 1 - x where it weighs the past. */
typedef struct { double power, more; bool past; } rwkv_share;
tensor *rwkv_mix(graph *g, const char *name, int C, rwkv_share s);

/* Parameters of the heads' read-out: ln_x, and numbers of [H,N]. */
void    rwkv_head_norm(graph *g, int C, rwkv_place at, tensor **w, tensor **b);
tensor *rwkv_heads(graph *g, const char *name, int H, int N, rwkv_formula *formula, const double args[3], double lr_factor);

/* Of version 5 and 6.  Decays, args: last channel, exponent; bonuses, args: last channel, depth 0 .. 1. */
rwkv_formula rwkv_first_decay, rwkv_first_bonus;
int rwkv_inner(int C);                                      /* 3.5 C in whole 32s */

/* x + sigmoid(r) * (Wv relu(k)^2), k and r linear of shifted LN2(x), of version 4 to 6; gain: of ffn.key's initial values.
 * rwkv_channel_key: act(k) and r of rows that are normalised. */
typedef struct { const char *key, *receptance; rwkv_share share; int inner; double gain; activation act; } rwkv_channel_options;
tensor *rwkv_channel_key(graph *g, tensor *x, rwkv_channel_options o, tensor **receptance);
tensor *rwkv_channel_mix(graph *g, tensor *x, double eps, rwkv_channel_options o);

tensor *rwkv_embedding(graph *g, int vocab, int C);
head    rwkv_head(graph *g, tensor *rows, int vocab);

#endif

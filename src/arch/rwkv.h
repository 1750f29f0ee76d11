/* What the versions of RWKV share: parameters with the initial values of the
 * authors' trainer, embedding and head. */
#ifndef ARCH_RWKV_H
#define ARCH_RWKV_H

#include "arch/layers.h"

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
/* first_values: NULL before the first layer of this kind, which sets it. */
tensor *rwkv7_time_mix(graph *g, tensor *x, tensor *residual, rwkv7_sizes n, rwkv_place at, const rwkv_projections *p, tensor **first_values);
tensor *rwkv7_channel_key(graph *g, tensor *x, int inner, rwkv_place at, activation act);
rwkv7_sizes rwkv7_sizes_for(int width, int head_dim);          /* ranks as the authors' models have them, in multiples of 32 */

/* A parameter of one number for each channel, [1,1,C] as the published files hold it. */
tensor *rwkv_channels(graph *g, const char *name, int C, double (*formula)(const double *args, uint64_t key, size_t i), const double args[3], double lr_factor);

tensor *rwkv_embedding(graph *g, int vocab, int C);
head    rwkv_head(graph *g, tensor *rows, int vocab);

#endif

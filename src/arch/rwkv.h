/* What the versions of RWKV share: parameters with the initial values of the
 * authors' trainer, embedding and head. */
#ifndef ARCH_RWKV_H
#define ARCH_RWKV_H

#include "arch/layers.h"

/* x W' (+ residual) with the parameter NAME.weight (out,in): orthogonal times gain, or zero. */
typedef struct { axis in, out; double gain; activation act; tensor *residual; } rwkv_options;
tensor *rwkv_matrix(graph *g, tensor *x, const char *name, int out, rwkv_options o);

/* A parameter of one number for each channel, [1,1,C] as the published files hold it. */
tensor *rwkv_channels(graph *g, const char *name, int C, double (*formula)(const double *args, uint64_t key, size_t i), const double args[3], double lr_factor);

tensor *rwkv_embedding(graph *g, int vocab, int C);
head    rwkv_head(graph *g, tensor *rows, int vocab);

#endif

/* What several architectures share: layers that declare their parameters. */
#ifndef ARCH_LAYERS_H
#define ARCH_LAYERS_H

#include "arch/arch.h"
#include "ops/ops.h"

#define RESIDUAL_WRITE ((axis){ AXIS_RESIDUAL, false, 1 })
#define RESIDUAL_READ  ((axis){ AXIS_RESIDUAL, true, 1 })
#define HEAD_WRITE     ((axis){ AXIS_HEAD, false, 1 })
#define HEAD_READ      ((axis){ AXIS_HEAD, true, 1 })
#define KV_HEAD_WRITE  ((axis){ AXIS_KV_HEAD, false, 1 })
#define INNER_WRITE    ((axis){ AXIS_INNER, false, 1 })
#define INNER_READ     ((axis){ AXIS_INNER, true, 1 })
#define SLOT_WRITE     ((axis){ AXIS_SLOT, false, 1 })
#define SLOT_READ      ((axis){ AXIS_SLOT, true, 1 })

typedef struct {
    layout layout;
    bool bias;
    axis in, out;
    double std;
    activation act;
    tensor *residual;
} dense_options;

/* linear() with parameters NAME.weight and NAME.bias. */
tensor *dense(graph *g, tensor *x, const char *name, int out, dense_options o);
/* The same, initial values no further out than `cut` standard deviations. */
tensor *dense_cut(graph *g, tensor *x, const char *name, int out, dense_options o, double cut);

/* pattention() with parameters NAME.key_param_tokens (slots, in) and NAME.value_param_tokens (slots, out). */
typedef struct {
    int slots;
    theta_kind theta;
    double tau2;                     /* the squared scale a grown model keeps; 0: the number of slots */
    double std_keys, std_values;
    axis in, out;
    tensor *residual;
} pattention_layer_options;
tensor *pattention_layer(graph *g, tensor *x, const char *name, int out, pattention_layer_options o);

/* series() with parameters NAME.scale, NAME.bias and, with gains, NAME.gain of n branches (n, width), or (n) with scalar.
 * It begins as the first branch's plain activation, the others off: scale and bias 0 or, with gains, gain 0. */
typedef struct { int n; activation act[MAX_SERIES]; bool gains, scalar; } series_layer_options;
tensor *series_layer(graph *g, tensor *u, tensor *v, const char *name, series_layer_options o);

/* x + outer(inner(h NAME.down') NAME.up'), a narrow branch beside a mixer.  std_out 0: it begins as nothing. */
typedef struct { int width; activation inner, outer; double std, std_out; } bottleneck_options;
tensor *bottleneck_shortcut(graph *g, tensor *h, tensor *x, const char *name, bottleneck_options o);
int     bottleneck_width(int C, int reduction);             /* C/reduction in whole eights, 16 at least */

/* A table (rows, width) of embeddings, N(0, std^2). */
tensor *embedding_table(graph *g, const char *name, int rows, int width, axis_kind meaning, double std, bool tied);

/* The weight (outputs, width) of a head of its own. */
tensor *head_weight(graph *g, const char *name, int outputs, int width, double std);

/* layer_norm with NAME.weight and NAME.bias; rms_norm with NAME.weight.  before_tied_head: a tied head reads the result
 * through the embedding, so a duplicated residual width is divided here. */
tensor *layer_norm_affine(graph *g, tensor *x, const char *name, double eps, bool before_tied_head);
tensor *layer_norm_scaled(graph *g, tensor *x, const char *name, double eps, bool before_tied_head);       /* without a bias */
tensor *rms_norm_affine(graph *g, tensor *x, const char *name, double eps, bool before_tied_head);

#endif

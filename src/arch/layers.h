/* Layers that several architectures share.  Each declares its parameters and takes their name and named options; an
 * option that is not given is off. */
#ifndef ARCH_LAYERS_H
#define ARCH_LAYERS_H

#include "arch/arch.h"
#include "ops/ops.h"

/* Meanings of a parameter's axes.  A matrix reads the axis of its inputs, which it sums over, and writes that of its
 * outputs. */
static inline axis reads(axis_kind kind)  { return (axis){ .kind = kind, .read = true }; }
static inline axis writes(axis_kind kind) { return (axis){ .kind = kind }; }

/* The width of x, or 0 after a build has failed. */
static inline int width_of(const tensor *x) { return x ? x->width : 0; }

/* ---- matrices ---- */

typedef struct {
    axis_kind in, out;      /* the axes of the inputs and of the outputs */
    int parts;              /* equal parts of the outputs: 3 for fused q, k, v; 0: 1 */
    int heads;              /* heads in each part of the outputs, where files have another order of rows (param.h) */
    bool by_head;           /* files keep the parts of each head together */
    layout layout;          /* the default OUT_IN is PyTorch's */
    bool bias;
    double std, cut;                 /* initial weights N(0, std^2), within cut deviations; std 0: zeros, cut 0: any */
    activation act;
    double dropout;
} dense_options;

/* dropout(act(x W + b)) with `out` columns and the parameters NAME.weight and NAME.bias. */
tensor *dense(graph *g, tensor *x, const char *name, int width, dense_options o);
/* x + dropout(act(y W + b)). */
tensor *dense_add(graph *g, tensor *x, tensor *y, const char *name, dense_options o);

/* Pattention: attention to parameter tokens in place of a matrix. */
typedef struct {
    axis_kind in, out;
    int slots;
    double tau2;                     /* the squared scale a grown model keeps; 0: the number of slots */
    theta_kind theta;
    double std_keys, std_values;
    double dropout;
} pattention_layer_options;

/* dropout(Theta(x K') V), with NAME.key_param_tokens (slots, in) and NAME.value_param_tokens (slots, out). */
tensor *pattention_layer(graph *g, tensor *x, const char *name, int width, pattention_layer_options o);
/* x + dropout(Theta(y K') V). */
tensor *pattention_add(graph *g, tensor *x, tensor *y, const char *name, pattention_layer_options o);
double  wang_std(int layers, int width);                /* std_values of TokenFormer's authors ("wang_init") */

/* ---- norms ---- */

/* With weight and bias; weight; neither; weight; 1 + weight. */
typedef enum { NORM_LAYER, NORM_RMS, NORM_LAYER_PLAIN, NORM_LAYER_SCALED, NORM_RMS_SHIFTED } norm_kind;
typedef struct {
    norm_kind kind;
    double eps;
    axis_kind over;                  /* of its width; AXIS_NONE: the residual width */
    int heads;                       /* each of so many equal parts by itself, with one weight for all; 0: the whole */
    bool before_tied_head;           /* a tied head reads the result: a duplicated residual width is divided here */
} norm_options;
tensor *norm(graph *g, tensor *x, const char *name, norm_options o);

/* ---- embeddings and heads ---- */

typedef struct {
    axis_kind rows;                  /* the axis of the rows */
    double std, cut;
    bool tied;                       /* a tied head reads it too */
} table_options;
tensor *embedding_table(graph *g, const char *name, int rows, int width, table_options o);

/* The weight (outputs, width) of a head of its own. */
tensor *head_weight(graph *g, const char *name, int outputs, int width, double std);

/* ---- series and shortcuts ---- */

/* series() with parameters NAME.scale, NAME.bias and, with gains, NAME.gain of n branches (n, width), or (n) with
 * scalar.  Initially the first branch is the plain activation and the others have no effect: scale and bias 0 or, with
 * gains, gain 0. */
typedef struct { int n; activation act[MAX_SERIES]; bool gains, scalar; } series_layer_options;
tensor *series_layer(graph *g, tensor *u, tensor *v, const char *name, series_layer_options o);

/* x + outer(inner(h NAME.down') NAME.up'), a bottleneck beside a mixer. std_out 0: it has no effect initially. */
typedef struct { int width; activation inner, outer; double std, std_out; } bottleneck_options;
tensor *bottleneck_add(graph *g, tensor *x, tensor *h, const char *name, bottleneck_options o);
int     bottleneck_width(int C, int reduction);         /* C/reduction, rounded up to a multiple of 8, at least 16 */

/* ---- configurations ---- */

/* Rotary positions rotate pairs of a head's channels. */
int check_pairs(int channels, lithe_error *err);
/* The number of a head's channels that are rotated, of which rotary_pct gives the share. */
int rotary_channels(double pct, int channels);
/* Refuses a rotary_pct that rotates an odd number of channels, or fewer than `least`. */
int check_rotary(double pct, int channels, int least, lithe_error *err);
/* Refuses a value of the key `part`, unless it is 0 (absent), that does not divide the value of the key `whole`. */
int check_divides(const char *part, int divisor, const char *whole, int value, lithe_error *err);

/* The standard deviation of initial weights in a model that is sized by a number of parameters: factor / sqrt(width),
 * and no less than 0.02, the published one of wide models.  The factors are those of studies/initial_values.py. */
#define STD_TEXT   0.5
#define STD_IMAGES 0.7
double sized_std(double factor, int width);
int usual_heads(int width);                                 /* of 64 channels, or 32 where 64 do not divide the width */
int usual_head_dim(int width);
int glu_width(int width);                                   /* 8/3 of it, a multiple of 32 */

bool always(const void *config);                            /* .encoder of an architecture that is an encoder */

#endif

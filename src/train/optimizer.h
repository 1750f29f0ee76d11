/* AdamW: moments, and which part of the parameters trains by which rule. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "model/groups.h"

/* clip <= 0: off.  decoupled: weight_decay is not multiplied by the learning rate but by its share of `peak`, and is of all parameters. */
typedef struct { double beta1, beta2, eps, weight_decay, clip; bool decoupled; double peak; } adamw_settings;

/* A stretch of the parameter arena that trains by one rule. */
typedef struct { size_t first, count; int born; double lr_factor, weight_decay; } span;

typedef struct {
    params *params;                  /* borrowed */
    adamw_settings settings;
    real *m, *v;                     /* first and second moments, laid out like the arenas of params */
    int updates;                     /* made since the moments were zero */
    span *spans; int count;          /* in the order of the arena; what is frozen has none */
} optimizer;

/* Allocates gradients and moments, and takes the parameter groups of m. */
int    optimizer_open(optimizer *o, const lithe_model *m, const adamw_settings *s, lithe_error *err);
int    optimizer_groups(optimizer *o, const lithe_model *m, lithe_error *err);       /* those of m, again */
void   optimizer_close(optimizer *o);
double optimizer_norm(const optimizer *o, const kernels *k);        /* of the gradient of all that trains; NaN and Inf show */
void   optimizer_step(optimizer *o, const kernels *k, double lr, double norm);

/* DIR/optimizer.safetensors: NAME.exp_avg and NAME.exp_avg_sq of every parameter.  m and v are laid out like the arenas of p. */
int optimizer_write(const char *dir, const params *p, const real *m, const real *v, int updates, lithe_error *err);
int optimizer_read(const char *dir, const params *p, real *m, real *v, int *updates, lithe_error *err);


#endif

/* AdamW: its moments, and the rule by which each part of the parameters trains. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "model/groups.h"
#include "train/shares.h"

/* clip <= 0: no clipping.  decoupled: weight_decay is multiplied by the learning rate divided by `peak`, and applies to
 * all parameters. */
typedef struct { double beta1, beta2, eps, weight_decay, clip; bool decoupled; double peak; } adamw_settings;

/* A part of the parameter arena that trains by one rule: `rows` runs of `count` entries, which begin `stride` apart. */
typedef struct { size_t first, count, rows, stride; int born, rewarm; double lr_factor, weight_decay; } span;

typedef struct {
    params *params;                  /* borrowed */
    adamw_settings settings;
    real *m, *v;                     /* first and second moments, laid out like the arenas of params */
    int updates;                     /* counted since the moments were zero */
    span *spans; int count;          /* in the order of the arena; frozen rows have none */
    shares shares;                   /* of the arena: this process updates its own */
} optimizer;

/* Allocates gradients and moments, and takes the parameter groups of m. */
int    optimizer_open(optimizer *o, const lithe_model *m, const adamw_settings *s, lithe_error *err);
/* Takes the groups of m again, after they changed. */
int    optimizer_groups(optimizer *o, const lithe_model *m, lithe_error *err);
void   optimizer_close(optimizer *o);
/* Makes this process one of several, before the moments are filled: each updates its shares. */
void   optimizer_share(optimizer *o, const shares *s);
/* Gives back the memory of the moments of others' shares. */
void   optimizer_drop(optimizer *o);
/* The squared norm of the gradient of all spans within this process's shares; NaN or Inf when a gradient is. */
double optimizer_squares(const optimizer *o, const kernels *k);
/* Updates this process's shares.  norm: of the whole gradient. */
void   optimizer_step(optimizer *o, const kernels *k, double lr, double norm);

/* Write and read DIR/optimizer.safetensors, which holds NAME.exp_avg and NAME.exp_avg_sq for every parameter.  m and v
 * are laid out like the arenas of p. */
int optimizer_write(const char *dir, const params *p, const real *m, const real *v, int updates, lithe_error *err);
int optimizer_read(const char *dir, const params *p, real *m, real *v, int *updates, lithe_error *err);


#endif

/* AdamW, and Muon for the matrices inside a model: the moments, and the rule by which each part of the parameters
 * trains. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "model/groups.h"
#include "train/muon.h"
#include "train/shares.h"

/* clip <= 0: no clipping.  decoupled: weight_decay is multiplied by the learning rate divided by `peak`, and applies to
 * all parameters.  muon: for the matrices; cautious: their decay does not work against their updates; compute: the type
 * in which they are orthogonalised. */
typedef struct { double beta1, beta2, eps, weight_decay, clip; bool decoupled; double peak; bool muon, cautious; compute_type compute; } optimizer_settings;

/* A part of the parameter arena that trains by one rule: `rows` runs of `count` entries, which begin `stride` apart.
 * matrix: by Muon; frozen: a part of a matrix that stays. */
typedef struct { size_t first, count, rows, stride; int born, rewarm; double lr_factor, weight_decay; bool matrix, frozen; } span;
/* A parameter that trains by Muon, and its spans. */
typedef struct { const param *param; int first, count; } muon_matrix;

typedef struct {
    params *params;                  /* borrowed */
    optimizer_settings settings;
    /* First and second moments, laid out like the arenas of params; of a matrix that Muon trains, m alone. */
    real *m, *v;
    int updates;                     /* counted since the moments were zero */
    span *spans; int count;          /* in the order of the arena; frozen rows have none, but in matrices */
    muon_matrix *matrices; int matrix_count;
    real *scratch; size_t scratch_count;            /* for one matrix */
    shares shares;                   /* of the arena: this process updates its own */
} optimizer;

/* Allocates gradients and moments, and takes the parameter groups of m. */
int    optimizer_open(optimizer *o, const lithe_model *m, const optimizer_settings *s, lithe_error *err);
/* Takes the groups of m again, after they changed. */
int    optimizer_groups(optimizer *o, const lithe_model *m, lithe_error *err);
void   optimizer_close(optimizer *o);
/* Makes this process one of several, before the moments are filled: each updates its shares. */
void   optimizer_share(optimizer *o, const shares *s);
/* Gives back the memory of the moments of others' shares. */
void   optimizer_drop(optimizer *o);
/* The squared norm of the gradient of all spans within this process's shares; NaN or Inf when a gradient is. */
double optimizer_squares(const optimizer *o, const kernels *k);
/* With matrices, before optimizer_step: brings their momentum up to date, and puts what is to be orthogonalised in the
 * place of their gradients, within this process's shares; the step needs it whole. */
void   optimizer_momentum(optimizer *o, double norm);
/* Updates this process's shares.  norm: of the whole gradient. */
void   optimizer_step(optimizer *o, const kernels *k, double lr, double norm);
/* Orthogonalises the gradients of matrices, as a step does their momentum, to find how long that takes. */
void   optimizer_rehearse(optimizer *o, const kernels *k);
/* Operations of a step that orthogonalise matrices. */
double optimizer_flops(const optimizer *o);

/* Write and read DIR/optimizer.safetensors, which holds NAME.exp_avg and NAME.exp_avg_sq for every parameter, or, with
 * muon, NAME.momentum_buffer for every matrix.  m and v are laid out like the arenas of p. */
int optimizer_write(const char *dir, const params *p, bool muon, const real *m, const real *v, int updates, lithe_error *err);
int optimizer_read(const char *dir, const params *p, bool muon, real *m, real *v, int *updates, lithe_error *err);
/* Whether those in DIR are Muon's. */
int optimizer_find(const char *dir, const params *p, bool *muon, lithe_error *err);


#endif

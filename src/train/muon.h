/* Muon: orthogonalised momentum for the matrices inside a model (model/matrices.h). */
#ifndef TRAIN_MUON_H
#define TRAIN_MUON_H

#include "kernels/kernels.h"
#include "model/matrices.h"

/* The factor of the learning rate by which an update has the root mean square of AdamW's, 0.2 (Liu et al. 2025). */
double muon_scale(const param *p);
size_t muon_scratch(const param *p);                /* numbers that orthogonalising it needs */
/* m <- mu m + (1 - mu) scale g;  g <- (1 - mu) scale g + mu m, which is to be orthogonalised (Nesterov). */
void   muon_momentum(real *m, real *g, size_t n, double scale);
/* Makes x (rows, columns) nearly orthogonal: its singular values come near 1. */
void   muon_orthogonalize(const kernels *k, compute_type type, real *x, int rows, int columns, real *scratch);
/* w <- w - lr (scale x + decay w); cautious: without the decay where it would work against the update (Chen et al.
 * 2025). */
typedef struct { double lr, scale, decay; bool cautious; } muon_step;
void   muon_apply(real *w, const real *x, size_t n, const muon_step *s);

#endif

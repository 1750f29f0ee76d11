/* What the trainer uses of growing: a map from a smaller model to a larger one, by
 * which parameters and optimizer moments are both computed. */
#ifndef GROW_GROWTH_H
#define GROW_GROWTH_H

#include "model/model.h"

/* How every parameter of a larger model comes from those of the smaller one, by the meaning of its axes. */
typedef struct growth growth;
growth      *growth_new(const lithe_model *small, const lithe_grow_options *o, lithe_growth *report, lithe_error *err);
lithe_model *growth_apply(const growth *g, lithe_error *err);          /* the larger model with its values */
/* The larger model without values, of a smaller one that may have none either; NULL when the growth is refused. */
lithe_model *growth_declare(const lithe_model *small, const lithe_grow_options *o, lithe_error *err);
/* Computes AdamW's moments of the larger model from those of the smaller one; all are laid out like the arenas of the
 * params.  First moments map like gradients, second ones by the squares of the same factors; those of new entries are
 * zero. */
void         growth_moments(const growth *g, const lithe_model *large, const real *m, const real *v, real *large_m, real *large_v);
void         growth_free(growth *g);

#endif

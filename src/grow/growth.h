/* Growing as the trainer sees it: a map from a smaller model to a larger one, which
 * parameters and optimizer moments both go through. */
#ifndef GROW_GROWTH_H
#define GROW_GROWTH_H

#include "model/model.h"

/* A change of sizes on the meaning of axes: how every parameter of a larger
 * model comes from the smaller one's.  Moments go through the same map. */
typedef struct growth growth;
growth      *growth_new(const lithe_model *small, const lithe_grow_options *o, lithe_growth *report, lithe_error *err);
lithe_model *growth_apply(const growth *g, lithe_error *err);          /* the larger model with its values */
/* AdamW's moments of the larger model, arrays laid out like the arenas of large->params, from the smaller one's:
 * old entries carried (first moments mapped linearly as gradients are, second by the squares), new ones zero. */
void         growth_moments(const growth *g, const lithe_model *large, const real *m, const real *v, real *large_m, real *large_v);
void         growth_free(growth *g);

#endif

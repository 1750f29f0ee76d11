/* Growing as the trainer sees it: a map from a smaller model to a larger one, which
 * parameters and optimizer moments both go through; and rows that train by rules
 * of their own. */
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

enum { UPDATES_MAX = 1 << 30 };          /* of an optimizer, and so of births: differences of two stay whole numbers */

/* A parameter's rows first .. first+rows-1 that train by rules of their own; kept in config.json's "lithe_segments". */
typedef struct { const param *param; int first, rows; int born; double lr_factor; bool frozen; } segment;
int model_segments(const lithe_model *m, segment **out, lithe_error *err);      /* count, or negative; free(*out) */

#endif

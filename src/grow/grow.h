/* Growing, in parts: each calls those declared above it, and grow.c all of them. */
#ifndef GROW_GROW_H
#define GROW_GROW_H

#include "grow/growth.h"

/* How entries along one axis of a larger parameter come from the smaller one's. */
typedef struct {
    int count, *from;                    /* (count): index in the smaller parameter, -1: new */
    double *scale, *moment;              /* (count): factor of the value, of the first moment (the gradient's) */
} axis_map;

/* How a larger parameter comes from the smaller one. */
typedef struct {
    char *name;
    const param *small;                  /* NULL: of a new layer */
    const param *next;                   /* the same one a layer above, which gives repeated units under AKI; or NULL */
    axis_map axes[PARAM_RANK];           /* missing axes: one entry */
    bool zero;                           /* new entries are 0, else the initial values of the name */
    float *extra;                        /* new entries of axis 0, in order, over the smaller one's other axis; or NULL */
    double noise; int noise_axis;        /* standard deviation added to the entries that repeat along that axis */
} param_map;

typedef enum { METHOD_DUPLICATE, METHOD_CORNER, METHOD_STACK, METHOD_INTERPOLATE, METHOD_AKI, METHOD_A, METHOD_B, METHOD_C, METHOD_D, METHOD_E, METHOD_F } method;

struct growth {
    const lithe_model *small;
    const arch *arch;                    /* of the larger one */
    lithe_grow_options options;
    method method;
    json_t *before, *config;             /* every key of the smaller model; of the larger */
    lithe_model *large;                  /* declared, without values */
    param_map *maps;                     /* one for each parameter of large, in its order */
    int count;
};

/* ---- grow_config.c ---- */
int    config_int(const json_t *config, const char *key, int absent);
double config_real(const json_t *config, const char *key, double absent);
double root_mean_square(const param *p);
/* The report promises no more; the first reason stays. */
void   not_preserved(lithe_growth *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- grow_slots.c: operators on parameter tokens ---- */
const slot_group *slot_group_of(const arch *a, const param *p);     /* NULL when it holds no parameter tokens */
bool slots_used(const growth *g, const slot_group *s);       /* has the model such parameter tokens */
bool has_slots(const growth *g);                             /* or any */
/* Checks the method's conditions for every group and writes the squared scales and slots_history to g->config. */
int  grow_slot_scales(growth *g, lithe_growth *report, lithe_error *err);
/* New slots of keys and values under the method; scales of the old ones. */
int  grow_slots(const growth *g, const param *large, param_map *map, lithe_error *err);

/* ---- grow_plan.c: which sizes ---- */
/* Turns the options into sizes in g->config; moves lists what changed. */
int grow_sizes(growth *g, lithe_growth *report, lithe_error *err);
/* The same for options.to: sizes stay, the additions' keys are said by options.set. */
int grow_additions(growth *g, lithe_growth *report, lithe_error *err);

/* ---- grow_axes.c: what axes mean ---- */
/* Fills map->axes for the parameter `large` (of the rule there) from map->small. */
int grow_axes(const growth *g, const param *large, param_map *map, lithe_growth *report, lithe_error *err);

/* ---- grow_groups.c: rows that train by rules of their own ---- */
int grow_groups(growth *g, lithe_error *err);                           /* of g->large, once its maps are there */
int grow_groups_to(const growth *g, lithe_model *large, lithe_error *err);      /* the same groups of the model with values */

#endif

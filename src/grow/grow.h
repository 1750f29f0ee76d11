/* The parts of growing.  Each file calls only what is declared above it; grow.c calls all of them. */
#ifndef GROW_GROW_H
#define GROW_GROW_H

#include "grow/growth.h"

/* How the entries along one axis of a larger parameter come from those of the smaller one. */
typedef struct {
    int count, *from;           /* (count): the index in the smaller parameter, -1: new */
    double *scale, *moment;     /* (count): factor of the value, and of the first moment, which maps like a gradient */
} axis_map;

/* How a larger parameter comes from the smaller one. */
typedef struct {
    char *name;
    const param *small;                  /* NULL: it is of a new layer */
    const param *next;         /* the same parameter of the layer above, from which AKI takes repeated units; or NULL */
    axis_map axes[PARAM_RANK];           /* axes above the rank have one entry */
    bool zero;                           /* new entries are 0, else initial values */
    float *extra;                        /* (new rows, width of the smaller one): values of the new rows; or NULL */
    double noise; int noise_axis;        /* standard deviation of noise on the entries that repeat along that axis */
} param_map;

typedef enum { METHOD_DUPLICATE, METHOD_CORNER, METHOD_STACK, METHOD_INTERPOLATE, METHOD_AKI, METHOD_A, METHOD_B, METHOD_C, METHOD_D, METHOD_E, METHOD_F } method;

struct growth {
    const lithe_model *small;
    const arch *arch;                    /* of the larger model */
    lithe_grow_options options;
    method method;
    json_t *before, *config;             /* the configurations of the smaller and of the larger model, with every key */
    lithe_model *large;                  /* declared, without values */
    param_map *maps;                     /* one for each parameter of large, in its order */
    int count;
};

/* ---- grow_config.c ---- */
int    config_int(const json_t *config, const char *key, int absent);
double config_real(const json_t *config, const char *key, double absent);
double root_mean_square(const param *p);
/* Says in the report that the function is not preserved, and why; the first reason stays. */
void   not_preserved(lithe_growth *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- grow_slots.c: operators on parameter tokens ---- */
const slot_group *slot_group_of(const arch *a, const param *p);     /* NULL when p holds no parameter tokens */
bool slots_used(const growth *g, const slot_group *s);       /* whether the model has parameter tokens of this group */
bool has_slots(const growth *g);                             /* whether it has parameter tokens at all */
/* Checks the method's conditions for every group and writes the squared scales and slots_history to g->config. */
int  grow_slot_scales(growth *g, lithe_growth *report, lithe_error *err);
/* Fills map->extra with new slots of keys or values under the method, and the scales of the old slots. */
int  grow_slots(const growth *g, const param *large, param_map *map, lithe_error *err);

/* ---- grow_plan.c: the larger sizes ---- */
/* Turns the options into sizes in g->config; report->moves lists what changes. */
int grow_sizes(growth *g, lithe_growth *report, lithe_error *err);
/* Does so for options.to: the sizes stay, and options.set gives the keys that the other architecture adds. */
int grow_additions(growth *g, lithe_growth *report, lithe_error *err);

/* ---- grow_axes.c: duplication by the meaning of axes ---- */
/* Fills map->axes for the parameter `large` from map->small. */
int grow_axes(const growth *g, const param *large, param_map *map, lithe_growth *report, lithe_error *err);

/* ---- grow_groups.c: parameter groups of the larger model ---- */
int grow_groups(growth *g, lithe_error *err);                           /* sets those of g->large, from the maps */
/* Gives the same groups to the model with values. */
int grow_groups_to(const growth *g, lithe_model *large, lithe_error *err);

#endif

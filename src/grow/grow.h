/* The parts of growing.  Each file calls only what is declared above it; grow.c calls all of them. */
#ifndef GROW_GROW_H
#define GROW_GROW_H

#include "arch/hybrid_forms.h"
#include "grow/growth.h"
#include "model/groups.h"

/* Where one entry along an axis of a larger parameter comes from. */
typedef struct {
    int from;                   /* the index in the smaller parameter; -1: it is new */
    int copy, copies;           /* which one it is, from 0, of the entries that come from there */
    double scale, moment;       /* factors of the value, and of the first moment, which maps like a gradient */
} axis_entry;

/* The entries along one axis of a larger parameter. */
typedef struct {
    int count;
    axis_entry *entries;        /* (count) */
    bool zero;                  /* the values of new entries are 0: units that nothing reads yet */
    bool shared;                /* copies get fresh values, which are taken from the first one, so that the sum stays */
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
    double fresh;                        /* standard deviation of the fresh values along a shared axis */
} param_map;

typedef enum { METHOD_DUPLICATE, METHOD_CLONE, METHOD_CORNER, METHOD_STACK, METHOD_INTERPOLATE, METHOD_AKI, METHOD_A, METHOD_B, METHOD_C, METHOD_D, METHOD_E, METHOD_F,
               METHODS } method;

struct growth {
    const lithe_model *small;
    const arch *arch;                    /* of the larger model */
    const hybrid_form *form;             /* where options.to makes a hybrid of the model; else NULL */
    lithe_grow_options options;
    method method;
    enum { AT_TOP, AT_BOTTOM, SPREAD } where;        /* new layers */
    bool shapes_only;                    /* nothing reads values, of which the models need none */
    bool adds;                           /* options.set adds branches or terms of a series */
    int known, tokens;                   /* with options.vocabulary: ids known .. tokens-1 are new */
    json_t *before, *config;             /* the configurations of the smaller and of the larger model, with every key */
    lithe_model *large;                  /* declared, without values */
    param_map *maps;                     /* one for each parameter of large, in its order */
    int count;
};

/* ---- grow_config.c ---- */
bool of_slots(method m);
bool repeats_layers(method m);
/* Whether new heads and inner units begin fresh, with nothing that reads them yet; else they repeat old ones. */
bool begins_fresh(method m);
/* Whether fresh weights read the copies of channels, so that these part; else old weights are divided among them. */
bool channels_part(method m);
const char *method_name(method m);
int    config_int(const json_t *config, const char *key, int absent);
double config_real(const json_t *config, const char *key, double absent);
double root_mean_square(const param *p);
/* The size of the first axis of a kind among a model's parameters; 0 when there is none. */
int axis_size(const lithe_model *m, axis_kind kind);
/* The number of the layer in a parameter's name, from 0; -1 when there is none.  *rest is the name after the number. */
long layer_of(const arch *a, const char *name, const char **rest);
/* Says in the report that the function is not preserved, and why; the first reason stays. */
void   not_preserved(lithe_growth *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The parameter groups of the larger model while they are gathered. */
typedef struct { const growth *g; param_group *groups; int count, capacity; bool failed; } group_list;
void   add_group(group_list *l, param_group p);

/* ---- grow_slots.c: operators on parameter tokens ---- */
const slot_group *slot_group_of(const arch *a, const param *p);     /* NULL when p holds no parameter tokens */
bool slots_used(const growth *g, const slot_group *s);       /* whether the model has parameter tokens of this group */
bool has_slots(const growth *g);                             /* whether it has parameter tokens at all */
int  check_gram(const growth *g, lithe_error *err);          /* whether method C has as many new slots as it needs */
/* Which methods add any number of slots, as the end of a message. */
const char *any_number_of_slots(const growth *g);
/* Checks the method's conditions for every group and writes the squared scales and slots_history to g->config. */
int  grow_slot_scales(growth *g, lithe_growth *report, lithe_error *err);
/* Fills map->extra with new slots of keys or values under the method, and the scales of the old slots. */
int  grow_slots(const growth *g, const param *large, param_map *map, lithe_error *err);

/* ---- grow_method.c: the methods, and what is said of a growth ---- */
/* Before the sizes are chosen: options.method, or the usual one. */
int  choose_method(growth *g, lithe_error *err);
/* Afterwards: a method that has nothing to do gives way to duplicate. */
int  settle_method(growth *g, lithe_error *err);
/* Reports the method's name, what becomes of the outputs and what parts copies. */
void say_method(const growth *g, lithe_growth *report);

/* ---- grow_plan.c: the larger sizes ---- */
/* Turns the options into sizes in g->config; report->moves lists what changes. */
int grow_sizes(growth *g, lithe_growth *report, lithe_error *err);
/* Whether the models of this growth fit into memory, when the larger one has so many parameters. */
int check_memory(const growth *g, double target, lithe_error *err);
/* Does so for options.to: the sizes stay, and options.set gives the keys that the other architecture adds. */
int grow_additions(growth *g, lithe_growth *report, lithe_error *err);

/* ---- extend.c: a larger vocabulary ---- */
/* Writes its size to g->config, and g->known and g->tokens. */
int grow_vocabulary(growth *g, lithe_growth *report, lithe_error *err);
/* Fills map->extra with the rows of new tokens, where `large` has a row for each token. */
int grow_tokens(const growth *g, const param *large, param_map *map, lithe_error *err);

/* ---- grow_axes.c: new entries by the meaning of axes ---- */
/* Fills map->axes for the parameter `large` from map->small. */
int grow_axes(const growth *g, const param *large, param_map *map, lithe_growth *report, lithe_error *err);

/* ---- grow_hybrid.c: a model under the names of a hybrid ---- */
/* Gives `to` the values of m; what it has beside begins as in a new model. */
int  hybrid_values(const hybrid_form *f, const lithe_model *m, lithe_model *to, uint64_t seed, lithe_error *err);
/* The same of moments, which are laid out like the arenas of the params; those of what it has beside stay. */
void hybrid_moments(const hybrid_form *f, const lithe_model *m, const lithe_model *to, const real *first, const real *second, real *to_first, real *to_second);

/* Adds those of a hybrid: the groups of the smaller model at their new places, and what has no place in it as new. */
void hybrid_groups(group_list *l);

/* ---- grow_groups.c: parameter groups of the larger model ---- */
int grow_groups(growth *g, lithe_error *err);                           /* sets those of g->large, from the maps */
/* Gives the same groups to the model with values. */
int grow_groups_to(const growth *g, lithe_model *large, lithe_error *err);

#endif

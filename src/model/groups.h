/* Parameter groups: rows of a parameter that train by a rule of their own, as
 * growing leaves them.  They are training's state, kept in trainer.json beside the
 * model: by a checkpoint among its other state, by a grown model alone.  A
 * config.json with "lithe_segments", which older versions wrote, is read too. */
#ifndef MODEL_GROUPS_H
#define MODEL_GROUPS_H

#include "model/model.h"

/* Updates of an optimizer, and so births, are at most so many: the difference of two is a whole number. */
enum { UPDATES_MAX = 1 << 30, BORN_LATER = -1 };

/* Rows first .. first+rows-1.  The rows of no group train by the parameter's own rule. */
typedef struct param_group {
    const param *param;
    int first, rows;
    int born;                        /* the update from which the bias correction counts; BORN_LATER: when training next begins */
    double lr_factor;                /* of the learning rate */
    bool frozen;
} param_group;

/* The groups of m become these (allocated, taken over in any case).  Rows outside a parameter, or in two groups, are
 * refused; what: where they stand, for messages. */
int groups_set(lithe_model *m, param_group *groups, int count, const char *what, lithe_error *err);
/* Those that wait for it are born now; with reset all, at 0. */
void groups_begin(lithe_model *m, int updates, bool reset);

int     groups_read(lithe_model *m, const json_t *list, const char *what, lithe_error *err);
json_t *groups_json(const lithe_model *m);       /* a new reference; NULL when memory is out */

/* dir/trainer.json: its groups where it has any; a file of the groups alone, where m has any. */
int groups_open(lithe_model *m, const char *dir, lithe_error *err);
int groups_save(const lithe_model *m, const char *dir, lithe_error *err);

#endif

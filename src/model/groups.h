/* A parameter group is a range of a parameter's rows with a learning-rate factor, a
 * freeze or an age of its own; growing makes them for the rows that it adds.  Groups
 * are state of training and are kept in trainer.json beside the model.  Older
 * versions wrote them into config.json as "lithe_segments", which is read too. */
#ifndef MODEL_GROUPS_H
#define MODEL_GROUPS_H

#include "model/model.h"

/* The most updates that an optimizer counts, and so the largest `born`; the difference of two such counts fits an
 * int. */
enum { UPDATES_MAX = 1 << 30, BORN_LATER = -1 };

/* The rows first .. first+rows-1.  Rows in no group train by the rule that the parameter was declared with. */
typedef struct param_group {
    const param *param;
    int first, rows;
    /* The update at which its moments began, for the bias correction; BORN_LATER: when training next begins. */
    int born;
    double lr_factor;                /* multiplies the learning rate */
    bool frozen;
} param_group;

/* Makes these the groups of m, which frees them later; on failure they are freed at once.  Rows outside a parameter, or
 * in two groups, are refused.  what: the name of the place they come from, for messages. */
int groups_set(lithe_model *m, param_group *groups, int count, const char *what, lithe_error *err);
/* Training begins after `updates` updates: groups with BORN_LATER are born now; with reset all groups are born at 0. */
void groups_begin(lithe_model *m, int updates, bool reset);

int     groups_read(lithe_model *m, const json_t *list, const char *what, lithe_error *err);
json_t *groups_json(const lithe_model *m);       /* a new reference; NULL when memory runs out */

/* Reads the groups in dir/trainer.json, where there are any. */
int groups_open(lithe_model *m, const char *dir, lithe_error *err);
/* Writes a dir/trainer.json that holds the groups alone, where m has any. */
int groups_save(const lithe_model *m, const char *dir, lithe_error *err);

#endif

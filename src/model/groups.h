/* A parameter group is a rectangle of a parameter - some of its rows, or some columns of
 * these - with a learning-rate factor, a freeze or an age of its own; growing makes them
 * for the entries that it adds.  A row is what lies side by side for one index along the
 * first axis, (rows, all other axes).  Groups are state of training and are kept in
 * trainer.json beside the model.  Older versions wrote them into config.json as
 * "lithe_segments", which is read too. */
#ifndef MODEL_GROUPS_H
#define MODEL_GROUPS_H

#include "model/model.h"

/* The most updates that an optimizer counts, and so the largest `born`; the difference of two such counts fits an
 * int. */
enum { UPDATES_MAX = 1 << 30, BORN_LATER = -1 };

/* Rows first .. first+rows-1, and of them columns column .. column+columns-1.  What is in no group trains by the rule
 * that the parameter was declared with. */
typedef struct param_group {
    const param *param;
    int first, rows;
    int column, columns;             /* columns 0: all of them */
    /* The update at which its moments began, for the bias correction; BORN_LATER: when training next begins. */
    int born;
    int rewarm;                      /* its learning rate rises over so many updates after born; 0: at once */
    double lr_factor;                /* multiplies the learning rate */
    bool frozen;
} param_group;

/* Makes these the groups of m, which frees them later; on failure they are freed at once.  Two groups of a parameter
 * have the same rows, and no column in common, or no row in common; others are refused, as are entries outside.  what:
 * the name of the place they come from, for messages. */
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

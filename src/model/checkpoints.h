/* The checkpoints of a RUN by their names: RUN/ckpt-STEP. */
#ifndef MODEL_CHECKPOINTS_H
#define MODEL_CHECKPOINTS_H

#include "base/error.h"

enum { CHECKPOINT_NAME = 32 };
void  checkpoint_name(char name[CHECKPOINT_NAME], int at_step);
char *checkpoint_path(const char *run, int at_step);       /* the caller frees it; NULL when memory runs out */
/* Sets *steps to the steps of the checkpoints in run, newest first, and returns their number, or a negative status.
 * The caller frees *steps. */
int   checkpoint_list(const char *run, int **steps, lithe_error *err);

/* Returns the path of the newest complete checkpoint of run (manifest_check, but for the moments); NULL when run has
 * no checkpoints, and NULL with an error when none of them is complete.  *notice says which newer one is damaged; NULL
 * when none is.  The caller frees both.  A checkpoint that a trainer removes meanwhile is not missed. */
char *checkpoint_newest(const char *run, char **notice, lithe_error *err);
/* A line that names the checkpoint of run with the lowest validation loss, when that of the newest is 1 % above it;
 * NULL: it is not, or nobody knows.  The caller frees it. */
char *checkpoint_better(const char *run, const char *newest, lithe_error *err);

#endif

/* The checkpoints of a RUN by their names: RUN/ckpt-STEP. */
#ifndef MODEL_CHECKPOINTS_H
#define MODEL_CHECKPOINTS_H

#include "base/error.h"

enum { CHECKPOINT_NAME = 32 };
void  checkpoint_name(char name[CHECKPOINT_NAME], int at);
char *checkpoint_path(const char *run, int at);                             /* to be freed; NULL when memory is out */
/* Steps of the checkpoints in run, newest first: count, or negative; free(*steps). */
int   checkpoint_list(const char *run, int **steps, lithe_error *err);

/* Where run keeps its newest complete checkpoint (to be freed); NULL when it is no RUN, or, with an error, when none is complete. */
char *checkpoint_newest(const char *run, lithe_error *err);

#endif

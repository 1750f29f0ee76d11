/* TensorBoard event files. */
#ifndef TRAIN_TENSORBOARD_H
#define TRAIN_TENSORBOARD_H

#include "base/error.h"

typedef struct { int fd; char *path; } tensorboard;                 /* fd -1: not open */

/* Writes its version record. */
int  tensorboard_create(tensorboard *t, const char *path, double wall_time, lithe_error *err);
int  tensorboard_open(tensorboard *t, const char *dir, lithe_error *err);   /* a new file with a unique name in dir */
/* Tells readers to drop values from step on. */
int  tensorboard_restart(tensorboard *t, double wall_time, int step, lithe_error *err);
int  tensorboard_scalar(tensorboard *t, double wall_time, int step, const char *tag, double value, lithe_error *err);
void tensorboard_close(tensorboard *t);


#endif

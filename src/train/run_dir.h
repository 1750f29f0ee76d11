/* The directory of a run: its checkpoints, its birth, what becomes of it at the end. */
#ifndef TRAIN_RUN_DIR_H
#define TRAIN_RUN_DIR_H

#include "base/file.h"
#include "model/checkpoints.h"

/* run/ckpt-STEP becomes what lies in `temporary`, an old one of that name being moved out of the way. */
int   checkpoint_publish(const char *temporary, const char *run, int step, lithe_error *err);
int   checkpoint_remove(const char *run, int step, lithe_error *err);       /* gone by one rename */
int   run_sweep(const char *run, lithe_error *err);                         /* what interrupted writers left */
/* run/.NAME: where something is built before its rename.  Empty, whatever was there. */
char *run_scratch(const char *run, const char *name, lithe_error *err);

/* A sibling of `run`, which must not exist or be empty, to build it in; removes what dead writers left there. */
char *run_begin(const char *run, lithe_error *err);
int   run_appear(const char *temporary, const char *run, lithe_error *err);
/* The files of dir appear in run under their names: linked where the file system can, else copied. */
int   run_link(const char *dir, const char *run, const char *const *but, lithe_error *err);


#endif

/* The directory of a run: making it, its checkpoints, and the model it holds at the end. */
#ifndef TRAIN_RUN_DIR_H
#define TRAIN_RUN_DIR_H

#include "base/file.h"
#include "base/partial.h"
#include "model/checkpoints.h"

/* Renames `temporary` to run/ckpt-STEP, after removing an old checkpoint of that name. */
int   checkpoint_publish(const char *temporary, const char *run, int step, lithe_error *err);
int   checkpoint_remove(const char *run, int step, lithe_error *err);       /* it disappears by one rename */
int   run_sweep(const char *run, lithe_error *err);                         /* removes what interrupted writers left */
/* Makes run/.NAME, an empty directory in which something is built before it is renamed; returns its path, to be
 * freed. */
char *run_scratch(const char *run, const char *name, lithe_error *err);

/* Fails when `run` exists and is not an empty directory. */
int   run_check_free(const char *run, lithe_error *err);
/* Makes a directory beside `run` to build it in. */
int   run_begin(partial_dir *s, const char *run, lithe_error *err);
/* Renames it to `run`. */
int   run_appear(const char *temporary, const char *run, lithe_error *err);
/* Links the files of dir into run, but those named in `except`; copies them where the file system cannot link. */
int   run_link(const char *dir, const char *run, const char *const *except, lithe_error *err);


#endif

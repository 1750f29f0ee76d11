/* A run on disk: its schedule, its log, its event files, its directory.  Nothing
 * here knows a tensor. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "base/file.h"

/* ---- schedule: the learning rate of a step ------------------------------------ */

typedef enum { SCHEDULE_COSINE, SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_WSD, SCHEDULE_INVERSE_SQRT, SCHEDULE_KINDS } schedule_kind;
typedef struct { schedule_kind kind; double lr, min_lr; int warmup, steps; } schedule;

int         schedule_find(const char *name);                        /* a schedule_kind, or -1 */
const char *schedule_name(schedule_kind kind);
double      schedule_lr(const schedule *s, int step);               /* of the step-th update, counted from 1 */

/* ---- TensorBoard event files ------------------------------------------------------ */

typedef struct { int fd; char *path; } tensorboard;                 /* fd -1: not open */

int  tensorboard_create(tensorboard *t, const char *path, double wall_time, lithe_error *err);     /* with its version record */
int  tensorboard_open(tensorboard *t, const char *dir, lithe_error *err);                          /* a new file of a name of its own */
int  tensorboard_restart(tensorboard *t, double wall_time, int step, lithe_error *err);            /* readers drop what they hold from step on */
int  tensorboard_scalar(tensorboard *t, double wall_time, int step, const char *tag, double value, lithe_error *err);
void tensorboard_close(tensorboard *t);

/* The whole of data by one write, or a failure. */
int  write_record(int fd, const char *path, const void *data, size_t size, lithe_error *err);

/* ---- log.jsonl ---------------------------------------------------------------------- */

/* One line at a time, made without allocation: line_begin, line_number ..., log_write. */
typedef struct { int fd; char *path; size_t used; char text[4096]; } run_log;

int  log_open(run_log *l, const char *run, lithe_error *err);       /* refuses a run another process trains */
void log_close(run_log *l);
void line_begin(run_log *l, int step);
void line_text(run_log *l, const char *key, const char *value);
void line_number(run_log *l, const char *key, double value);        /* null when not finite */
int  log_write(run_log *l, lithe_error *err);
int  log_sync(run_log *l, lithe_error *err);
/* Cuts the file back to what stood there when the checkpoint of `step` was written: nothing of later steps, and of
 * that step its first `lines` lines. */
int  log_cut(run_log *l, int step, int lines, lithe_error *err);

/* ---- run directory -------------------------------------------------------------------- */

enum { CHECKPOINT_NAME = 32 };
void  checkpoint_name(char name[CHECKPOINT_NAME], int step);        /* "ckpt-STEP" */
char *checkpoint_path(const char *run, int step);
/* Steps of the checkpoints in run, newest first: count, or negative; free(*steps). */
int   checkpoint_list(const char *run, int **steps, lithe_error *err);
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

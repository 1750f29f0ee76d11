/* RUN/log.jsonl, which has a line of JSON for every event. */
#ifndef TRAIN_LOG_H
#define TRAIN_LOG_H

#include "base/error.h"

/* Builds one line at a time, without allocation: line_begin, line_number ..., log_write. */
typedef struct { int fd; char *path, *owner; size_t used; char text[4096]; } run_log;

/* Refuses a run that another process trains, which RUN/lock names while its log is open. */
int  log_open(run_log *l, const char *run, lithe_error *err);
void log_close(run_log *l);
void line_begin(run_log *l, int step);
void line_text(run_log *l, const char *key, const char *value);
void line_number(run_log *l, const char *key, double value);        /* null when not finite */
int  log_write(run_log *l, lithe_error *err);
int  log_sync(run_log *l, lithe_error *err);
/* Truncates the file to its length when the checkpoint of `step` was written: no lines of later steps, and the first
 * `lines` lines of that step. */
int  log_cut(run_log *l, int step, int lines, lithe_error *err);

#endif

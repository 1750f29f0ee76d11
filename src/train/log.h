/* RUN/log.jsonl, a line of JSON for everything that happened. */
#ifndef TRAIN_LOG_H
#define TRAIN_LOG_H

#include "base/error.h"

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

/* The whole of data by one write, or a failure. */
int  write_record(int fd, const char *path, const void *data, size_t size, lithe_error *err);


#endif

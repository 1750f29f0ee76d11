/* Errors of the world: a status and one line.  The first failure sticks. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "lithe.h"
#include <stdbool.h>

/* Records the failure unless err is NULL or already holds one; returns status,
 * so that a caller can say `return fail(err, LITHE_E..., "...", ...)`.  When a failure
 * is pending (below), that is the reason, and it is recorded instead. */
int fail(lithe_error *err, lithe_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool failed(const lithe_error *err) { return err && err->status != LITHE_OK; }

/* A failure of this thread that its place cannot report, such as an allocation's, is
 * pending until an error of this thread is recorded.  Whatever gives something away (a file, a
 * model, a text) calls check_pending first, so that nothing incomplete is taken for whole. */
void fail_later(lithe_status status, const char *text);
int  check_pending(lithe_error *err);           /* fails when a failure is pending */
/* Of an error that the caller goes on without: want of memory says nothing of what was looked at, and is pending. */
void drop_error(const lithe_error *e);
void forget_pending(void);                      /* the caller does without what it did not get */

#endif

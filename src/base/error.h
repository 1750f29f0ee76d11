/* Errors of the world: a status and one line.  The first failure sticks. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "lithe.h"
#include <stdbool.h>

/* Records the failure unless err is NULL or already holds one; returns status,
 * so that a caller can say `return fail(err, LITHE_EFORMAT, "...", ...)`. */
int fail(lithe_error *err, lithe_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool failed(const lithe_error *err) { return err && err->status != LITHE_OK; }

#endif

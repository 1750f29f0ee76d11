/* Lines and events at the end of a file that others read while it grows. */
#ifndef BASE_RECORD_H
#define BASE_RECORD_H

#include "base/error.h"
#include <stddef.h>

/* Writes all of data by one call of write, or fails. */
int write_record(int fd, const char *path, const void *data, size_t size, lithe_error *err);

#endif

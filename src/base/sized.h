/* Option structs of the public interface begin with their size as the caller knew
 * it, so that a field can be added at their end without breaking a program that
 * was compiled before. */
#ifndef BASE_SIZED_H
#define BASE_SIZED_H

#include "base/error.h"
#include <stddef.h>

/* Copies given (NULL: all zero) into own, of own_bytes, zero where given ends before it.  LITHE_EINVAL when given
 * has no size, or sets a field that this library does not know. */
int options_read(void *own, size_t own_bytes, const void *given, const char *name, lithe_error *err);

#endif

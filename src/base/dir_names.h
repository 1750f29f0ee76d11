/* What a directory holds. */
#ifndef BASE_DIR_NAMES_H
#define BASE_DIR_NAMES_H

#include "base/error.h"
#include <stddef.h>

typedef struct { const char **names; size_t count; char *text; } dir_names;

/* The names in a directory but for . and .., by their bytes.  A directory that cannot be read to its end is an error,
 * LITHE_EIO or LITHE_ENOMEM.  Zero after a failure; dir_names_free is allowed then too. */
int  dir_names_read(dir_names *l, const char *path, lithe_error *err);
void dir_names_free(dir_names *l);

int  dir_is_empty(const char *path, lithe_error *err);      /* 1: yes, or absent; 0: no; below 0: failed */

#endif

/* What a process makes under another name until it is whole, or needs only while it runs: directories and files named
 * PREFIX-PID-N, locked by their owner.  What a killed process left is found by its name and its free lock, and removed
 * by the next one that makes something with the same prefix there. */
#ifndef BASE_PARTIAL_H
#define BASE_PARTIAL_H

#include "base/error.h"

typedef struct { char *path; int lock; } partial_dir;       /* zero: none */

int  partial_make(partial_dir *s, const char *parent, const char *prefix, lithe_error *err);   /* an empty directory */
void partial_remove(partial_dir *s);                        /* with its contents, if it is still there */

/* An error that names the unfinished path names the final one. */
void partial_named(const char *path, const char *final, lithe_error *err);

const char *temporary_parent(void);                     /* where temporary files lie: TMPDIR, or /tmp */

/* A new path PARENT/PREFIX-PID-N, to be released with free(); what others left there is removed. */
char *partial_path(const char *parent, const char *prefix, lithe_error *err);
void  partial_lock(int fd);                             /* of a file at such a path */
void  partial_sweep(const char *parent, const char *prefix);            /* removes what others left there */

#endif

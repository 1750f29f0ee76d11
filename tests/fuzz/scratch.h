/* Where a fuzzer's files lie: in a directory of its process, which is in memory where
 * the system has such a place, and gone when the process ends.  Tests name another. */
#ifndef FUZZ_SCRATCH_H
#define FUZZ_SCRATCH_H

#include "base/file.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH_PATH = 400 };
static char scratch_dir[300];

static inline void scratch_remove(void) { dir_remove(scratch_dir, NULL); }

static inline void scratch_make(void)
{
    const char *named = getenv("LITHE_FUZZ_DIR");
    snprintf(scratch_dir, sizeof scratch_dir, "%s/lithe-fuzz-%d", named ? named : path_is_dir("/dev/shm") ? "/dev/shm" : "/tmp", (int)getpid());
    if (dir_remove(scratch_dir, NULL) || mkdir(scratch_dir, 0700) || atexit(scratch_remove)) abort();
}

/* The path of a file of this name there. */
static inline char *scratch_path(char path[SCRATCH_PATH], const char *name)
{
    if (!*scratch_dir) scratch_make();
    snprintf(path, SCRATCH_PATH, "%s/%s", scratch_dir, name);
    return path;
}

#endif

/* The calls of the operating system through which files are read and written, in a table that tests replace in order
 * to fail, lose or tear any of them.  What is left out of it can lose nothing: closing, for what must stay was synced
 * before, and hints. */
#ifndef BASE_SYSTEM_H
#define BASE_SYSTEM_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct {
    int     (*open)(const char *path, int flags, mode_t mode);
    int     (*openat)(int dir, const char *name, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *to, size_t size);
    ssize_t (*write)(int fd, const void *from, size_t size);
    off_t   (*lseek)(int fd, off_t offset, int whence);
    int     (*ftruncate)(int fd, off_t size);
    int     (*fsync)(int fd);
    int     (*flock)(int fd, int operation);
    /* fstatat: of a descriptor, with AT_EMPTY_PATH */
    int     (*stat)(int dir, const char *name, struct stat *s, int flags);
    int     (*mkdir)(const char *path, mode_t mode);
    int     (*link)(const char *from, const char *to);
    int     (*rename)(const char *from, const char *to);
    int     (*unlinkat)(int dir, const char *name, int flags);
    char   *(*realpath)(const char *path, char *to);
    struct dirent *(*readdir)(DIR *d);
    void   *(*mmap)(void *at, size_t size, int protection, int flags, int fd, off_t offset);
} system_calls;

extern system_calls os;                         /* those of the C library, but for tests */

#endif

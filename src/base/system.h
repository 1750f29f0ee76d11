/* The calls of the operating system through which files are read and written, in a table that tests replace in order
 * to fail, lose or tear any of them. */
#ifndef BASE_SYSTEM_H
#define BASE_SYSTEM_H

#include <dirent.h>
#include <sys/types.h>

typedef struct {
    int     (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *to, size_t size);
    ssize_t (*write)(int fd, const void *from, size_t size);
    int     (*ftruncate)(int fd, off_t size);
    int     (*fsync)(int fd);
    int     (*mkdir)(const char *path, mode_t mode);
    int     (*link)(const char *from, const char *to);
    int     (*rename)(const char *from, const char *to);
    int     (*unlinkat)(int dir, const char *name, int flags);
    struct dirent *(*readdir)(DIR *d);
    void   *(*mmap)(void *at, size_t size, int protection, int flags, int fd, off_t offset);
} system_calls;

extern system_calls os;                         /* those of the C library, but for tests */

#endif

/* Makes build/lithe-faults of the program: the call that LITHE_FAULT names fails.
 *
 *   LITHE_FAULT=memory:17        the 18th allocation fails
 *   LITHE_FAULT=write:3+         the fourth write and all later ones fail, with ENOSPC
 *   LITHE_FAULT_TRACE=1          the calls that led to the first failure, for addr2line -e liblithe-faults.so
 *   LITHE_FAULT_COUNTS=FILE      FILE holds, at the end, how many calls there were of each kind, a line each
 *
 * Allocations are those of the whole process, of its libraries too, for it has the malloc of this file. */
#include "base/system.h"
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KINDS(X) X(memory, ENOMEM) X(mmap, ENOMEM) X(open, EMFILE) X(read, EIO) X(write, ENOSPC) X(lseek, EIO) X(ftruncate, EIO) X(fsync, EIO) X(flock, ENOLCK) \
    X(stat, EIO) X(mkdir, ENOSPC) X(link, EIO) X(rename, EIO) X(unlinkat, EIO) X(realpath, EIO) X(readdir, EIO)
#define X(name, reason) KIND_##name,
enum { KINDS(X) KIND_COUNT };
#undef X
#define X(name, reason) { #name, reason },
static const struct { const char *name; int reason; } kinds[] = { KINDS(X) };
#undef X

static atomic_long calls[KIND_COUNT];
static int chosen = -1;
static long at;
static bool later, on, trace;

static void print_trace(void)
{
    void *from[24];
    on = trace = false;
    backtrace_symbols_fd(from, backtrace(from, 24), STDERR_FILENO);
    on = true;
}

static bool fails(int kind)
{
    if (!on) return false;
    long n = atomic_fetch_add(&calls[kind], 1);
    if (kind != chosen || !(n == at || (later && n > at))) return false;
    if (trace) print_trace();
    errno = kinds[kind].reason;
    return true;
}

/* ---- allocations ---------------------------------------------------------------------- */

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

void *malloc(size_t size) { return fails(KIND_memory) ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return fails(KIND_memory) ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return fails(KIND_memory) ? NULL : __libc_realloc(p, size); }
void *aligned_alloc(size_t alignment, size_t size) { return fails(KIND_memory) ? NULL : __libc_memalign(alignment, size); }

/* ---- files ----------------------------------------------------------------------------- */

static system_calls real;

static int     open_or_fail(const char *path, int flags, mode_t mode)   { return fails(KIND_open) ? -1 : real.open(path, flags, mode); }
static int     openat_or_fail(int dir, const char *name, int flags, mode_t mode) { return fails(KIND_open) ? -1 : real.openat(dir, name, flags, mode); }
static ssize_t read_or_fail(int fd, void *to, size_t size)              { return fails(KIND_read) ? -1 : real.read(fd, to, size); }
static ssize_t write_or_fail(int fd, const void *from, size_t size)     { return fails(KIND_write) ? -1 : real.write(fd, from, size); }
static off_t   lseek_or_fail(int fd, off_t offset, int whence)          { return fails(KIND_lseek) ? -1 : real.lseek(fd, offset, whence); }
static int     ftruncate_or_fail(int fd, off_t size)                    { return fails(KIND_ftruncate) ? -1 : real.ftruncate(fd, size); }
static int     fsync_or_fail(int fd)                                    { return fails(KIND_fsync) ? -1 : real.fsync(fd); }
static int     flock_or_fail(int fd, int operation)                     { return fails(KIND_flock) ? -1 : real.flock(fd, operation); }
static int     stat_or_fail(int dir, const char *name, struct stat *s, int flags) { return fails(KIND_stat) ? -1 : real.stat(dir, name, s, flags); }
static int     mkdir_or_fail(const char *path, mode_t mode)             { return fails(KIND_mkdir) ? -1 : real.mkdir(path, mode); }
static int     link_or_fail(const char *from, const char *to)           { return fails(KIND_link) ? -1 : real.link(from, to); }
static int     rename_or_fail(const char *from, const char *to)         { return fails(KIND_rename) ? -1 : real.rename(from, to); }
static int     unlinkat_or_fail(int dir, const char *name, int flags)   { return fails(KIND_unlinkat) ? -1 : real.unlinkat(dir, name, flags); }
static char   *realpath_or_fail(const char *path, char *to)             { return fails(KIND_realpath) ? NULL : real.realpath(path, to); }
static struct dirent *readdir_or_fail(DIR *d)                           { return fails(KIND_readdir) ? NULL : real.readdir(d); }
static void   *mmap_or_fail(void *where, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails(KIND_mmap) ? MAP_FAILED : real.mmap(where, size, protection, flags, fd, offset);
}

/* ---- the beginning and the end ------------------------------------------------------- */

__attribute__((constructor)) static void begin(void)
{
    const char *fault = getenv("LITHE_FAULT"), *colon = fault ? strchr(fault, ':') : NULL;
    const size_t length = colon ? (size_t)(colon - fault) : 0;
    for (int k = 0; colon && k < KIND_COUNT; k++) if (strlen(kinds[k].name) == length && !strncmp(fault, kinds[k].name, length)) chosen = k;
    if (colon) {
        char *end;
        at = strtol(colon + 1, &end, 10);
        later = *end == '+';
    }
    trace = getenv("LITHE_FAULT_TRACE") != NULL;
    real = os;
    os = (system_calls){ .open = open_or_fail, .openat = openat_or_fail, .read = read_or_fail, .write = write_or_fail, .lseek = lseek_or_fail, .ftruncate = ftruncate_or_fail,
                         .fsync = fsync_or_fail, .flock = flock_or_fail, .stat = stat_or_fail, .mkdir = mkdir_or_fail, .link = link_or_fail, .rename = rename_or_fail,
                         .unlinkat = unlinkat_or_fail, .realpath = realpath_or_fail, .readdir = readdir_or_fail, .mmap = mmap_or_fail };
    on = true;
}

__attribute__((destructor)) static void end(void)
{
    on = false;
    const char *path = getenv("LITHE_FAULT_COUNTS");
    FILE *f = path ? fopen(path, "w") : NULL;
    for (int k = 0; f && k < KIND_COUNT; k++) fprintf(f, "%s %ld\n", kinds[k].name, atomic_load(&calls[k]));
    if (f) fclose(f);
}

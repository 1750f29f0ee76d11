#include "failing.h"
#include "base/file.h"
#include "base/system.h"
#include <errno.h>
#include <execinfo.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>

#define X(name, reason) #name,
const char *const call_names[CALL_COUNT] = { CALLS(X) };
#undef X
#define X(name, reason) reason,
static const int reasons[CALL_COUNT] = { CALLS(X) };
#undef X

enum { CALLERS = 10 };

static system_calls usual;
static int chosen = NO_CALL, at, seen, ended;
/* Of allocations, while none fails: who made the first of each list of callers. */
static struct { uint64_t callers; int call; } first[MOST_POINTS];
static int firsts;

static void note_callers(int call)
{
    void *from[CALLERS];
    chosen = NO_CALL;                                   /* what backtrace takes is not counted */
    int depth = backtrace(from, CALLERS);
    chosen = CALL_memory;
    uint64_t callers = hash_bytes(from, (size_t)depth * sizeof *from, 0);
    for (int i = 0; i < firsts; i++) if (first[i].callers == callers) return;
    if (firsts == MOST_POINTS) return;
    first[firsts].callers = callers;
    first[firsts++].call = call;
}

static bool fails(int call)
{
    if (call != chosen) return false;
    int this = seen++;
    if (at == NO_CALL && call == CALL_memory) note_callers(this);
    if (this != at) return false;
    errno = reasons[call];
    return true;
}

/* ---- allocations: the linker gives those of the library these names ------------------------- */

void *__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t), *__real_aligned_alloc(size_t, size_t);
void *__wrap_malloc(size_t), *__wrap_calloc(size_t, size_t), *__wrap_realloc(void *, size_t), *__wrap_aligned_alloc(size_t, size_t);

void *__wrap_malloc(size_t size)                            { return fails(CALL_memory) ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t n, size_t size)                  { return fails(CALL_memory) ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t size)                  { return fails(CALL_memory) ? NULL : __real_realloc(p, size); }
void *__wrap_aligned_alloc(size_t alignment, size_t size)   { return fails(CALL_memory) ? NULL : __real_aligned_alloc(alignment, size); }

/* Before the library's own constructors: base/json.c takes over the memory of a jansson whose malloc is the one that it
 * calls. */
__attribute__((constructor(101))) static void give_malloc(void) { json_set_alloc_funcs(malloc, free); }

/* ---- calls of the system --------------------------------------------------------------------- */

static int     open_or_fail(const char *path, int flags, mode_t mode)   { return fails(CALL_open) ? -1 : usual.open(path, flags, mode); }
static int     openat_or_fail(int dir, const char *name, int flags, mode_t mode) { return fails(CALL_open) ? -1 : usual.openat(dir, name, flags, mode); }
static ssize_t read_or_fail(int fd, void *to, size_t size)              { return fails(CALL_read) ? -1 : usual.read(fd, to, size); }
static ssize_t write_or_fail(int fd, const void *from, size_t size)     { return fails(CALL_write) ? -1 : usual.write(fd, from, size); }
static off_t   lseek_or_fail(int fd, off_t offset, int whence)          { return fails(CALL_lseek) ? -1 : usual.lseek(fd, offset, whence); }
static int     ftruncate_or_fail(int fd, off_t size)                    { return fails(CALL_ftruncate) ? -1 : usual.ftruncate(fd, size); }
static int     fsync_or_fail(int fd)                                    { (void)fd; return fails(CALL_fsync) ? -1 : 0; }
static int     flock_or_fail(int fd, int operation)                     { return fails(CALL_flock) ? -1 : usual.flock(fd, operation); }
static int     stat_or_fail(int dir, const char *name, struct stat *s, int flags) { return fails(CALL_stat) ? -1 : usual.stat(dir, name, s, flags); }
static int     mkdir_or_fail(const char *path, mode_t mode)             { return fails(CALL_mkdir) ? -1 : usual.mkdir(path, mode); }
static int     link_or_fail(const char *from, const char *to)           { return fails(CALL_link) ? -1 : usual.link(from, to); }
static int     rename_or_fail(const char *from, const char *to)         { return fails(CALL_rename) ? -1 : usual.rename(from, to); }
static int     unlinkat_or_fail(int dir, const char *name, int flags)   { return fails(CALL_unlinkat) ? -1 : usual.unlinkat(dir, name, flags); }
static char   *realpath_or_fail(const char *path, char *to)             { return fails(CALL_realpath) ? NULL : usual.realpath(path, to); }
static struct dirent *readdir_or_fail(DIR *d)                           { return fails(CALL_readdir) ? NULL : usual.readdir(d); }
static void   *mmap_or_fail(void *where, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails(CALL_mmap) ? MAP_FAILED : usual.mmap(where, size, protection, flags, fd, offset);
}

void failing_open(void)
{
    usual = os;
    os = (system_calls){ .open = open_or_fail, .openat = openat_or_fail, .read = read_or_fail, .write = write_or_fail, .lseek = lseek_or_fail, .ftruncate = ftruncate_or_fail,
                         .fsync = fsync_or_fail, .flock = flock_or_fail, .stat = stat_or_fail, .mkdir = mkdir_or_fail, .link = link_or_fail, .rename = rename_or_fail,
                         .unlinkat = unlinkat_or_fail, .realpath = realpath_or_fail, .readdir = readdir_or_fail, .mmap = mmap_or_fail };
}

void failing_close(void) { os = usual; }

/* ---- which ------------------------------------------------------------------------------------- */

void failing_begin(int call, int which)
{
    at = which;
    seen = 0;
    if (call == CALL_memory && which == NO_CALL) firsts = 0;
    ended = call;
    chosen = call;
}

void failing_end(void) { chosen = NO_CALL; }
int  failing_seen(void) { return seen; }

int failing_points(int points[MOST_POINTS], int most)
{
    int all = ended == CALL_memory ? firsts : seen < MOST_POINTS ? seen : MOST_POINTS, n = 0;
    int stride = getenv("LITHE_FAULTS") ? 1 : all / most + 1;
    for (int i = stride / 2; i < all; i += stride) points[n++] = ended == CALL_memory ? first[i].call : i;
    return n;
}

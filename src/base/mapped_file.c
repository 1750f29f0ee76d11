/* Mapped files (base/mapped_file.h).  Invariant: the list of them only grows, and a place in it is used again when its
 * mapping is gone, so the handler can walk through it at any time. */
#include "base/mapped_file.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/system.h"
#include "lithe_tools.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct mapped_file {
    atomic_uintptr_t begin;                     /* of the mapping; 0: the place is free */
    atomic_size_t size;
    atomic_bool lost;                           /* zeros stand in the place of what could not be read */
    char *path;
    struct stat was;                            /* when it was mapped */
    struct mapped_file *next;
};

static _Atomic(struct mapped_file *) first;
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

/* ---- the list ----------------------------------------------------------------------- */

/* A free place, or a new one; the mutex is held. */
static struct mapped_file *place_for(const char *path)
{
    struct mapped_file *f = atomic_load(&first);
    while (f && atomic_load(&f->begin)) f = f->next;
    if (!f) {
        if (!(f = xalloc(1, sizeof *f))) return NULL;
        f->next = atomic_load(&first);
        atomic_store(&first, f);
    }
    f->path = xstrdup(path);
    return f->path ? f : NULL;
}

static struct mapped_file *note(const void *data, size_t size, const char *path, const struct stat *s)
{
    pthread_mutex_lock(&changing);
    struct mapped_file *f = place_for(path);
    if (f) {
        f->was = *s;
        atomic_store(&f->lost, false);
        atomic_store(&f->size, size);
        atomic_store(&f->begin, (uintptr_t)data);
    }
    pthread_mutex_unlock(&changing);
    return f;
}

static void forget(struct mapped_file *f)
{
    pthread_mutex_lock(&changing);
    free(f->path);
    f->path = NULL;
    atomic_store(&f->begin, 0);
    pthread_mutex_unlock(&changing);
}

/* ---- mapping -------------------------------------------------------------------------- */

int file_map(mapping *m, const char *path, lithe_error *err)
{
    *m = (mapping){ 0 };
    if (failed(err)) return err->status;
    struct stat s;
    int fd = file_open_regular(path, &s, err), status = LITHE_OK;
    if (fd < 0) return err ? (int)err->status : LITHE_EIO;
    size_t size = (size_t)s.st_size;
    void *p = size ? os.mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (p == MAP_FAILED) status = fail_errno(err, path, "map");
    else if (!size) *m = (mapping){ (const uint8_t *)"", 0, NULL };
    else {
        madvise(p, size, MADV_HUGEPAGE);      /* a hint: what is not in memory yet is read and mapped 2 MiB at a time */
        *m = (mapping){ p, size, note(p, size, path, &s) };
        status = m->file ? refuse_git_pointer(p, size, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", path);
        if (status) file_unmap(m);
    }
    close(fd);
    return status;
}

void file_unmap(mapping *m)
{
    if (m->file) forget(m->file);               /* first: the addresses may be another mapping's at once */
    if (m->size) munmap((void *)(uintptr_t)m->data, m->size);
    *m = (mapping){ 0 };
}

bool file_same(const char *a, const char *b)
{
    mapping x, y;
    if (file_map(&x, a, NULL)) return false;
    bool same = !file_map(&y, b, NULL);
    if (same) {
        same = x.size == y.size && !memcmp(x.data, y.data, x.size);
        file_unmap(&y);
    }
    file_unmap(&x);
    return same;
}

static bool is_file(const char *path, const struct stat *was, struct stat *now)
{
    return !os.stat(AT_FDCWD, path, now, 0) && now->st_dev == was->st_dev && now->st_ino == was->st_ino;
}

int mapping_called(const mapping *m, const char *path, lithe_error *err)
{
    struct stat now;
    char *copy = m->file && is_file(path, &m->file->was, &now) ? xstrdup(path) : NULL;
    if (!copy) return check_pending(err);
    free(m->file->path);
    m->file->path = copy;
    return LITHE_OK;
}

/* ---- has it changed? -------------------------------------------------------------------- */

int mapping_intact(const mapping *m, lithe_error *err)
{
    struct stat now;
    if (!m->file) return LITHE_OK;
    const struct stat *was = &m->file->was;
    bool there = is_file(m->file->path, was, &now);
    if (there && now.st_size != was->st_size)
        return fail(err, LITHE_EFORMAT, "%s: was changed while it was being read, from %lld to %lld bytes", m->file->path, (long long)was->st_size, (long long)now.st_size);
    if (there && (now.st_mtim.tv_sec != was->st_mtim.tv_sec || now.st_mtim.tv_nsec != was->st_mtim.tv_nsec))
        return fail(err, LITHE_EFORMAT, "%s: was overwritten while it was being read", m->file->path);
    if (atomic_load(&m->file->lost)) return fail(err, LITHE_EFORMAT, "%s: a part of it could not be read any more: it was cut, or its disk failed", m->file->path);
    return LITHE_OK;
}

int mapping_finish(mapping *m, int status, lithe_error *err)
{
    lithe_error changed = { 0 };
    if (mapping_intact(m, &changed)) {
        status = changed.status;
        if (err) *err = changed;
    }
    file_unmap(m);
    return status;
}

/* ---- SIGBUS ------------------------------------------------------------------------------ */

static struct sigaction before;

/* Puts zeros from the page of `at` to the end of the mapping; nothing after it can be read if the file was cut. */
static bool replace(struct mapped_file *f, uintptr_t at)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = atomic_load(&f->begin), end = begin + atomic_load(&f->size);
    at -= at % page;
    atomic_store(&f->lost, true);
    return mmap((void *)at, end - at, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static bool mend(uintptr_t at)
{
    for (struct mapped_file *f = atomic_load(&first); f; f = f->next) {
        uintptr_t begin = atomic_load(&f->begin);
        if (begin && at >= begin && at - begin < atomic_load(&f->size)) return replace(f, at);
    }
    return false;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    bool mended = info->si_code > 0 && mend((uintptr_t)info->si_addr);         /* above 0: the kernel sent it */
    errno = saved;
    if (mended) return;
    if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(number, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(number);
    else {
        sigaction(SIGBUS, &before, NULL);       /* it happens again on returning, or is sent again */
        if (info->si_code <= 0) raise(number);
    }
}

int mapping_guard(lithe_error *err)
{
    static bool guarded;
    struct sigaction act = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
    int status = LITHE_OK;
    if (failed(err)) return err->status;
    pthread_mutex_lock(&changing);
    if (!guarded && sigaction(SIGBUS, &act, &before)) status = fail_errno(err, "SIGBUS", "handle");
    guarded = guarded || !status;
    pthread_mutex_unlock(&changing);
    return status;
}

int lithe_guard_files(lithe_error *err) { return mapping_guard(err); }

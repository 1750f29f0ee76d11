#include "base/partial.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/dir_names.h"
#include "base/system.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *temporary_parent(void)
{
    const char *tmp = getenv("TMPDIR");
    return tmp && *tmp ? tmp : "/tmp";
}

void partial_lock(int fd) { os.flock(fd, LOCK_EX | LOCK_NB); }

/* ---- what others left -------------------------------------------------------------------- */

/* Whether a name is PREFIX-PID-N of a process that does not run, here at least. */
static bool names_the_dead(const char *name, const char *prefix)
{
    char *end;
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) || name[n] != '-') return false;
    long pid = strtol(name + n + 1, &end, 10);
    return pid > 0 && *end == '-' && kill((pid_t)pid, 0) && errno == ESRCH;
}

/* A process of another machine or container has a number that says nothing here, but it holds its lock. */
static bool abandoned(const char *path)
{
    struct stat s;
    int fd = os.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    bool free_lock = fd >= 0 && !os.stat(fd, "", &s, AT_EMPTY_PATH) && s.st_uid == geteuid() && !os.flock(fd, LOCK_EX | LOCK_NB);
    if (fd >= 0) close(fd);
    return free_lock;
}

void partial_sweep(const char *parent, const char *prefix)
{
    dir_names l;
    lithe_error unreadable = { 0 };                     /* then nothing is swept */
    if (dir_names_read(&l, parent, &unreadable)) drop_error(&unreadable);
    for (size_t i = 0; i < l.count; i++) {
        char *path = names_the_dead(l.names[i], prefix) ? path_join(parent, l.names[i]) : NULL;
        if (path && abandoned(path)) dir_remove(path, NULL);
        free(path);
    }
    dir_names_free(&l);
}

/* ---- what is made -------------------------------------------------------------------------- */

char *partial_path(const char *parent, const char *prefix, lithe_error *err)
{
    static atomic_uint serial;
    size_t room = strlen(prefix) + 40;
    partial_sweep(parent, prefix);
    char *name = xalloc(room, 1);
    if (name) snprintf(name, room, "%s-%ld-%u", prefix, (long)getpid(), atomic_fetch_add(&serial, 1));
    char *path = name ? path_join(parent, name) : NULL;
    free(name);
    if (!path) fail(err, LITHE_ENOMEM, "%s: out of memory", parent);
    return path;
}

int partial_make(partial_dir *s, const char *parent, const char *prefix, lithe_error *err)
{
    enum { TRIES = 1000 };                              /* a dead process may have had this one's number */
    int status = LITHE_OK, made = -1;
    *s = (partial_dir){ .lock = -1 };
    if (failed(err)) return err->status;
    for (int i = 0; i < TRIES && made; i++) {
        free(s->path);
        if (!(s->path = partial_path(parent, prefix, err))) return LITHE_ENOMEM;
        made = os.mkdir(s->path, 0777);
        if (made && errno != EEXIST) break;
    }
    if (made) status = fail_errno(err, parent, "make a directory in it");
    else {
        s->lock = os.open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        if (s->lock >= 0) partial_lock(s->lock);
        return LITHE_OK;
    }
    free(s->path);
    s->path = NULL;
    return status;
}

void partial_remove(partial_dir *s)
{
    if (!s->path) return;
    dir_remove(s->path, NULL);
    if (s->lock >= 0) close(s->lock);
    free(s->path);
    *s = (partial_dir){ .lock = -1 };
}

void partial_named(const char *path, const char *final, lithe_error *err)
{
    const char *at = path && failed(err) ? strstr(err->text, path) : NULL;
    lithe_error said = { 0 };
    if (!at) return;
    snprintf(said.text, sizeof said.text, "%.*s%.300s%s", (int)(at - err->text), err->text, final, at + strlen(path));
    memcpy(err->text, said.text, sizeof err->text);
}

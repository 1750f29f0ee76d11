/* The RUN directory (docs/run-directory.md).  Invariant: whenever a process is killed, a
 * run is absent or complete, and so is each checkpoint in it: directories are built
 * under a name that begins with a dot and are then renamed. */
#include "base/arena.h"
#include "base/writer.h"
#include "base/system.h"
#include "base/dir_names.h"
#include "train/run_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(const char *path, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: out of memory", path); }

/* ---- temporary directories ------------------------------------------------------------------------ */

/* Makes an empty directory in place of anything that has its path. */
static int make_empty(const char *path, lithe_error *err)
{
    int status = dir_remove(path, err);
    return status ? status : dir_make(path, err);
}

char *run_scratch(const char *run, const char *name, lithe_error *err)
{
    char hidden[64];
    snprintf(hidden, sizeof hidden, ".%s", name);
    char *path = failed(err) ? NULL : path_join(run, hidden);
    if (!path) { no_memory(run, err); return NULL; }
    if (!make_empty(path, err)) return path;
    free(path);
    return NULL;
}

static int sweep(const char *dir, lithe_error *err)
{
    dir_names l;
    int status = dir_names_read(&l, dir, err);
    for (size_t i = 0; i < l.count && !status; i++) {
        bool ours = !strncmp(l.names[i], ".ckpt-", 6) || !strncmp(l.names[i], ".lithe-", 7) || !strncmp(l.names[i], ".link-", 6);
        char *path = ours ? path_join(dir, l.names[i]) : NULL;
        if (path) status = dir_remove(path, err);
        else if (ours) status = no_memory(dir, err);
        free(path);
    }
    dir_names_free(&l);
    return status;
}

int run_sweep(const char *run, lithe_error *err)
{
    if (failed(err)) return err->status;
    char *samples = path_join(run, "samples");
    int status = samples ? sweep(run, err) : no_memory(run, err);
    if (!status && path_is_dir(samples)) status = sweep(samples, err);
    free(samples);
    return status;
}

/* ---- checkpoints ----------------------------------------------------------------------- */

int checkpoint_remove(const char *run, int step, lithe_error *err)
{
    char name[CHECKPOINT_NAME], hidden[CHECKPOINT_NAME + 8];
    checkpoint_name(name, step);
    snprintf(hidden, sizeof hidden, ".%s.gone", name);
    char *path = path_join(run, name), *gone = path_join(run, hidden);
    int status = path && gone ? dir_remove(gone, err) : no_memory(run, err);
    bool there = !status && !os.rename(path, gone);
    if (!status && !there && errno != ENOENT) status = fail_errno(err, path, "remove");
    if (there) status = dir_sync(run, err);             /* a power loss must not leave its name and lose its files */
    if (!status) status = dir_remove(gone, err);
    free(path);
    free(gone);
    return status;
}

int checkpoint_publish(const char *temporary, const char *run, int step, lithe_error *err)
{
    char *path = checkpoint_path(run, step);
    if (!path) return no_memory(run, err);
    int status = failed(err) ? (int)err->status : checkpoint_remove(run, step, err);
    if (!status) status = dir_sync(temporary, err);
    if (!status) status = dir_rename(temporary, path, err);
    free(path);
    return status;
}

/* ---- making a run ------------------------------------------------------------------------ */

int run_begin(partial_dir *s, const char *run, lithe_error *err)
{
    char prefix[300], *parent = path_parent(run);
    snprintf(prefix, sizeof prefix, ".%s.lithe", path_base(run));
    int status = parent ? dir_make(parent, err) : no_memory(run, err);
    if (!status) status = partial_make(s, parent, prefix, err);
    free(parent);
    return status;
}

int run_check_free(const char *run, lithe_error *err)
{
    if (path_exists(run) && !path_is_dir(run)) return fail(err, LITHE_EINVAL, "%s: is a file, a run is a directory", run);
    int empty = dir_is_empty(run, err);
    return empty ? (empty < 0 ? empty : LITHE_OK) : fail(err, LITHE_EINVAL, "%s: exists and is not empty: continue it with --resume, or name another --out", run);
}

int run_appear(const char *temporary, const char *run, lithe_error *err)
{
    int status = dir_sync(temporary, err);
    if (status) return status;
    if (!os.rename(temporary, run)) {
        char *parent = path_parent(run);
        status = parent ? dir_sync(parent, err) : no_memory(run, err);
        free(parent);
        return status;
    }
    if (errno == ENOTEMPTY || errno == EEXIST) return fail(err, LITHE_EINVAL, "%s: exists and is not empty", run);
    return fail_errno(err, run, "make");
}

/* ---- linking --------------------------------------------------------------------------------- */

/* Makes `to` a hard link to `from` by one rename (which leaves both names when they are the same file), else a copy. */
static int link_file(const char *from, const char *to, lithe_error *err)
{
    char *parent = path_parent(to), *temporary = NULL;
    if (parent) temporary = path_join(parent, ".link-new");
    int status = temporary ? LITHE_OK : no_memory(to, err);
    if (status) goto out;
    os.unlinkat(AT_FDCWD, temporary, 0);
    if (os.link(from, temporary)) status = file_copy(from, to, err);
    else if (os.rename(temporary, to)) status = fail_errno(err, to, "write");
    os.unlinkat(AT_FDCWD, temporary, 0);
out:
    free(parent);
    free(temporary);
    return status;
}

static bool listed(const char *name, const char *const *names)
{
    for (; names && *names; names++) if (!strcmp(name, *names)) return true;
    return false;
}

int run_link(const char *dir, const char *run, const char *const *except, lithe_error *err)
{
    if (failed(err)) return err->status;
    dir_names l;
    int status = dir_names_read(&l, dir, err);
    for (size_t i = 0; i < l.count; i++) {
        const char *name = l.names[i];
        struct stat s;
        char *from = path_join(dir, name), *to = path_join(run, name);
        if (!from || !to) status = no_memory(run, err);
        else if (status || name[0] == '.' || listed(name, except)) { }
        else if (os.stat(AT_FDCWD, from, &s, 0)) status = errno == ENOENT ? LITHE_OK : fail_errno(err, from, "look at");
        else if (S_ISREG(s.st_mode)) status = link_file(from, to, err);
        free(from);
        free(to);
    }
    dir_names_free(&l);
    return status ? status : dir_sync(run, err);
}

#include "base/dir_names.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/system.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static DIR *open_dir(const char *path)
{
    int fd = os.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0) close(fd);
    return d;
}

/* All names, each with the NUL after it; of the text and its size.  Returns NULL with errno. */
static char *read_names(DIR *d, size_t *size, size_t *count)
{
    size_t room = 4096;
    char *text = xalloc(room, 1);
    *size = *count = 0;
    if (!text) { errno = ENOMEM; return NULL; }
    for (struct dirent *e; (errno = 0, e = os.readdir(d));) {
        const size_t n = strlen(e->d_name) + 1;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (*size + n > room) {
            char *more = xrealloc(text, room *= 2, 1);
            if (!more) { errno = ENOMEM; break; }
            text = more;
        }
        memcpy(text + *size, e->d_name, n);
        *size += n;
        ++*count;
    }
    if (!errno) return text;
    const int e = errno;
    free(text);
    errno = e;
    return NULL;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

int dir_names_read(dir_names *l, const char *path, lithe_error *err)
{
    *l = (dir_names){ 0 };
    if (failed(err)) return err->status;
    DIR *d = open_dir(path);
    if (!d) return fail_errno(err, path, "list");
    size_t size, count;
    l->text = read_names(d, &size, &count);
    int status = l->text ? LITHE_OK : fail_errno(err, path, "list");
    closedir(d);
    if (!status && !(l->names = xalloc(count + 1, sizeof *l->names))) status = fail(err, LITHE_ENOMEM, "%s: out of memory for its %zu names", path, count);
    if (status) { dir_names_free(l); return status; }
    for (const char *at = l->text; l->count < count; at += strlen(at) + 1) l->names[l->count++] = at;
    qsort(l->names, count, sizeof *l->names, by_bytes);
    return LITHE_OK;
}

void dir_names_free(dir_names *l)
{
    free(l->names);
    free(l->text);
    *l = (dir_names){ 0 };
}

int dir_is_empty(const char *path, lithe_error *err)
{
    dir_names l;
    struct stat s;
    if (failed(err)) return err->status;
    if (os.stat(AT_FDCWD, path, &s, 0) && errno == ENOENT) return 1;
    int status = dir_names_read(&l, path, err), empty = !l.count;
    dir_names_free(&l);
    return status ? status : empty;
}

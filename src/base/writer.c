/* Writing: to another name, which is fsynced and renamed, and its directory fsynced. */
#include "base/writer.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/partial.h"
#include "base/system.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is written 2 MiB at a time stays in memory in huge pages, where the file system can: whoever maps the file then
 * reads it at the full rate. */
enum { BUFFER_BYTES = 2 << 20 };

struct written { int fd, error; };                          /* the errno of the first write that failed, or 0 */

/* Reading mapped bytes that are gone gives a handler of SIGBUS (base/mapped_file.h) what the kernel does not: a reason
 * to put zeros there. */
static void touch(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i += 4096) (void)*(const volatile char *)(data + i);
    (void)*(const volatile char *)(data + size - 1);
}

static ssize_t write_out(void *cookie, const char *data, size_t size)
{
    struct written *to = cookie;
    size_t done = 0;
    while (done < size && !to->error) {
        ssize_t n = os.write(to->fd, data + done, size - done);
        if (n < 0 && errno == EFAULT) touch(data + done, size - done);
        else if (n < 0 && errno != EINTR) to->error = errno;
        else if (n > 0) done += (size_t)n;
    }
    if (to->error) errno = to->error;
    return (ssize_t)done;
}

static int seek_to(void *cookie, off64_t *at, int whence)
{
    const struct written *to = cookie;
    *at = os.lseek(to->fd, *at, whence);
    return *at < 0 ? -1 : 0;
}

static int close_file(void *cookie)
{
    const struct written *to = cookie;
    return close(to->fd);
}

static int open_stream(writer *w, const char *path, lithe_error *err)
{
    const cookie_io_functions_t functions = { .write = write_out, .seek = seek_to, .close = close_file };
    w->to->fd = os.open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->to->fd < 0) {
        int status = fail_errno(err, path, "write");
        free(w->temporary);                                  /* not ours, so it is never removed */
        w->temporary = NULL;
        return status;
    }
    partial_lock(w->to->fd);
    w->stream = fopencookie(w->to, "wb", functions);
    if (!w->stream) { close(w->to->fd); return fail(err, LITHE_ENOMEM, "%s: cannot write, out of memory", path); }
    if ((w->buffer = malloc(BUFFER_BYTES))) setvbuf(w->stream, w->buffer, _IOFBF, BUFFER_BYTES);
    return LITHE_OK;
}

int writer_open(writer *w, const char *path, lithe_error *err)
{
    struct stat s;
    *w = (writer){ 0 };
    int status = check_pending(err);
    if (status) return status;
    bool there = !os.stat(AT_FDCWD, path, &s, 0);
    if (!there && errno != ENOENT && errno != ELOOP) return fail_errno(err, path, "write");
    if (there && !S_ISREG(s.st_mode))                       /* renaming over a device would remove it */
        return fail(err, LITHE_EINVAL, "%s: is not a regular file, cannot be written as one", path);
    w->path = path_follow(path, err);                       /* a link stays a link */
    char *parent = w->path ? path_parent(w->path) : NULL;
    w->temporary = parent ? partial_path(parent, ".lithe", err) : NULL;
    free(parent);
    w->to = xalloc(1, sizeof *w->to);
    status = w->temporary && w->to ? open_stream(w, path, err) : fail(err, LITHE_ENOMEM, "%s: cannot write, out of memory", path);
    if (status) writer_abandon(w);
    return status;
}

void writer_abandon(writer *w)
{
    if (w->stream) fclose(w->stream);
    if (w->temporary) os.unlinkat(AT_FDCWD, w->temporary, 0);
    free(w->temporary);
    free(w->path);
    free(w->buffer);
    free(w->to);
    *w = (writer){ 0 };
}

int writer_commit(writer *w, lithe_error *err)
{
    int status = !w->stream ? (int)LITHE_EIO : check_pending(err);
    if (status) goto out;
    bool bad = fflush(w->stream) || ferror(w->stream) || os.fsync(w->to->fd);
    if (w->to->error) errno = w->to->error;                 /* of a write before; stdio forgets it */
    if (bad) { status = fail_errno(err, w->path, "write"); goto out; }
    int closed = fclose(w->stream);
    w->stream = NULL;
    if (closed || os.rename(w->temporary, w->path)) { status = fail_errno(err, w->path, "write"); goto out; }
    free(w->temporary);
    w->temporary = NULL;
    status = dir_sync_parent(w->path, err);
out:
    writer_abandon(w);
    return status;
}

int file_write(const char *path, const void *data, size_t size, lithe_error *err)
{
    writer w;
    int status = writer_open(&w, path, err);
    if (status) return status;
    if (size) fwrite(data, 1, size, w.stream);
    return writer_commit(&w, err);
}

int file_copy(const char *from, const char *to, lithe_error *err)
{
    mapping m;
    int status = file_map(&m, from, err);
    if (status) return status;
    writer w;
    status = writer_open(&w, to, err);
    if (!status && m.size) fwrite(m.data, 1, m.size, w.stream);
    if (!status && (status = mapping_intact(&m, err))) writer_abandon(&w);
    if (!status) status = writer_commit(&w, err);
    file_unmap(&m);
    return status;
}

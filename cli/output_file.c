#include "output_file.h"
#include "inputs.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static ssize_t write_out(void *cookie, const char *data, size_t size)
{
    output_file *f = cookie;
    size_t done = 0;
    while (done < size && !f->error) {
        const ssize_t n = write(f->fd, data + done, size - done);
        if (n > 0) done += (size_t)n;
        else if (n < 0 && errno != EINTR) f->error = errno;
    }
    return (ssize_t)done;
}

static int close_file(void *cookie)
{
    output_file *f = cookie;
    if (close(f->fd) && !f->error) f->error = errno;
    return f->error ? -1 : 0;
}

int output_file_open(output_file *f, const char *path, lithe_error *err)
{
    const cookie_io_functions_t functions = { .write = write_out, .close = close_file };
    *f = (output_file){ .path = path, .fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) };
    if (f->fd < 0) return wrong_errno(err, path, "write");
    f->stream = fopencookie(f, "w", functions);
    if (f->stream) return LITHE_OK;
    close(f->fd);
    return wrong(err, LITHE_ENOMEM, "%s: cannot write, out of memory", path);
}

int output_file_close(output_file *f, lithe_error *err)
{
    const int closed = fclose(f->stream);
    f->stream = NULL;
    if (f->error) errno = f->error;
    return closed || f->error ? wrong_errno(err, f->path, "write") : LITHE_OK;
}

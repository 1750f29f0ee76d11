#include "base/kernel_file.h"
#include "base/system.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void kernel_open(kernel_file *f, const char *path)
{
    f->at = f->end = 0;
    f->cut = false;
    f->fd = os.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
}

void kernel_close(kernel_file *f)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

/* Room is made for at least one more byte. */
static void read_more(kernel_file *f)
{
    ssize_t n;
    memmove(f->text, f->text + f->at, f->end - f->at);
    f->end -= f->at;
    f->at = 0;
    do n = os.read(f->fd, f->text + f->end, sizeof f->text - 1 - f->end); while (n < 0 && errno == EINTR);
    if (n > 0) f->end += (size_t)n;
    else kernel_close(f);
}

/* What is there of a line; the last need not have an end. */
static char *next_piece(kernel_file *f, bool *ended)
{
    for (;;) {
        char *begin = f->text + f->at, *end = memchr(begin, '\n', f->end - f->at);
        const bool full = f->end - f->at == sizeof f->text - 1;
        *ended = end || f->fd < 0;
        if (!*ended && !full) { read_more(f); continue; }
        if (!end && f->at == f->end) return NULL;
        if (!end) end = f->text + f->end;
        f->at = (size_t)(end - f->text) + (end < f->text + f->end);
        *end = 0;
        return begin;
    }
}

char *kernel_line(kernel_file *f)
{
    for (bool ended, rest; ; ) {
        char *line = next_piece(f, &ended);
        rest = f->cut;
        f->cut = line && !ended;
        if (!line || !rest) return line;
    }
}

bool kernel_first_line(const char *path, char *to, size_t size)
{
    kernel_file f;
    kernel_open(&f, path);
    const char *line = kernel_line(&f);
    snprintf(to, size, "%s", line ? line : "");
    kernel_close(&f);
    return line != NULL;
}

#include "base/record.h"
#include "base/file.h"
#include "base/system.h"
#include <errno.h>

int write_record(int fd, const char *path, const void *data, size_t size, lithe_error *err)
{
    ssize_t written;
    if (failed(err)) return err->status;
    do written = os.write(fd, data, size); while (written < 0 && errno == EINTR);
    if (written >= 0 && (size_t)written < size) errno = ENOSPC;
    return written >= 0 && (size_t)written == size ? LITHE_OK : fail_errno(err, path, "write");
}

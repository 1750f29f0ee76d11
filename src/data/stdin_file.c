#include "data/stdin_file.h"
#include "base/file.h"
#include "base/partial.h"
#include "base/system.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char name[] = "standard input", keep[] = "keep in a temporary file";

static int open_nameless(lithe_error *err)
{
    char *path = partial_path(temporary_parent(), "lithe-stdin", err);
    int fd = path ? os.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) os.unlinkat(AT_FDCWD, path, 0);
    else fail_errno(err, name, keep);
    free(path);
    return fd;
}

static int write_all(int fd, const char *from, size_t n)
{
    while (n) {
        ssize_t wrote = os.write(fd, from, n);
        if (wrote < 0 && errno != EINTR) return -1;
        if (wrote > 0) from += wrote, n -= (size_t)wrote;
    }
    return 0;
}

static int copy_stdin(int to, lithe_error *err)
{
    char block[1 << 16];
    struct statvfs disk;
    size_t most = fstatvfs(to, &disk) ? SIZE_MAX : (size_t)disk.f_bavail * disk.f_frsize / 2, size = 0;
    for (ssize_t n; (n = os.read(STDIN_FILENO, block, sizeof block)) != 0; ) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(err, name, "read");
        if ((size += (size_t)n) > most)
            return fail(err, LITHE_ENOMEM, "%s: does not end within %zu MB, half of what is free in %s: put it into a file and name that", name, most >> 20,
                        temporary_parent());
        if (write_all(to, block, (size_t)n)) return fail_errno(err, name, keep);
    }
    return LITHE_OK;
}

int stdin_map(mapping *m, lithe_error *err)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static int kept = -1;
    char path[64];
    int status = failed(err) ? (int)err->status : LITHE_OK;
    pthread_mutex_lock(&mutex);
    if (!status && kept < 0) {
        int fd = open_nameless(err);
        status = fd < 0 ? (int)LITHE_EIO : copy_stdin(fd, err);
        if (!status) kept = fd;
        else if (fd >= 0) close(fd);
    }
    if (!status) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", kept);
        lithe_error own = { 0 };
        if (file_map(m, path, &own)) status = fail(err, own.status, "%s%s", name, own.text + (strncmp(own.text, path, strlen(path)) ? 0 : strlen(path)));
    }
    pthread_mutex_unlock(&mutex);
    return status;
}

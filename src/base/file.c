/* Reading, directories, names, content hashes. */
#include "base/file.h"
#include "base/progress.h"
#include "base/arena.h"
#include "base/system.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* ---- reading -------------------------------------------------------------------- */

int file_open_regular(const char *path, struct stat *s, lithe_error *err)
{
    int fd = os.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);         /* opening a FIFO must not block */
    if (fd < 0) { fail_errno(err, path, "open"); return -1; }
    if (os.stat(fd, "", s, AT_EMPTY_PATH)) fail_errno(err, path, "look at");
    else if (S_ISDIR(s->st_mode)) fail(err, LITHE_EINVAL, "%s: is a directory, expected a file", path);
    else if (!S_ISREG(s->st_mode)) fail(err, LITHE_EINVAL, "%s: is not a regular file", path);
    else return fd;
    close(fd);
    return -1;
}

enum { HOLE_RATIO = 200, HOLE_ALLOWANCE = 64 << 20 };

/* The bytes of fd outside its holes, or `enough` of them; where the system does not know, all are. */
static size_t bytes_stored(int fd, size_t enough)
{
    size_t stored = 0;
    for (off_t at = 0, data; stored < enough; ) {
        if ((data = os.lseek(fd, at, SEEK_DATA)) < 0) return errno == ENXIO ? stored : enough;
        if ((at = os.lseek(fd, data, SEEK_HOLE)) <= data) return enough;
        stored += (size_t)(at - data);
    }
    return stored;
}

int refuse_sparse(const char *path, size_t size, lithe_error *err)
{
    struct stat s;
    if (failed(err)) return err->status;
    if (size <= HOLE_ALLOWANCE) return LITHE_OK;
    int fd = file_open_regular(path, &s, err);
    if (fd < 0) return err ? (int)err->status : LITHE_EIO;
    size_t enough = (size - HOLE_ALLOWANCE) / HOLE_RATIO, stored = bytes_stored(fd, enough);
    close(fd);
    if (stored >= enough) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: is %zu bytes, but only %zu of them are stored, and the rest is a hole: refused", path, size, stored);
}

int refuse_git_pointer(const void *data, size_t size, const char *path, lithe_error *err)
{
    static const char begin[] = "version https://git-lfs.github.com/spec/";
    if (size >= 1024 || size < sizeof begin - 1 || memcmp(data, begin, sizeof begin - 1)) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: is a Git LFS pointer: the file itself was not fetched; fetch it with git lfs pull", path);
}

/* Reads size bytes, or less at the end of the file; returns the count, or -1. */
static ssize_t read_fully(int fd, char *to, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = os.read(fd, to + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

char *file_read(const char *path, size_t limit, size_t *size, lithe_error *err)
{
    if (failed(err)) return NULL;
    struct stat s;
    int fd = file_open_regular(path, &s, err);
    if (fd < 0) return NULL;
    size_t bytes = (size_t)s.st_size;
    char *text = NULL;
    ssize_t n = -1;
    if (bytes > limit) {
        fail(err, LITHE_EFORMAT, "%s: is %zu bytes, at most %zu are accepted here", path, bytes, limit);
        goto out;
    }
    text = xalloc(bytes + 1, 1);
    if (!text) fail(err, LITHE_ENOMEM, "%s: cannot read %zu bytes, out of memory", path, bytes);
    else if ((n = read_fully(fd, text, bytes)) < 0) fail_errno(err, path, "read");
    else if (refuse_git_pointer(text, (size_t)n, path, err)) n = -1;
out:
    close(fd);
    if (n < 0) { free(text); return NULL; }
    text[n] = 0;
    if (size) *size = (size_t)n;
    return text;
}

/* ---- directories ------------------------------------------------------------------ */

/* With the errno of what is not there; where that could not be found out, the failure is pending. */
static bool is_there(const char *path, struct stat *s)
{
    if (!os.stat(AT_FDCWD, path, s, 0)) return true;
    const int e = errno;
    fail_errno(NULL, path, "look at");
    errno = e;
    return false;
}

bool path_exists(const char *path)
{
    struct stat s;
    return is_there(path, &s);
}

bool path_is_dir(const char *path)
{
    struct stat s;
    return is_there(path, &s) && S_ISDIR(s.st_mode);
}

int dir_make(const char *path, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (path_is_dir(path)) return LITHE_OK;
    char *parent = path_parent(path);
    if (!parent) return fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    int status = strcmp(parent, path) ? dir_make(parent, err) : LITHE_OK;
    free(parent);
    if (status) return status;
    if (os.mkdir(path, 0777) && !(errno == EEXIST && path_is_dir(path))) return fail_errno(err, path, "make directory");
    return LITHE_OK;
}

int dir_sync(const char *path, lithe_error *err)
{
    if (failed(err)) return err->status;
    int status = LITHE_OK, fd = os.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    /* A directory that is writable but not readable cannot be synced. */
    if (fd < 0) return errno == EACCES ? LITHE_OK : fail_errno(err, path, "open");
    if (os.fsync(fd) && errno != EINVAL && errno != EROFS) status = fail_errno(err, path, "sync");
    close(fd);
    return status;
}

int dir_sync_parent(const char *path, lithe_error *err)
{
    char *dir = path_parent(path);
    if (!dir) return fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    int status = dir_sync(dir, err);
    free(dir);
    return status;
}

int dir_rename(const char *from, const char *to, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (os.rename(from, to)) return fail_errno(err, from, "rename");
    int status = dir_sync_parent(to, err);
    return status ? status : dir_sync_parent(from, err);
}

enum { DIR_DEPTH = 128 };

static bool is_dot(const char *name) { return !strcmp(name, ".") || !strcmp(name, ".."); }

static int remove_at(int parent, const char *name, const char *path, int depth, lithe_error *err)
{
    if (!os.unlinkat(parent, name, 0) || errno == ENOENT) return LITHE_OK;
    int e = errno, fd = os.openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0) {
        if (errno == ENOTDIR || errno == ELOOP) errno = e;  /* it is no directory: report why it was not removed */
        return fail_errno(err, path, "remove");
    }
    if (depth == DIR_DEPTH) { close(fd); return fail(err, LITHE_EIO, "%s: nested more than %d deep, not removed", path, DIR_DEPTH); }
    DIR *d = fdopendir(fd);
    if (!d) { close(fd); return fail_errno(err, path, "remove"); }
    int status = LITHE_OK;
    for (struct dirent *entry; !status && (errno = 0, entry = os.readdir(d));)
        if (!is_dot(entry->d_name)) status = remove_at(fd, entry->d_name, path, depth + 1, err);
    if (!status && errno) status = fail_errno(err, path, "list");
    closedir(d);
    if (!status && os.unlinkat(parent, name, AT_REMOVEDIR)) status = fail_errno(err, path, "remove");
    return status;
}

int dir_remove(const char *path, lithe_error *err)
{
    return failed(err) ? (int)err->status : remove_at(AT_FDCWD, path, path, 0, err);
}

/* ---- names ------------------------------------------------------------------------ */

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir), m = strlen(name);
    char *path = xalloc(n + m + 2, 1);
    if (!path) return NULL;
    memcpy(path, dir, n);
    if (n && dir[n - 1] != '/') path[n++] = '/';
    memcpy(path + n, name, m + 1);
    return path;
}

char *path_follow(const char *path, lithe_error *err)
{
    struct stat s;
    bool bad = os.stat(AT_FDCWD, path, &s, AT_SYMLINK_NOFOLLOW), link = !bad && S_ISLNK(s.st_mode);
    if (link) bad = os.stat(AT_FDCWD, path, &s, 0);
    if (bad && errno != ENOENT && errno != ELOOP) { fail_errno(err, path, "follow"); return NULL; }
    if (link && !bad) {
        char *real = os.realpath(path, NULL);
        if (!real) fail_errno(err, path, "follow");
        return real;
    }
    char *copy = xstrdup(path);
    if (!copy) fail(err, LITHE_ENOMEM, "%s: cannot write, out of memory", path);
    return copy;
}

/* "a/b" -> "a", "a" -> ".", "/a" -> "/", "a/b/" -> "a" */
char *path_parent(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    while (n && path[n - 1] != '/') n--;
    while (n > 1 && path[n - 1] == '/') n--;
    return n ? xstrndup(path, n) : xstrdup(".");
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* ---- content ---------------------------------------------------------------------- */

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed) { return XXH3_64bits_withSeed(data, size, seed); }

void hash_hex(const void *data, size_t size, char hex[33])
{
    XXH128_hash_t h = XXH3_128bits(data, size);
    snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

int hash_long(const void *data, size_t size, char hex[33], lithe_error *err)
{
    enum { PART = 32 << 20 };
    const char *at = data;
    int status = LITHE_OK;
    XXH3_state_t *x = size > PART ? XXH3_createState() : NULL;
    hex[0] = 0;
    if (!x) { hash_hex(data, size, hex); return LITHE_OK; }
    XXH3_128bits_reset(x);
    for (size_t done = 0, n; done < size && !status; done += n) {
        n = size - done < PART ? size - done : PART;
        status = progress_tell("checking the files", (double)done, (double)size, err);
        if (!status) XXH3_128bits_update(x, at + done, n);
    }
    const XXH128_hash_t h = XXH3_128bits_digest(x);
    if (!status) snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
    XXH3_freeState(x);
    return status;
}

static uint32_t crc_table[256];

static void fill_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i;
        for (int bit = 0; bit < 8; bit++) r = r >> 1 ^ (r & 1 ? 0x82f63b78u : 0);
        crc_table[i] = r;
    }
}

static uint32_t crc32c_by_table(uint32_t crc, const uint8_t *p, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_crc_table);
    for (size_t i = 0; i < size; i++) crc = crc >> 8 ^ crc_table[(crc ^ p[i]) & 255];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *p, size_t size)
{
    uint64_t c = crc, word;
    for (; size >= 8; size -= 8, p += 8) {
        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    for (; size; size--) c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
    return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) return ~crc32c_by_instruction(~crc, data, size);
#endif
    return ~crc32c_by_table(~crc, data, size);
}

/* A checkpoint directory is complete when its manifest.json, which is written last,
 * agrees with the files beside it.  A name in a manifest is a plain file name, so
 * no file outside the directory is ever read. */
#include "model/model.h"
#include "base/json.h"
#include "base/dir_names.h"
#include "base/system.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MANIFEST "manifest.json"
enum { MANIFEST_BYTES = 4 << 20, MANIFEST_DEPTH = 4 };

static bool is_plain_name(const char *name)
{
    return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/');
}

/* ---- writing ------------------------------------------------------------------ */

static int describe(const char *dir, const char *name, json_t *files, lithe_error *err)
{
    struct stat s;
    mapping map;
    char hex[33];
    int status = LITHE_OK;
    char *path = path_join(dir, name);
    if (!path) return fail(err, LITHE_ENOMEM, "%s: not enough memory for a manifest", dir);
    if (os.stat(AT_FDCWD, path, &s, 0)) status = fail_errno(err, path, "examine");
    else if (S_ISREG(s.st_mode) && !(status = file_map(&map, path, err))) {
        hash_hex(map.data, map.size, hex);
        if (json_object_set_new(files, name, json_pack("{s:I, s:s}", "bytes", (json_int_t)map.size, "xxh128", hex)))
            status = fail(err, LITHE_ENOMEM, "%s: not enough memory for a manifest", dir);
        status = mapping_finish(&map, status, err);
    }
    free(path);
    return status;
}

int manifest_write(const char *dir, lithe_error *err)
{
    if (failed(err)) return err->status;
    dir_names l;
    int status = dir_names_read(&l, dir, err);
    if (status) return status;
    json_t *files = json_object(), *manifest = json_pack("{s:O?}", "files", files);
    char *path = path_join(dir, MANIFEST);
    if (!files || !manifest || !path) status = fail(err, LITHE_ENOMEM, "%s: not enough memory for a manifest", dir);
    for (size_t i = 0; i < l.count && !status; i++)
        if (l.names[i][0] != '.' && strcmp(l.names[i], MANIFEST)) status = describe(dir, l.names[i], files, err);
    if (!status) status = json_write(manifest, path, err);
    json_decref(files);
    json_decref(manifest);
    dir_names_free(&l);
    free(path);
    return status;
}

/* ---- files that were hashed ----------------------------------------------------- */

/* The latest files whose hashes were compared and right, as they were then. */
enum { REMEMBERED = 64 };
typedef struct { dev_t device; ino_t number; off_t bytes; struct timespec written, changed; char hex[33]; } hashed_file;
static hashed_file remembered[REMEMBERED];
static unsigned next_place;
static pthread_mutex_t remembering = PTHREAD_MUTEX_INITIALIZER;

static bool same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

static bool same_file(const hashed_file *f, const struct stat *s, const char *hex)
{
    return f->device == s->st_dev && f->number == s->st_ino && f->bytes == s->st_size && same_time(f->written, s->st_mtim) && same_time(f->changed, s->st_ctim)
        && !strcmp(f->hex, hex);
}

static bool is_remembered(const struct stat *s, const char *hex)
{
    bool found = false;
    pthread_mutex_lock(&remembering);
    for (int i = 0; i < REMEMBERED && !found; i++) found = same_file(&remembered[i], s, hex);
    pthread_mutex_unlock(&remembering);
    return found;
}

static void remember(const struct stat *s, const char *hex)
{
    hashed_file f = { .device = s->st_dev, .number = s->st_ino, .bytes = s->st_size, .written = s->st_mtim, .changed = s->st_ctim };
    snprintf(f.hex, sizeof f.hex, "%s", hex);
    pthread_mutex_lock(&remembering);
    remembered[next_place++ % REMEMBERED] = f;
    pthread_mutex_unlock(&remembering);
}

/* ---- checking ----------------------------------------------------------------- */

/* s is what the file was before it is read: one that changes meanwhile is hashed again next time. */
static int check_contents(const char *path, const struct stat *s, const json_t *entry, lithe_error *err)
{
    mapping map;
    char hex[33];
    const char *expected = json_string_value(json_object_get(entry, "xxh128"));
    if (expected && is_remembered(s, expected)) return LITHE_OK;
    int status = file_map(&map, path, err);
    if (status) return status;
    status = hash_long(map.data, map.size, hex, err);
    if (mapping_finish(&map, status, err)) return err ? (int)err->status : LITHE_EFORMAT;
    if (!expected || strcmp(hex, expected)) return fail(err, LITHE_EFORMAT, "%s: its contents are not what " MANIFEST " says, the file is damaged", path);
    remember(s, hex);
    return LITHE_OK;
}

static int check_file(const char *dir, const char *name, const json_t *entry, bool contents, lithe_error *err)
{
    struct stat s;
    const json_t *bytes = json_object_get(entry, "bytes");
    if (!is_plain_name(name) || !json_is_integer(bytes))
        return fail(err, LITHE_EFORMAT, "%s/" MANIFEST ": has an entry that is no plain file name with its size", dir);
    int status = LITHE_OK;
    char *path = path_join(dir, name);
    if (!path) return fail(err, LITHE_ENOMEM, "%s: not enough memory to check it", dir);
    if (os.stat(AT_FDCWD, path, &s, 0)) status = fail_errno(err, path, "examine");
    else if (s.st_size != json_integer_value(bytes))
        status = fail(err, LITHE_EFORMAT, "%s: has %lld bytes, " MANIFEST " says %lld", path, (long long)s.st_size, (long long)json_integer_value(bytes));
    else if (contents) status = check_contents(path, &s, entry, err);
    free(path);
    return status;
}

int manifest_check(const char *dir, const char *but, lithe_error *err)
{
    if (failed(err)) return err->status;
    const char *name;
    json_t *entry;
    lithe_error reading = { 0 };
    char *path = path_join(dir, MANIFEST);
    if (!path) return fail(err, LITHE_ENOMEM, "%s: not enough memory to check it", dir);
    json_t *manifest = json_read(path, MANIFEST_BYTES, MANIFEST_DEPTH, &reading), *files = json_object_get(manifest, "files");
    int status = manifest ? LITHE_OK : fail(err, reading.status, "%s", reading.text);
    if (!status && !json_is_object(files)) status = fail(err, LITHE_EFORMAT, "%s: lists no files", path);
    json_object_foreach(files, name, entry)
        if (!status) status = check_file(dir, name, entry, !but || strcmp(name, but), err);
    json_decref(manifest);
    free(path);
    return status;
}

int manifest_check_if_any(const char *dir, const char *but, lithe_error *err)
{
    if (failed(err)) return err->status;
    char *path = path_join(dir, MANIFEST);
    int status = !path ? fail(err, LITHE_ENOMEM, "%s: not enough memory to check it", dir) : path_exists(path) ? manifest_check(dir, but, err) : LITHE_OK;
    free(path);
    return status;
}

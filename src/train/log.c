/* RUN/log.jsonl has one JSON object per line, in the order of events, with `step` first.
 * Invariant: a line reaches the file by one write, and a line that a crash left
 * incomplete is removed when the run is resumed. */
#include "base/json.h"
#include "base/file.h"
#include "base/record.h"
#include "base/system.h"
#include "train/log.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LINE_DEPTH = 8, LOG_BYTES = 1 << 30 };

/* ---- the owner -------------------------------------------------------------------- */

static int write_owner(const char *path, lithe_error *err)
{
    char host[65] = "", text[120];
    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "process %ld on %s\n", (long)getpid(), host);
    return file_write(path, text, (size_t)n, err);
}

static int refuse_owned(const char *run, const char *path, lithe_error *err)
{
    char *text = file_read(path, 120, NULL, NULL);
    int status = fail(err, LITHE_EINVAL, "%s: another process is training this run%s%.*s", run, text ? ": " : "", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
    free(text);
    return status;
}

/* ---- opening ---------------------------------------------------------------------- */

int log_open(run_log *l, const char *run, lithe_error *err)
{
    *l = (run_log){ .fd = -1 };
    if (failed(err)) return err->status;
    l->path = path_join(run, "log.jsonl");
    char *owner = path_join(run, "lock");
    int status = l->path && owner ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", run);
    if (!status && (l->fd = os.open(l->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) < 0) status = fail_errno(err, l->path, "write");
    /* Other failures mean that the file system has no locks. */
    if (!status && os.flock(l->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) status = refuse_owned(run, owner, err);
    if (!status) status = write_owner(owner, err);
    if (!status) l->owner = owner;
    else free(owner);
    return status;
}

void log_close(run_log *l)
{
    if (l->owner) os.unlinkat(AT_FDCWD, l->owner, 0);
    if (l->path && l->fd >= 0) close(l->fd);
    free(l->owner);
    free(l->path);
    l->path = l->owner = NULL;
    l->fd = -1;
}

/* ---- lines ------------------------------------------------------------------------ */

/* False, and nothing is appended, when the text does not fit; its key is then left out too, so the line stays JSON. */
static bool append_text(run_log *l, const char *text, size_t n)
{
    if (n > sizeof l->text - 2 - l->used) return false;                 /* two bytes are for the end of the line */
    memcpy(l->text + l->used, text, n);
    l->used += n;
    return true;
}

void line_begin(run_log *l, int step)
{
    char text[32];
    l->used = 0;
    append_text(l, text, (size_t)snprintf(text, sizeof text, "{\"step\": %d", step));
}

void line_number(run_log *l, const char *key, double value)
{
    char text[128];
    int n = isfinite(value) ? snprintf(text, sizeof text, ", \"%s\": %.9g", key, value) : snprintf(text, sizeof text, ", \"%s\": null", key);
    append_text(l, text, (size_t)n);
}

/* Escapes what JSON requires: quotes, backslashes, control characters.  The text is UTF-8, whose bytes need no
 * escape. */
static bool append_escaped(run_log *l, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        char escape[8];
        int n = *c == '"' || *c == '\\' ? snprintf(escape, sizeof escape, "\\%c", *c)
              : *c < 32 || *c == 127    ? snprintf(escape, sizeof escape, "\\u%04x", *c)
                                        : snprintf(escape, sizeof escape, "%c", *c);
        if (!append_text(l, escape, (size_t)n)) return false;
    }
    return true;
}

void line_text(run_log *l, const char *key, const char *value)
{
    size_t before = l->used;
    char text[64];
    int n = snprintf(text, sizeof text, ", \"%s\": \"", key);
    if (!append_text(l, text, (size_t)n) || !append_escaped(l, value) || !append_text(l, "\"", 1)) l->used = before;
}

int log_write(run_log *l, lithe_error *err)
{
    if (failed(err)) return err->status;
    memcpy(l->text + l->used, "}\n", 2);
    size_t size = l->used + 2;
    l->used = 0;
    return write_record(l->fd, l->path, l->text, size, err);
}

int log_sync(run_log *l, lithe_error *err)
{
    if (failed(err)) return err->status;
    return os.fsync(l->fd) && errno != EINVAL ? fail_errno(err, l->path, "write") : LITHE_OK;
}

/* ---- cutting ------------------------------------------------------------------------- */

/* The step of a line, or -1 when it is not a line that a trainer wrote. */
static int step_of(const char *line, size_t size)
{
    json_t *value = json_parse(line, size, LINE_DEPTH, "log.jsonl", NULL);
    int step = -1;
    json_int(value, "step", 0, INT32_MAX, &step);
    json_decref(value);
    return step;
}

int log_cut(run_log *l, int step, int lines, lithe_error *err)
{
    mapping m;
    int status = file_map(&m, l->path, err), at_step = 0;
    if (!status && m.size > LOG_BYTES) status = mapping_finish(&m, fail(err, LITHE_EFORMAT, "%s: is %zu bytes, at most %d are read", l->path, m.size, LOG_BYTES), err);
    if (status) return status;
    const char *text = (const char *)m.data, *end;
    size_t keep = 0;
    while (keep < m.size && (end = memchr(text + keep, '\n', m.size - keep))) {
        int s = step_of(text + keep, (size_t)(end - text) - keep);
        if (s < 0 || s > step || (s == step && ++at_step > lines)) break;
        keep = (size_t)(end - text) + 1;
    }
    bool cut = keep < m.size;
    file_unmap(&m);
    return cut && os.ftruncate(l->fd, (off_t)keep) ? fail_errno(err, l->path, "shorten") : LITHE_OK;
}

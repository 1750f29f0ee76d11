#include "base/error.h"
#include "base/file.h"
#include "lithe_tools.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local lithe_error pending;

/* One line, whatever bytes a hostile name has. */
static void clean(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127) *p = '?';
}

int fail(lithe_error *err, lithe_status status, const char *format, ...)
{
    if (!err) {
        if (status == LITHE_ENOMEM) fail_later(status, "out of memory");
        return status;
    }
    if (err->status == LITHE_OK && pending.status != LITHE_OK && pending.status != status) *err = pending;
    else if (err->status == LITHE_OK) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        clean(err->text);
        err->status = status;
    }
    forget_pending();
    return err->status;
}

int fail_errno(lithe_error *err, const char *path, const char *doing)
{
    int e = errno;
    char text[128];
    lithe_error swallowed = { 0 };
    /* Whoever asks without an error takes the file for absent. */
    if (!err && (e == EIO || e == ENOMEM || e == EMFILE || e == ENFILE)) {
        fail_errno(&swallowed, path, doing);
        fail_later(swallowed.status, swallowed.text);
        return swallowed.status;
    }
    switch (e) {
    case ENOSPC: case EDQUOT: return fail(err, LITHE_ENOMEM, "%s: disk is full: cannot %s", path, doing);
    case ENOMEM:              return fail(err, LITHE_ENOMEM, "%s: cannot %s, out of memory", path, doing);
    case EFBIG:               return fail(err, LITHE_ENOMEM, "%s: cannot %s, files may not be that large here (ulimit -f)", path, doing);
    case EMFILE: case ENFILE: return fail(err, LITHE_ENOMEM, "%s: cannot %s, too many files are open", path, doing);
    case ENOENT:              return fail(err, LITHE_EIO, "%s: cannot %s, no such file or directory", path, doing);
    case EACCES: case EPERM:  return fail(err, LITHE_EIO, "%s: cannot %s, permission denied", path, doing);
    default:                  return fail(err, LITHE_EIO, "%s: cannot %s, %s", path, doing, strerror_r(e, text, sizeof text));
    }
}

void fail_later(lithe_status status, const char *text)
{
    if (pending.status != LITHE_OK) return;
    snprintf(pending.text, sizeof pending.text, "%s", text);
    clean(pending.text);
    pending.status = status;
}

int check_pending(lithe_error *err)
{
    if (failed(err)) return err->status;
    return pending.status == LITHE_OK ? LITHE_OK : fail(err, pending.status, "%s", pending.text);
}

void drop_error(const lithe_error *e)
{
    if (e->status == LITHE_ENOMEM) fail_later(e->status, "out of memory");
}

void forget_pending(void) { pending.status = LITHE_OK; }

int lithe_check_pending(lithe_error *err) { return check_pending(err); }

#include "base/error.h"
#include "lithe_tools.h"
#include <stdarg.h>
#include <stdio.h>

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

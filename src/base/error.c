#include "base/error.h"
#include <stdarg.h>
#include <stdio.h>

int fail(lithe_error *err, lithe_status status, const char *format, ...)
{
    if (!err) return status;
    if (err->status != LITHE_OK) return err->status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    for (char *p = err->text; *p; p++)             /* one line, whatever bytes a hostile name has */
        if ((unsigned char)*p < ' ' || *p == 127) *p = '?';
    err->status = status;
    return status;
}

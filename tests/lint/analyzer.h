/* What an analyzer that sees one file at a time does not know: after fail() and fail_errno() an error holds a failure,
 * and what they return is one. */
#include "base/error.h"
#include "base/file.h"
static inline int analyzer_failed(lithe_error *err, int status)
{
    if (err) err->status = (lithe_status)status;
    return status;
}
#define fail(err, status, ...)          (fail(err, status, __VA_ARGS__), analyzer_failed(err, (int)(status)))
#define fail_errno(err, path, doing)    (fail_errno(err, path, doing), analyzer_failed(err, LITHE_EIO))

#include "base/progress.h"
#include "lithe_tools.h"

static _Thread_local struct { int (*tell)(void *context, const char *what, double done, double all); void *context; } listener;

void lithe_on_progress(int (*tell)(void *context, const char *what, double done, double all), void *context)
{
    listener.tell = tell;
    listener.context = context;
}

int progress_tell(const char *what, double done, double all, lithe_error *err)
{
    if (!listener.tell || !listener.tell(listener.context, what, done, all)) return LITHE_OK;
    return fail(err, LITHE_ECANCELLED, "interrupted while %s", what);
}

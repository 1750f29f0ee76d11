#include "base/sized.h"
#include <string.h>

int options_read(void *own, size_t own_bytes, const void *given, const char *name, lithe_error *err)
{
    size_t bytes = own_bytes;
    if (given) memcpy(&bytes, given, sizeof bytes);
    memset(own, 0, own_bytes);
    if (failed(err)) return err->status;
    if (bytes < sizeof bytes) return fail(err, LITHE_EINVAL, "%s: size is %zu, set it to sizeof(%s)", name, bytes, name);
    for (size_t i = own_bytes; given && i < bytes; i++)
        if (((const char *)given)[i])
            return fail(err, LITHE_EINVAL, "%s: byte %zu is set, this library knows %zu bytes: it is older than the program", name, i, own_bytes);
    if (given) memcpy(own, given, bytes < own_bytes ? bytes : own_bytes);
    memcpy(own, &own_bytes, sizeof own_bytes);
    return LITHE_OK;
}

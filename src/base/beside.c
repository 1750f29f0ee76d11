/* Where this library lies, as the dynamic linker knows it. */
#include "base/beside.h"
#include "base/file.h"
#include <dlfcn.h>
#include <stdlib.h>

char *path_beside_library(const char *name)
{
    Dl_info own;
    char *dir = dladdr((void *)(uintptr_t)path_beside_library, &own) ? path_parent(own.dli_fname) : path_parent("");
    char *path = dir ? path_join(dir, name) : NULL;
    free(dir);
    return path;
}

/* Where this library lies, as the dynamic linker knows it. */
#include "base/beside.h"
#include "base/file.h"
#include <dlfcn.h>
#include <stdlib.h>

char *path_beside_library(const char *name)
{
    Dl_info own;
    char *dir = dladdr((void *)(uintptr_t)path_beside_library, &own) ? path_parent(own.dli_fname) : path_parent("");
    char *below = dir ? path_join(dir, "lithe") : NULL, *installed = below ? path_join(below, name) : NULL;
    char *beside = dir ? path_join(dir, name) : NULL;
    const bool is_installed = beside && installed && !path_exists(beside) && path_exists(installed);
    free(dir), free(below), free(is_installed ? beside : installed);
    return is_installed ? installed : beside;
}

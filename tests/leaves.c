#include "leaves.h"
#include "base/file.h"
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

static uint64_t tree;
static bool stray;

static bool timed(const char *name)
{
    return !strcmp(name, "log.jsonl") || !strcmp(name, "command.txt") || !strncmp(name, "events.", 7);
}

static int add_file(const char *path, const struct stat *s, int flag, struct FTW *place)
{
    const char *name = path + place->base;
    size_t size = 0;
    if (place->level && (*name == '.' || strstr(name, ".tmp") || !strncmp(name, "lithe-", 6))) stray = true;
    if (flag != FTW_F || timed(name)) return 0;
    char *bytes = file_read(path, (size_t)s->st_size, &size, NULL);
    tree += hash_bytes(bytes ? bytes : "", size, hash_bytes(name, strlen(name), 0));        /* they come in any order */
    free(bytes);
    return 0;
}

uint64_t tree_hash(const char *path)
{
    tree = 0;
    stray = false;
    nftw(path, add_file, 16, FTW_PHYS);
    return tree;
}

bool leaves_strays(const char *path)
{
    tree_hash(path);
    return stray;
}

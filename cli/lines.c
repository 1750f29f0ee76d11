#include "lines.h"
#include <stdlib.h>
#include <string.h>

int lines_open(lines *l, const char *const *texts, int n, const char *path, bool pairs, lithe_error *err)
{
    size_t size = 0, count = 0;
    *l = (lines){ 0 };
    if (path && !(l->memory = read_text(path, LARGE_TEXT, &size, err))) return err->status;
    for (size_t i = 0; i < size; i++) count += l->memory[i] == '\n';
    l->texts = allocate((size_t)n + count + 1, sizeof *l->texts, err);
    l->pairs = allocate((size_t)n + count + 1, sizeof *l->pairs, err);
    if (!l->texts || !l->pairs) return err->status;
    for (int i = 0; i < n; i++) { l->pairs[l->count] = NULL; l->texts[l->count++] = texts[i]; }
    if (path && strlen(l->memory) < size) return wrong(err, LITHE_EFORMAT, "%s: holds a NUL byte, which no text does", path);
    for (char *at = l->memory, *next; at && at < l->memory + size; at = next) {
        char *end = strchr(at, '\n'), *tab;
        next = end ? end + 1 : l->memory + size;
        if (end) *end = 0;
        if (end > at && end[-1] == '\r') end[-1] = 0;
        if ((tab = pairs ? strchr(at, '\t') : NULL)) *tab++ = 0;
        l->pairs[l->count] = tab;
        l->texts[l->count++] = at;
    }
    return l->count ? LITHE_OK : wrong(err, LITHE_EINVAL, path ? "%s: holds no text" : "no text is given", path);
}

void lines_close(lines *l)
{
    free(l->texts);
    free(l->pairs);
    free(l->memory);
    *l = (lines){ 0 };
}

#include "lines.h"
#include <stdlib.h>
#include <string.h>

int lines_open(lines *l, const char *const *texts, int n, const char *path, bool pairs, lithe_error *err)
{
    size_t count = 0;
    *l = (lines){ 0 };
    if (path && (err->status || !(l->memory = lithe_text_rows(path, &count, err)))) return err->status;
    l->texts = allocate((size_t)n + count + 1, sizeof *l->texts, err);
    l->pairs = allocate((size_t)n + count + 1, sizeof *l->pairs, err);
    if (!l->texts || !l->pairs) return err->status;
    for (int i = 0; i < n; i++) { l->pairs[l->count] = NULL; l->texts[l->count++] = texts[i]; }
    for (char *at = l->memory, *next; count; at = next, count--) {
        char *tab = pairs ? strchr(at, '\t') : NULL;
        next = at + strlen(at) + 1;
        if (tab) *tab++ = 0;
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

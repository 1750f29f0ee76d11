#include "values.h"
#include <stdlib.h>
#include <string.h>

lithe_model *open_values(const char *path, const char *config, lithe_error *err)
{
    lithe_model *m = lithe_model_open(path, config, err);
    if (!m || !params_masters(m->params, err)) return m;
    lithe_model_close(m);
    return NULL;
}

bool same_parameters(const lithe_model *a, const lithe_model *b)
{
    bool same = a && b && a->params->count == b->params->count;
    for (int i = 0; same && i < a->params->count; i++) {
        const param *p = a->params->items[i], *q = b->params->items[i];
        same = !strcmp(p->name, q->name) && p->count == q->count;
        real *x = same ? weight_copy(&p->weight, p->count) : NULL, *y = same ? weight_copy(&q->weight, q->count) : NULL;
        same = same && !memcmp(x, y, p->count * sizeof *x);
        free(x);
        free(y);
    }
    return same;
}

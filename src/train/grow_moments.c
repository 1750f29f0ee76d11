/* Maps the optimizer moments of a model that is grown outside a run, by the same map as its parameters. */
#include "grow/growth.h"
#include "train/optimizer.h"
#include <stdlib.h>

int lithe_grow_moments(const lithe_model *m, const lithe_grow_options *o, const char *dir, lithe_error *err)
{
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    if (failed(err)) return err->status;
    char *file = m->path && path_is_dir(m->path) ? path_join(m->path, MOMENTS_FILE) : NULL;
    bool there = file && path_exists(file);
    free(file);
    if (!there) return 0;
    lithe_error first = { 0 };
    growth *map = growth_new(m, o, NULL, &first);
    lithe_model *large = growth_apply(map, &first);
    size_t before = m->params->arena_count * sizeof(real), after = large ? large->params->arena_count * sizeof(real) : 0;
    real *from[2] = { big_alloc(before), big_alloc(before) }, *to[2] = { big_alloc(after), big_alloc(after) };
    int updates;
    if (!from[0] || !from[1] || (after && (!to[0] || !to[1])))
        fail(&first, LITHE_ENOMEM, "not enough memory for the moments of %zu parameters", params_total(m->params));
    optimizer_read(m->path, m->params, from[0], from[1], &updates, &first);
    if (!first.status) {
        growth_moments(map, large, from[0], from[1], to[0], to[1]);
        optimizer_write(dir, large->params, to[0], to[1], updates, &first);
    }
    for (int i = 0; i < 2; i++) {
        big_free(from[i], before);
        big_free(to[i], after);
    }
    growth_free(map);
    lithe_model_close(large);
    return first.status ? fail(err, first.status, "%s", first.text) : 1;
}

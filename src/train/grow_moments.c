/* Saves a model that was grown outside a run, with the optimizer moments of the smaller one under the same map. */
#include "base/arena.h"
#include "base/file.h"
#include "grow/growth.h"
#include "train/optimizer.h"
#include <stdlib.h>

typedef struct { const lithe_model *small, *large; const lithe_grow_options *options; } grown;

static bool has_moments(const lithe_model *m)
{
    char *file = m->path && path_is_dir(m->path) ? path_join(m->path, MOMENTS_FILE) : NULL;
    bool there = file && path_exists(file);
    free(file);
    return there;
}

static int write_moments(const void *context, const char *dir, lithe_error *err)
{
    const grown *x = context;
    if (!has_moments(x->small)) return check_pending(err);
    growth *map = growth_new(x->small, x->options, NULL, err);
    size_t before = x->small->params->arena_count * sizeof(real), after = x->large->params->arena_count * sizeof(real);
    real *from[2] = { big_alloc(before), big_alloc(before) }, *to[2] = { big_alloc(after), big_alloc(after) };
    bool muon = false;
    int updates, status = check_pending(err);
    if (!status) status = optimizer_find(x->small->path, x->small->params, &muon, err);
    if (!status) status = optimizer_read(x->small->path, x->small->params, muon, from[0], from[1], &updates, err);
    if (!status) {
        growth_moments(map, x->large, from[0], from[1], to[0], to[1]);
        status = optimizer_write(dir, x->large->params, muon, to[0], to[1], updates, err);
    }
    for (int i = 0; i < 2; i++) {
        big_free(from[i], before);
        big_free(to[i], after);
    }
    growth_free(map);
    return status;
}

int lithe_grow_save(const lithe_model *m, const lithe_grow_options *o, const lithe_model *large, const char *dir, const char *type, const lithe_tokenizer *t, lithe_error *err)
{
    lithe_error own = { 0 };
    if (!err) err = &own;
    if (failed(err)) return err->status;
    if (!m || !large) return fail(err, LITHE_EINVAL, "saving a grown model needs both models");
    return model_save_with(large, dir, type, t, write_moments, &(grown){ m, large, o }, err);
}

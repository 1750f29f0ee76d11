/* Growing inside a run: weights and moments go through the same map, the plan is
 * made anew, and the larger model trains on with the steps counted on.  New rows
 * are born at the present number of updates, from which their bias correction
 * counts.  Invariant: the checkpoint that follows is complete by itself. */
#include "base/random.h"
#include "train/train.h"
#include <stdlib.h>

/* The largest difference between both models' logits over one window. */
static int compare(lithe_trainer *t, lithe_model *large, lithe_growth *report, lithe_error *err)
{
    batch_builder *b = t->valid.pass.g ? &t->valid.pass.batch : &t->train.pass.batch;
    batch_begin(b);
    if (t->valid.pass.g) objective_valid(&t->objective, b, 0);
    else objective_train(&t->objective, b, 1, 0);
    return lithe_compare(t->model, large, b->ids, (size_t)b->rows, report, err);
}

/* The trainer on the larger model, whose moments come from the old ones by the map. */
static int move_over(lithe_trainer *t, const growth *map, lithe_model *large, lithe_error *err)
{
    optimizer *o = &t->optimizer;
    size_t bytes = o->params->arena_count * sizeof(real);
    real *m = o->m, *v = o->v;
    o->m = o->v = NULL;
    lithe_model *small = t->own_model;                      /* NULL while it is the caller's */
    groups_begin(large, o->updates, false);
    t->model = t->own_model = large;
    int status = trainer_prepare(t, err);
    if (!status) growth_moments(map, large, m, v, o->m, o->v);
    big_free(m, bytes);
    big_free(v, bytes);
    lithe_model_close(small);
    return status;
}

int trainer_grow(lithe_trainer *t, lithe_growth *report, lithe_error *err)
{
    progress *p = &t->progress;
    const planned_growth *g = &t->settings.growths[p->grown];
    const lithe_grow_options o = { .size = sizeof o, .params = g->params, .factor = g->factor, .method = t->settings.grow_method,
                                   .seed = key_of(t->settings.seed, (uint64_t)p->step) };
    growth *map = growth_new(t->model, &o, report, err);
    lithe_model *large = map ? growth_apply(map, err) : NULL;
    int status = large ? compare(t, large, report, err) : err ? (int)err->status : LITHE_EINVAL;
    if (!status) {
        status = move_over(t, map, large, err);
        p->grown++;
        p->grown_at = p->step;
        p->evaluated = false;
        p->good_step = -1;                                  /* earlier checkpoints have other shapes */
    } else lithe_model_close(large);
    growth_free(map);
    return status;
}

int lithe_grow_moments(const lithe_model *m, const lithe_grow_options *o, const char *dir, lithe_error *err)
{
    if (!m) return LITHE_EINVAL;
    if (failed(err)) return err->status;
    char *file = m->path && path_is_dir(m->path) ? path_join(m->path, "optimizer.safetensors") : NULL;
    bool there = file && path_exists(file);
    free(file);
    if (!there) return 0;
    lithe_error first = { 0 };
    growth *map = growth_new(m, o, NULL, &first);
    lithe_model *large = growth_apply(map, &first);
    size_t before = m->params->arena_count * sizeof(real), after = large ? large->params->arena_count * sizeof(real) : 0;
    real *from[2] = { big_alloc(before), big_alloc(before) }, *to[2] = { big_alloc(after), big_alloc(after) };
    int updates;
    if (!from[0] || !from[1] || (after && (!to[0] || !to[1]))) fail(&first, LITHE_ENOMEM, "not enough memory for the moments of %zu parameters", params_total(m->params));
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

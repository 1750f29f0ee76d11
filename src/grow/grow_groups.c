/* The parameter groups of a grown model.  Bias correction of new rows counts from when
 * training next begins; old rows keep their count, and may be frozen or get another
 * learning rate. */
#include "grow/grow.h"
#include "model/groups.h"
#include <stdlib.h>

typedef struct { const growth *g; param_group *groups; int count, capacity; bool failed; } group_list;

static void add(group_list *l, const param *p, int first, int rows, int born, double lr, bool frozen)
{
    if (rows <= 0 || l->failed) return;
    if (l->count == l->capacity) {
        int capacity = l->capacity ? 2 * l->capacity : 64;
        param_group *more = xrealloc(l->groups, (size_t)capacity, sizeof *more);
        if (!more) { l->failed = true; return; }
        l->groups = more;
        l->capacity = capacity;
    }
    l->groups[l->count++] = (param_group){ .param = p, .first = first, .rows = rows, .born = born, .lr_factor = lr, .frozen = frozen };
}

/* Adds groups for the old rows, with the freeze or rate of the options, and for the new ones. */
static void add_slots(group_list *l, const param *large, const param *small)
{
    const lithe_grow_options *o = &l->g->options;
    int n = small->rule.dims[0], row = 0;
    bool all_kept = !o->freeze_old && !(o->old_lr > 0);
    double lr = o->old_lr > 0 ? (double)o->old_lr : 1;
    for (int i = 0; i < l->g->small->group_count; i++) {
        const param_group *old = &l->g->small->groups[i];
        if (old->param != small) continue;
        if (!all_kept) add(l, large, row, old->first - row, 0, lr, o->freeze_old);
        add(l, large, old->first, old->rows, old->born, old->lr_factor * lr, old->frozen || o->freeze_old);
        row = old->first + old->rows;
    }
    if (!all_kept) add(l, large, row, n - row, 0, lr, o->freeze_old);
    add(l, large, n, large->rule.dims[0] - n, BORN_LATER, 1, false);
}

static void add_old(group_list *l, const param *large, const param *small)
{
    for (int i = 0; i < l->g->small->group_count; i++) {
        const param_group *old = &l->g->small->groups[i];
        if (old->param == small) add(l, large, old->first, old->rows, old->born, old->lr_factor, old->frozen);
    }
}

int grow_groups(growth *g, lithe_error *err)
{
    group_list l = { .g = g };
    for (int i = 0; i < g->count; i++) {
        const param *small = g->maps[i].small, *large = g->large->params->items[i];
        bool slots = small && small->rule.axes[0].kind == AXIS_SLOT && large->rule.dims[0] > small->rule.dims[0];
        if (!small) add(&l, large, 0, large->rule.dims[0], BORN_LATER, 1, false);
        else if (slots) add_slots(&l, large, small);
        else add_old(&l, large, small);
    }
    if (!l.failed) return groups_set(g->large, l.groups, l.count, "the grown model", err);
    free(l.groups);
    return fail(err, LITHE_ENOMEM, "not enough memory to grow");
}

int grow_groups_to(const growth *g, lithe_model *large, lithe_error *err)
{
    int count = g->large->group_count;
    param_group *groups = xalloc((size_t)count + 1, sizeof *groups);
    if (!groups) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    for (int i = 0; i < count; i++) {
        groups[i] = g->large->groups[i];
        groups[i].param = params_find(large->params, groups[i].param->name);
    }
    return groups_set(large, groups, count, "the grown model", err);
}

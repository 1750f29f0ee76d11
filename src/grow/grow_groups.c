/* The parameter groups of a grown model.  Every entry of a parameter is old or new: new
 * ones count their bias correction from when training next begins, and their learning
 * rate may rise anew; old ones keep what they had, and may be frozen or get another
 * rate.  Where old and new lie side by side, runs of rows and runs of columns make the
 * groups. */
#include "grow/grow.h"
#include <stdlib.h>

/* ---- old and new ------------------------------------------------------------------ */

/* New entries, and copies whose moments begin. */
static bool is_new(const axis_entry *e) { return e->from < 0 || !(e->moment > 0); }

/* The place in a row of the smaller parameter from which column c of the larger one's rows comes; -1: it is new. */
static long old_column(const param_map *map, size_t c)
{
    long at = 0;
    size_t stride = 1;
    for (int a = 1; a < PARAM_RANK; a++) stride *= (size_t)map->axes[a].count;
    for (int a = 1; a < PARAM_RANK; a++) {
        stride /= (size_t)map->axes[a].count;
        const axis_entry *e = &map->axes[a].entries[c / stride % (size_t)map->axes[a].count];
        if (is_new(e)) return -1;
        at = at * (a < map->small->rule.rank ? map->small->rule.dims[a] : 1) + e->from;
    }
    return at;
}

static long old_row(const param_map *map, int r) { return is_new(&map->axes[0].entries[r]) ? -1 : map->axes[0].entries[r].from; }

/* The groups of the parameter in the smaller model, which lie side by side there. */
typedef struct { const param_group *items; int count; } old_groups;
static old_groups groups_of(const lithe_model *small, const param *p)
{
    old_groups found = { 0 };
    for (int i = 0; i < small->group_count; i++)
        if (small->groups[i].param == p && !found.count++) found.items = &small->groups[i];
    return found;
}

/* The one that holds an entry; NULL: none.  With column -1 any one of its rows. */
static const param_group *old_group(const old_groups *o, long row, long column)
{
    for (int i = 0; i < o->count; i++) {
        const param_group *x = &o->items[i];
        bool in_rows = row >= x->first && row < x->first + x->rows;
        if (in_rows && (column < 0 || !x->columns || (column >= x->column && column < x->column + x->columns))) return x;
    }
    return NULL;
}

/* ---- the groups of one parameter ------------------------------------------------------ */

/* Whether the options freeze the old entries of p, or change their rate.  A growth by slots alone leaves what stands
 * beside the slots as it was. */
static bool kept_apart(const growth *g, const param *large, const param *small)
{
    const lithe_grow_options *o = &g->options;
    return (o->freeze_old || o->old_lr > 0) && (!of_slots(g->method) || large->count > small->count);
}

static void add_new(group_list *l, param_group part)
{
    part.born = BORN_LATER;
    part.lr_factor = 1;
    part.rewarm = l->g->options.rewarm;
    add_group(l, part);
}

static void add_old(group_list *l, param_group part, const param_group *old, bool apart)
{
    const lithe_grow_options *o = &l->g->options;
    if (!old && !apart) return;
    part.born = old ? old->born : 0;
    part.rewarm = old ? old->rewarm : 0;
    part.lr_factor = (old ? old->lr_factor : 1) * (apart && o->old_lr > 0 ? (double)o->old_lr : 1);
    part.frozen = (old && old->frozen) || (apart && o->freeze_old);
    add_group(l, part);
}

/* Adds the groups of rows first .. first+rows-1, which are old: a run of columns has one age and one old group. */
static void add_band(group_list *l, const param_map *map, const old_groups *had, const param *large, int first, int rows)
{
    int width = (int)(large->count / (size_t)large->rule.dims[0]);
    bool apart = kept_apart(l->g, large, map->small);
    long row = old_row(map, first);
    for (int begin = 0, end; begin < width; begin = end) {
        long at = old_column(map, (size_t)begin);
        const param_group *old = at < 0 ? NULL : old_group(had, row, at);
        for (end = begin + 1; end < width; end++) {
            long next = old_column(map, (size_t)end);
            if ((next < 0) != (at < 0) || (next >= 0 && old_group(had, row, next) != old)) break;
        }
        bool whole = !begin && end == width;
        param_group part = { .param = large, .first = first, .rows = rows, .column = begin, .columns = whole ? 0 : end - begin };
        if (at < 0) add_new(l, part);
        else add_old(l, part, old, apart);
    }
}

/* Two rows belong to one band when both are new, or both old and in the same rows of old groups. */
static bool same_band(const param_map *map, const old_groups *had, int a, int b)
{
    long x = old_row(map, a), y = old_row(map, b);
    if (x < 0 || y < 0) return x < 0 && y < 0;
    const param_group *p = old_group(had, x, -1), *q = old_group(had, y, -1);
    return (p ? p->first : -1) == (q ? q->first : -1);
}

static void add_param(group_list *l, const param_map *map, const param *large)
{
    const old_groups had = groups_of(l->g->small, map->small);
    int count = large->rule.dims[0];
    for (int first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && map->small && same_band(map, &had, first, end); end++) { }
        if (!map->small) end = count;
        if (!map->small || old_row(map, first) < 0) add_new(l, (param_group){ .param = large, .first = first, .rows = end - first });
        else add_band(l, map, &had, large, first, end - first);
    }
}

/* ---- the groups of the model ------------------------------------------------------------ */

/* Old entries that stand twice cannot be distinguished from new ones. */
static int check_options(const growth *g, lithe_error *err)
{
    const lithe_grow_options *o = &g->options;
    method m = g->method;
    if (o->rewarm < 0 || o->rewarm > UPDATES_MAX) return fail(err, LITHE_EINVAL, "rewarm is %d updates: 0 to %d are possible", o->rewarm, UPDATES_MAX);
    if (o->freeze_old && o->old_lr > 0) return fail(err, LITHE_EINVAL, "the old values are either frozen or learn at a rate of their own: give freeze_old or old_lr, not both");
    if (g->form && (o->freeze_old || o->old_lr > 0))
        return fail(err, LITHE_EINVAL, "becoming a %s gives every value a new name: freeze_old and old_lr do not apply, but rewarm does to what is added", g->arch->name);
    if ((!o->freeze_old && !(o->old_lr > 0)) || (m != METHOD_CLONE && m != METHOD_STACK && m != METHOD_INTERPOLATE && m != METHOD_AKI)) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "method %s repeats the old values, so old and new cannot be kept apart to %s: take duplicate", method_name(m),
                o->freeze_old ? "freeze the old ones" : "give the old ones a rate of their own");
}

int grow_groups(growth *g, lithe_error *err)
{
    group_list l = { .g = g };
    int status = check_options(g, err);
    if (status) return status;
    if (g->form) hybrid_groups(&l);
    for (int i = 0; i < g->count; i++) add_param(&l, &g->maps[i], g->large->params->items[i]);
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

/* What duplication means for each kind of axis.  Inner widths follow Chen, Goodfellow &
 * Shlens 2015 (Net2Net); heads, and the residual width through norms, follow Chen et al.
 * 2021 (bert2BERT) and Samragh et al. 2024 (HyperCloning).  Entries are repeated, and a
 * matrix that sums over an axis is divided by how often each entry is repeated there.
 * Gradients divide the other way round: entries that are written get a share of the
 * gradient each, entries that are read get all of it.
 * "Corner" is the TokenFormer paper's baseline (eq. 13): the old matrix is the corner of
 * the new one, and the rest is initialized. */
#include "grow/grow.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int heads, kv_heads; } head_counts;

static head_counts heads_of(const arch *a, const json_t *config)
{
    head_counts h = { config_int(config, a->growth.keys.heads, 1), 0 };
    h.kv_heads = config_int(config, a->growth.keys.kv_heads, h.heads);
    return h;
}

/* The old head that the new head j repeats; -1 where no map keeps each query head with its key head. */
static int old_head(head_counts old, head_counts new, bool kv, int j)
{
    /* Groups as large as before: whole groups are repeated. */
    if ((long long)old.heads * new.kv_heads == (long long)new.heads * old.kv_heads)
        return j % (kv ? old.kv_heads : old.heads);
    if (old.kv_heads == new.kv_heads) {                                             /* more query heads in each group */
        if (kv) return j;
        int group = new.heads / new.kv_heads, old_group = old.heads / old.kv_heads;
        return group % old_group ? -1 : j / group * old_group + j % group % old_group;
    }
    /* Fewer query heads in each group: key heads are repeated. */
    if (old.heads == new.heads && new.kv_heads % old.kv_heads == 0)
        return kv ? (int)((long long)j * old.kv_heads / new.kv_heads) : j;
    return -1;
}

static bool allocate(axis_map *map, int count)
{
    map->count = count;
    map->from = xalloc((size_t)count, sizeof *map->from);
    map->scale = xalloc((size_t)count, sizeof *map->scale);
    map->moment = xalloc((size_t)count, sizeof *map->moment);
    return map->from && map->scale && map->moment;
}

/* The old entry that entry j comes from, of an axis that grows from `old` to `new` entries in kind.parts equal blocks;
 * -1: it is new; -2: heads cannot be mapped. */
static int source(const growth *g, axis kind, int old, int new, int j)
{
    int parts = kind.parts > 1 ? kind.parts : 1, o = old / parts, n = new / parts, part = j / n, i = j % n;
    int at = i < o ? i : -1;
    if (g->method != METHOD_CORNER) {
        if (kind.kind == AXIS_RESIDUAL || kind.kind == AXIS_INNER || kind.kind == AXIS_BOTTLENECK) at = i % o;
        if (kind.kind == AXIS_HEAD || kind.kind == AXIS_KV_HEAD) {
            head_counts before = heads_of(g->arch, g->before), after = heads_of(g->arch, g->config);
            bool kv = kind.kind == AXIS_KV_HEAD;
            int hd = o / (kv ? before.kv_heads : before.heads), count = kv ? after.kv_heads : after.heads;
            int repeated = n == count * hd ? old_head(before, after, kv, i / hd) : -1;
            at = repeated < 0 ? -2 : repeated * hd + i % hd;
        }
    }
    return at < 0 ? at : part * o + at;
}

/* Whether the values are divided by the repetitions along this axis.  A tied head cannot be divided, so the norm before
 * it is instead; without a language head nothing reads that norm through the embedding. */
static bool divided(const growth *g, const param *large, axis kind)
{
    bool tokens = g->small->task.kind == TASK_LANGUAGE || g->small->task.kind == TASK_PRETRAIN;
    return kind.read && (tokens || large->rule.rank > 1 || kind.kind != AXIS_RESIDUAL);
}

static int fill_axis(const growth *g, const param *large, axis kind, int old, axis_map *map, lithe_growth *report, lithe_error *err)
{
    int new = map->count, *times = xalloc((size_t)old, sizeof *times);
    if (!times) return fail(err, LITHE_ENOMEM, "not enough memory to grow %s", large->name);
    int status = 0;
    for (int j = 0; j < new; j++) {
        map->from[j] = source(g, kind, old, new, j);
        if (map->from[j] == -2 && !status)
            status = fail(err, LITHE_EINVAL, "%s: repeating the old heads does not give these: multiply width, heads and key/value heads by the same number", large->name);
        if (map->from[j] >= 0) times[map->from[j]]++;
    }
    bool read = divided(g, large, kind);
    for (int j = 0; j < new; j++) {
        double repeats = map->from[j] >= 0 ? times[map->from[j]] : 1;
        bool duplicated = g->method != METHOD_CORNER && kind.kind != AXIS_SLOT;
        map->scale[j] = duplicated && read ? 1 / repeats : 1;
        map->moment[j] = duplicated && !read ? 1 / repeats : 1;
    }
    if (kind.kind == AXIS_RESIDUAL && new % old && g->method != METHOD_CORNER)
        not_preserved(report, "not preserved: a residual width of %d is no whole multiple of %d, so the norms see other means", new, old);
    free(times);
    return status;
}

static bool known(axis_kind k) { return k == AXIS_RESIDUAL || k == AXIS_HEAD || k == AXIS_KV_HEAD || k == AXIS_INNER || k == AXIS_SLOT || k == AXIS_BOTTLENECK; }

int grow_axes(const growth *g, const param *large, param_map *map, lithe_growth *report, lithe_error *err)
{
    const param_rule *rule = &large->rule;
    for (int a = 0; a < PARAM_RANK; a++) {
        int new = a < rule->rank ? rule->dims[a] : 1, old = !map->small ? 1 : a < map->small->rule.rank ? map->small->rule.dims[a] : 1;
        axis kind = a < rule->rank ? rule->axes[a] : (axis){ 0 };
        if (!allocate(&map->axes[a], new)) return fail(err, LITHE_ENOMEM, "not enough memory to grow %s", large->name);
        if (!map->small) {
            for (int j = 0; j < new; j++) map->axes[a].from[j] = -1;
            continue;
        }
        if (new != old && !known(kind.kind)) return fail(err, LITHE_EINVAL, "%s cannot grow from %d to %d along axis %d", large->name, old, new, a);
        int status = fill_axis(g, large, kind, old, &map->axes[a], report, err);
        if (status) return status;
    }
    return 0;
}

/* What a larger size means for each kind of axis.
 *   heads, inner units       new ones begin fresh, and what reads them is 0
 *   channels (residual)      every channel is repeated, so that norms see the same means; what reads the copies is
 *                            fresh, and is taken from what reads the first, so that the sum stays
 * The outputs are the same, and gradients of copies differ from the first step on.  clone repeats heads and inner units
 * too, and divides what reads them by how often each is repeated (Chen, Goodfellow & Shlens 2015, Net2Net; Chen et al.
 * 2021, bert2BERT; Samragh et al. 2024, HyperCloning): its copies get equal gradients and stay equal.  Gradients divide
 * the other way round: entries that are written get a share of the gradient each, entries that are read get all of it.
 * corner is the TokenFormer paper's baseline (eq. 13): the old matrix is the corner of the new one, and the rest is
 * initialized. */
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

/* The old head that the new head j repeats; -2 where no map keeps each query head with its key head. */
static int old_head(head_counts old, head_counts new, bool kv, int j)
{
    /* Groups as large as before: whole groups are repeated. */
    if ((long long)old.heads * new.kv_heads == (long long)new.heads * old.kv_heads)
        return j % (kv ? old.kv_heads : old.heads);
    if (old.kv_heads == new.kv_heads) {                                             /* more query heads in each group */
        if (kv) return j;
        int group = new.heads / new.kv_heads, old_group = old.heads / old.kv_heads;
        return group % old_group ? -2 : j / group * old_group + j % group % old_group;
    }
    /* Fewer query heads in each group: key heads are repeated. */
    if (old.heads == new.heads && new.kv_heads % old.kv_heads == 0)
        return kv ? (int)((long long)j * old.kv_heads / new.kv_heads) : j;
    return -2;
}

/* Whether the new head j stands where there was none.  Key heads that take over queries of old heads repeat theirs. */
static bool added_head(head_counts old, head_counts new, bool kv, int j)
{
    if (old.kv_heads == new.kv_heads && !kv) return j % (new.heads / new.kv_heads) >= old.heads / old.kv_heads;
    return old.heads != new.heads && j >= (kv ? old.kv_heads : old.heads);
}

static bool is_head(axis_kind k) { return k == AXIS_HEAD || k == AXIS_KV_HEAD; }
static bool is_unit(axis_kind k) { return is_head(k) || k == AXIS_INNER || k == AXIS_BOTTLENECK; }

/* The same within one part of an axis of heads, which has o entries before and n afterwards. */
static int head_source(const growth *g, axis kind, int o, int n, int i)
{
    head_counts before = heads_of(g->arch, g->before), after = heads_of(g->arch, g->config);
    bool kv = kind.kind == AXIS_KV_HEAD;
    int hd = o / (kv ? before.kv_heads : before.heads), count = kv ? after.kv_heads : after.heads;
    int repeated = hd > 0 && n == count * hd ? old_head(before, after, kv, i / hd) : -2;
    if (repeated >= 0 && begins_fresh(g->method) && added_head(before, after, kv, i / hd)) return -1;
    return repeated < 0 ? repeated : repeated * hd + i % hd;
}

/* The old entry that entry j comes from, of an axis that grows from `old` to `new` entries in kind.parts equal blocks;
 * -1: it is new; -2: heads cannot be mapped. */
static int source(const growth *g, axis kind, int old, int new, int j)
{
    int parts = kind.parts > 1 ? kind.parts : 1, o = old / parts, n = new / parts, part = j / n, i = j % n;
    int at = i < o ? i : -1;
    if (kind.kind == AXIS_VOCAB && j >= g->known && j < g->tokens) return -1;
    bool repeats = kind.kind == AXIS_RESIDUAL || (is_unit(kind.kind) && !begins_fresh(g->method));
    if (g->method != METHOD_CORNER && is_head(kind.kind)) at = head_source(g, kind, o, n, i);
    else if (g->method != METHOD_CORNER && repeats) at = i % o;
    return at < 0 ? at : part * o + at;
}

/* Whether the values are divided by the repetitions along this axis.  A tied head cannot be divided, so the norm before
 * it is instead; without a language head nothing reads that norm through the embedding. */
static bool divided(const growth *g, const param *large, axis kind)
{
    bool tokens = g->small->task.kind == TASK_LANGUAGE || g->small->task.kind == TASK_PRETRAIN;
    return kind.read && (tokens || large->rule.rank > 1 || kind.kind != AXIS_RESIDUAL);
}

/* Counts the copies of each old entry, and says of each entry which copy it is. */
static int count_copies(axis_map *map, int old, lithe_error *err)
{
    int *times = xalloc((size_t)old, sizeof *times);
    if (!times) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    for (int j = 0; j < map->count; j++)
        if (map->entries[j].from >= 0) map->entries[j].copy = times[map->entries[j].from]++;
    for (int j = 0; j < map->count; j++)
        if (map->entries[j].from >= 0) map->entries[j].copies = times[map->entries[j].from];
    free(times);
    return LITHE_OK;
}

/* Factors of values and moments.  The first copy of a channel keeps its moments; the others begin at 0. */
static void set_factors(const growth *g, const param *large, axis kind, axis_map *map)
{
    bool duplicated = g->method != METHOD_CORNER && kind.kind != AXIS_SLOT, read = divided(g, large, kind);
    bool parting = kind.kind == AXIS_RESIDUAL && channels_part(g->method);
    map->shared = parting && read;
    map->zero = begins_fresh(g->method) && kind.read && is_unit(kind.kind);
    for (int j = 0; j < map->count; j++) {
        axis_entry *e = &map->entries[j];
        double repeats = duplicated && e->copies > 1 ? e->copies : 1;
        e->scale = read && !parting ? 1 / repeats : 1;
        e->moment = parting ? e->copy == 0 : read ? 1 : 1 / repeats;
    }
}

static int fill_axis(const growth *g, const param *large, axis kind, int old, axis_map *map, lithe_growth *report, lithe_error *err)
{
    int new = map->count;
    for (int j = 0; j < new; j++) {
        map->entries[j].from = source(g, kind, old, new, j);
        if (map->entries[j].from == -2)
            return fail(err, LITHE_EINVAL, "%s: repeating the old heads does not give these: multiply width, heads and key/value heads by the same number", large->name);
    }
    int status = count_copies(map, old, err);
    if (status) return status;
    set_factors(g, large, kind, map);
    if (kind.kind == AXIS_RESIDUAL && new % old && g->method != METHOD_CORNER)
        not_preserved(report, "not preserved: a residual width of %d is no whole multiple of %d, so the norms see other means", new, old);
    return LITHE_OK;
}

static bool known(const growth *g, axis_kind k) { return k == AXIS_RESIDUAL || k == AXIS_SLOT || is_unit(k) || (g->adds && k == AXIS_NONE) || (g->options.vocabulary && k == AXIS_VOCAB); }

int grow_axes(const growth *g, const param *large, param_map *map, lithe_growth *report, lithe_error *err)
{
    const param_rule *rule = &large->rule;
    for (int a = 0; a < PARAM_RANK; a++) {
        axis_map *along = &map->axes[a];
        int new = a < rule->rank ? rule->dims[a] : 1, old = !map->small ? 1 : a < map->small->rule.rank ? map->small->rule.dims[a] : 1;
        axis kind = a < rule->rank ? rule->axes[a] : (axis){ 0 };
        along->count = new;
        if (!(along->entries = xalloc((size_t)new, sizeof *along->entries))) return fail(err, LITHE_ENOMEM, "not enough memory to grow %s", large->name);
        if (!map->small) {
            for (int j = 0; j < new; j++) along->entries[j].from = -1;
            continue;
        }
        if (new != old && !known(g, kind.kind)) return fail(err, LITHE_EINVAL, "%s cannot grow from %d to %d along axis %d", large->name, old, new, a);
        int status = fill_axis(g, large, kind, old, along, report, err);
        if (status) return status;
    }
    return 0;
}

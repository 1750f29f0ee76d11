/* Computes values and optimizer moments of a larger model by the map of its growth. */
#include "base/random.h"
#include "base/arena.h"
#include "base/progress.h"
#include "grow/grow.h"
#include <stdlib.h>
#include <string.h>

/* Where an entry of the larger parameter comes from: its place in the smaller one; whether it is new along axis 0 or
 * along another axis, and whether that makes it 0. */
typedef struct { size_t at; bool new_row, new_rest, zero; } origin;

static origin origin_of(const param_map *map, const int along[PARAM_RANK])
{
    origin o = { 0 };
    for (int a = 0; a < PARAM_RANK; a++) {
        int from = map->axes[a].entries[along[a]].from;
        if (from < 0 && a == 0) o.new_row = true;
        else if (from < 0) o.new_rest = true;
        if (from < 0) o.zero |= map->axes[a].zero;
        o.at = o.at * (size_t)(a < map->small->rule.rank ? map->small->rule.dims[a] : 1) + (from < 0 ? 0 : (size_t)from);
    }
    return o;
}

/* Goes to the next entry, along the last axis first. */
static void advance(const param_map *map, int along[PARAM_RANK])
{
    for (int a = PARAM_RANK; a-- > 0; along[a] = 0)
        if (++along[a] < map->axes[a].count) return;
}

/* AKI (Chen et al. 2021, bert2BERT): heads and inner units after the old ones are those of the layer above. */
static bool from_above(const param_map *map, const param_rule *rule, const int along[PARAM_RANK])
{
    for (int a = 0; map->next && a < rule->rank; a++) {
        axis kind = rule->axes[a];
        int parts = kind.parts > 1 ? kind.parts : 1;
        bool units = kind.kind == AXIS_INNER || kind.kind == AXIS_HEAD || kind.kind == AXIS_KV_HEAD;
        if (units && !kind.read && along[a] % (rule->dims[a] / parts) >= map->small->rule.dims[a] / parts) return true;
    }
    return false;
}

/* What the entry holds of a value along axis a: of a shared one its copies hold fresh values, and the first the rest.
 * at: its place in the larger parameter, in which neighbours along the axis are `stride` apart. */
static double held(const param_map *map, int a, const int along[PARAM_RANK], size_t at, size_t stride, double value, uint64_t key)
{
    const axis_entry *e = &map->axes[a].entries[along[a]];
    if (!map->axes[a].shared || e->copies < 2) return value * e->scale;
    uint64_t first = (uint64_t)(at - stride * (size_t)(along[a] - e->from)) * (uint64_t)e->copies;
    if (e->copy) return map->fresh * random_normal(key, first + (uint64_t)e->copy);
    double rest = value;
    for (int c = 1; c < e->copies; c++) rest -= map->fresh * random_normal(key, first + (uint64_t)c);
    return rest;
}

/* small and next are the values of the smaller model's parameters. */
static void map_values(const param_map *map, const param *large, real *values, const real *small, const real *next, uint64_t seed)
{
    size_t row = map->small->count / (size_t)map->small->rule.dims[0], large_row = large->count / (size_t)large->rule.dims[0];
    uint64_t key = key_of(key_of_name(seed, large->name), 7);
    int new_rows = -1, old = map->small->rule.dims[map->noise_axis], along[PARAM_RANK] = { 0 };
    for (size_t at = 0; at < large->count; at++, advance(map, along)) {
        origin o = origin_of(map, along);
        if (o.new_row && at % large_row == 0) new_rows++;
        if (o.zero) values[at] = 0;
        if (o.zero || o.new_rest || (o.new_row && !map->extra)) continue;
        const real *source = from_above(map, &large->rule, along) ? next : small;
        double value = o.new_row ? (double)map->extra[(size_t)new_rows * row + o.at] : (double)source[o.at];
        if (map->noise > 0 && along[map->noise_axis] >= old) value += map->noise * random_normal(key, at);
        size_t stride = 1;
        for (int a = PARAM_RANK; a-- > 0; stride *= (size_t)map->axes[a].count)
            if (a || !o.new_row) value = held(map, a, along, at, stride, value, key);
        values[at] = (real)value;
    }
}

static int apply_values(const param_map *map, param *large, uint64_t seed, lithe_error *err)
{
    real *values = weight_edit(&large->weight);
    if (map->zero) memset(values, 0, large->count * sizeof *values);
    else param_initialize(large, seed, values);
    if (!map->small) return LITHE_OK;
    real *small = weight_copy(&map->small->weight, map->small->count), *next = map->next ? weight_copy(&map->next->weight, map->next->count) : NULL;
    int status = small && (next || !map->next) ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to grow %s", large->name);
    if (!status) map_values(map, large, values, small, next, seed);
    free(small);
    free(next);
    return status;
}

lithe_model *growth_apply(const growth *g, lithe_error *err)
{
    if (!g || failed(err)) return NULL;
    lithe_model *large = model_create(g->arch, g->large->json, "the grown config.json", err);
    int status = large ? LITHE_OK : LITHE_ENOMEM;
    if (!status && g->form) status = hybrid_values(g->form, g->small, large, g->options.seed, err);
    for (int i = 0; i < g->count && !status && !(status = progress_tell("growing the weights", i, g->count, err)); i++)
        status = apply_values(&g->maps[i], params_find(large->params, g->maps[i].name), g->options.seed, err);
    if (!status) status = params_intact(g->small->params, err);
    if (!status) status = grow_groups_to(g, large, err);
    if (status) {
        lithe_model_close(large);
        return NULL;
    }
    if (g->small->tokenizer && !g->options.vocabulary) large->tokenizer = xstrdup(g->small->tokenizer);
    if (!g->form) large->names = g->small->names;
    large->preprocessor = g->small->preprocessor;
    return large;
}

void growth_moments(const growth *g, const lithe_model *large, const real *m, const real *v, real *large_m, real *large_v)
{
    memset(large_m, 0, large->params->arena_count * sizeof *large_m);
    memset(large_v, 0, large->params->arena_count * sizeof *large_v);
    if (g->form) hybrid_moments(g->form, g->small, large, m, v, large_m, large_v);
    for (int q = 0; q < g->count; q++) {
        const param_map *map = &g->maps[q];
        const param *p = params_find(large->params, map->name);
        if (!map->small) continue;
        size_t to = p->offset, from = map->small->offset;
        int along[PARAM_RANK] = { 0 };
        for (size_t at = 0; at < p->count; at++, advance(map, along)) {
            origin o = origin_of(map, along);
            if (o.new_row || o.new_rest) continue;
            double factor = 1;
            for (int a = 0; a < PARAM_RANK; a++) factor *= map->axes[a].entries[along[a]].moment;
            large_m[to + at] = (real)(factor * (double)m[from + o.at]);
            large_v[to + at] = (real)(factor * factor * (double)v[from + o.at]);
        }
    }
}

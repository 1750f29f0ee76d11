/* Growing: a larger model that starts from what a smaller one has learned.
 * Build the larger configuration, map every parameter by the meaning of its axes
 * under the chosen operator; optimizer moments go through the same map. */
#include "grow/grow.h"
#include "base/sized.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- methods ---------------------------------------------------------------------- */

static const struct { const char *name, *says; } methods[] = {
    [METHOD_DUPLICATE] = { "duplicate", "preserved up to rounding: repeated entries are divided where they are read, new blocks add zero" },
    [METHOD_CORNER]    = { "corner", "not preserved: the old matrices in the corner of fresh ones" },
    [METHOD_STACK]     = { "stack", "not preserved: the stack of layers stands on top of itself; width as under duplicate" },
    [METHOD_INTERPOLATE] = { "interpolate", "not preserved: each layer is followed by copies of itself; width as under duplicate" },
    [METHOD_AKI]       = { "aki", "not preserved: repeated heads and inner units come from the layer above; the rest as under duplicate" },
    [METHOD_A] = { "A", "preserved exactly: new keys are zero and the old scale is kept in config.json" },
    [METHOD_B] = { "B", "preserved up to rounding: sign-flipped copies of all keys, new values zero" },
    [METHOD_C] = { "C", "preserved up to rounding: new keys with the old ones' Gram matrix, new values zero" },
    [METHOD_D] = { "D", "preserved up to rounding: every slot copied, its value shared out" },
    [METHOD_E] = { "E", "preserved up to rounding: new keys are zero, old values rescaled" },
    [METHOD_F] = { "F", "not preserved: fresh slots, as the released code grows" },
};

static int choose_method(growth *g, lithe_error *err)
{
    const char *name = g->options.method, *theta = json_string_value(json_object_get(g->before, "norm_activation_type"));
    if (!name) {
        g->method = METHOD_DUPLICATE;
        if (!has_slots(g)) return 0;
        bool l2_gelu = !theta || !strcmp(theta, "l2_norm_gelu"), gelu_l2 = theta && !strcmp(theta, "gelu_l2_norm");
        g->method = g->options.portable ? l2_gelu ? METHOD_C : gelu_l2 ? METHOD_E : METHOD_D : l2_gelu || gelu_l2 ? METHOD_A : METHOD_D;
        return 0;
    }
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcasecmp(name, methods[i].name)) {
            g->method = (method)i;
            if (g->options.portable && g->method == METHOD_A)
                return fail(err, LITHE_EINVAL, "method A keeps a scale that other readers do not know: take B, C, D or E for a portable model");
            bool of_slots = g->method >= METHOD_A;
            if (of_slots && !has_slots(g)) return fail(err, LITHE_EINVAL, "method %s appends parameter tokens, which a %s has none of; take duplicate, corner, stack, interpolate or aki", name, g->arch->name);
            return 0;
        }
    return fail(err, LITHE_EINVAL, "%s is no method of growing: A, B, C, D, E, F, duplicate, corner, stack, interpolate, aki", name);
}

static int choose_arch(growth *g, lithe_error *err)
{
    if (!g->options.to) return 0;
    const arch *a = arch_find(g->options.to);
    if (!a) return fail(err, LITHE_EINVAL, "%.60s is not a known architecture", g->options.to);
    if (a->growth.over != g->small->arch)
        return fail(err, LITHE_EINVAL, "a %s does not become a %s: %s", g->small->arch->name, a->name, a->growth.over ? a->growth.over->name : "nothing else");
    g->arch = a;
    return 0;
}

/* ---- which old parameter a new one comes from ---------------------------------------- */

/* Where a layer of the larger model comes from; -1: it is new. */
static long source_layer(const growth *g, long layer, int before, int after)
{
    if (g->method == METHOD_STACK) return layer % before;
    if (g->method == METHOD_INTERPOLATE) return layer * before / after;
    return layer < before ? layer : -1;
}

/* The number of the layer in a parameter's name, from 0; -1 when it is of none, and what stands behind the number. */
static long layer_of(const arch *a, const char *name, const char **rest)
{
    const char *prefix = a->growth.keys.layer_prefix;
    size_t length = strlen(prefix);
    char *end;
    if (strncmp(name, prefix, length)) return -1;
    long number = strtol(name + length, &end, 10);
    *rest = end;
    return end == name + length ? -1 : number - a->growth.keys.first_layer;
}

/* The name in the smaller model of what the parameter comes from, `above` layers higher; NULL for one of a new layer.
 * Numbers behind the last layer move with the depth. */
static const char *old_name(const growth *g, const char *name, int above, char text[256])
{
    int before = config_int(g->before, g->arch->growth.keys.layers, 0), after = config_int(g->config, g->arch->growth.keys.layers, 0);
    const char *rest;
    long layer = layer_of(g->arch, name, &rest);
    if (layer < 0) return above ? NULL : name;
    long from = layer >= after ? layer - (after - before) : source_layer(g, layer, before, after);
    if (from < 0 || (above && (layer >= after || from + above >= before))) return NULL;
    snprintf(text, 256, "%s%ld%s", g->arch->growth.keys.layer_prefix, from + above + g->arch->growth.keys.first_layer, rest);
    return text;
}

/* A new block whose matrices write nothing to the residual stream is the identity (pre-norm). */
static bool writes_residual(const param_rule *r)
{
    bool writes = false;
    for (int a = 0; a < r->rank; a++) writes |= r->axes[a].kind == AXIS_RESIDUAL && !r->axes[a].read;
    return r->rank >= 2 && writes;
}

/* Copies of hidden units move alike for ever unless their incoming weights differ. */
static void add_noise(const growth *g, const param_rule *rule, param_map *map)
{
    for (int a = 0; a < rule->rank; a++) {
        bool incoming = rule->rank == 2 && !rule->axes[a].read && (rule->axes[a].kind == AXIS_INNER || rule->axes[a].kind == AXIS_HEAD || rule->axes[a].kind == AXIS_BOTTLENECK);
        if (!incoming || map->axes[a].count == map->small->rule.dims[a]) continue;
        map->noise = (double)g->options.noise * root_mean_square(map->small);
        map->noise_axis = a;
    }
}

static int map_param(const growth *g, const param *large, param_map *map, lithe_growth *report, lithe_error *err)
{
    char text[256];
    const char *name = old_name(g, large->name, 0, text);
    map->name = strdup(large->name);
    map->small = name ? params_find(g->small->params, name) : NULL;
    if (!map->name) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    bool copied = name && strcmp(name, large->name);                         /* its layer may lack what this one has */
    bool addition = name && !map->small && (g->arch != g->small->arch || copied);
    const char *above = g->method == METHOD_AKI && map->small ? old_name(g, large->name, 1, text) : NULL;
    map->next = above ? params_find(g->small->params, above) : NULL;
    if (map->next && map->next->count != map->small->count) map->next = NULL;
    if (name && !map->small && !addition) return fail(err, LITHE_EINVAL, "%s has no counterpart in the smaller model", large->name);
    int status = grow_axes(g, large, map, report, err);
    if (!status) status = grow_slots(g, large, map, err);
    if (!map->small && !addition) map->zero = writes_residual(&large->rule);
    if (!status && map->small && g->method == METHOD_DUPLICATE && g->options.noise > 0) add_noise(g, &large->rule, map);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------- */

void growth_free(growth *g)
{
    if (!g) return;
    for (int i = 0; g->maps && i < g->count; i++) {
        for (int a = 0; a < PARAM_RANK; a++) {
            free(g->maps[i].axes[a].from);
            free(g->maps[i].axes[a].scale);
            free(g->maps[i].axes[a].moment);
        }
        free(g->maps[i].extra);
        free(g->maps[i].name);
    }
    free(g->maps);
    lithe_model_close(g->large);
    json_decref(g->before);
    json_decref(g->config);
    free(g);
}

/* Sizes by sizes, or what another architecture adds. */
static int choose_config(growth *g, lithe_growth *report, lithe_error *err)
{
    if (g->options.to) return grow_additions(g, report, err);
    int status = grow_sizes(g, report, err);
    return status ? status : grow_slot_scales(g, report, err);
}

/* Blocks that are not the identity, additions that are not nothing; and the larger model's own name. */
static void what_changes(growth *g, lithe_growth *report)
{
    const void *config = g->large->config;
    const char *key = g->arch->growth.keys.layers, *block = g->arch->growth.block_changes ? g->arch->growth.block_changes(config) : NULL;
    const char *added = g->options.to && g->arch->growth.additions_change ? g->arch->growth.additions_change(config) : NULL;
    const char *heads = g->arch->growth.heads_change ? g->arch->growth.heads_change(config) : NULL, *number = g->arch->growth.keys.heads;
    if (heads && config_int(g->config, number, 0) > config_int(g->before, number, 0)) not_preserved(report, "not preserved: %s", heads);
    if (block && config_int(g->config, key, 0) > config_int(g->before, key, 0)) not_preserved(report, "not preserved: a new block is not the identity: %s", block);
    if (added) not_preserved(report, "not preserved: %s", added);
    if (!g->options.to) return;
    json_object_set_new(g->large->json, "model_type", json_string(g->arch->name));
    json_object_del(g->large->json, "architectures");
    task_publish(g->arch, &g->large->task, g->large->json);
    if (report->preserves) snprintf(report->says, sizeof report->says, "preserved exactly: what is added begins with no effect, and with gradients");
}

static int prepare(growth *g, lithe_growth *report, lithe_error *err)
{
    if (!(g->before = model_config(g->small, err)) || !(g->config = json_deep_copy(g->before))) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    if (!g->arch->growth.keys.layers) return fail(err, LITHE_EINVAL, "a %s has no sizes that can grow", g->arch->name);
    int status = choose_arch(g, err);
    if (!status) status = choose_method(g, err);
    if (status) return status;
    snprintf(report->method, sizeof report->method, "%s", methods[g->method].name);
    snprintf(report->says, sizeof report->says, "%s", methods[g->method].says);
    report->preserves = g->method == METHOD_DUPLICATE || (g->method >= METHOD_A && g->method != METHOD_F);
    if ((status = choose_config(g, report, err))) return status;
    if (g->options.noise > 0 && (g->method == METHOD_D || g->method == METHOD_DUPLICATE))
        not_preserved(report, "preserved up to the noise of %g on repeated entries", (double)g->options.noise);
    if (!(g->large = model_declare(g->arch, g->config, "the grown config.json", err))) return err ? (int)err->status : LITHE_ECONFIG;
    what_changes(g, report);
    g->count = g->large->params->count;
    if (!(g->maps = xalloc((size_t)g->count, sizeof *g->maps))) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    for (int i = 0; i < g->count; i++)
        if ((status = map_param(g, g->large->params->items[i], &g->maps[i], report, err))) return status;
    report->params_before = params_total(g->small->params);
    report->params_after = params_total(g->large->params);
    return grow_groups(g, err);
}

growth *growth_new(const lithe_model *small, const lithe_grow_options *o, lithe_growth *report, lithe_error *err)
{
    lithe_grow_options options;
    if (!small || options_read(&options, sizeof options, o, "lithe_grow_options", err)) return NULL;
    lithe_growth unused;
    lithe_error first = { 0 };
    if (!report) report = &unused;
    *report = (lithe_growth){ 0 };
    growth *g = xalloc(1, sizeof *g);
    if (!g) { fail(err, LITHE_ENOMEM, "not enough memory to grow"); return NULL; }
    g->small = small;
    g->arch = small->arch;
    g->options = options;
    if (!prepare(g, report, &first)) return g;
    fail(err, first.status, "%s", first.text);
    growth_free(g);
    return NULL;
}

/* Where entry `along` of the larger parameter comes from: its place in the smaller one, and whether axis 0, and any of the others, is new there. */
typedef struct { size_t at; bool new_row, new_rest; } origin;

static origin origin_of(const param_map *map, const int along[PARAM_RANK])
{
    origin o = { 0 };
    for (int a = 0; a < PARAM_RANK; a++) {
        int from = map->axes[a].from[along[a]];
        if (from < 0 && a == 0) o.new_row = true;
        else if (from < 0) o.new_rest = true;
        o.at = o.at * (size_t)(a < map->small->rule.rank ? map->small->rule.dims[a] : 1) + (from < 0 ? 0 : (size_t)from);
    }
    return o;
}

/* The next entry, the last axis fastest. */
static void advance(const param_map *map, int along[PARAM_RANK])
{
    for (int a = PARAM_RANK; a-- > 0; along[a] = 0)
        if (++along[a] < map->axes[a].count) return;
}

/* AKI (Chen et al. 2021, bert2BERT): heads and inner units behind the old ones are those of the layer above. */
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

/* small and next are the values of the smaller model's parameters. */
static void map_values(const param_map *map, const param *large, real *values, const real *small, const real *next, uint64_t seed)
{
    size_t row = map->small->count / (size_t)map->small->rule.dims[0], large_row = large->count / (size_t)large->rule.dims[0];
    uint64_t key = key_of(key_of_name(seed, large->name), 7);
    int news = -1, old = map->small->rule.dims[map->noise_axis], along[PARAM_RANK] = { 0 };
    for (size_t at = 0; at < large->count; at++, advance(map, along)) {
        origin o = origin_of(map, along);
        if (o.new_row && at % large_row == 0) news++;
        if (o.new_rest || (o.new_row && !map->extra)) continue;
        const real *source = from_above(map, &large->rule, along) ? next : small;
        double value = o.new_row ? (double)map->extra[(size_t)news * row + o.at] : (double)source[o.at] * map->axes[0].scale[along[0]];
        if (map->noise > 0 && along[map->noise_axis] >= old) value += map->noise * random_normal(key, at);
        for (int a = 1; a < PARAM_RANK; a++) value *= map->axes[a].scale[along[a]];
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
    for (int i = 0; i < g->count && !status; i++) status = apply_values(&g->maps[i], params_find(large->params, g->maps[i].name), g->options.seed, err);
    if (!status) status = grow_groups_to(g, large, err);
    if (status) {
        lithe_model_close(large);
        return NULL;
    }
    if (g->small->tokenizer) large->tokenizer = strdup(g->small->tokenizer);
    large->names = g->small->names;
    large->pictures = g->small->pictures;
    return large;
}

void growth_moments(const growth *g, const lithe_model *large, const real *m, const real *v, real *large_m, real *large_v)
{
    memset(large_m, 0, large->params->arena_count * sizeof *large_m);
    memset(large_v, 0, large->params->arena_count * sizeof *large_v);
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
            for (int a = 0; a < PARAM_RANK; a++) factor *= map->axes[a].moment[along[a]];
            large_m[to + at] = (real)(factor * (double)m[from + o.at]);
            large_v[to + at] = (real)(factor * factor * (double)v[from + o.at]);
        }
    }
}

lithe_model *lithe_model_grow(const lithe_model *m, const lithe_grow_options *o, lithe_growth *report, lithe_error *err)
{
    growth *g = growth_new(m, o, report, err);
    lithe_model *large = growth_apply(g, err);
    growth_free(g);
    return large;
}

/* Growing makes a larger model that starts from what a smaller one has learned.  It
 * builds the larger configuration and maps every parameter by the meaning of its axes
 * under the chosen method; optimizer moments go through the same map. */
#include "grow/grow.h"
#include "base/arena.h"
#include "base/sized.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which architecture -------------------------------------------------------------- */

/* The names of the architectures that this one can become; "nothing". */
static void extensions_of(const arch *over, char *text, size_t size)
{
    size_t n = 0;
    const hybrid_form *form = hybrid_form_of(over);
    if (form) n += (size_t)snprintf(text, size, "%s", hybrid_name(form));
    for (int i = 0; architectures[i] && n < size; i++)
        if (architectures[i]->growth.over == over) n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "", architectures[i]->name);
    if (!n) snprintf(text, size, "nothing");
}

static int choose_arch(growth *g, lithe_error *err)
{
    char possible[200];
    if (!g->options.to) return 0;
    const arch *a = arch_find(g->options.to);
    extensions_of(g->small->arch, possible, sizeof possible);
    if (!a) return fail(err, LITHE_EINVAL, "%.60s is not a known architecture; a %s can become: %s", g->options.to, g->small->arch->name, possible);
    const hybrid_form *form = hybrid_form_of(g->small->arch);
    if (form && !strcmp(a->name, hybrid_name(form))) g->form = form;
    else if (!form && is_hybrid(a)) return fail(err, LITHE_EINVAL, "a %s has no names for the layers of a %s; it can become: %s", a->name, g->small->arch->name, possible);
    else if (a->growth.over != g->small->arch)
        return fail(err, LITHE_EINVAL, "a %s does not become a %s, which extends %s; it can become: %s", g->small->arch->name, a->name,
                    a->growth.over ? a->growth.over->name : "no other architecture", possible);
    g->arch = a;
    return 0;
}

/* ---- which old parameter a new one comes from ---------------------------------------- */

/* The layer of the smaller model that a layer of the larger one comes from; -1: it is new. */
static long source_layer(const growth *g, long layer, int before, int after)
{
    long spread = layer * before / after;
    if (!before) return -1;
    if (g->method == METHOD_STACK) return layer % before;
    if (g->method == METHOD_INTERPOLATE) return spread;
    if (g->where == AT_BOTTOM) return layer - (after - before) < 0 ? -1 : layer - (after - before);
    if (g->where == SPREAD) return layer && (layer - 1) * before / after == spread ? -1 : spread;
    return layer < before ? layer : -1;
}

/* The name of the parameter in the smaller model that this one comes from, or of the same one `above` layers higher;
 * NULL for one of a new layer.  Numbers after the last layer, such as a final norm's, move with the depth. */
static const char *old_name(const growth *g, const char *name, int above, char text[256])
{
    int before = config_int(g->before, g->arch->growth.keys.layers, 0), after = config_int(g->config, g->arch->growth.keys.layers, 0);
    const char *rest;
    long layer = layer_of(g->arch, name, &rest);
    if (layer < 0) return above ? NULL : name;
    /* The norm of an embedding may count as a part of the first layer. */
    if (!before && !above && params_find(g->small->params, name)) return name;
    long from = layer >= after ? layer - (after - before) : source_layer(g, layer, before, after);
    if (from < 0 || (above && (layer >= after || from + above >= before))) return NULL;
    snprintf(text, 256, "%s%ld%s", g->arch->growth.keys.layer_prefix, from + above + g->arch->growth.keys.first_layer, rest);
    return text;
}

static int choose_where(growth *g, lithe_error *err)
{
    const char *where = g->options.where ? g->options.where : "top";
    g->where = !strcmp(where, "bottom") ? AT_BOTTOM : !strcmp(where, "spread") ? SPREAD : AT_TOP;
    if (g->where == AT_TOP && strcmp(where, "top")) return fail(err, LITHE_EINVAL, "new layers go to the top, to the bottom or spread, not \"%s\"", where);
    const char *layers = g->arch->growth.keys.layers;
    if (g->where != AT_TOP && config_int(g->config, layers, 0) == config_int(g->before, layers, 0))
        return fail(err, LITHE_EINVAL, "where is \"%s\", yet this growth adds no layers: leave it out", where);
    if (g->where != AT_TOP && repeats_layers(g->method))
        return fail(err, LITHE_EINVAL, "method %s says where its layers go: leave out \"%s\"", method_name(g->method), where);
    return LITHE_OK;
}

/* An old layer that others are put below or between must be at its new place what it was: of the same kind, and with
 * the same parameters, which the first layer often has not (the norm of the embedding). */
static int check_place(const growth *g, int from, int to, lithe_error *err)
{
    const arch *a = g->arch;
    char name[256];
    const char *rest;
    if (a->growth.layer_kind && a->growth.layer_kind(g->small->config, from) != a->growth.layer_kind(g->large->config, to))
        return fail(err, LITHE_EINVAL, "layer %d would become layer %d, where a %s has a layer of another kind (windows, positions or parts go by the number of the layer): take top", from, to, a->name);
    for (int large = 0; large < 2; large++) {
        const params *here = large ? g->large->params : g->small->params, *there = large ? g->small->params : g->large->params;
        for (int i = 0; i < here->count; i++) {
            if (layer_of(a, here->items[i]->name, &rest) != (large ? to : from) || (large && g->adds)) continue;
            snprintf(name, sizeof name, "%s%d%s", a->growth.keys.layer_prefix, (large ? from : to) + a->growth.keys.first_layer, rest);
            if (!params_find(there, name))
                return fail(err, LITHE_EINVAL, "layer %d would become layer %d, and one of the two has no %s in a %s: take top%s", from, to, rest + 1, a->name, from ? "" : " or spread");
        }
    }
    return LITHE_OK;
}

static int check_places(const growth *g, lithe_error *err)
{
    int before = config_int(g->before, g->arch->growth.keys.layers, 0), after = config_int(g->config, g->arch->growth.keys.layers, 0), status = LITHE_OK;
    for (int to = 0; !status && g->where != AT_TOP && to < after; to++) {
        long from = source_layer(g, to, before, after);
        if (from >= 0) status = check_place(g, (int)from, to, err);
    }
    return status;
}

/* Whether a matrix writes to the residual stream: a new pre-norm block in which these are zero is the identity. */
static bool writes_residual(const param_rule *r)
{
    bool writes = false;
    for (int a = 0; a < r->rank; a++) writes |= r->axes[a].kind == AXIS_RESIDUAL && !r->axes[a].read;
    return r->rank >= 2 && writes;
}

/* The fresh values of what reads copies of channels, relative to the old ones, by measurement (docs/growing.md). */
static const double FRESH = 0.1;

/* Copies of hidden units get equal gradients and stay equal unless noise makes their incoming weights differ. */
static void add_noise(const growth *g, const param_rule *rule, param_map *map)
{
    for (int a = 0; a < rule->rank; a++) {
        bool incoming = rule->rank == 2 && !rule->axes[a].read
                     && (rule->axes[a].kind == AXIS_INNER || rule->axes[a].kind == AXIS_HEAD || rule->axes[a].kind == AXIS_BOTTLENECK);
        if (!incoming || map->axes[a].count == map->small->rule.dims[a]) continue;
        map->noise = (double)g->options.noise * root_mean_square(map->small);
        map->noise_axis = a;
    }
}

static int map_param(const growth *g, const param *large, param_map *map, lithe_growth *report, lithe_error *err)
{
    char text[256];
    const char *name = old_name(g, large->name, 0, text);
    map->name = xstrdup(large->name);
    map->small = name ? params_find(g->small->params, name) : NULL;
    if (!map->name) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    bool copied = name && strcmp(name, large->name);        /* the layer it is copied from may lack this parameter */
    bool addition = name && !map->small && (g->arch != g->small->arch || copied || g->adds);
    const char *above = g->method == METHOD_AKI && map->small ? old_name(g, large->name, 1, text) : NULL;
    map->next = above ? params_find(g->small->params, above) : NULL;
    if (map->next && map->next->count != map->small->count) map->next = NULL;
    if (name && !map->small && !addition)
        return fail(err, LITHE_EINVAL, "%s has no counterpart in the smaller model", large->name);
    if (addition && g->adds && writes_residual(&large->rule) && large->rule.std > 0) not_preserved(report, "not preserved: %s begins with a small effect", large->name);
    int status = grow_axes(g, large, map, report, err);
    if (g->shapes_only || status) return status;
    /* A vector is that of the norm before a tied head: without fresh values the old channels of embeddings of texts
     * stay as they are, and the new ones are 0. */
    for (int a = 0; a < large->rule.rank && map->small; a++)
        if (map->axes[a].shared && map->axes[a].count > map->small->rule.dims[a] && large->rule.rank > 1) map->fresh = FRESH * root_mean_square(map->small);
    status = grow_slots(g, large, map, err);
    if (!status && map->small) status = grow_tokens(g, large, map, err);
    if (!map->small && !addition) map->zero = writes_residual(&large->rule);
    if (!status && map->small && g->method == METHOD_CLONE && g->options.noise > 0) add_noise(g, &large->rule, map);
    return status;
}

/* ---- growing ----------------------------------------------------------------------------- */

void growth_free(growth *g)
{
    if (!g) return;
    for (int i = 0; g->maps && i < g->count; i++) {
        for (int a = 0; a < PARAM_RANK; a++) free(g->maps[i].axes[a].entries);
        free(g->maps[i].extra);
        free(g->maps[i].name);
    }
    free(g->maps);
    lithe_model_close(g->large);
    json_decref(g->before);
    json_decref(g->config);
    free(g);
}

/* Writes the larger configuration: new sizes, or the keys that another architecture adds. */
static int choose_config(growth *g, lithe_growth *report, lithe_error *err)
{
    if (g->form) {
        json_decref(g->config);
        if (!(g->config = hybrid_config(g->form, g->small->config, g->before, axis_size(g->small, AXIS_INNER), err))) return err ? (int)err->status : LITHE_EINVAL;
    }
    if (g->options.vocabulary) return grow_vocabulary(g, report, err);
    if (g->options.to) return grow_additions(g, report, err);
    int status = grow_sizes(g, report, err);
    if (g->arch->growth.layer_list) json_object_del(g->config, g->arch->growth.layer_list);
    if (!status) status = settle_method(g, err);
    if (!status) status = choose_where(g, err);
    if (status) return status;
    say_method(g, report);
    return grow_slot_scales(g, report, err);
}

/* Reports new blocks, heads and additions that change the function, and names the architecture in the configuration. */
static void report_changes(growth *g, lithe_growth *report)
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
    if (report->preserves && g->form) snprintf(report->says, sizeof report->says, "preserved up to rounding: the same parts under other names%s", g->options.set ? "; what is added begins with no effect" : "");
    else if (report->preserves) snprintf(report->says, sizeof report->says, "preserved exactly: what is added begins with no effect, and with gradients");
}

static int prepare(growth *g, lithe_growth *report, lithe_error *err)
{
    if (!(g->before = model_config(g->small, err)) || !(g->config = json_deep_copy(g->before))) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    if (!g->arch->growth.keys.layers) return fail(err, LITHE_EINVAL, "a %s has no sizes that can grow", g->arch->name);
    int status = choose_arch(g, err);
    if (!status) status = choose_method(g, err);
    if (status) return status;
    if ((status = choose_config(g, report, err))) return status;
    if (!(g->large = model_declare(g->arch, g->config, "the grown config.json", err))) return err ? (int)err->status : LITHE_ECONFIG;
    if ((status = check_memory(g, (double)params_total(g->large->params), err)) || (status = check_places(g, err))) return status;
    report_changes(g, report);
    g->count = g->form ? 0 : g->large->params->count;
    if (!g->form && !(g->maps = xalloc((size_t)g->count, sizeof *g->maps))) return fail(err, LITHE_ENOMEM, "not enough memory to grow");
    for (int i = 0; i < g->count; i++)
        if ((status = map_param(g, g->large->params->items[i], &g->maps[i], report, err))) return status;
    report->params_before = params_total(g->small->params);
    report->params_after = params_total(g->large->params);
    return grow_groups(g, err);
}

static growth *begin(const lithe_model *small, const lithe_grow_options *o, bool shapes_only, lithe_growth *report, lithe_error *err)
{
    lithe_grow_options options;
    if (!small) { fail(err, LITHE_EINVAL, "there is no model"); return NULL; }
    if (options_read(&options, sizeof options, o, "lithe_grow_options", err)) return NULL;
    lithe_growth unused;
    lithe_error first = { 0 };
    if (!report) report = &unused;
    *report = (lithe_growth){ 0 };
    growth *g = xalloc(1, sizeof *g);
    if (!g) { fail(err, LITHE_ENOMEM, "not enough memory to grow"); return NULL; }
    g->small = small;
    g->arch = small->arch;
    g->options = options;
    g->shapes_only = shapes_only;
    if (!prepare(g, report, &first)) return g;
    fail(err, first.status, "%s", first.text);
    growth_free(g);
    return NULL;
}

growth *growth_new(const lithe_model *small, const lithe_grow_options *o, lithe_growth *report, lithe_error *err) { return begin(small, o, false, report, err); }

lithe_model *growth_declare(const lithe_model *small, const lithe_grow_options *o, lithe_error *err)
{
    growth *g = begin(small, o, true, NULL, err);
    lithe_model *large = g ? g->large : NULL;
    if (g) g->large = NULL;
    growth_free(g);
    return large;
}

lithe_model *lithe_model_grow(const lithe_model *m, const lithe_grow_options *o, lithe_growth *report, lithe_error *err)
{
    growth *g = m && lithe_model_finite(m, err) ? NULL : growth_new(m, o, report, err);
    lithe_model *large = growth_apply(g, err);
    growth_free(g);
    return large;
}

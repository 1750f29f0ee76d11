/* Copies that growing makes part in training: after sixty steps no two units of a grown model are equal, whatever the
 * architecture, and those that began as copies point elsewhere.  Cloned units, which have nothing to part them, do not:
 * the check finds them.  Beside it what parameter groups do for old and for new values. */
#include "grow/growth.h"
#include "model/model.h"
#include "train/optimizer.h"
#include "base/random.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { STEPS = 60, LEAST = 8 };         /* units of fewer numbers may be alike by chance */

static void train(lithe_model *m, int steps)
{
    lithe_error err = { 0 };
    optimizer o;
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1 };
    small_model view = { .a = m->arch, .config = m->config, .task = m->task, .p = m->params };
    CHECK_MSG(!optimizer_open(&o, m, &s, &err), "%s", err.text);
    results r;
    const kernels *k = kernels_default();
    graph *g = small_graph(&view, GRAPH_TRAIN, false, k->name, &r);
    for (uint64_t i = 0; i < (uint64_t)steps; i++) {
        small_batch b;
        small_fill_for(&b, &view, 100 + i);
        small_loss(g, &r, &b);
        optimizer_step(&o, k, 3e-3, sqrt(optimizer_squares(&o, k)));
    }
    graph_close(g);
    optimizer_close(&o);
}

/* ---- old and new values -------------------------------------------------------------- */

/* The place in the smaller parameter of entry i of the larger one, in whose corner it is; -1: elsewhere. */
static long corner_of(const param *large, const param *small, size_t i)
{
    long at = 0;
    for (int a = 0, along; a < large->rule.rank; a++) {
        size_t inner = 1;
        for (int b = a + 1; b < large->rule.rank; b++) inner *= (size_t)large->rule.dims[b];
        along = (int)(i / inner % (size_t)large->rule.dims[a]);
        int parts = large->rule.axes[a].parts > 1 ? large->rule.axes[a].parts : 1, n = large->rule.dims[a] / parts, o = small->rule.dims[a] / parts;
        if (along % n >= o) return -1;
        at = at * small->rule.dims[a] + along / n * o + along % n;
    }
    return at;
}

/* Frozen old values stay as they are to the bit while new ones learn; not frozen they learn too. */
static void check_frozen(const char *name, const char *config, const char *set, bool freeze)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(name, config, 3, &err);
    small_perturb(m->params, 0.05, 9);
    lithe_model *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .set = set, .freeze_old = freeze), NULL, &err);
    CHECK_MSG(large != NULL, "%s", err.text);
    groups_begin(large, 0, true);
    size_t count = large->params->arena_count, moved = 0, old = 0, learned = 0;
    real *before = malloc(count * sizeof *before);
    memcpy(before, params_edit(large->params), count * sizeof *before);
    train(large, 10);
    for (int i = 0; i < large->params->count; i++) {
        const param *p = large->params->items[i], *q = params_find(m->params, p->name);
        for (size_t j = 0; j < p->count; j++) {
            bool same = p->weight.values[j] <= before[p->offset + j] && p->weight.values[j] >= before[p->offset + j];
            if (q && corner_of(p, q, j) >= 0) old++, moved += !same;
            else learned += !same;
        }
    }
    CHECK_MSG(learned > 0 && (freeze ? !moved : moved > old / 2), "%s %s: of %zu old values %zu moved, and %zu new ones", name, set, old, moved, learned);
    free(before);
    lithe_model_close(large);
    lithe_model_close(m);
}

static void frozen(void)
{
    for (int freeze = 0; freeze < 2; freeze++) {
        check_frozen("gpt2", SMALL_GPT2, "n_embd=24,n_inner=60", freeze);
        check_frozen("gpt2", SMALL_GPT2, "n_layer=4", freeze);
        check_frozen("llama", SMALL_LLAMA, "hidden_size=32,intermediate_size=40", freeze);
        check_frozen("rwkv7", SMALL_RWKV7, "hidden_size=24,intermediate_size=31", freeze);
        check_frozen("rwkv6", SMALL_RWKV6, "hidden_size=24", freeze);
    }
}

/* The rate of new values rises over the first updates; a second growth keeps what the first one set apart. */
static void warmed(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("gpt2", SMALL_GPT2, 3, &err), *first[2], *second;
    double moved[2] = { 0 };
    for (int i = 0; i < 2; i++) {
        first[i] = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .set = "n_inner=60", .rewarm = i ? 100 : 0), NULL, &err);
        CHECK_MSG(first[i] != NULL, "%s", err.text);
        groups_begin(first[i], 0, false);
        const param *p = params_find(first[i]->params, "h.0.mlp.c_proj.weight");
        train(first[i], 5);
        for (size_t j = 48 * 12; j < p->count; j++) moved[i] += fabs((double)p->weight.values[j]);   /* from 0 */
    }
    CHECK_MSG(moved[1] > 0 && moved[1] < 0.2 * moved[0], "%g with a warm-up of 100 updates, %g without", moved[1], moved[0]);
    second = lithe_model_grow(first[1], &LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=24"), NULL, &err);
    CHECK_MSG(second != NULL, "%s", err.text);
    int kept = 0, born = 0;
    for (int i = 0; second && i < second->group_count; i++) {
        const param_group *g = &second->groups[i];
        /* (in,out): 12 of 24 rows, 48 of 60 columns */
        if (strcmp(g->param->name, "h.0.mlp.c_fc.weight")) continue;
        kept += g->first == 0 && g->rows == 12 && g->column == 48 && g->columns == 12 && g->rewarm == 100 && g->born == 0;
        born += g->first == 12 && g->rows == 12 && !g->columns && g->born == BORN_LATER;
    }
    CHECK_MSG(kept == 1 && born == 1, "%d kept, %d new", kept, born);
    lithe_model_close(second);
    for (int i = 0; i < 2; i++) lithe_model_close(first[i]);
    lithe_model_close(m);
}

/* ---- copies ---------------------------------------------------------------------------- */

/* The entries of p whose index along the axis is `unit`, of which there are n. */
static double *unit_of(const param *p, int along, int unit, size_t *n)
{
    size_t inner = 1, count = (size_t)p->rule.dims[along];
    for (int a = along + 1; a < p->rule.rank; a++) inner *= (size_t)p->rule.dims[a];
    double *out = calloc(p->count / count, sizeof *out);
    *n = 0;
    for (size_t i = 0; i < p->count; i++)
        if (i / inner % count == (size_t)unit) out[(*n)++] = (double)p->weight.values[i];
    return out;
}

static double product(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

/* The number of pairs along a grown axis that are equal, or so nearly parallel as only copies are. */
static int alike_along(const param *p, int along)
{
    int count = p->rule.dims[along], found = 0;
    size_t n = 0;
    double **units = calloc((size_t)count, sizeof *units);
    for (int i = 0; i < count; i++) units[i] = unit_of(p, along, i, &n);
    for (int i = 0; i < count && n >= LEAST; i++)
        for (int j = 0; j < i; j++) {
            double x = product(units[i], units[i], n), y = product(units[j], units[j], n), dot = product(units[i], units[j], n);
            found += x > 0 && y > 0 && dot > 0.9999 * sqrt(x * y);
        }
    for (int i = 0; i < count; i++) free(units[i]);
    free(units);
    return found;
}

static int alike(const lithe_model *small, const lithe_model *large, char *where, size_t size)
{
    int found = 0;
    for (int i = 0; i < large->params->count; i++) {
        const param *p = large->params->items[i], *q = params_find(small->params, p->name);
        for (int a = 0; q && a < p->rule.rank; a++) {
            int here = p->rule.dims[a] > q->rule.dims[a] ? alike_along(p, a) : 0;
            if (here && !found) snprintf(where, size, "%s, axis %d", p->name, a);
            found += here;
        }
    }
    return found;
}

/* Grows, checks that the outputs are those of before, trains, and returns the number of such pairs. */
static int grown_alike(const small_case *c, lithe_grow_options o, char *where, size_t size)
{
    lithe_error err = { 0 };
    lithe_growth r;
    lithe_model *m = lithe_model_new(c->arch, c->config, 3, &err);
    CHECK_MSG(m != NULL, "%s", err.text);
    small_perturb(m->params, 0.05, 9);
    lithe_model *large = lithe_model_grow(m, &o, &r, &err);
    CHECK_MSG(large != NULL, "%s: %s", c->name, err.text);
    if (!large) { lithe_model_close(m); return 0; }
    int32_t ids[20];
    for (int i = 0; i < 20; i++) ids[i] = (int32_t)(random_u64(1, (uint64_t)i) % 23);
    CHECK_MSG(!lithe_compare(m, large, ids, 20, &r, &err), "%s: %s", c->name, err.text);
    if (r.preserves) CHECK_MSG(r.max_difference <= 1e-5 * fmax(1, r.max_logit), "%s: %s: differs by %g of %g", c->name, r.moves, r.max_difference, r.max_logit);
    train(large, STEPS);
    int found = alike(m, large, where, size);
    lithe_model_close(large);
    lithe_model_close(m);
    return found;
}

/* Its configuration, with several classes for images: the gradient of two has one direction, by which all rows of the
 * last layer go. */
static small_case with_classes(const small_case *c)
{
    small_case out = *c;
    json_t *config = json_loads(c->config, 0, NULL);
    if (arch_reads_images(arch_find(c->arch)) && !json_object_get(config, "num_labels")) json_object_set_new(config, "num_labels", json_integer(5));
    out.config = json_dumps(config, 0);
    json_decref(config);
    return out;
}

/* "hidden_size=64,intermediate_size=97,aug_width=11": twice the width, odd numbers of units beside it. */
static void larger(const small_case *c, bool wide, char *set, size_t size)
{
    lithe_error err = { 0 };
    const arch *a = arch_find(c->arch);
    lithe_model *m = lithe_model_new(c->arch, c->config, 3, &err);
    size_t n = 0;
    json_t *config = model_config(m, &err);
    *set = 0;
    if (wide) n += (size_t)snprintf(set + n, size - n, "%s=%d,", a->growth.keys.width, 2 * (int)json_integer_value(json_object_get(config, a->growth.keys.width)));
    for (int i = 0; i < m->params->count; i++)
        for (int d = 0; d < 2; d++) {
            const axis *x = &m->params->items[i]->rule.axes[d];
            const char *key = x->kind == AXIS_INNER ? a->growth.keys.inner : x->kind == AXIS_BOTTLENECK ? a->growth.keys.bottleneck : NULL;
            int units = m->params->items[i]->rule.dims[d] / (x->parts > 1 ? x->parts : 1);
            if (key && units > 1 && !strstr(set, key)) n += (size_t)snprintf(set + n, size - n, "%s=%d,", key, 2 * units + 1);
        }
    json_decref(config);
    lithe_model_close(m);
}

static void every_architecture(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < 2 * count; i++) {
        char where[200] = "", set[200];
        small_case c = with_classes(&cases[i / 2]);
        larger(&c, i % 2, set, sizeof set);
        if (*set) {
            int found = grown_alike(&c, LITHE_OPTIONS(lithe_grow_options, .set = set), where, sizeof where);
            CHECK_MSG(!found, "%s, %s: %d pairs of units are alike, first in %s", c.name, set, found, where);
        }
        free((char *)(uintptr_t)c.config);
    }
}

/* ---- new models ----------------------------------------------------------------------------- */

/* The parameter of the next branch beside ("...aug.0..." and "...aug.1..."), NULL: there is none. */
static const param *next_branch(const lithe_model *m, const param *p)
{
    char name[200];
    const char *at = strstr(p->name, ".aug.");
    if (!at) return NULL;
    snprintf(name, sizeof name, "%.*s%d%s", (int)(at + 5 - p->name), p->name, at[5] - '0' + 1, at + 6);
    return params_find(m->params, name);
}

/* What begins alike in a new model parts, too: units, slots, terms of a series, branches. */
static void new_models(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) {
        small_case c = with_classes(&cases[i]);
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_new(c.arch, c.config, 3, &err);
        CHECK_MSG(m != NULL, "%s: %s", c.name, err.text);
        if (m) train(m, STEPS);
        for (int k = 0; m && k < m->params->count; k++) {
            const param *p = m->params->items[k], *q = next_branch(m, p);
            for (int a = 0; a < p->rule.rank; a++) CHECK_MSG(!alike_along(p, a), "%s: units of %s are alike along axis %d", c.name, p->name, a);
            if (q && p->count == q->count) CHECK_MSG(memcmp(p->weight.values, q->weight.values, p->count * sizeof(real)), "%s: %s and %s are alike", c.name, p->name, q->name);
        }
        lithe_model_close(m);
        free((char *)(uintptr_t)c.config);
    }
}

static void by_size(void)
{
    static const small_case cases[] = { { "gpt2", "gpt2", SMALL_GPT2 }, { "llama", "llama", SMALL_LLAMA }, { "rwkv7", "rwkv7", SMALL_RWKV7 }, { "pangu-pi", "pangu_pi", SMALL_PANGU_PI } };
    for (int i = 0; i < 4; i++) {
        char where[200] = "";
        int found = grown_alike(&cases[i], LITHE_OPTIONS(lithe_grow_options, .factor = 2), where, sizeof where);
        CHECK_MSG(!found, "%s: %d pairs of units are alike, first in %s", cases[i].name, found, where);
    }
}

/* The copies of slots: three of each key, of which two have the same sign or share. */
static void of_slots(void)
{
    static const small_case c = { "tokenformer", "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") };
    static const char *const methods[] = { "A", "B", "C", "D" };
    for (int i = 0; i < 4; i++) {
        char where[200] = "";
        int found = grown_alike(&c, LITHE_OPTIONS(lithe_grow_options, .set = "qkv_slot_num=36,proj_slot_num=30,ffn_slot_num=210", .method = methods[i]), where, sizeof where);
        CHECK_MSG(!found, "%s: %d pairs of slots are alike, first in %s", methods[i], found, where);
    }
}

static void clones(void)
{
    static const small_case c = { "llama", "llama", SMALL_LLAMA };
    char where[200] = "";
    CHECK(grown_alike(&c, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=32", .method = "clone"), where, sizeof where) > 0);
    CHECK(grown_alike(&c, LITHE_OPTIONS(lithe_grow_options, .set = "intermediate_size=40", .method = "clone"), where, sizeof where) > 0);
}

const test tests_grow_parts[] = {
    { "grow.copies part in every architecture", every_architecture },
    { "grow.nothing in a new model stays alike", new_models },
    { "grow.copies part when a number of parameters is asked for", by_size },
    { "grow.copies of slots part", of_slots },
    { "grow.clones do not part", clones },
    { "grow.old values can be frozen", frozen },
    { "grow.new values warm up", warmed },
    { 0 }
};

/* The values of a model of another architecture under the names of a hybrid (arch/hybrid_forms.h).
 * Invariant: every parameter of the smaller model has exactly one place; what the hybrid has beside is a bias, or an
 * addition, that begins without effect. */
#include "grow/grow.h"
#include "base/arena.h"
#include "base/name_pattern.h"
#include "base/progress.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name with "layers.N." in place of the layer's own prefix, N from 0. */
static const char *by_layer(const lithe_model *m, const char *name, char text[PATTERN_BYTES])
{
    const char *rest;
    long layer = layer_of(m->arch, name, &rest);
    if (layer < 0 || layer >= arch_int(m->arch, m->config, m->arch->growth.keys.layers)) return name;
    snprintf(text, PATTERN_BYTES, "layers.%ld%s", layer, rest);
    return text;
}

/* ---- where a parameter goes ------------------------------------------------------------ */

/* One of the places of a parameter `from` of the model: it, or a part of it, is `to` in the hybrid. */
typedef struct { const named_part *at; const param *from, *to; } placing;

enum { PARTS_MAX = 8 };
/* Finds the places of a parameter and returns their number; 0: it has none, and `missing` is the name in the hybrid. */
static int places_of(const hybrid_form *f, const lithe_model *m, const param *from, const lithe_model *to, placing places[PARTS_MAX], char missing[PATTERN_BYTES])
{
    static const named_part same = { "@", "@", 0, 1, false, false };
    char text[PATTERN_BYTES];
    const char *name = by_layer(m, from->name, text);
    const named_part *at = hybrid_parts(f);
    while (at->theirs && !pattern_rewrite(at->theirs, at->ours, name, missing)) at++;
    if (!at->theirs) at = &same;
    const int n = at->parts;
    for (int i = 0; i < n && i < PARTS_MAX; i++, at++) {
        const param *p = pattern_rewrite(at->theirs, at->ours, name, missing) ? params_find(to->params, missing) : NULL;
        if (!p) return 0;
        places[i] = (placing){ at, from, p };
    }
    return n;
}

/* The place in the values of `from` of number i of those of `to`.  Of a transposed one, row r of ours is a column of
 * theirs, after those of the parts before. */
static size_t source_of(const placing *p, size_t i)
{
    const size_t rows = (size_t)p->from->rule.dims[0], columns = p->from->count / rows, part = (size_t)p->at->part;
    const size_t r = i / rows, c = i % rows;
    return p->at->transposed ? c * columns + part * (columns / (size_t)p->at->parts) + r : part * p->to->count + i;
}

static int take_values(const placing *p, param *to, lithe_error *err)
{
    const param *from = p->from;
    if (from->count != (size_t)p->at->parts * to->count) return fail(err, LITHE_EINVAL, "%s has another shape than %s", to->name, from->name);
    real *values = weight_copy(&from->weight, from->count), *out = weight_edit(&to->weight);
    if (!values) return fail(err, LITHE_ENOMEM, "not enough memory to grow %s", to->name);
    for (size_t i = 0; i < to->count; i++) out[i] = p->at->past ? (real)(1 - (double)values[source_of(p, i)]) : values[source_of(p, i)];
    free(values);
    return LITHE_OK;
}

static int place_param(const hybrid_form *f, const lithe_model *m, const param *from, lithe_model *to, bool *filled, lithe_error *err)
{
    char missing[PATTERN_BYTES];
    placing places[PARTS_MAX];
    int n = places_of(f, m, from, to, places, missing), status = LITHE_OK;
    if (!n) return fail(err, LITHE_EINVAL, "%s has no place in the %s, which has no %s", from->name, to->arch->name, missing);
    for (int i = 0; i < n && !status; i++)
        for (int k = 0; k < to->params->count; k++) {
            if (to->params->items[k] != places[i].to) continue;
            status = take_values(&places[i], to->params->items[k], err);
            filled[k] = true;
        }
    return status;
}

/* ---- values, moments, groups ----------------------------------------------------------- */

static bool without_effect(const char *name)
{
    size_t n = strlen(name);
    return (n > 5 && !strcmp(name + n - 5, ".bias")) || strstr(name, ".shortcut.") || strstr(name, ".siaf.");
}

int hybrid_values(const hybrid_form *f, const lithe_model *m, lithe_model *to, uint64_t seed, lithe_error *err)
{
    bool *filled = xalloc((size_t)to->params->count, sizeof *filled);
    int status = filled ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to grow");
    for (int i = 0; !status && i < m->params->count && !(status = progress_tell("growing the weights", i, m->params->count, err)); i++)
        status = place_param(f, m, m->params->items[i], to, filled, err);
    for (int k = 0; !status && k < to->params->count; k++) {
        param *p = to->params->items[k];
        if (filled[k]) continue;
        if (without_effect(p->name)) param_initialize(p, seed, weight_edit(&p->weight));
        else status = fail(err, LITHE_EINVAL, "no parameter of the %s becomes %s", m->arch->name, p->name);
    }
    free(filled);
    return status;
}

void hybrid_moments(const hybrid_form *f, const lithe_model *m, const lithe_model *to, const real *first, const real *second, real *to_first, real *to_second)
{
    char missing[PATTERN_BYTES];
    placing places[PARTS_MAX];
    for (int k = 0; k < m->params->count; k++)
        for (int n = places_of(f, m, m->params->items[k], to, places, missing); n-- > 0;) {
            const placing *p = &places[n];
            for (size_t i = 0; i < p->to->count; i++) {
                const size_t at = p->from->offset + source_of(p, i);
                to_first[p->to->offset + i] = p->at->past ? -first[at] : first[at];
                to_second[p->to->offset + i] = second[at];
            }
        }
}

/* The rectangle of a group within one place of its parameter; one without rows where they have nothing in common. */
static param_group placed_group(const param_group *g, const placing *p)
{
    const int rows = p->from->rule.dims[0], columns = (int)(p->from->count / (size_t)rows), parts = p->at->parts;
    const int split = (p->at->transposed ? columns : rows) / parts, begin = p->at->part * split;
    int first = p->at->transposed ? g->column : g->first, end = first + (p->at->transposed ? g->columns ? g->columns : columns : g->rows);
    if (first < begin) first = begin;
    if (end > begin + split) end = begin + split;
    param_group placed = *g;
    placed.param = p->to;
    placed.first = first - begin;
    placed.rows = end > first ? end - first : 0;
    if (p->at->transposed) {
        const bool whole = g->rows == rows;
        placed.column = whole ? 0 : g->first;
        placed.columns = whole ? 0 : g->rows;
    }
    return placed;
}

/* Cuts the groups from number `from` on, which are of one parameter, where any of them begins or ends, so that two have
 * the same rows or none in common. */
static void cut_rows(group_list *l, int from)
{
    for (int i = from; i < l->count && !l->failed; i++)
        for (int k = from; k < l->count; k++) {
            param_group *x = &l->groups[i], rest = *x;
            const param_group *y = &l->groups[k];
            int at = y->first > x->first ? y->first : y->first + y->rows;
            if (at <= x->first || at >= x->first + x->rows) continue;
            rest.first = at;
            rest.rows = x->first + x->rows - at;
            x->rows = at - x->first;
            add_group(l, rest);
        }
}

void hybrid_groups(group_list *l)
{
    const growth *g = l->g;
    const lithe_model *m = g->small, *to = g->large;
    char missing[PATTERN_BYTES];
    placing places[PARTS_MAX];
    bool *filled = xalloc((size_t)to->params->count + 1, sizeof *filled);
    l->failed |= !filled;
    for (int k = 0; filled && k < m->params->count; k++)
        for (int n = places_of(g->form, m, m->params->items[k], to, places, missing); n-- > 0;) {
            const int from = l->count;
            for (int i = 0; i < to->params->count; i++) filled[i] |= to->params->items[i] == places[n].to;
            for (int i = 0; i < m->group_count; i++) {
                param_group placed = m->groups[i].param == places[n].from ? placed_group(&m->groups[i], &places[n]) : (param_group){ 0 };
                if (placed.rows) add_group(l, placed);
            }
            cut_rows(l, from);
        }
    for (int i = 0; filled && i < to->params->count; i++)
        if (!filled[i]) add_group(l, (param_group){ .param = to->params->items[i], .rows = to->params->items[i]->rule.dims[0], .born = BORN_LATER, .rewarm = g->options.rewarm, .lr_factor = 1 });
    free(filled);
}

/* The values of a model of another architecture under the names of a hybrid (arch/hybrid_forms.h).
 * Invariant: every parameter of the smaller model has exactly one place; what the hybrid has beside is a bias, or an
 * addition, that begins without effect. */
#include "grow/grow.h"
#include "base/arena.h"
#include "base/name_pattern.h"
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

static int take_values(const named_part *at, const param *from, param *to, lithe_error *err)
{
    const size_t rows = (size_t)from->rule.dims[0], columns = from->count / rows, parts = (size_t)at->parts;
    real *values = from->count == parts * to->count ? weight_copy(&from->weight, from->count) : NULL, *out = weight_edit(&to->weight);
    if (from->count != parts * to->count) return fail(err, LITHE_EINVAL, "%s has another shape than %s", to->name, from->name);
    if (!values) return fail(err, LITHE_ENOMEM, "not enough memory to grow %s", to->name);
    const size_t first = (size_t)at->part * to->count, own = columns / parts;
    for (size_t i = 0; i < to->count; i++) {
        /* Of a transposed one, row r of ours is a column of theirs, after those of the parts before. */
        size_t r = i / rows, c = i % rows;
        double value = (double)values[at->transposed ? c * columns + (size_t)at->part * own + r : first + i];
        out[i] = (real)(at->past ? 1 - value : value);
    }
    free(values);
    return LITHE_OK;
}

static int place_param(const hybrid_form *f, const lithe_model *m, const param *from, lithe_model *to, bool *filled, lithe_error *err)
{
    char text[PATTERN_BYTES], ours[PATTERN_BYTES];
    const char *name = by_layer(m, from->name, text);
    static const named_part same = { "@", "@", 0, 1, false, false };
    const named_part *at = hybrid_parts(f);
    while (at->theirs && !pattern_rewrite(at->theirs, at->ours, name, ours)) at++;
    if (!at->theirs) at = &same;
    for (int i = 0, n = at->parts; i < n; i++, at++) {
        param *p = pattern_rewrite(at->theirs, at->ours, name, ours) ? params_find(to->params, ours) : NULL;
        if (!p) return fail(err, LITHE_EINVAL, "%s has no place in the %s, which has no %s", from->name, to->arch->name, ours);
        int status = take_values(at, from, p, err);
        if (status) return status;
        for (int k = 0; k < to->params->count; k++) filled[k] |= to->params->items[k] == p;
    }
    return LITHE_OK;
}

static bool without_effect(const char *name)
{
    size_t n = strlen(name);
    return (n > 5 && !strcmp(name + n - 5, ".bias")) || strstr(name, ".shortcut.") || strstr(name, ".siaf.");
}

int hybrid_values(const hybrid_form *f, const lithe_model *m, lithe_model *to, uint64_t seed, lithe_error *err)
{
    bool *filled = xalloc((size_t)to->params->count, sizeof *filled);
    int status = filled ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to grow");
    for (int i = 0; !status && i < m->params->count; i++) status = place_param(f, m, m->params->items[i], to, filled, err);
    for (int k = 0; !status && k < to->params->count; k++) {
        param *p = to->params->items[k];
        if (filled[k]) continue;
        if (without_effect(p->name)) param_initialize(p, seed, weight_edit(&p->weight));
        else status = fail(err, LITHE_EINVAL, "no parameter of the %s becomes %s", m->arch->name, p->name);
    }
    free(filled);
    return status;
}

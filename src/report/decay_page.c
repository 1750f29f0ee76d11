/* How long the states of RWKV keep what they have read, by layer. */
#include "report/model_views.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Adds the median of a layer's channels, and the tenths at both ends. */
static bool add_layer(chart_curve *c, const lithe_decay *d)
{
    double *sorted = xalloc((size_t)d->channels + 1, sizeof *sorted);
    if (!sorted) return false;
    memcpy(sorted, d->half_life, (size_t)d->channels * sizeof *sorted);
    qsort(sorted, (size_t)d->channels, sizeof *sorted, ascending);
    const double last = d->channels - 1;
    if (isfinite(sorted[(int)(0.9 * last)])) {
        c->x[c->n] = d->layer;
        c->low[c->n] = sorted[(int)(0.1 * last)];
        c->high[c->n] = sorted[(int)ceil(0.9 * last)];
        c->y[c->n++] = (sorted[(int)floor(0.5 * last)] + sorted[(int)ceil(0.5 * last)]) / 2;
    }
    free(sorted);
    return true;
}

static bool fill(chart_curve *c, const model_view *w)
{
    size_t layers = 0;
    lithe_decay d;
    while (lithe_internals_decay(w->inside, layers, &d)) layers++;
    double **const to[] = { &c->x, &c->y, &c->low, &c->high };
    bool there = true;
    for (int i = 0; i < 4; i++) there &= (*to[i] = xalloc(layers + 1, sizeof **to[i])) != NULL;
    for (size_t k = 0; there && lithe_internals_decay(w->inside, k, &d); k++) there = add_layer(c, &d);
    return there;
}

void decay_page_write(text_out *out, const model_views *v, int *charts)
{
    chart_curve *curves = xalloc(v->count + 1, sizeof *curves);
    bool there = curves != NULL;
    lithe_decay d;
    int n = 0;
    for (size_t i = 0; there && i < v->count; i++) {
        const model_view *w = &v->views[i];
        if (!lithe_internals_decay(w->inside, 0, &d)) continue;
        curves[n] = (chart_curve){ .name = v->figures->names[w->run], .colour = v->figures->group[w->run], .dots = true };
        there = fill(&curves[n++], w);
    }
    if (there && n) {
        out_print(out, "<h3>Decay</h3>\n<p>After how many tokens a channel of the recurrent states has kept one half, at its mean rate over the text: the median of a layer's channels, in a band from a tenth "
                       "of them to nine tenths. Layers are counted from 0.</p>\n");
        chart_key(out, curves, n);
        out_print(out, "<div class=\"one\">\n");
        chart_draw(out, &(chart){ .number = ++*charts, .title = "Half-life of states (tokens), by layer", .x_name = "layer", .curves = curves, .curve_count = n, .logarithmic = true, .whole = true,
                                  .counted = true, .points = v->figures->points });
        out_print(out, "</div>\n");
    }
    out->failed |= !there;
    if (curves) figures_free(curves, n);
}

/* Sections of a page about what models show of themselves. */
#include "report/model_views.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SURPRISE_RUNS = 4, SHADES = 5 };

/* ---- features by layer -------------------------------------------------------------------------- */

/* Older models before newer ones. */
static int by_step(const void *a, const void *b)
{
    const model_view *x = *(model_view *const *)a, *y = *(model_view *const *)b;
    return x->run != y->run ? (x->run > y->run) - (x->run < y->run) : (x->step > y->step) - (x->step < y->step);
}

/* Views whose features were measured, sorted; to be freed. */
static model_view **measured(const model_views *v, int *count)
{
    model_view **list = xalloc(v->count + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < v->count; i++)
        if (v->views[i].diversity) list[(*count)++] = &v->views[i];
    if (list) qsort(list, (size_t)*count, sizeof *list, by_step);
    return list;
}

/* After the embedding, then after each layer. */
static bool fill_curve(chart_curve *k, const lithe_diversity *d, bool effective)
{
    size_t n = lithe_diversity_count(d);
    k->x = xalloc(n + 1, sizeof *k->x);
    k->y = xalloc(n + 1, sizeof *k->y);
    for (size_t i = 0; k->x && k->y && i < n; i++) {
        const lithe_diversity_row *r = lithe_diversity_at(d, i);
        double value = effective ? r->deff80 : r->rel.mean;
        if ((strcmp(r->place, "embed") && strcmp(r->place, "post_ffn")) || !isfinite(value)) continue;
        k->x[k->n] = r->layer + 1;
        k->y[k->n++] = value;
    }
    return k->x && k->y;
}

static chart_curve *curves_of(const model_views *v, model_view *const *list, int count, char (*names)[128], bool effective)
{
    chart_curve *curves = xalloc((size_t)count + 1, sizeof *curves);
    bool there = curves != NULL;
    for (int i = 0; curves && i < count; i++) {
        curves[i] = (chart_curve){ .name = model_view_name(v, list[i], names[i]), .colour = v->figures->n > 1 ? v->figures->group[list[i]->run] : i, .dots = true };
        there &= fill_curve(&curves[i], list[i]->diversity, effective);
    }
    if (there || !curves) return curves;
    figures_free(curves, count);
    return NULL;
}

static void write_diversity(text_out *out, const model_views *v, int *charts)
{
    static const char *const titles[] = { "Relative diversity of features, after each layer", "Components with 80 % of the variance, after each layer" };
    int count;
    model_view **list = measured(v, &count);
    char (*names)[128] = xalloc((size_t)count + 1, sizeof *names);
    bool few = false;
    for (int i = 0; list && i < count; i++) few |= lithe_diversity_at(list[i]->diversity, 0)->few_tokens != 0;
    for (int k = 0; list && names && count && k < 2; k++) {
        chart_curve *curves = curves_of(v, list, count, names, k == 1);
        if (!curves) { out->failed = true; break; }
        if (!k) {
            out_print(out, "<h3>Diversity by layer</h3>\n<p>How different the features of tokens are, as lithe inspect --diversity measures them: their distance from the mean of a sequence over their norm "
                           "(0: all tokens are equal), and how many principal components hold 80 %% of their variance. Layer 0 is the embedding.%s</p>\n",
                      few ? " Some models have fewer than five tokens for each channel, which makes the second figure lower than it would be over more text." : "");
            chart_key(out, curves, count);
            out_print(out, "<div class=\"grid\">\n");
        }
        chart_draw(out, &(chart){ .number = ++*charts, .title = titles[k], .x_name = "layer", .curves = curves, .curve_count = count, .from_zero = k == 1, .whole = true, .counted = true, .points = v->figures->points });
        figures_free(curves, count);
        if (k) out_print(out, "</div>\n");
    }
    out->failed |= !list || !names;
    free(list);
    free(names);
}

/* ---- the surprise of tokens ---------------------------------------------------------------------- */

static int shade_of(double bits) { return bits < 1 ? 0 : bits < 2 ? 1 : bits < 4 ? 2 : bits < 8 ? 3 : 4; }

static void write_scale(text_out *out)
{
    static const char *const ranges[SHADES] = { "below 1 bit", "1 to 2", "2 to 4", "4 to 8", "8 or more" };
    out_print(out, "<p class=\"n\">");
    for (int i = 0; i < SHADES; i++) out_print(out, "<span class=\"u s%d\">%s</span> ", i, ranges[i]);
    out_print(out, "</p>\n");
}

static void write_tokens(text_out *out, const model_view *w, size_t most)
{
    out_print(out, "<pre class=\"text\">");
    for (size_t i = 0; i < w->token_count && i < most; i++) {
        const surprise *s = &w->tokens[i];
        if (isfinite(s->bits)) out_print(out, "<span class=\"s%d\" title=\"%.2f bits\">", shade_of(s->bits), s->bits);
        else out_print(out, "<span>");
        out_escaped(out, s->text, 200);
        out_print(out, "</span>");
    }
    out_print(out, "%s</pre>\n", w->token_count > most ? " ..." : "");
}

static void write_surprise(text_out *out, const model_views *v)
{
    int shown = 0;
    for (size_t i = 0; i < v->count && shown < SURPRISE_RUNS; i++) {
        const model_view *w = &v->views[i];
        if (!w->scored || !model_view_first(v, w)) continue;
        if (!shown++) {
            out_print(out, "<h3>Surprise by token</h3>\n<p>How many bits the model needs for each token of the beginning of the text after those before it: minus the logarithm of its probability, to base 2. Models with different tokenizers compare by bits a byte.</p>\n");
            write_scale(out);
        }
        out_print(out, "<p class=\"k c%d\">", v->figures->group[w->run] % CHART_COLOURS);
        out_escaped(out, v->figures->names[w->run], 96);
        out_print(out, "</p>\n<p class=\"n\">%.2f bits a token, %.3f bits a byte, over %zu tokens</p>\n", w->bits / (double)w->scored, w->bytes ? w->bits / (double)w->bytes : (double)NAN, w->scored);
        write_tokens(out, w, (size_t)v->figures->points);
    }
}

/* ---- all ------------------------------------------------------------------------------------------ */

void model_page_write(text_out *out, const model_views *v, int *charts)
{
    if (!v || !v->figures->options->models) return;
    out_print(out, "<h2>Models</h2>\n<p>The newest model of each run%s, on %s.</p>\n", v->figures->n == 1 ? " and its older checkpoints" : "", v->figures->options->text ? "a given text" : "its held-out text");
    for (size_t i = 0; i < v->note_count; i++) {
        out_print(out, "<p class=\"n\">");
        out_escaped(out, v->notes[i], 700);
        out_print(out, "</p>\n");
    }
    write_diversity(out, v, charts);
    attention_page_write(out, v);
    slots_page_write(out, v, charts);
    decay_page_write(out, v, charts);
    write_surprise(out, v);
}

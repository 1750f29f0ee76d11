/* Maps of attention: a row for each query, a column for each key, darker where the weight is larger. */
#include "report/model_views.h"
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 184, SIDE = 146, TOP = 30, LEVELS = 5 };
static const double levels[LEVELS] = { 0, 0.02, 0.1, 0.25, 0.5 };        /* the least weight of each */

/* ---- which heads are shown ------------------------------------------------------------------- */

/* Item i of at most `most` that lie evenly among n, -1 past the last. */
static int evenly(int i, int most, int n)
{
    int shown = n < most ? n : most;
    return i >= shown ? -1 : shown < 2 ? 0 : i * (n - 1) / (shown - 1);
}

/* The number of layers with attention, and the first map of one of them. */
static int layers_of(const lithe_internals *x, int wanted, size_t *first)
{
    int layers = 0;
    lithe_attention_map m;
    for (size_t i = 0; lithe_internals_map(x, i, &m); i++) {
        if (m.head) continue;
        if (layers++ == wanted) *first = i;
    }
    return layers;
}

int shown_maps(const model_view *m, int i, lithe_attention_map maps[MAP_HEADS])
{
    size_t first = 0;
    int heads = 0, count = 0, layer = evenly(i, MAP_LAYERS, layers_of(m->maps, -1, &first));
    lithe_attention_map next;
    if (layer < 0) return 0;
    layers_of(m->maps, layer, &first);
    for (heads = 1; lithe_internals_map(m->maps, first + (size_t)heads, &next) && next.head; ) heads++;
    for (int h; (h = evenly(count, MAP_HEADS, heads)) >= 0; count++) lithe_internals_map(m->maps, first + (size_t)h, &maps[count]);
    return count;
}

/* ---- drawing ----------------------------------------------------------------------------------- */

static int level_of(float weight)
{
    int level = LEVELS - 1;
    while (level && (double)weight < levels[level]) level--;
    return level;
}

/* The cells of one level, as lines along the rows. */
static void draw_level(text_out *out, const lithe_attention_map *m, int level)
{
    bool begun = false;
    for (int q = 0; q < m->tokens; q++)
        for (int k = 0, end; k < m->tokens; k = end) {
            const float *row = m->weights + (size_t)q * (size_t)m->tokens;
            for (end = k + 1; end < m->tokens && (level_of(row[k]) == level) == (level_of(row[end]) == level); ) end++;
            if (level_of(row[k]) != level) continue;
            if (!begun) out_print(out, "<path class=\"w w%d\" d=\"", level);
            begun = true;
            out_print(out, "M%d %d.5h%d", k, q, end - k);
        }
    if (begun) out_print(out, "\"/>\n");
}

static void draw_map(text_out *out, const lithe_attention_map *m, int place)
{
    int x = place * WIDTH / MAP_HEADS;
    out_print(out, "<text x=\"%d\" y=\"%d\">head %d</text><g transform=\"translate(%d %d) scale(%.4f)\">\n", x + 4, TOP - 10, m->head, x + 4, TOP, (double)SIDE / m->tokens);
    for (int level = 1; level < LEVELS; level++) draw_level(out, m, level);
    out_print(out, "</g><path class=\"g o\" d=\"M%d %dh%dv%dh-%dz\"/>\n", x + 4, TOP, SIDE, SIDE, SIDE);
}

static void draw_layer(text_out *out, const model_views *v, const model_view *w, const lithe_attention_map *maps, int count)
{
    char title[200];
    snprintf(title, sizeof title, "%s%sttention of layer %d", v->figures->n > 1 ? v->figures->names[w->run] : "", v->figures->n > 1 ? ": a" : "A", maps[0].layer);
    out_print(out, "<figure><figcaption>");
    out_escaped(out, title, 200);
    out_print(out, "</figcaption>\n<svg class=\"c%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", v->figures->group[w->run] % CHART_COLOURS, WIDTH, HEIGHT);
    out_escaped(out, title, 200);
    out_print(out, "\">\n");
    for (int i = 0; i < count; i++) draw_map(out, &maps[i], i);
    out_print(out, "</svg></figure>\n");
}

static void write_scale(text_out *out, int colour)
{
    static const char *const ranges[LEVELS] = { "", "2 to 10 %", "to 25 %", "to 50 %", "above 50 %" };
    out_print(out, "<div class=\"key n\">");
    for (int i = 1; i < LEVELS; i++)
        out_print(out, "<span><svg class=\"c%d\" viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"w w%d\" stroke-width=\"8\" d=\"M0 4h28\"/></svg>%s</span>\n", colour, i, ranges[i]);
    out_print(out, "</div>\n");
}

void attention_page_write(text_out *out, const model_views *v)
{
    int runs = 0, most = v->figures->points > 200 ? MAP_RUNS : v->figures->points > 100 ? 1 : 0;
    lithe_attention_map maps[MAP_HEADS];
    for (size_t i = 0; i < v->count && runs < most; i++) {
        const model_view *w = &v->views[i];
        if (!model_view_first(v, w) || !shown_maps(w, 0, maps)) continue;
        if (!runs++) {
            out_print(out, "<h3>Attention</h3>\n<p>How much each token, from top to bottom, takes from each token, from left to right, in some heads of some layers, over the first %d tokens. Layers and heads are counted from 0.</p>\n", maps[0].tokens);
            write_scale(out, v->figures->group[w->run] % CHART_COLOURS);
            out_print(out, "<pre>");
            out_escaped(out, w->map_text, 600);
            out_print(out, "</pre>\n<div class=\"grid\">\n");
        }
        for (int k = 0, count; (count = shown_maps(w, k, maps)) > 0; k++) draw_layer(out, v, w, maps, count);
    }
    if (runs) out_print(out, "</div>\n");
}

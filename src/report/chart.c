/* A figure: axes with round numbers, curves as polylines, bands, marks, and the names of the curves above it. */
#include "report/chart.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 312, LEFT = 66, RIGHT = 14, TOP = 16, FOOT = 58, TICKS = 5 };

typedef struct { double least, most; } range;

const char *short_number(double x, char text[32])
{
    static const struct { double size; const char *letter; } units[] = { { 1e18, "E" }, { 1e15, "P" }, { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } };
    if (!isfinite(x)) { snprintf(text, 32, "\xe2\x80\x93"); return text; }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (fabs(x) >= units[i].size * 0.99999) { snprintf(text, 32, "%.3g%s", x / units[i].size, units[i].letter); return text; }
    snprintf(text, 32, "%.3g", x);
    return text;
}

/* ---- ranges -------------------------------------------------------------------------------- */

static range widen(range r, double x)
{
    return (range){ x < r.least ? x : r.least, x > r.most ? x : r.most };
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value that a share of a curve's values is below. */
static double quantile(const chart_curve *c, double share)
{
    double *sorted = c->n ? malloc(c->n * sizeof *sorted) : NULL, value = NAN;
    if (sorted) {
        memcpy(sorted, c->y, c->n * sizeof *sorted);
        qsort(sorted, c->n, sizeof *sorted, ascending);
        value = sorted[(size_t)(share * (double)(c->n - 1))];
    }
    free(sorted);
    return value;
}

/* From the least value to that which nineteen of twenty are below, so that the first steps do not flatten the rest. */
static range y_range(const chart *c)
{
    range r = { INFINITY, -INFINITY };
    for (int i = 0; i < c->curve_count; i++) {
        const chart_curve *k = &c->curves[i];
        if (!k->n) continue;
        r = widen(r, quantile(k, k->n > 20 && !c->whole ? 0.95 : 1));
        for (size_t p = 0; p < k->n; p++) {
            if (c->logarithmic && k->y[p] <= 0) continue;
            r.least = fmin(r.least, k->low ? k->low[p] : k->y[p]);
            if (k->high && (c->whole || p > k->n / 10)) r.most = fmax(r.most, k->high[p]);
        }
    }
    if (c->from_zero && !c->logarithmic) r.least = 0;
    if (!(r.most > r.least)) r = (range){ r.least - fabs(r.least) * 0.05 - 1e-12, r.least + fabs(r.least) * 0.05 + 1e-12 };
    if (c->logarithmic && r.least > 0) {
        double times = pow(r.most / r.least, 0.04);
        return (range){ r.least / times, r.most * times };
    }
    double margin = c->logarithmic || c->from_zero ? 0 : 0.04 * (r.most - r.least);
    return (range){ r.least - margin, r.most + 0.04 * (r.most - r.least) };
}

static range x_range(const chart *c)
{
    range r = { INFINITY, -INFINITY };
    for (int i = 0; i < c->curve_count; i++)
        if (c->curves[i].n) r = widen(widen(r, c->curves[i].x[0]), c->curves[i].x[c->curves[i].n - 1]);
    if (r.least > 0 && r.least < 0.1 * r.most) r.least = 0;
    if (!(r.most > r.least)) r.most = r.least + 1;
    return r;
}

/* The distance between round numbers, 1, 2 or 5 times a power of ten, for about TICKS of them. */
static double tick_distance(range r)
{
    double rough = (r.most - r.least) / TICKS, power = pow(10, floor(log10(rough))), times = rough / power;
    return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

/* ---- drawing ---------------------------------------------------------------------------------- */

typedef struct { text_out *out; const chart *chart; range x, y; } drawing;

static double x_at(const drawing *d, double x)
{
    double near = d->chart->x_near, share = near > 0 ? log1p((x - d->x.least) / near) / log1p((d->x.most - d->x.least) / near) : (x - d->x.least) / (d->x.most - d->x.least);
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double y_at(const drawing *d, double y)
{
    double share = d->chart->logarithmic ? log(y / d->y.least) / log(d->y.most / d->y.least) : (y - d->y.least) / (d->y.most - d->y.least);
    return HEIGHT - FOOT - fmin(fmax(share, -0.02), 1.05) * (HEIGHT - FOOT - TOP);
}

static void draw_y_tick(const drawing *d, double value)
{
    char text[32];
    double y = y_at(d, value);
    out_print(d->out, "<line class=\"g\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
              LEFT, WIDTH - RIGHT, y, y, LEFT - 7, y + 4.5, short_number(fabs(value) < 1e-300 ? 0 : value, text));
}

/* A label at the right end would leave the figure if it stood in the middle of its place. */
static void draw_x_tick(const drawing *d, double x)
{
    char text[32];
    double at = x_at(d, x);
    bool last = at > WIDTH - RIGHT - 12;
    out_print(d->out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", last ? WIDTH - 1 : at, HEIGHT - FOOT + 21, last ? "end" : "middle", short_number(x, text));
}

static void draw_x_ticks(const drawing *d)
{
    double dx = tick_distance(d->x), near = d->chart->x_near;
    if (near > 0) {
        draw_x_tick(d, d->x.least);
        for (double x = pow(10, ceil(log10(near) - 1e-9)); x <= d->x.most * (1 + 1e-9); x *= 10) if (x > d->x.least) draw_x_tick(d, x);
    } else
        for (double x = ceil(d->x.least / dx - 1e-9) * dx; x <= d->x.most + 1e-9 * dx; x += dx) draw_x_tick(d, fabs(x) < dx * 1e-6 ? 0 : x);
}

static void draw_axes(const drawing *d)
{
    double dy = tick_distance(d->y);
    draw_x_ticks(d);
    if (!d->chart->logarithmic)
        for (double y = ceil(d->y.least / dy - 1e-9) * dy; y <= d->y.most + 1e-9 * dy; y += dy) draw_y_tick(d, fabs(y) < dy * 1e-6 ? 0 : y);
    else
        for (int power = (int)floor(log10(d->y.least)); power <= (int)ceil(log10(d->y.most)); power++)
            for (int k = 1; k <= 5; k += k == 1 ? 1 : 3)
                if (k * pow(10, power) >= d->y.least && k * pow(10, power) <= d->y.most) draw_y_tick(d, k * pow(10, power));
    out_print(d->out, "<line class=\"a\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", LEFT, WIDTH - RIGHT, HEIGHT - FOOT, HEIGHT - FOOT);
    out_print(d->out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", WIDTH - RIGHT, HEIGHT - 4, d->chart->x_name);
}

/* The mean of a curve's points from `first` to `end`. */
static double mean(const double *x, size_t first, size_t end)
{
    double sum = 0;
    for (size_t i = first; i < end; i++) sum += x[i];
    return sum / (double)(end - first);
}

static void draw_points(const drawing *d, const chart_curve *c, const double *y, size_t points, bool back)
{
    for (size_t i = 0; i < points; i++) {
        size_t k = back ? points - 1 - i : i, first = k * c->n / points, end = (k + 1) * c->n / points;
        out_print(d->out, "%.1f,%.1f ", x_at(d, mean(c->x, first, end)), y_at(d, mean(y, first, end)));
    }
}

static void draw_curve(const drawing *d, const chart_curve *c)
{
    size_t points = c->n < (size_t)d->chart->points ? c->n : (size_t)d->chart->points;
    int colour = c->colour % CHART_COLOURS;
    if (!points) return;
    if (c->low && c->high) {
        out_print(d->out, "<polygon class=\"b c%d\" points=\"", colour);
        draw_points(d, c, c->high, points, false);
        draw_points(d, c, c->low, points, true);
        out_print(d->out, "\"/>\n");
    }
    out_print(d->out, "<polyline class=\"l c%d%s\" points=\"", colour, c->colour / CHART_COLOURS % 2 ? " d" : "");
    draw_points(d, c, c->y, points, false);
    out_print(d->out, "\"/>\n");
    for (size_t i = 0; c->dots && i < points && points <= 40; i++)
        out_print(d->out, "<circle class=\"p c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>", colour, x_at(d, c->x[i * c->n / points]), y_at(d, c->y[i * c->n / points]));
}

static void draw_marks(const drawing *d)
{
    for (int i = 0; i < d->chart->mark_count; i++) {
        const chart_mark *m = &d->chart->marks[i];
        if (m->x < d->x.least || m->x > d->x.most) continue;
        out_print(d->out, "<g class=\"m c%d\"><title>", m->colour % CHART_COLOURS);
        out_escaped(d->out, m->text, 200);
        out_print(d->out, "</title><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%c</text></g>\n",
                  x_at(d, m->x), x_at(d, m->x), m->letter == 'c' ? HEIGHT - FOOT - 6 : TOP, HEIGHT - FOOT, x_at(d, m->x), HEIGHT - FOOT + 39, m->letter);
    }
}

void chart_draw(text_out *out, const chart *c)
{
    drawing d = { out, c, x_range(c), y_range(c) };
    bool empty = true;
    for (int i = 0; i < c->curve_count; i++) empty = empty && !c->curves[i].n;
    out_print(out, "<figure><figcaption>");
    out_escaped(out, c->title, 300);
    out_print(out, "</figcaption>\n");
    if (empty) { out_print(out, "<p class=\"n\">There are no such numbers.</p></figure>\n"); return; }
    if (c->logarithmic && !(d.y.least > 0)) d.y.least = d.y.most * 1e-3;
    out_print(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    out_escaped(out, c->title, 300);
    out_print(out, "\">\n<clipPath id=\"f%d\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath>\n", c->number, LEFT - 4, TOP - 4, WIDTH - LEFT - RIGHT + 8, HEIGHT - FOOT - TOP + 8);
    draw_axes(&d);
    draw_marks(&d);
    out_print(out, "<g clip-path=\"url(#f%d)\">\n", c->number);
    for (int i = 0; i < c->curve_count; i++) draw_curve(&d, &c->curves[i]);
    out_print(out, "</g></svg></figure>\n");
}

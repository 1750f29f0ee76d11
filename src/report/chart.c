/* A figure: axes with round numbers, curves as polylines, bands, marks, and the names of the curves above it. */
#include "report/chart.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 312, LEFT = 78, RIGHT = 14, TOP = 16, FOOT = 58, TICKS = 5, MOST_POWERS = 8 };

typedef struct { double least, most; } range;

/* ---- numbers ------------------------------------------------------------------------------- */

typedef struct { double size; const char *letter; } unit;

/* The largest of which x is one or more. */
static unit unit_of(double x)
{
    static const unit units[] = { { 1e18, "E" }, { 1e15, "P" }, { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) if (fabs(x) >= units[i].size * 0.99999) return units[i];
    return (unit){ 1, "" };
}

/* "2.5e-4" with so many significant digits. */
static const char *power_text(double x, int digits, char text[32])
{
    int power = (int)floor(log10(fabs(x)) + 1e-9);
    snprintf(text, 32, "%.*ge%d", digits, x / pow(10, power), power);
    return text;
}

const char *short_number(double x, char text[32])
{
    if (!isfinite(x)) { snprintf(text, 32, "\xe2\x80\x93"); return text; }
    if (fabs(x) < 1e-3 && fabs(x) > 0) return power_text(x, 3, text);
    unit u = unit_of(x);
    snprintf(text, 32, "%.3g%s", x / u.size, u.letter);
    return text;
}

/* A number of an axis with as many digits as tell it from the next one. */
static const char *tick_text(double x, range r, double distance, char text[32])
{
    const double most = fmax(fabs(r.least), fabs(r.most));
    unit u = unit_of(most);
    int decimals = (int)ceil(-log10(distance / u.size) - 1e-9);
    if (!(fabs(x) > 0) || decimals < 0) decimals = 0;
    const bool long_number = (decimals > 3 && most < 0.01) || most / u.size >= 1e6;
    if (long_number && fabs(x) > 0) return power_text(x, (int)floor(log10(fabs(x)) + 1e-9) - (int)floor(log10(distance) + 1e-9) + 1, text);
    int n = snprintf(text, 32, "%.*f", decimals < 12 ? decimals : 12, x / u.size);
    while (decimals && text[n - 1] == '0') n--;
    if (text[n - 1] == '.') n--;
    snprintf(text + n, (size_t)(32 - n), "%s", fabs(x) > 0 ? u.letter : "");
    return text;
}

/* ---- ranges -------------------------------------------------------------------------------- */

/* With room for some different numbers. */
static range not_narrow(range r)
{
    double least = 1e-9 * fmax(fabs(r.least), fabs(r.most));
    if (r.most - r.least > least) return r;
    return (range){ r.least - fabs(r.least) * 0.05 - 1e-12, r.least + fabs(r.least) * 0.05 + 1e-12 };
}

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
    double *sorted = c->n ? xalloc(c->n, sizeof *sorted) : NULL, value = NAN;
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
    r = not_narrow(r);
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
    return not_narrow(r);
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

static void draw_y_tick(const drawing *d, double y, const char *text)
{
    out_print(d->out, "<line class=\"g\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" dy=\".35em\" text-anchor=\"end\">%s</text>\n",
              LEFT, WIDTH - RIGHT, y_at(d, y), y_at(d, y), LEFT - 7, y_at(d, y), text);
}

/* A label at the right end would leave the figure if it stood in the middle of its place. */
static void draw_x_tick(const drawing *d, double x, const char *text)
{
    bool last = x_at(d, x) + 6.5 * (double)strlen(text) > WIDTH;          /* half its width on a phone */
    out_print(d->out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", last ? WIDTH - 1 : x_at(d, x), HEIGHT - FOOT + 21, last ? "end" : "middle", text);
}

static void draw_linear_ticks(const drawing *d, range r, double least, void (*draw)(const drawing *, double, const char *))
{
    char text[32];
    double distance = fmax(tick_distance(r), least), first = ceil(r.least / distance - 1e-9) + 0.0;
    for (int i = 0; (first + i) * distance <= r.most + 1e-9 * distance; i++) draw(d, (first + i) * distance, tick_text((first + i) * distance, r, distance, text));
}

/* Powers of ten from `least`, or also twice and five times these if there is room for them. */
static void draw_power_ticks(const drawing *d, double least, double most, bool between, void (*draw)(const drawing *, double, const char *))
{
    char text[32];
    int first = (int)floor(log10(least) + 1e-9), last = (int)ceil(log10(most)), step = (last - first) / MOST_POWERS + 1;
    for (int power = first; power <= last; power += step)
        for (int k = 1; k <= 5; k += k == 1 ? 1 : 3) {
            double at = k * pow(10, power);
            if (at >= least * (1 - 1e-9) && at <= most * (1 + 1e-9) && (k == 1 || between)) draw(d, at, short_number(at, text));
        }
}

static void draw_axes(const drawing *d)
{
    char text[32];
    double near = d->chart->x_near;
    if (near > 0) {
        draw_x_tick(d, d->x.least, short_number(d->x.least, text));
        draw_power_ticks(d, fmax(near, d->x.least + near / 2), d->x.most, false, draw_x_tick);
    } else draw_linear_ticks(d, d->x, d->chart->counted ? 1 : 0, draw_x_tick);
    if (d->chart->logarithmic && d->y.most > 5 * d->y.least) draw_power_ticks(d, d->y.least, d->y.most, d->y.most < 1600 * d->y.least, draw_y_tick);
    else draw_linear_ticks(d, d->y, 0, draw_y_tick);
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

/* Letters at one place stand side by side: how far to the left this one is. */
static int aside(const drawing *d, int mark)
{
    const chart_mark *marks = d->chart->marks;
    bool seen[128] = { false };
    int others = 0;
    for (int i = 0; i < mark; i++) {
        unsigned char letter = (unsigned char)marks[i].letter & 127;
        if (fabs(x_at(d, marks[i].x) - x_at(d, marks[mark].x)) > 4 || marks[i].letter == marks[mark].letter || seen[letter]) continue;
        seen[letter] = true;
        others++;
    }
    return others * 12;
}

static void draw_marks(const drawing *d)
{
    for (int i = 0; i < d->chart->mark_count; i++) {
        const chart_mark *m = &d->chart->marks[i];
        if (m->x < d->x.least || m->x > d->x.most) continue;
        out_print(d->out, "<g class=\"m c%d\"><title>", m->colour % CHART_COLOURS);
        out_escaped(d->out, m->text, 200);
        out_print(d->out, "</title><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%c</text></g>\n",
                  x_at(d, m->x), x_at(d, m->x), m->letter == 'c' ? HEIGHT - FOOT - 6 : TOP, HEIGHT - FOOT, x_at(d, m->x) - aside(d, i), HEIGHT - FOOT + 39, m->letter);
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

void chart_key(text_out *out, const chart_curve *curves, int count)
{
    out_print(out, "<div class=\"key\">");
    for (int i = 0; i < count; i++) {
        int c = curves[i].colour;
        out_print(out, "<span class=\"k c%d\"><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><polyline class=\"l%s c%d\" points=\"0,4 28,4\"/></svg>", c % CHART_COLOURS, c / CHART_COLOURS % 2 ? " d" : "", c % CHART_COLOURS);
        out_escaped(out, curves[i].name, 128);
        out_print(out, "</span>\n");
    }
    out_print(out, "</div>\n");
}

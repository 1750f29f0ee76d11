#include "report/cost_page.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_TIMES = 20 };            /* from this ratio of the largest to the least on an axis is logarithmic */

/* ---- units ---------------------------------------------------------------------------------- */

typedef struct { double size; const char *name; } unit;

static unit unit_of_time(double seconds)
{
    return seconds >= 1 ? (unit){ 1, "s" } : seconds >= 1e-3 ? (unit){ 1e-3, "ms" } : (unit){ 1e-6, "\xc2\xb5s" };
}

typedef struct { double least, most; } extent;

/* Of the values above zero. */
static extent extent_of(const chart_curve *curves, int count, bool x)
{
    extent e = { INFINITY, 0 };
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < curves[i].n; k++) {
            double value = x ? curves[i].x[k] : curves[i].y[k];
            if (value > 0) e.least = fmin(e.least, value);
            e.most = fmax(e.most, value);
        }
    return e;
}

static void scale(chart_curve *curves, int count, double by)
{
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < curves[i].n; k++) {
            curves[i].y[k] *= by;
            if (curves[i].low) curves[i].low[k] *= by;
            if (curves[i].high) curves[i].high[k] *= by;
        }
}

/* ---- figures ---------------------------------------------------------------------------------- */

/* A model that is one of the runs has its colour; the others have those that come after the runs'. */
static void colour(const figures *f, chart_curve *curves, int count)
{
    const costs *c = f->costs;
    for (int i = 0, next = f->groups; i < count; i++) {
        int run = 0, before = 0;
        while (run < f->n && strcmp(f->runs[run]->name, c->series[i].name)) run++;
        while (before < i && strcmp(c->series[before].model, c->series[i].model)) before++;
        curves[i].colour = run < f->n && before == i ? f->group[run] : next++;
    }
}

static void write_figure(text_out *out, const figures *f, const char *title, const chart_curve *curves, int count, int *charts)
{
    extent x = extent_of(curves, count, true), y = extent_of(curves, count, false);
    bool far = x.most >= MANY_TIMES * x.least, high = y.most >= MANY_TIMES * y.least;
    chart c = { .number = ++*charts, .title = title, .x_name = "tokens before", .curves = curves, .curve_count = count, .points = f->points, .whole = true,
                .logarithmic = high, .from_zero = !high, .x_near = far ? x.least : 0 };
    chart_draw(out, &c);
}

/* ---- the table ---------------------------------------------------------------------------------- */

static void write_row(text_out *out, const cost_series *s, const chart_curve *time, const chart_curve *memory)
{
    char a[32], b[32], c[32];
    size_t last = time->n - 1;
    unit first_unit = unit_of_time(time->y[0]), last_unit = unit_of_time(time->y[last]);
    out_print(out, "<tr><td class=\"k c%d\">", time->colour % CHART_COLOURS);
    out_escaped(out, s->name, 128);
    out_print(out, "</td><td class=\"t\">");
    out_escaped(out, s->arch, 40);
    out_print(out, "</td><td>%s</td>", short_number(s->params, a));
    out_print(out, "<td>%.3g %s after %s</td>", time->y[0] / first_unit.size, first_unit.name, short_number(time->x[0], b));
    out_print(out, "<td>%.3g %s after %s</td><td>%.2f</td>", time->y[last] / last_unit.size, last_unit.name, short_number(time->x[last], c), time->y[last] / time->y[0]);
    out_print(out, "<td>%sB</td>", short_number(memory->y[0], a));
    out_print(out, "<td>%sB</td><td>%.0f B</td></tr>\n", short_number(memory->y[last], b), (memory->y[last] - memory->y[0]) / (memory->x[last] - memory->x[0]));
}

static void write_machines(text_out *out, const costs *c)
{
    for (size_t i = 0; i < c->series_count; i++) {
        bool known = !*c->series[i].machine, several = false;
        for (size_t k = 0; k < c->series_count; k++) {
            bool equal = !strcmp(c->series[i].machine, c->series[k].machine);
            known |= k < i && equal;
            several |= !equal;
        }
        if (known) continue;
        out_print(out, "<p class=\"n\">");
        for (size_t k = i; several && k < c->series_count; k++)
            if (!strcmp(c->series[i].machine, c->series[k].machine)) { out_print(out, k > i ? ", " : ""); out_escaped(out, c->series[k].name, 128); }
        out_print(out, several ? ": " : "Measured on ");
        out_escaped(out, c->series[i].machine, 200);
        out_print(out, several ? "</p>\n" : ".</p>\n");
    }
}

static void write_table(text_out *out, const costs *c, const chart_curve *time, const chart_curve *memory)
{
    out_print(out, "<div class=\"wide\"><table>\n<thead><tr><th>model</th><th class=\"t\">architecture</th><th>parameters</th><th>time at first</th><th>time at last</th><th>last / first</th>"
                   "<th>memory at first</th><th>at last</th><th>more for a token</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < c->series_count; i++) write_row(out, &c->series[i], &time[i], &memory[i]);
    out_print(out, "</tbody></table></div>\n");
    write_machines(out, c);
}

void cost_page_write(text_out *out, const figures *f, int *charts)
{
    char title[80];
    const costs *c = f->costs;
    int count, counted;
    if (!c || !c->series_count) return;
    chart_curve *time = costs_curves(c, COST_SECONDS, &count), *memory = costs_curves(c, COST_BYTES, &counted);
    if (time && memory) {
        unit u = unit_of_time(extent_of(time, count, false).least);
        colour(f, time, count);
        colour(f, memory, count);
        out_print(out, "<h2>Cost of a token</h2>\n<p>What one more token costs after so many others, as lithe bench has measured it: the time of reading it, and the memory of the text until then "
                       "(keys and values or recurrent states, with the buffers of a pass). Choosing a token is not part of it.</p>\n");
        chart_key(out, time, count);
        out_print(out, "<div class=\"grid\">\n");
        snprintf(title, sizeof title, "Time of a token (%s), by its position", u.name);
        scale(time, count, 1 / u.size);
        write_figure(out, f, title, time, count, charts);
        scale(time, count, u.size);
        write_figure(out, f, "Memory of the text so far (bytes)", memory, count, charts);
        out_print(out, "</div>\n");
        write_table(out, c, time, memory);
    } else out->failed = true;
    if (time) figures_free(time, count);
    if (memory) figures_free(memory, counted);
}

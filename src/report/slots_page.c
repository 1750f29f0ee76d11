/* How much parameter tokens are used: their distribution, and those that are dead. */
#include "report/model_views.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bins of log10(use / mean of the Pattention): BINS of 1 / PER_TEN from FROM on.  What is below is dead. */
enum { FROM = -3, PER_TEN = 4, BINS = 5 * PER_TEN, ROWS = 40 };

/* "attention.query" of "gpt_neox.layers.0.attention.query.key_param_tokens" becomes "query". */
static void part_of(const char *name, char part[32])
{
    const char *end = strrchr(name, '.'), *begin = end;
    while (begin && begin > name && begin[-1] != '.') begin--;
    snprintf(part, 32, "%.*s", begin ? (int)(end - begin) : 31, begin ? begin : name);
}

typedef struct { char name[128]; int colour; double share[BINS], slots; } histogram;

static double mean_of(const lithe_slot_use *u)
{
    double sum = 0;
    for (int j = 0; j < u->slots; j++) sum += u->use[j];
    return sum / u->slots;
}

static void count(histogram *h, const lithe_slot_use *u)
{
    double mean = mean_of(u);
    h->slots += u->slots;
    for (int j = 0; j < u->slots; j++) {
        double at = floor((log10(u->use[j] / mean) - FROM) * PER_TEN);
        if (at >= 0) h->share[at < BINS ? (int)at : BINS - 1]++;
    }
}

/* Each run's, or of one run that of each part; to be freed. */
static histogram *histograms(const model_views *v, int *n)
{
    const bool parts = v->figures->n == 1;
    enum { MOST = 24 };
    histogram *list = xalloc(MOST, sizeof *list);
    *n = 0;
    for (size_t i = 0; list && i < v->count; i++) {
        lithe_slot_use u;
        for (size_t k = 0; lithe_internals_slots(v->views[i].inside, k, &u); k++) {
            char name[128], part[32];
            int at = 0;
            part_of(u.name, part);
            snprintf(name, sizeof name, "%.96s", parts ? part : v->figures->names[v->views[i].run]);
            while (at < *n && strcmp(list[at].name, name)) at++;
            if (at == MOST) continue;
            if (at == *n) {
                memcpy(list[at].name, name, sizeof name);
                list[at].colour = parts ? (*n)++ : (++*n, v->figures->group[v->views[i].run]);
            }
            count(&list[at], &u);
        }
    }
    return list;
}

static bool fill(chart_curve *c, const histogram *h)
{
    *c = (chart_curve){ .name = h->name, .colour = h->colour, .x = xalloc(BINS, sizeof *c->x), .y = xalloc(BINS, sizeof *c->y), .n = BINS };
    for (int b = 0; c->x && c->y && b < BINS; b++) {
        c->x[b] = FROM + (b + 0.5) / PER_TEN;
        c->y[b] = 100 * h->share[b] / h->slots;
    }
    return c->x && c->y;
}

static void draw(text_out *out, const histogram *list, int n, int *charts)
{
    chart_curve *curves = xalloc((size_t)n + 1, sizeof *curves);
    bool there = curves != NULL;
    for (int i = 0; there && i < n; i++) there &= fill(&curves[i], &list[i]);
    if (there) {
        chart_key(out, curves, n);
        out_print(out, "<div class=\"one\">\n");
        chart_draw(out, &(chart){ .number = ++*charts, .title = "Use of parameter tokens (% of them)", .x_name = "use over the mean, as a power of ten", .curves = curves, .curve_count = n,
                                  .from_zero = true, .whole = true, .points = BINS });
        out_print(out, "</div>\n");
    } else out->failed = true;
    if (curves) figures_free(curves, n);
}

/* exp of the entropy of the shares of use. */
static double effective(const lithe_slot_use *u)
{
    double entropy = 0, sum = mean_of(u) * u->slots;
    for (int j = 0; j < u->slots; j++) if (u->use[j] > 0) entropy -= u->use[j] / sum * log(u->use[j] / sum);
    return exp(entropy);
}

static void write_rows(text_out *out, const model_views *v)
{
    int rows = 0, left_out = 0;
    lithe_slot_use u;
    out_print(out, "<div class=\"wide\"><table>\n<thead><tr><th>run</th><th class=\"t\">parameter tokens of</th><th>slots</th><th>dead</th><th>effective number</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; lithe_internals_slots(v->views[i].inside, k, &u); k++) {
            const char *end = strrchr(u.name, '.');
            if (rows == ROWS) { left_out++; continue; }
            rows++;
            out_print(out, "<tr><td>");
            out_escaped(out, v->figures->names[v->views[i].run], 96);
            out_print(out, "</td><td class=\"t\">%.*s</td><td>%d</td><td>%d</td><td>%.1f</td></tr>\n", end ? (int)(end - u.name) : 60, u.name, u.slots, u.dead, effective(&u));
        }
    out_print(out, "</tbody></table></div>\n");
    if (left_out) out_print(out, "<p class=\"n\">and %d more, which --csv has</p>\n", left_out);
}

void slots_page_write(text_out *out, const model_views *v, int *charts)
{
    int n;
    histogram *list = histograms(v, &n);
    if (!list) out->failed = true;
    if (list && n) {
        out_print(out, "<h3>Parameter tokens</h3>\n<p>How much each parameter token adds to the output of its Pattention: the length of its value times its weight, on average over the text. One whose use is "
                       "below a thousandth of the mean is dead. The effective number is the exponential of the entropy of the shares.</p>\n");
        draw(out, list, n, charts);
        write_rows(out, v);
    }
    free(list);
}

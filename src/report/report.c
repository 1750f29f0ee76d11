/* lithe report: one page about runs.  It is written again with fewer points as long as it is too long. */
#include "base/file.h"
#include "base/sized.h"
#include "report/cost_page.h"
#include "report/figures.h"
#include "report/model_views.h"
#include "report/page.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 500000, POINTS = 400, POINTS_LEAST = 20, SAMPLE_BYTES = 700, CONFIG_BYTES = 3000 };

typedef struct { const figures *f; text_out *out; int charts; } page;

/* ---- the table ------------------------------------------------------------------------------ */

static void cell(page *p, double x)
{
    char text[32];
    out_print(p->out, "<td>%s</td>", short_number(x, text));
}

/* A loss as the log has it, with four decimals. */
static void loss_cell(page *p, double x)
{
    if (isfinite(x)) out_print(p->out, "<td>%.4f</td>", x);
    else out_print(p->out, "<td>\xe2\x80\x93</td>");
}

static void write_row(page *p, int i)
{
    const figures *f = p->f;
    lithe_run_summary s;
    lithe_run_summarize(f->runs[i], &s);
    out_print(p->out, "<tr><td class=\"k c%d\">", f->group[i] % CHART_COLOURS);
    out_escaped(p->out, f->names[i], 96);
    out_print(p->out, "</td><td class=\"t\">");
    out_escaped(p->out, s.arch, 40);
    out_print(p->out, "</td>");
    cell(p, s.params);
    out_print(p->out, "<td>%d of %d</td>", s.step, s.steps);
    cell(p, s.tokens);
    cell(p, s.flops);
    cell(p, s.seconds);
    cell(p, s.tokens / s.seconds);
    cell(p, s.flops / s.seconds);
    if (f->options->peak > 0) out_print(p->out, "<td>%.0f %%</td>", 100 * s.flops / s.seconds / f->options->peak);
    if (f->one_tokenizer) {
        loss_cell(p, s.loss);
        loss_cell(p, s.valid_loss);
    }
    loss_cell(p, s.bits_per_byte);
    out_print(p->out, "<td class=\"t\">");
    if (s.growths) out_print(p->out, "grew %d\xc3\x97 ", s.growths);
    if (s.skipped) out_print(p->out, "%d skipped ", s.skipped);
    if (s.rolled_back) out_print(p->out, "%d rolled back ", s.rolled_back);
    out_print(p->out, "</td></tr>\n");
}

static void write_table(page *p)
{
    const figures *f = p->f;
    out_print(p->out, "<h2>Runs</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>run</th><th class=\"t\">architecture</th><th>parameters</th><th>steps</th><th>tokens</th><th>FLOPs</th>"
                      "<th>seconds</th><th>tokens/s</th><th>FLOP/s</th>%s%s<th>bits per byte</th><th class=\"t\">events</th></tr></thead>\n<tbody>\n",
              f->options->peak > 0 ? "<th>of peak</th>" : "", f->one_tokenizer ? "<th>training loss</th><th>validation loss</th>" : "");
    for (int i = 0; i < f->n; i++) write_row(p, i);
    out_print(p->out, "</tbody></table></div>\n<p class=\"n\">The training loss is the mean of the last twentieth of the steps; the others are of the last evaluation. Losses are in nats per token.</p>\n");
    if (!f->one_tokenizer) out_print(p->out, "<p>These runs have different tokenizers. A loss per token says nothing about them together, so they are compared by bits per byte only.</p>\n");
    for (int i = 0; i < f->n; i++)
        for (int k = 0; lithe_run_notice(f->runs[i], k); k++) {
            out_print(p->out, "<p class=\"n\">");
            out_escaped(p->out, f->names[i], 96);
            out_print(p->out, ": ");
            out_escaped(p->out, lithe_run_notice(f->runs[i], k), 300);
            out_print(p->out, "</p>\n");
        }
}

/* ---- figures -------------------------------------------------------------------------------- */

static void write_key(page *p)
{
    out_print(p->out, "<div class=\"key\">");
    for (int g = 0; g < p->f->groups; g++) {
        out_print(p->out, "<span class=\"k c%d\"><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><polyline class=\"l%s c%d\" points=\"0,4 28,4\"/></svg>", g % CHART_COLOURS, g / CHART_COLOURS % 2 ? " d" : "", g % CHART_COLOURS);
        out_escaped(p->out, p->f->group_names[g], 112);
        out_print(p->out, "</span>\n");
    }
    out_print(p->out, "</div>\n");
}

static void write_figure(page *p, const char *title, const char *of, const char *against, bool logarithmic)
{
    static const struct { const char *axis, *name; } axes[] = { { "step", "steps" }, { "tokens", "tokens" }, { "seconds", "seconds" }, { "flops", "FLOPs" } };
    int curves, marks;
    chart c = { .number = ++p->charts, .title = title, .logarithmic = logarithmic, .points = p->f->points, .from_zero = !strcmp(of, "lr") || strstr(of, "per_second") };
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) if (!strcmp(axes[i].axis, against)) c.x_name = axes[i].name;
    chart_curve *list = figures_curves(p->f, of, against, &curves);
    chart_mark *events = figures_marks(p->f, against, &marks);
    c.curves = list;
    c.curve_count = curves;
    c.marks = events;
    c.mark_count = events ? marks : 0;
    chart_draw(p->out, &c);
    figures_free(list, curves);
    free(events);
}

static bool has_curve(const figures *f, const char *of)
{
    for (int i = 0; i < f->n; i++) if (lithe_run_curve(f->runs[i], of, "step", NULL, NULL, 0)) return true;
    return false;
}

static void write_figures(page *p)
{
    static const struct { const char *axis, *words; } axes[] = { { "step", "by step" }, { "tokens", "at equal tokens" }, { "flops", "at equal compute" }, { "seconds", "at equal time" } };
    const figures *f = p->f;
    const char *of = f->one_tokenizer ? "valid_loss" : "bits_per_byte";
    char title[96];
    out_print(p->out, "<h2>Learning</h2>\n");
    write_key(p);
    out_print(p->out, "<p class=\"n\">Below an axis: g growth, s skipped step, r roll-back, c checkpoint. A curve's highest twentieth may lie above its figure.%s</p>\n<div class=\"grid\">\n",
              f->groups < f->n ? " Runs that differ in their seed only are one curve, their mean, in the band from the least to the largest." : "");
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        snprintf(title, sizeof title, "%s %s", f->one_tokenizer ? "Validation loss" : "Bits per byte", axes[i].words);
        write_figure(p, title, of, axes[i].axis, false);
    }
    if (f->one_tokenizer) write_figure(p, "Training loss by step", "loss", "step", false);
    if (f->one_tokenizer) write_figure(p, "Training loss at equal compute", "loss", "flops", false);
    if (f->one_tokenizer && has_curve(f, "bits_per_byte")) write_figure(p, "Bits per byte by tokens", "bits_per_byte", "tokens", false);
    if (has_curve(f, "accuracy")) write_figure(p, "Validation accuracy by step", "accuracy", "step", false);
    out_print(p->out, "</div>\n<h2>Training</h2>\n<div class=\"grid\">\n");
    write_figure(p, "Learning rate", "lr", "step", false);
    write_figure(p, "Gradient norm before clipping", "grad_norm", "step", true);
    write_figure(p, "Tokens per second", "tokens_per_second", "step", false);
    write_figure(p, "FLOP per second", "flops_per_second", "step", false);
    out_print(p->out, "</div>\n");
}

/* ---- growing and differences ------------------------------------------------------------------- */

static void write_growth(page *p)
{
    growth_saving savings[32];
    int n = figures_savings(p->f, savings, 32);
    char a[32], b[32];
    if (!n) return;
    out_print(p->out, "<h2>Growing</h2>\n<p>The compute of a run that grew, and what a run that did not needed for the same validation loss.</p>\n<div class=\"wide\"><table>\n"
                      "<thead><tr><th>grown</th><th class=\"t\">from scratch</th><th>validation loss</th><th>FLOPs, grown</th><th>FLOPs, from scratch</th><th>saving</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < n; i++) {
        const growth_saving *s = &savings[i];
        out_print(p->out, "<tr><td>");
        out_escaped(p->out, p->f->names[s->grown], 96);
        out_print(p->out, "</td><td class=\"t\">");
        out_escaped(p->out, p->f->names[s->other], 96);
        out_print(p->out, "</td><td>%.4f</td><td>%s</td>", s->loss, short_number(s->flops, a));
        if (isfinite(s->other_flops)) out_print(p->out, "<td>%s</td><td>%.0f %%</td></tr>\n", short_number(s->other_flops, b), 100 * s->saving);
        else out_print(p->out, "<td colspan=\"2\">never came there</td></tr>\n");
    }
    out_print(p->out, "</tbody></table></div>\n");
}

/* Each run against the first. */
static void write_differences(page *p)
{
    const figures *f = p->f;
    bool begun = false;
    for (int i = 1; i < f->n; i++) {
        lithe_run_difference d;
        if (lithe_run_compare(f->runs[0], f->runs[i], NULL, 0, &d, NULL)) continue;
        if (!begun) {
            out_print(p->out, "<h2>Differences from ");
            out_escaped(p->out, f->names[0], 96);
            out_print(p->out, "</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>run</th><th class=\"t\">measure</th><th>evaluations</th><th>difference</th><th>95 %% interval</th></tr></thead>\n<tbody>\n");
        }
        begun = true;
        out_print(p->out, "<tr><td>");
        out_escaped(p->out, f->names[i], 96);
        out_print(p->out, "</td><td class=\"t\">%s</td><td>%zu</td><td>%+.4f</td><td>%+.4f to %+.4f</td></tr>\n", strcmp(d.measure, "valid_loss") ? "bits per byte" : "validation loss",
                  d.points, d.difference, d.interval[0], d.interval[1]);
    }
    if (begun) out_print(p->out, "</tbody></table></div>\n<p class=\"n\">The mean over the last half of the evaluations that both have at equal steps; negative is better. The interval is over "
                                 "evaluations of one run each: it does not tell what other seeds would give.</p>\n");
}

/* ---- texts ------------------------------------------------------------------------------------- */

static void write_samples(page *p)
{
    const figures *f = p->f;
    bool begun = false;
    for (int i = 0; i < f->n; i++) {
        const lithe_run *r = f->runs[i];
        int shown = f->n > 8 ? 1 : f->n > 3 ? 2 : 4, last = (int)r->sample_count - 1;
        if (last < 0) continue;
        if (!begun) out_print(p->out, "<h2>Samples</h2>\n");
        begun = true;
        out_print(p->out, "<h3 class=\"k c%d\">", f->group[i] % CHART_COLOURS);
        out_escaped(p->out, f->names[i], 96);
        out_print(p->out, "</h3>\n");
        for (int k = 0, before = -1; k < shown; k++) {
            int at = shown > 1 ? k * last / (shown - 1) : last;
            if (at == before) continue;
            before = at;
            out_print(p->out, "<p class=\"n\">step %d</p><pre>", r->samples[at].step);
            out_escaped(p->out, r->samples[at].text, SAMPLE_BYTES);
            out_print(p->out, "</pre>\n");
        }
    }
}

static void write_events(page *p, const lithe_run *r)
{
    for (size_t k = 0; k < r->mark_count && k < 100; k++) {
        if (!strcmp(r->marks[k].kind, "checkpoint")) continue;
        out_print(p->out, "<p class=\"n\">step %.0f: %s ", r->marks[k].at.step, r->marks[k].kind);
        out_escaped(p->out, r->marks[k].text, 400);
        out_print(p->out, "</p>\n");
    }
}

static void write_details(page *p)
{
    const figures *f = p->f;
    out_print(p->out, "<h2>Commands, configurations, hashes</h2>\n");
    for (int i = 0; i < f->n; i++) {
        const lithe_run *r = f->runs[i];
        out_print(p->out, "<h3 class=\"k c%d\">", f->group[i] % CHART_COLOURS);
        out_escaped(p->out, f->names[i], 96);
        out_print(p->out, "</h3>\n<pre>");
        out_escaped(p->out, *r->command ? r->command : "The command is not known.", CONFIG_BYTES);
        out_print(p->out, "</pre>\n");
        write_events(p, r);
        out_print(p->out, "<details><summary>configuration and hashes</summary>\n<pre>");
        out_escaped(p->out, r->config, CONFIG_BYTES);
        for (size_t k = 0; k < r->hash_count; k++) {
            out_print(p->out, "%s  ", r->hashes[k].hash);
            out_escaped(p->out, r->hashes[k].name, 160);
            out_print(p->out, "\n");
        }
        out_print(p->out, "</pre></details>\n");
    }
}

/* ---- the page ------------------------------------------------------------------------------------- */

static void write_page(page *p)
{
    char title[300];
    const char *given = p->f->options->title;
    snprintf(title, sizeof title, "%s", given ? given : p->f->n == 1 ? p->f->names[0] : "");
    if (!*title) snprintf(title, sizeof title, "%d training runs", p->f->n);
    page_begin(p->out, title);
    out_print(p->out, "<h1>");
    out_escaped(p->out, title, 300);
    out_print(p->out, "</h1>\n");
    write_table(p);
    write_figures(p);
    write_growth(p);
    cost_page_write(p->out, p->f, &p->charts);
    model_page_write(p->out, p->f->views, &p->charts);
    write_differences(p);
    write_samples(p);
    write_details(p);
    page_end(p->out);
}

static int write_fitting(figures *f, const char *path, lithe_error *err)
{
    text_out out = { 0 };
    for (f->points = POINTS; ; f->points /= 2) {
        out.n = 0;
        write_page(&(page){ f, &out, 0 });
        if (out.failed || out.n <= PAGE_BYTES || f->points <= POINTS_LEAST) break;
    }
    int status = out.failed ? fail(err, LITHE_ENOMEM, "%s: not enough memory for the page", path)
               : out.n > PAGE_BYTES ? fail(err, LITHE_EINVAL, "%d runs make a page of %zu bytes, more than %d: give fewer", f->n, out.n, PAGE_BYTES) : file_write(path, out.text, out.n, err);
    free(out.text);
    return status;
}

int lithe_report(lithe_run *const *runs, int n, const char *path, const lithe_report_options *o, lithe_error *err)
{
    lithe_report_options options;
    lithe_error own = { 0 };
    figures f;
    costs c;
    model_views views = { 0 };
    if (!err) err = &own;
    if (options_read(&options, sizeof options, o, "lithe_report_options", err)) return (int)err->status;
    if (!runs || n < 1 || !path) return fail(err, LITHE_EINVAL, "a report needs at least one run and a path");
    for (int i = 0; i < n; i++) if (!runs[i]) return fail(err, LITHE_EINVAL, "run %d of %d is NULL", i + 1, n);
    if (options.cost_count < 0 || (options.cost_count && !options.costs)) return fail(err, LITHE_EINVAL, "%d files of costs: their paths are missing", options.cost_count);
    int status = figures_open(&f, runs, n, &options, err);
    if (!status) status = costs_read(&c, options.costs, options.cost_count, err);
    else c = (costs){ 0 };
    f.costs = &c;
    if (!status) status = model_views_measure(&views, &f, err);
    f.views = &views;
    if (!status) status = write_fitting(&f, path, err);
    if (!status && options.csv) status = records_write(&f, options.csv, err);
    model_views_close(&views);
    costs_close(&c);
    figures_close(&f);
    return status;
}

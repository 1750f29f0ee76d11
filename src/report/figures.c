/* Curves of runs and of groups of runs. */
#include "report/figures.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- groups ------------------------------------------------------------------------------- */

/* The command without the words that differ between seeds: the seed's and the place of the run. */
static void without_seed(const char *command, char *text, size_t size)
{
    static const char *const left_out[] = { "--seed", "-s", "--out", "-o" };
    size_t n = 0;
    bool skip = false;
    for (const char *at = command; *at; ) {
        size_t length = strcspn(at, " \n");
        bool option = false;
        for (int i = 0; i < 4; i++) {
            size_t m = strlen(left_out[i]);
            option |= !strncmp(at, left_out[i], m) && (length == m || (at[m] == '=' && i % 2 == 0));
        }
        bool alone = option && !memchr(at, '=', length);
        if (!option && !skip && n + length + 2 < size) n += (size_t)snprintf(text + n, size - n, "%.*s ", (int)length, at);
        skip = alone;
        at += length;
        at += strspn(at, " \n");
    }
    text[n] = 0;
}

static bool differ_in_seed_only(const lithe_run *a, const lithe_run *b)
{
    char x[2000], y[2000];
    if (!*a->command || !*b->command || strcmp(a->arch, b->arch) || a->planned != b->planned || strcmp(a->tokenizer, b->tokenizer)) return false;
    without_seed(a->command, x, sizeof x);
    without_seed(b->command, y, sizeof y);
    return !strcmp(x, y);
}

static void find_groups(figures *f)
{
    for (int i = 0; i < f->n; i++) {
        f->group[i] = -1;
        for (int k = 0; k < i && f->group[i] < 0; k++)
            if (differ_in_seed_only(f->runs[i], f->runs[k])) f->group[i] = f->group[k];
        if (f->group[i] < 0) f->group[i] = f->groups++;
    }
    for (int g = 0; g < f->groups; g++) {
        int members = 0, first = -1;
        for (int i = 0; i < f->n; i++)
            if (f->group[i] == g) { members++; if (first < 0) first = i; }
        if (members > 1) snprintf(f->group_names[g], sizeof *f->group_names, "%s and %d more", f->names[first], members - 1);
        else snprintf(f->group_names[g], sizeof *f->group_names, "%s", f->names[first]);
    }
}

/* The last part of each path; where two are equal, the paths. */
static void find_names(figures *f)
{
    for (int i = 0; i < f->n; i++) {
        bool twice = false;
        for (int k = 0; k < f->n; k++) twice |= k != i && !strcmp(f->runs[i]->name, f->runs[k]->name);
        size_t length = strlen(f->runs[i]->path), shown = length > 90 ? length - 90 : 0;
        snprintf(f->names[i], sizeof *f->names, "%.95s", twice ? f->runs[i]->path + shown : f->runs[i]->name);
    }
}

int figures_open(figures *f, lithe_run *const *runs, int n, const lithe_report_options *o, lithe_error *err)
{
    *f = (figures){ .runs = runs, .n = n, .one_tokenizer = true, .options = o };
    f->group = xalloc((size_t)n + 1, sizeof *f->group);
    f->names = xalloc((size_t)n + 1, sizeof *f->names);
    f->group_names = xalloc((size_t)n + 1, sizeof *f->group_names);
    if (!f->group || !f->names || !f->group_names) return fail(err, LITHE_ENOMEM, "not enough memory for %d runs", n);
    for (int i = 1; i < n; i++) f->one_tokenizer &= !strcmp(runs[i]->tokenizer, runs[0]->tokenizer);
    find_names(f);
    find_groups(f);
    return LITHE_OK;
}

void figures_close(figures *f)
{
    free(f->group);
    free(f->names);
    free(f->group_names);
}

/* ---- curves --------------------------------------------------------------------------------- */

/* Joins another curve of the group: sums in y, least and most in low and high, over the points that all have. */
static void join_curve(chart_curve *c, const run_points *other)
{
    if (!c->low) {
        c->low = xalloc(c->n + 1, sizeof *c->low);
        c->high = xalloc(c->n + 1, sizeof *c->high);
        if (!c->low || !c->high) return;
        memcpy(c->low, c->y, c->n * sizeof *c->low);
        memcpy(c->high, c->y, c->n * sizeof *c->high);
    }
    if (other->n < c->n) c->n = other->n;
    for (size_t i = 0; i < c->n; i++) {
        c->y[i] += other->y[i];
        c->x[i] += other->x[i];
        c->low[i] = fmin(c->low[i], other->y[i]);
        c->high[i] = fmax(c->high[i], other->y[i]);
    }
}

static void divide(chart_curve *c, int members)
{
    for (size_t i = 0; i < c->n && members > 1; i++) {
        c->x[i] /= members;
        c->y[i] /= members;
    }
}

chart_curve *figures_curves(const figures *f, const char *of, const char *against, int *count)
{
    chart_curve *curves = xalloc((size_t)f->groups + 1, sizeof *curves);
    *count = curves ? f->groups : 0;
    for (int g = 0; g < *count; g++) {
        int members = 0;
        curves[g] = (chart_curve){ .name = f->group_names[g], .colour = g, .dots = !strncmp(of, "valid", 5) || !strncmp(of, "bits", 4) || !strcmp(of, "accuracy") };
        for (int i = 0; i < f->n; i++) {
            run_points one = { 0 };
            if (f->group[i] != g) continue;
            run_points_read(&one, f->runs[i], of, against);
            if (!members++) { curves[g].x = one.x; curves[g].y = one.y; curves[g].n = one.n; continue; }
            join_curve(&curves[g], &one);
            run_points_free(&one);
        }
        divide(&curves[g], members);
    }
    return curves;
}

void figures_free(chart_curve *curves, int count)
{
    for (int i = 0; i < count; i++) {
        free(curves[i].x);
        free(curves[i].y);
        free(curves[i].low);
        free(curves[i].high);
    }
    free(curves);
}

chart_mark *figures_marks(const figures *f, const char *against, int *count)
{
    size_t most = 0;
    *count = 0;
    for (int i = 0; i < f->n; i++) most += f->runs[i]->mark_count;
    chart_mark *marks = xalloc(most + 1, sizeof *marks);
    for (int i = 0; i < f->n && marks; i++)
        for (size_t k = 0; k < f->runs[i]->mark_count; k++) {
            const run_mark *m = &f->runs[i]->marks[k];
            if (!strcmp(m->kind, "checkpoint") && f->n > 3) continue;
            marks[(*count)++] = (chart_mark){ run_place_on(&m->at, against), f->group[i], m->kind[0], *m->text ? m->text : m->kind };
        }
    return marks;
}

/* ---- growing ----------------------------------------------------------------------------------- */

/* The operations after which a run first has this validation loss; NaN if it never has. */
static double flops_to(const lithe_run *r, double loss)
{
    const run_evaluation *before = NULL;
    for (size_t i = 0; i < r->evaluation_count; i++) {
        const run_evaluation *e = &r->evaluations[i];
        if (!isfinite(e->valid_loss)) continue;
        if (e->valid_loss <= loss)
            return before && before->valid_loss > e->valid_loss ? before->at.flops + (e->at.flops - before->at.flops) * (before->valid_loss - loss) / (before->valid_loss - e->valid_loss) : e->at.flops;
        before = e;
    }
    return NAN;
}

int figures_savings(const figures *f, growth_saving *out, int cap)
{
    int n = 0;
    for (int i = 0; i < f->n && f->one_tokenizer; i++)
        for (int k = 0; k < f->n; k++) {
            lithe_run_summary grown;
            if (!f->runs[i]->growths || f->runs[k]->growths || strcmp(f->runs[i]->arch, f->runs[k]->arch)) continue;
            lithe_run_summarize(f->runs[i], &grown);
            if (!isfinite(grown.valid_loss) || n++ >= cap) continue;
            double other = flops_to(f->runs[k], grown.valid_loss);
            out[n - 1] = (growth_saving){ i, k, grown.valid_loss, grown.flops, other, 1 - grown.flops / other };
        }
    return n < cap ? n : cap;
}

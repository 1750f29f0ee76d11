/* The paired difference of two runs: the same evaluations of both, at equal steps, tokens, seconds or operations. */
#include "base/bootstrap.h"
#include "report/run_log.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The curve's value at x: of equal steps the last one there, else between the two points around it.  NAN outside. */
static double value_at(const run_points *c, double x, bool exact)
{
    double y = NAN;
    for (size_t i = 0; i < c->n; i++) {
        if (fabs(c->x[i] - x) <= 0) y = c->y[i];
        else if (!exact && i && c->x[i - 1] < x && x < c->x[i]) return c->y[i - 1] + (c->y[i] - c->y[i - 1]) * (x - c->x[i - 1]) / (c->x[i] - c->x[i - 1]);
    }
    return y;
}

static double mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* The points of a that b has too, a's value and b's; a growth repeats an evaluation, of which the last counts. */
static size_t pair_up(const run_points *a, const run_points *b, bool exact, double *ya, double *yb)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        double other = value_at(b, a->x[i], exact);
        if (!isfinite(other) || (i + 1 < a->n && fabs(a->x[i + 1] - a->x[i]) <= 0)) continue;
        ya[n] = a->y[i];
        yb[n++] = other;
    }
    return n;
}

static int compare_curves(const run_points *a, const run_points *b, bool exact, const char *names[2], uint64_t seed, lithe_run_difference *out, lithe_error *err)
{
    double *ya = xalloc(a->n + 1, sizeof *ya), *yb = xalloc(a->n + 1, sizeof *yb), *difference = xalloc(a->n + 1, sizeof *difference);
    size_t n = ya && yb && difference ? pair_up(a, b, exact, ya, yb) : 0, first = n / 2, count = n - first;
    int status = ya && yb && difference ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for %zu evaluations", a->n);
    if (!status && n < 2) status = fail(err, LITHE_EFORMAT, "%s and %s have %zu evaluations in common: two are needed (runs of equal length, or --against tokens, seconds or flops)", names[0], names[1], n);
    if (!status) {
        for (size_t i = 0; i < count; i++) difference[i] = yb[first + i] - ya[first + i];
        out->points = n;
        out->a = mean(ya + first, count);
        out->b = mean(yb + first, count);
        out->last_a = ya[n - 1];
        out->last_b = yb[n - 1];
        out->difference = mean(difference, count);
        bootstrap_mean(difference, count, seed, out->interval);
    }
    free(ya);
    free(yb);
    free(difference);
    return status;
}

int lithe_run_compare(const lithe_run *a, const lithe_run *b, const char *against, uint64_t seed, lithe_run_difference *out, lithe_error *err)
{
    static const char *const axes[] = { "step", "tokens", "seconds", "flops" };
    bool is_axis = !against;
    run_points ca = { 0 }, cb = { 0 };
    if (failed(err)) return err->status;
    if (!a || !b || !out) return fail(err, LITHE_EINVAL, "two runs are needed");
    for (int i = 0; i < 4 && against; i++) is_axis |= !strcmp(against, axes[i]);
    if (!is_axis) return fail(err, LITHE_EINVAL, "runs are compared at equal step, tokens, seconds or flops, not \"%.40s\"", against);
    const char *at = against ? against : "step", *names[2] = { a->name, b->name };
    *out = (lithe_run_difference){ .measure = strcmp(a->tokenizer, b->tokenizer) ? "bits_per_byte" : "valid_loss" };
    bool there = run_points_read(&ca, a, out->measure, at) && run_points_read(&cb, b, out->measure, at);
    int status = there ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s and %s: not enough memory for their evaluations", a->name, b->name);
    if (!status) status = compare_curves(&ca, &cb, !strcmp(at, "step"), names, seed, out, err);
    run_points_free(&ca);
    run_points_free(&cb);
    return status;
}

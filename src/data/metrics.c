/* Figures of merit (data/metrics.h). */
#include "data/metrics.h"
#include "base/arena.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

/* ---- classes ------------------------------------------------------------------------- */

typedef struct { double right, all, predicted_squares, label_squares, products, f1_sum; int occurring; } sums;

/* 2 TP / (2 TP + FP + FN) = 2 TP / (predicted + labelled). */
static void add_class(sums *s, double right, double predicted, double labelled)
{
    s->right += right;
    s->all += labelled;
    s->predicted_squares += predicted * predicted;
    s->label_squares += labelled * labelled;
    s->products += predicted * labelled;
    s->f1_sum += ratio(2 * right, predicted + labelled);
    s->occurring += predicted + labelled > 0;
}

class_metrics metrics_of_classes(const size_t *count, int classes)
{
    sums s = { 0 };
    double f1_of_one = 0;
    for (int c = 0; c < classes; c++) {
        double predicted = 0, labelled = 0, before = s.f1_sum;
        for (int k = 0; k < classes; k++) {
            predicted += (double)count[(size_t)c * (size_t)classes + (size_t)k];
            labelled += (double)count[(size_t)k * (size_t)classes + (size_t)c];
        }
        add_class(&s, (double)count[(size_t)c * (size_t)classes + (size_t)c], predicted, labelled);
        if (c == 1) f1_of_one = s.f1_sum - before;
    }
    double n2 = s.all * s.all;
    return (class_metrics){
        .accuracy = ratio(s.right, s.all),
        .f1 = classes == 2 ? f1_of_one : ratio(s.f1_sum, s.occurring),
        .matthews = ratio(s.right * s.all - s.products, sqrt((n2 - s.predicted_squares) * (n2 - s.label_squares))),
    };
}

/* ---- values ---------------------------------------------------------------------------- */

/* Whether the values differ: a mean that is rounded would give equal ones a spread of its own. */
static bool spread(const double *x, size_t n)
{
    for (size_t i = 1; i < n; i++) if (x[i] < x[0] || x[i] > x[0]) return true;
    return false;
}

double metric_pearson(const double *x, const double *y, size_t n)
{
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    if (!spread(x, n) || !spread(y, n)) return 0;
    for (size_t i = 0; i < n; i++) { mean_x += x[i]; mean_y += y[i]; }
    mean_x /= (double)n;
    mean_y /= (double)n;
    for (size_t i = 0; i < n; i++) {
        double a = x[i] - mean_x, b = y[i] - mean_y;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return ratio(xy, sqrt(xx) * sqrt(yy));
}

typedef struct { double value; size_t place; } item;

static int by_value(const void *a, const void *b)
{
    double x = ((const item *)a)->value, y = ((const item *)b)->value;
    return (x > y) - (x < y);
}

/* rank[i] from 1; equal values share the mean of their places. */
static void rank_values(const double *x, size_t n, item *items, double *rank)
{
    for (size_t i = 0; i < n; i++) items[i] = (item){ x[i], i };
    qsort(items, n, sizeof *items, by_value);
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && !(items[end].value > items[first].value); end++) { }
        for (size_t i = first; i < end; i++) rank[items[i].place] = 0.5 * (double)(first + 1 + end);
    }
}

double metric_spearman(const double *x, const double *y, size_t n)
{
    item *items = xalloc(n + 1, sizeof *items);
    double *rank = xalloc(2 * n + 1, sizeof *rank), r = NAN;
    if (items && rank) {
        rank_values(x, n, items, rank);
        rank_values(y, n, items, rank + n);
        r = metric_pearson(rank, rank + n, n);
    }
    free(items);
    free(rank);
    return r;
}

double metric_squared_error(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return ratio(sum, (double)n);
}

/* Figures of merit (data/metrics.h). */
#include "data/metrics.h"
#include "base/arena.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

/* ---- classes ------------------------------------------------------------------------- */

/* Of each class: predicted, labelled, both. */
typedef struct { double predicted, labelled, right; } tally;
typedef struct { double right, predicted_squares, label_squares, products, f1; int occurring; } sums;

/* 2 TP / (2 TP + FP + FN) */
static double f1_of(const tally *t) { return ratio(2 * t->right, t->predicted + t->labelled); }

static sums sum_up(const tally *t, int classes)
{
    sums s = { 0 };
    for (int c = 0; c < classes; c++) {
        s.right += t[c].right;
        s.predicted_squares += t[c].predicted * t[c].predicted;
        s.label_squares += t[c].labelled * t[c].labelled;
        s.products += t[c].predicted * t[c].labelled;
        s.f1 += f1_of(&t[c]);
        s.occurring += t[c].predicted + t[c].labelled > 0;
    }
    return s;
}

class_metrics metrics_of_classes(const int *predicted, const int *label, size_t n, int classes)
{
    tally *t = xalloc((size_t)classes + 1, sizeof *t);
    if (!t) return (class_metrics){ NAN, NAN, NAN };
    for (size_t i = 0; i < n; i++) {
        t[predicted[i]].predicted++;
        t[label[i]].labelled++;
        if (predicted[i] == label[i]) t[label[i]].right++;
    }
    sums s = sum_up(t, classes);
    double all = (double)n, f1 = classes == 2 ? f1_of(&t[1]) : ratio(s.f1, s.occurring);
    free(t);
    return (class_metrics){
        .accuracy = ratio(s.right, all),
        .f1 = f1,
        .matthews = ratio(s.right * all - s.products, sqrt((all * all - s.predicted_squares) * (all * all - s.label_squares))),
    };
}

int label_of(const float *logits, int classes)
{
    int best = 0;
    for (int c = 1; c < classes; c++) if (logits[c] > logits[best]) best = c;
    return best;
}

double label_loss(const float *logits, int classes, int label)
{
    double top = (double)logits[label_of(logits, classes)], sum = 0;
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - top);
    return top + log(sum) - (double)logits[label];
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

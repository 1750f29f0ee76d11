/* Computes metrics (data/metrics.h). */
#include "data/metrics.h"
#include "base/softmax.h"
#include "base/arena.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

/* ---- classes ------------------------------------------------------------------------- */

/* Counts for each class how many are predicted, how many are labelled, and how many are both. */
typedef struct { double predicted, labelled, correct; } tally;
typedef struct { double correct, predicted_squares, label_squares, products, f1; int occurring; } sums;

/* 2 TP / (2 TP + FP + FN) */
static double f1_of(const tally *t) { return ratio(2 * t->correct, t->predicted + t->labelled); }

static sums sum_up(const tally *t, int classes)
{
    sums s = { 0 };
    for (int c = 0; c < classes; c++) {
        s.correct += t[c].correct;
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
        if (predicted[i] == label[i]) t[label[i]].correct++;
    }
    sums s = sum_up(t, classes);
    double all = (double)n, f1 = classes == 2 ? f1_of(&t[1]) : ratio(s.f1, s.occurring);
    free(t);
    return (class_metrics){
        .accuracy = ratio(s.correct, all),
        .f1 = f1,
        .matthews = ratio(s.correct * all - s.products, sqrt((all * all - s.predicted_squares) * (all * all - s.label_squares))),
    };
}

int label_of(const float *logits, int classes)
{
    int best = 0;
    for (int c = 1; c < classes; c++) if (logits[c] > logits[best]) best = c;
    return best;
}

/* ---- values ---------------------------------------------------------------------------- */

/* Whether the values differ; because of rounding, equal values can have a deviation from their mean that is not 0. */
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

/* ---- labelled examples -------------------------------------------------------------------- */

const lithe_metrics metrics_unknown = { NAN, NAN, NAN, NAN, NAN, NAN };

lithe_metrics masked_metrics(const masked_counts *x)
{
    lithe_metrics m = metrics_unknown;
    if (x->tokens > 0) m.accuracy = x->correct / x->tokens;
    if (x->pairs > 0) m.next_accuracy = x->pairs_correct / x->pairs;
    return m;
}

int outcomes_open(outcomes *x, int classes, size_t most, lithe_error *err)
{
    *x = (outcomes){ .classes = classes };
    x->predicted = classes ? xalloc(most, sizeof *x->predicted) : NULL;
    x->label = classes ? xalloc(most, sizeof *x->label) : NULL;
    x->value = classes ? NULL : xalloc(most, sizeof *x->value);
    x->truth = classes ? NULL : xalloc(most, sizeof *x->truth);
    if (classes ? x->predicted && x->label : x->value && x->truth) return LITHE_OK;
    outcomes_close(x);
    return fail(err, LITHE_ENOMEM, "out of memory for %zu predictions", most);
}

void outcomes_close(outcomes *x)
{
    free(x->predicted);
    free(x->label);
    free(x->value);
    free(x->truth);
    *x = (outcomes){ 0 };
}

void outcomes_add(outcomes *x, const float *logits, int label, float value)
{
    size_t i = x->count++;
    if (x->classes) {
        x->predicted[i] = label_of(logits, x->classes);
        x->label[i] = label;
        x->loss += softmax_loss(logits, x->classes, label);
    } else {
        x->value[i] = (double)logits[0];
        x->truth[i] = (double)value;
        x->loss += pow(x->value[i] - x->truth[i], 2);
    }
}

lithe_metrics outcomes_metrics(const outcomes *x)
{
    lithe_metrics m = metrics_unknown;
    if (x->classes) {
        class_metrics c = metrics_of_classes(x->predicted, x->label, x->count, x->classes);
        m.accuracy = c.accuracy;
        m.f1 = c.f1;
        m.matthews = c.matthews;
    } else {
        m.pearson = metric_pearson(x->value, x->truth, x->count);
        m.spearman = metric_spearman(x->value, x->truth, x->count);
    }
    return m;
}

lithe_evaluation outcomes_evaluation(const outcomes *x)
{
    return (lithe_evaluation){ .loss = x->loss / (double)x->count, .metrics = outcomes_metrics(x), .examples = x->count };
}

void outcomes_confusion(const outcomes *x, size_t *matrix)
{
    const size_t n = (size_t)x->classes;
    memset(matrix, 0, n * n * sizeof *matrix);
    for (size_t i = 0; x->classes && i < x->count; i++) matrix[(size_t)x->label[i] * n + (size_t)x->predicted[i]]++;
}

lithe_class_score lithe_score_class(const size_t *confusion, int labels, int i)
{
    double predicted = 0, labelled = 0, correct = 0;
    if (!confusion || i < 0 || i >= labels) return (lithe_class_score){ 0 };
    correct = (double)confusion[i * labels + i];
    for (int k = 0; k < labels; k++) {
        predicted += (double)confusion[k * labels + i];
        labelled += (double)confusion[i * labels + k];
    }
    return (lithe_class_score){ ratio(correct, predicted), ratio(correct, labelled), ratio(2 * correct, predicted + labelled), (size_t)labelled };
}

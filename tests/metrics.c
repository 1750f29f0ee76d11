/* Figures of merit against values worked out by hand. */
#include "base/softmax.h"
#include "lithe_eval.h"
#include "data/metrics.h"
#include "test.h"
#include <math.h>

#define NEAR(a, b) CHECK_MSG(fabs((a) - (b)) <= 1e-12, "%.17g, expected %.17g", (double)(a), (double)(b))

/* Of counts[predicted * classes + label]. */
static class_metrics of_counts(const size_t *counts, int classes)
{
    static int predicted[1000], label[1000];
    size_t n = 0;
    for (int p = 0; p < classes; p++)
        for (int l = 0; l < classes; l++)
            for (size_t i = 0; i < counts[p * classes + l]; i++) { predicted[n] = p; label[n++] = l; }
    return metrics_of_classes(predicted, label, n, classes);
}

static void two_classes(void)
{
    const size_t count[4] = { 50, 10, 5, 35 };                      /* TN 50, FN 10, FP 5, TP 35 */
    class_metrics m = of_counts(count, 2);
    NEAR(m.accuracy, 0.85);
    NEAR(m.f1, 70.0 / 85);                                          /* 2 35 / (2 35 + 5 + 10) */
    NEAR(m.matthews, 1700 / sqrt(40.0 * 45 * 55 * 60));             /* (35 50 - 5 10) / sqrt(40 45 55 60) */
    const size_t perfect[4] = { 3, 0, 0, 4 }, wrong[4] = { 0, 4, 3, 0 };
    NEAR(of_counts(perfect, 2).matthews, 1);
    NEAR(of_counts(perfect, 2).f1, 1);
    NEAR(of_counts(wrong, 2).matthews, -1);
    NEAR(of_counts(wrong, 2).accuracy, 0);
}

static void empty_classes(void)
{
    const size_t never_predicted[4] = { 6, 4, 0, 0 }, never_there[4] = { 6, 0, 4, 0 }, nothing[4] = { 0 };
    NEAR(of_counts(never_predicted, 2).matthews, 0);
    NEAR(of_counts(never_predicted, 2).f1, 0);
    NEAR(of_counts(never_predicted, 2).accuracy, 0.6);
    NEAR(of_counts(never_there, 2).matthews, 0);
    NEAR(of_counts(nothing, 2).accuracy, 0);
    NEAR(of_counts(nothing, 2).matthews, 0);
}

/* Predicted in rows: (3 1 0 / 0 2 1 / 1 0 4), a fourth class that never occurs.  c = 9, s = 12; predicted 4 3 5, labels
 * 4 3 5. */
static void several_classes(void)
{
    const size_t count[16] = { 3, 1, 0, 0, 0, 2, 1, 0, 1, 0, 4, 0, 0, 0, 0, 0 };
    class_metrics m = of_counts(count, 4);
    NEAR(m.accuracy, 0.75);
    NEAR(m.matthews, (9.0 * 12 - 50) / (144 - 50));
    NEAR(m.f1, (6.0 / 8 + 4.0 / 6 + 8.0 / 10) / 3);
}

static void correlations(void)
{
    const double x[5] = { 1, 2, 3, 4, 5 }, y[5] = { 2, 1, 4, 3, 5 }, up[5] = { 1, 10, 100, 1000, 10000 };
    NEAR(metric_pearson(x, y, 5), 0.8);
    NEAR(metric_spearman(x, y, 5), 0.8);                            /* 1 - 6 4 / (5 24) */
    NEAR(metric_spearman(x, up, 5), 1);
    NEAR(metric_pearson(x, x, 5), 1);
    NEAR(metric_squared_error(x, y, 5), 0.8);
}

/* Ranks of x: 1.5 1.5 3 4; of y: 1 3 3 3.  Means 2.5; sums of products 2, of squares 4.5 and 3. */
static void ties(void)
{
    const double x[4] = { 0.5, 0.5, 0.7, 9 }, y[4] = { -1, 2, 2, 2 }, flat[4] = { 0.1, 0.1, 0.1, 0.1 };
    NEAR(metric_spearman(x, y, 4), 2 / sqrt(4.5 * 3));
    NEAR(metric_spearman(x, flat, 4), 0);
    NEAR(metric_pearson(flat, x, 4), 0);
    NEAR(metric_pearson(x, y, 0), 0);
    NEAR(metric_pearson(x, y, 1), 0);
}

/* Logits (0, log 3), (log 3, 0), (log 3, log 3) of labels 1, 1, 0: probabilities 3/4, 1/4, 1/2; of equal ones the
 * first. */
static void judged_one_after_another(void)
{
    const float three = logf(3), logits[3][2] = { { 0, three }, { three, 0 }, { three, three } }, numbers[3] = { 1, 2, 4 }, truth[3] = { 1, 4, 3 };
    outcomes x;
    lithe_error err = { 0 };
    CHECK(!outcomes_open(&x, 2, 3, &err));
    for (int i = 0; i < 3; i++) outcomes_add(&x, logits[i], i < 2, 0);
    lithe_evaluation e = outcomes_evaluation(&x);
    CHECK(e.examples == 3 && x.predicted[0] == 1 && x.predicted[1] == 0 && x.predicted[2] == 0);
    CHECK_MSG(fabs(e.loss - log(4 / 3.0 * 4 * 2) / 3) < 1e-7, "%.9f", e.loss);
    NEAR(e.metrics.accuracy, 2 / 3.0);
    NEAR(e.metrics.f1, 2 / 3.0);
    NEAR(e.metrics.matthews, 0.5);                                  /* (1 1 - 0 1) / sqrt(1 2 1 2) */
    CHECK(isnan(e.metrics.pearson) && isnan(e.metrics.spearman) && isnan(e.metrics.next_accuracy) && !e.cut);
    outcomes_close(&x);
    float p[2];
    softmax_probabilities(logits[0], 2, p);
    CHECK(fabsf(p[0] - 0.25f) < 1e-6f && fabsf(p[1] - 0.75f) < 1e-6f);
    CHECK(!outcomes_open(&x, 0, 3, &err));
    for (int i = 0; i < 3; i++) outcomes_add(&x, &numbers[i], 0, truth[i]);
    e = outcomes_evaluation(&x);
    NEAR(e.loss, 5 / 3.0);
    NEAR(e.metrics.spearman, 0.5);                                  /* ranks 1 2 3 and 1 3 2 */
    NEAR(e.metrics.pearson, 0.5);                                   /* (20 - 4 + 5) / 42 */
    CHECK(isnan(e.metrics.accuracy));
    outcomes_close(&x);
}

const test tests_metrics[] = {
    { "metrics: two classes", two_classes },
    { "metrics: empty classes", empty_classes },
    { "metrics: several classes", several_classes },
    { "metrics: correlations", correlations },
    { "metrics: ties and values without spread", ties },
    { "metrics: judged one after another", judged_one_after_another },
    { 0 }
};

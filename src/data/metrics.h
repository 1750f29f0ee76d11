/* Measures how good predictions are.  Classes are 0 .. classes-1; where a quotient is 0/0
 * (an empty class, values without spread) the metric is 0, as in scikit-learn and the
 * GLUE scripts. */
#ifndef DATA_METRICS_H
#define DATA_METRICS_H

#include "base/error.h"
#include "lithe_eval.h"
#include "lithe_tools.h"

/* ---- labelled examples, judged one after another ---- */

/* Outcomes are predictions beside what is true. */
typedef struct {
    int classes;            /* 0: numbers */
    size_t count;
    int *predicted, *label;             /* (count) of classes */
    double *value, *truth;              /* (count) of numbers */
    double loss;            /* their sum: -log of the true class's probability, or the squared difference */
} outcomes;

int  outcomes_open(outcomes *x, int classes, size_t most, lithe_error *err);
void outcomes_close(outcomes *x);
/* Adds a prediction: logits (classes), or one number. */
void outcomes_add(outcomes *x, const float *logits, int label, float value);

extern const lithe_metrics metrics_unknown;                 /* all NAN */
lithe_metrics outcomes_metrics(const outcomes *x);          /* those that the task has */
lithe_evaluation outcomes_evaluation(const outcomes *x);    /* the metrics, the mean loss and the number of examples */
void outcomes_confusion(const outcomes *x, size_t *matrix);     /* (classes, classes): labelled i and predicted j */

/* ---- masked tokens and sentences that follow, counted while they are read ---- */

typedef struct { double correct, tokens; double pairs_correct, pairs; } masked_counts;
lithe_metrics masked_metrics(const masked_counts *x);       /* accuracy and next_accuracy, where anything was counted */

/* ---- metrics ---- */

typedef struct {
    double accuracy;
    double f1;          /* of class 1 when there are two classes, else the mean over the classes that occur */
    double matthews;    /* correlation of predicted and true classes (Matthews 1975; Gorodkin 2004 for more than two) */
} class_metrics;

/* All NAN when memory is out. */
class_metrics metrics_of_classes(const int *predicted, const int *label, size_t n, int classes);

int    label_of(const float *logits, int classes);         /* the class of the largest logit, of equal ones the first */

double metric_pearson(const double *x, const double *y, size_t n);
/* Gives Pearson's correlation of the ranks, where ties share their mean rank.  NAN when memory is out. */
double metric_spearman(const double *x, const double *y, size_t n);
double metric_squared_error(const double *x, const double *y, size_t n);        /* mean */

#endif

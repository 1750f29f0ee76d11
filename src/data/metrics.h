/* How good predictions are.  Classes are 0 .. classes-1; where a quotient is 0/0
 * (an empty class, values without spread) the figure is 0, as scikit-learn and
 * the GLUE scripts have it. */
#ifndef DATA_METRICS_H
#define DATA_METRICS_H

#include "base/error.h"
#include "lithe_tools.h"

/* ---- labelled examples, judged one after another ---- */

/* What a model said beside what is true. */
typedef struct {
    int classes;            /* 0: numbers */
    size_t count;
    int *predicted, *label;             /* (count) of classes */
    double *value, *truth;              /* (count) of numbers */
    double loss;            /* their sum: -log of the true class's probability, or the squared difference */
} outcomes;

int  outcomes_open(outcomes *x, int classes, size_t most, lithe_error *err);
void outcomes_close(outcomes *x);
/* logits (classes), or one number. */
void outcomes_add(outcomes *x, const float *logits, int label, float value);

extern const lithe_metrics metrics_unknown;                     /* all NAN */
lithe_metrics outcomes_metrics(const outcomes *x);              /* what the task has of them */
lithe_evaluation outcomes_evaluation(const outcomes *x);        /* these, the mean loss and how many there are */

/* ---- the figures ---- */

typedef struct {
    double accuracy;
    double f1;              /* of class 1 when there are two classes, else the mean over the classes that occur */
    double matthews;        /* correlation of predicted and true classes (Matthews 1975; Gorodkin 2004 for more than two) */
} class_metrics;

/* All NAN when memory is out. */
class_metrics metrics_of_classes(const int *predicted, const int *label, size_t n, int classes);

/* The class of the largest logit, the first of equal ones; -log softmax(logits)[label]. */
int    label_of(const float *logits, int classes);
double label_loss(const float *logits, int classes, int label);
void   label_probabilities(const float *logits, int classes, float *out);

double metric_pearson(const double *x, const double *y, size_t n);
/* Pearson's correlation of the ranks, ties sharing their mean rank.  NAN when memory is out. */
double metric_spearman(const double *x, const double *y, size_t n);
double metric_squared_error(const double *x, const double *y, size_t n);        /* mean */

#endif

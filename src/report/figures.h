/* What a report shows of several runs, as a page (report.c) and as tables of numbers (records.c). */
#ifndef REPORT_FIGURES_H
#define REPORT_FIGURES_H

#include "report/chart.h"
#include "report/costs.h"
#include "report/run_log.h"

/* Runs that differ in nothing but their seed are a group, whose curves are one band. */
typedef struct {
    lithe_run *const *runs; int n;
    int *group;                          /* (n) the number of each run's group */
    int groups;
    bool one_tokenizer;                  /* losses by token can be compared */
    char (*names)[96];                   /* (n) different ones */
    char (*group_names)[112];            /* (groups) */
    int points;                          /* of a curve */
    const lithe_report_options *options;
    const costs *costs;                  /* what was measured beside the runs */
    const struct model_views *views;     /* what their models show */
} figures;

int  figures_open(figures *f, lithe_run *const *runs, int n, const lithe_report_options *o, lithe_error *err);
void figures_close(figures *f);

/* The curves of each run, or of each group if it has several; to be freed. */
chart_curve *figures_curves(const figures *f, const char *of, const char *against, int *count);
void         figures_free(chart_curve *curves, int count);
/* What happened in the runs, at places on an axis; to be freed. */
chart_mark  *figures_marks(const figures *f, const char *against, int *count);

/* Runs that grew against those that did not: at the last validation loss of the grown one, what the other needed
 * (NaN if it never came there). */
typedef struct { int grown, other; double loss, flops, other_flops, saving; } growth_saving;
/* Returns their number; at most cap are written. */
int          figures_savings(const figures *f, growth_saving *out, int cap);

/* Writes the numbers of all figures into a directory, which is made. */
int          records_write(const figures *f, const char *dir, lithe_error *err);

#endif

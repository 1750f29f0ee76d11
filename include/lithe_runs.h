/* lithe_runs.h - what training runs have logged (docs/reports.md): reading it, a page of figures, comparing two runs.
 * Nothing here changes a run, and only a report that is asked for them opens models.  The conventions are those of
 * lithe.h. */
#ifndef LITHE_RUNS_H
#define LITHE_RUNS_H

#include "lithe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a run's log --------------------------------------------------------- */

/* Opens the log of a RUN, finished or not.  What cannot be read of it is left out, and lithe_run_notice says so; a log
 * without any line of a run is LITHE_EFORMAT. */
typedef struct lithe_run lithe_run;
lithe_run  *lithe_run_open(const char *dir, lithe_error *err);
void        lithe_run_close(lithe_run *r);

/* What it comes to; texts are borrowed.  Numbers that are not known are NaN. */
typedef struct {
    const char *name, *arch, *command;         /* the last part of its path; "" where not known */
    const char *tokenizer;                     /* the hash of its tokenizer's file; "" if it has none */
    double params;                             /* at the end; parameters that are stored */
    int    step, steps;                        /* the last one, and those that were planned */
    double tokens, seconds, flops;             /* of all steps */
    double loss;                               /* mean of the last twentieth of the steps */
    double valid_loss, bits_per_byte, accuracy;        /* of the last evaluation */
    double best_valid_loss;
    int    growths, skipped, rolled_back, checkpoints;
} lithe_run_summary;
void        lithe_run_summarize(const lithe_run *r, lithe_run_summary *out);
/* The i-th thing to know about the log, such as a damaged line; NULL after the last. */
const char *lithe_run_notice(const lithe_run *r, int i);

/* Points of a curve.  `of` is, by steps, "loss", "grad_norm", "lr", "tokens_per_second" or "flops_per_second", or, by
 * evaluations, "valid_loss", "bits_per_byte" or "accuracy"; `against` is "step", "tokens", "seconds" or "flops".
 * At most cap points are written to x and y; returns their number.  Values that are not finite are left out. */
size_t      lithe_run_curve(const lithe_run *r, const char *of, const char *against, double *x, double *y, size_t cap);

/* What happened at a step: kind is "growth", "skipped", "roll-back" or "checkpoint".  Returns 1, or 0 past the last. */
typedef struct { const char *kind, *text; int step; } lithe_run_event;
int         lithe_run_event_at(const lithe_run *r, int i, lithe_run_event *out);
/* The i-th text that was written for its sample prompt, and its step; NULL after the last. */
const char *lithe_run_sample(const lithe_run *r, int i, int *step);

/* ---- several runs -------------------------------------------------------- */

/* Compares b with a at the evaluations that both have: at equal steps, or, if `against` says so, at equal tokens,
 * seconds or flops (b's figures are interpolated).  difference is the mean of b - a over the last half of them, with
 * the interval in which that mean lies with 95 % (bootstrap over the evaluations).  measure is "valid_loss", or
 * "bits_per_byte" if the tokenizers differ.  Fewer than two common evaluations are LITHE_EFORMAT. */
typedef struct {
    const char *measure;
    size_t points;             /* common evaluations, of which the last half counts */
    double a, b;               /* means over these */
    double difference, interval[2];
    double last_a, last_b;     /* at the last common evaluation */
} lithe_run_difference;
int lithe_run_compare(const lithe_run *a, const lithe_run *b, const char *against, uint64_t seed, lithe_run_difference *out, lithe_error *err);

typedef struct {
    size_t size;               /* sizeof(lithe_report_options) */
    const char *title;         /* NULL: by the number of runs */
    const char *csv;           /* a directory for the figures' numbers as CSV and JSON; NULL: none */
    double peak;               /* FLOP/s of the machine that trained, of which the share is shown; 0: not known */
    /* Files that have lines of `lithe bench MODEL --depth ... --json`: what a token costs late in a text, for figures
     * of its own.  A file of anything else is LITHE_EFORMAT. */
    const char *const *costs; int cost_count;
    /* 1: also figures of the models that the runs hold: of each run's newest, and of one run's older checkpoints, on
     * its held-out text.  They take a minute at most, and the time of one model.  A model that does not open is not
     * shown, and the page says so. */
    int models;
    const char *text; size_t text_bytes;       /* for these figures, in place of the held-out text; NULL: none */
    void (*say)(void *context, const char *line); void *context;      /* is given what they do not show, by lines */
} lithe_report_options;
/* Writes one HTML page about the runs, which needs no other file and no script, of at most 500 kB. */
int lithe_report(lithe_run *const *runs, int n, const char *path, const lithe_report_options *o, lithe_error *err);

#ifdef __cplusplus
}
#endif
#endif

/* A model being fitted to a dataset.  What works on it stands in a file for each
 * part, below, and calls only what is declared above it. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "grow/growth.h"
#include "train/bptt.h"
#include "train/log.h"
#include "train/tensorboard.h"

/* ---- the state ------------------------------------------------------------------------------ */

/* What a driver does for a trainer, which knows no inference.  NULL: it is left out. */
typedef int text_sink(void *context, const char *text, size_t n);           /* not 0: no more, please */
typedef struct {
    /* What m writes after prompt goes to give; a function of the weights, the prompt and the seed. */
    int (*sample)(lithe_model *m, const lithe_tokenizer *t, const char *prompt, uint64_t seed, text_sink *give, void *context, lithe_error *err);
} trainer_hooks;

struct lithe_trainer {
    lithe_model *model, *own_model;             /* own: closed with the trainer */
    lithe_dataset *data, *own_data;
    const lithe_tokenizer *tokenizer; lithe_tokenizer *own_tokenizer;
    const kernels *kernels;
    trainer_hooks hooks;
    char *run;
    settings settings;
    progress progress;
    optimizer optimizer;
    objective objective;
    feed train, valid;
    bptt bptt;                                  /* of a run with windows */
    lithe_growth growth;                        /* of the latest LITHE_GREW */
    lithe_metrics metrics;                      /* of the latest evaluation in this process, else NAN */
    double step_rows, step_flops;               /* of the latest step */
    run_log log;
    tensorboard events;
    bool saved;                                 /* the newest checkpoint is of this very moment */
    double train_loss;                          /* of the latest step */
    char *sample;                               /* text of the latest evaluation */
    char identity[256];                         /* of the data */
    char text[640];                             /* of the event given */
    bool notice;                                /* text waits to be told by the next event */
};

/* ---- trainer_state.c: from settings, data and a model to what a step needs ---------------------- */

double         seconds_now(void);                               /* of a clock that only goes forward */
lithe_trainer *trainer_new(const trainer_hooks *hooks, lithe_error *err);
int            trainer_begin(lithe_trainer *t, lithe_error *err);           /* do model, tokenizer, data and settings go together; the objective */
int            trainer_prepare(lithe_trainer *t, lithe_error *err);         /* optimizer and feeds for t->model as it is */
int            trainer_end_line(lithe_trainer *t, lithe_error *err);        /* of log.jsonl: what was begun is written, and counted */

/* ---- train_step.c, evaluate.c, samples.c ---------------------------------------------------------- */

batch_builder *trainer_batch(lithe_trainer *t);                 /* where an objective puts the samples of a step's part */
int trainer_step_loss(lithe_trainer *t, int at, double *loss, lithe_error *err);            /* loss and gradients of step `at` */

/* What an evaluation found: sums, and the mean loss of a target and of a label together. */
typedef struct { double loss, seq_loss, targets, labels, mean; lithe_metrics metrics; } evaluation;
int trainer_validate(lithe_trainer *t, evaluation *e, lithe_error *err);

bool trainer_samples(const lithe_trainer *t);                   /* does it write samples of text */
int  trainer_sample(lithe_trainer *t, lithe_error *err);        /* samples/STEP.txt and t->sample */

/* ---- checkpoint.c ----------------------------------------------------------------------------------- */

int trainer_save(lithe_trainer *t, lithe_error *err);
int trainer_restore(lithe_trainer *t, int checkpoint, lithe_error *err);    /* weights and moments */
/* The moments of ckpt-STEP, and the best checkpoint as best.json tells it. */
int trainer_moments(lithe_trainer *t, lithe_error *err);
int trainer_write_best(const lithe_trainer *t, lithe_error *err);

/* ---- grow_step.c, budget.c --------------------------------------------------------------------------- */

int trainer_grow(lithe_trainer *t, lithe_growth *report, lithe_error *err);
int trainer_seconds(lithe_trainer *t, const lithe_train_options *o, lithe_error *err);      /* a budget's steps; leaves a checkpoint, for timing */

/* ---- start_run.c, resume_run.c ------------------------------------------------------------------------ */

/* lithe_trainer_open and lithe_trainer_resume, with a driver's hooks (copied). */
lithe_trainer *trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *t, const lithe_train_options *o, const char *run, const trainer_hooks *hooks, lithe_error *err);
lithe_trainer *trainer_resume(const char *run, const lithe_train_options *o, const trainer_hooks *hooks, lithe_error *err);

#endif

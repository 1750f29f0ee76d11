/* What the files of this room share about models in training.
 *
 *   settings   what the options came to: constant over a run
 *   progress   where the run stands: changes with each step
 *   feed       a pass over the batches of an objective
 *   optimizer  moments, and which part of the parameters trains by which rule */
#ifndef TRAIN_H
#define TRAIN_H

#include "data/objective.h"
#include "grow/growth.h"
#include "model/groups.h"
#include "model/pass.h"
#include "train/run.h"

/* ---- optimizer ------------------------------------------------------------------ */

/* clip <= 0: off.  decoupled: weight_decay is not multiplied by the learning rate but by its share of `peak`, and is of all parameters. */
typedef struct { double beta1, beta2, eps, weight_decay, clip; bool decoupled; double peak; } adamw_settings;

/* A stretch of the parameter arena that trains by one rule. */
typedef struct { size_t first, count; int born; double lr_factor, weight_decay; } span;

typedef struct {
    params *params;                  /* borrowed */
    adamw_settings settings;
    real *m, *v;                     /* first and second moments, laid out like the arenas of params */
    int updates;                     /* made since the moments were zero */
    span *spans; int count;          /* in the order of the arena; what is frozen has none */
} optimizer;

/* Allocates gradients and moments, and takes the parameter groups of m. */
int    optimizer_open(optimizer *o, const lithe_model *m, const adamw_settings *s, lithe_error *err);
int    optimizer_groups(optimizer *o, const lithe_model *m, lithe_error *err);       /* those of m, again */
void   optimizer_close(optimizer *o);
double optimizer_norm(const optimizer *o, const kernels *k);        /* of the gradient of all that trains; NaN and Inf show */
void   optimizer_step(optimizer *o, const kernels *k, double lr, double norm);

/* DIR/optimizer.safetensors: NAME.exp_avg and NAME.exp_avg_sq of every parameter.  m and v are laid out like the arenas of p. */
int optimizer_write(const char *dir, const params *p, const real *m, const real *v, int updates, lithe_error *err);
int optimizer_read(const char *dir, const params *p, real *m, real *v, int *updates, lithe_error *err);

/* ---- settings and progress --------------------------------------------------------------- */

enum { MAX_GROWTHS = 16, SKIPS_IN_A_ROW = 3, MAX_ROLL_BACKS = 3 };

typedef struct { int at; double params, factor; } planned_growth;   /* one of params and factor is 0 */

typedef struct {
    int ctx, batch, accumulate;
    int eval_every, save_every, eval_windows;
    schedule schedule;
    adamw_settings adamw;
    compute_type compute;
    uint64_t seed;
    bool recompute;
    objective_settings objective;
    double usual_epochs, warmup_share;          /* of the defaults: not kept */
    char *sample, *grow_at, *grow_method;       /* NULL: none */
    char *augment;                              /* of images; NULL: none */
    planned_growth growths[MAX_GROWTHS]; int growth_count;
} settings;

/* Checks o and puts the model's and the data's defaults where it holds zero.  How long the run is hangs on the samples of
 * an epoch: settings_samples. */
int  settings_resolve(settings *s, const lithe_train_options *o, const lithe_model *m, const lithe_dataset *d, lithe_error *err);
int  settings_samples(settings *s, const lithe_train_options *o, uint64_t samples, lithe_error *err);   /* steps stay 0 when o gives a budget of seconds */
void settings_length(settings *s, const lithe_train_options *o, int steps);     /* what hangs on it: warm-up, evaluations, checkpoints */
void settings_free(settings *s);

typedef struct {
    int step;                        /* taken, those skipped among them: the place in the data */
    int skipped, in_a_row;           /* steps without an update: all, and at the end */
    int roll_backs;
    double lr_scale;                 /* halved by each roll-back */
    int grown, grown_at;             /* growths done; the step of the latest, -1 before */
    bool evaluated;                  /* valid_loss is of the weights as they are */
    double valid_loss, bits_per_byte;           /* of the latest evaluation, NaN before */
    double best_loss; int best_step;            /* of the checkpoints; NaN and -1 before */
    int good_step;                   /* newest checkpoint that a roll-back may take, -1: none */
    double tokens;
    int lines;                       /* of log.jsonl about this step */
} progress;

extern const progress progress_start;

/* DIR/trainer.json: settings, progress, the identity of the data, and the parameter groups of m (NULL: none), which
 * opening the model reads. */
int trainer_json_write(const char *dir, const settings *s, const progress *p, const char *data, const lithe_model *m, lithe_error *err);
/* data: what trainer_json_write was given, to be freed. */
int trainer_json_read(const char *dir, settings *s, progress *p, char **data, lithe_error *err);

/* ---- feeds -------------------------------------------------------------------------------- */

typedef struct {
    pass pass;
    int samples;                     /* capacity */
    double flops;                    /* of one run at capacity, backward included */
} feed;

/* GRAPH_TRAIN computes losses and gradients, GRAPH_SCORE losses, or of labels their logits. */
int  feed_open(feed *f, const lithe_model *m, graph_mode mode, const settings *s, const objective *o, int samples, lithe_error *err);
void feed_close(feed *f);
/* Runs the batch that was built.  scale, seq_scale: of the gradients of targets and of labels. */
int  feed_run(feed *f, double scale, double seq_scale, bool accumulate, lithe_error *err);
/* Sums over the latest run, unscaled. */
double feed_loss(const feed *f);
double feed_seq_loss(const feed *f);
double feed_correct(const feed *f);                                /* targets that were the likeliest; GRAPH_SCORE */
double feed_flops(const feed *f);                               /* of the latest run */

/* What this model learns of text. */
text_task trainer_task(const lithe_model *m, const settings *s);
/* The objective that the data's kind has for this model. */
int  trainer_objective(objective *o, const lithe_model *m, const lithe_dataset *d, const lithe_tokenizer *t, const settings *s, lithe_error *err);

/* The defaults of a run: the architecture's own, or the usual ones; for labelled data those of fine-tuning. */
const recipe *recipe_find(const arch *a, bool fine_tuning);

/* What an evaluation found. */
typedef struct { double loss, seq_loss, targets, labels; lithe_metrics metrics; } evaluation;

/* ---- hooks --------------------------------------------------------------------------------- */

/* What a driver does for a trainer, which knows no inference.  NULL: it is left out. */
typedef int text_sink(void *context, const char *text, size_t n);           /* not 0: no more, please */
typedef struct {
    /* What m writes after prompt goes to give; a function of the weights, the prompt and the seed. */
    int (*sample)(lithe_model *m, const lithe_tokenizer *t, const char *prompt, uint64_t seed, text_sink *give, void *context, lithe_error *err);
} trainer_hooks;

/* lithe_trainer_open and lithe_trainer_resume, with a driver's hooks (copied). */
lithe_trainer *trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *t, const lithe_train_options *o, const char *run, const trainer_hooks *hooks, lithe_error *err);
lithe_trainer *trainer_resume(const char *run, const lithe_train_options *o, const trainer_hooks *hooks, lithe_error *err);

/* ---- the trainer ---------------------------------------------------------------------------- */

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

lithe_trainer *trainer_new(const trainer_hooks *hooks, lithe_error *err);
bool trainer_samples(const lithe_trainer *t);                   /* does it write samples of text */
int  trainer_fit(const lithe_trainer *t, lithe_error *err);     /* do model, tokenizer, data and settings go together */
int  trainer_begin(lithe_trainer *t, lithe_error *err);         /* the objective, once settings and data are there */
int  trainer_prepare(lithe_trainer *t, lithe_error *err);       /* optimizer and feeds for t->model as it is */
int  trainer_step_loss(lithe_trainer *t, int at, double *loss, lithe_error *err);         /* loss and gradients of step `at` */
int    trainer_validate(lithe_trainer *t, evaluation *e, lithe_error *err);
int  trainer_seconds(lithe_trainer *t, const lithe_train_options *o, lithe_error *err);   /* a budget's steps; leaves a checkpoint, for timing */
double seconds_now(void);                                       /* of a clock that only goes forward */

int  trainer_save(lithe_trainer *t, lithe_error *err);
int  trainer_restore(lithe_trainer *t, int checkpoint, lithe_error *err);     /* weights and moments */
int  trainer_grow(lithe_trainer *t, lithe_growth *report, lithe_error *err);
int  trainer_sample(lithe_trainer *t, lithe_error *err);        /* samples/STEP.txt and t->sample */

#endif

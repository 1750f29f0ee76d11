/* A trainer fits a model to a dataset.  Its functions are declared below, file by file;
 * each file calls only what is declared above it. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "grow/growth.h"
#include "train/bptt.h"
#include "train/log.h"
#include "train/ranks.h"
#include "train/tensorboard.h"

/* ---- the state ------------------------------------------------------------------------------ */

typedef int text_sink(void *context, const char *text, size_t n);           /* returns not 0 to end the text */

/* Hooks that a driver gives to a trainer, which cannot run inference itself.  A hook that is NULL is not called. */
typedef struct {
    /* Passes the text with which m continues prompt to give; it depends on the weights, the prompt and the seed
     * only. */
    int (*sample)(lithe_model *m, const lithe_tokenizer *t, const char *prompt, uint64_t seed, text_sink *give, void *context, lithe_error *err);
} trainer_hooks;

/* The seconds that a run is to take, and how it goes (budget.c); all 0: it has a number of steps. */
typedef struct {
    double seconds, began;                      /* by seconds_now */
    double planned;                             /* when the steps were chosen last */
    double step, check, save;                   /* of a step, as a running mean; of the latest evaluation, checkpoint */
    int most;                                   /* steps_most of the options */
    bool off;                                   /* rank 0 was off its budget in the latest step */
} time_budget;

struct lithe_trainer {
    lithe_model *model, *own_model;             /* own_...: closed with the trainer; else NULL */
    lithe_dataset *data, *own_data;
    const lithe_tokenizer *tokenizer; lithe_tokenizer *own_tokenizer;
    const kernels *kernels;
    trainer_hooks hooks;
    char *run;
    lithe_ranks *ranks;                         /* borrowed; NULL: one process */
    settings settings;
    progress progress;
    optimizer optimizer;
    objective objective;
    feed train, valid;
    bptt bptt;                                  /* opened when settings.bptt > 1 */
    lithe_growth growth;                        /* of the latest LITHE_GREW */
    lithe_metrics metrics;                      /* of the latest evaluation in this process, NaN before it */
    double step_rows, step_flops;               /* of the latest step */
    run_log log;
    tensorboard events;
    bool replay;                                /* events are those of the run, and nothing is written */
    bool saved;                                 /* the newest checkpoint holds the present state */
    double train_loss;                          /* of the latest step */
    time_budget budget;
    char *sample;                               /* text of the latest evaluation */
    char identity[256];                         /* of the data */
    char text[640];                             /* of the present event */
    bool notice;                                /* the next event reports `text`, which resuming wrote */
};

/* ---- trainer_state.c ---------------------------------------------------------------------------- */

double         seconds_now(void);                               /* of a monotonic clock */
lithe_trainer *trainer_new(const trainer_hooks *hooks, lithe_error *err);
/* Checks that model, tokenizer, data and settings go together, and opens the objective. */
int            trainer_begin(lithe_trainer *t, lithe_error *err);
/* Opens optimizer and feeds for the present t->model. */
int            trainer_prepare(lithe_trainer *t, lithe_error *err);
/* Whether this process is the one that writes the run's files. */
static inline bool trainer_writes(const lithe_trainer *t) { return ranks_leads(t->ranks) && !t->replay; }
/* Writes the line of log.jsonl that was begun, and counts it. */
int            trainer_end_line(lithe_trainer *t, lithe_error *err);

/* ---- train_step.c, evaluate.c, samples.c ---------------------------------------------------------- */

batch_builder *trainer_batch(lithe_trainer *t);             /* where an objective puts the samples of a micro-batch */
/* Computes the loss of step `at` and this rank's shares of its gradients. */
int trainer_step_loss(lithe_trainer *t, int at, double *loss, lithe_error *err);

/* The sums of an evaluation; mean is the mean loss of a target plus that of a label. */
typedef struct { double loss, seq_loss, targets, labels, mean; lithe_metrics metrics; } evaluation;
int trainer_validate(lithe_trainer *t, evaluation *e, lithe_error *err);

bool trainer_samples(const lithe_trainer *t);                   /* whether the run writes samples of text */
int  trainer_sample(lithe_trainer *t, lithe_error *err);        /* writes samples/STEP.txt and sets t->sample */

/* ---- agreement.c ------------------------------------------------------------------------------------ */

/* Rank 0 lets the others join its run; then all check that they have the same. */
int trainer_announce(lithe_trainer *t, lithe_error *err);
/* Rank 0, or every rank, gets the others' shares of the moments; optimizer_drop gives their memory back. */
int trainer_collect(lithe_trainer *t, bool everywhere, lithe_error *err);

/* ---- checkpoint.c ----------------------------------------------------------------------------------- */

int trainer_save(lithe_trainer *t, lithe_error *err);
/* Notes whether the checkpoint of step 0, which is evaluated after it was saved, is the best. */
int trainer_rate(lithe_trainer *t, lithe_error *err);
/* Reads weights and moments of an earlier one. */
int trainer_restore(lithe_trainer *t, int checkpoint, lithe_error *err);
int trainer_moments(lithe_trainer *t, lithe_error *err);                /* reads the moments of the present step's */
int trainer_write_best(const lithe_trainer *t, lithe_error *err);       /* best.json, which names the best checkpoint */
int trainer_prune(const lithe_trainer *t, lithe_error *err);         /* removes checkpoints kept no longer */

/* ---- vocabularies.c ---------------------------------------------------------------------------------- */

/* Writes tokenizer and data of every larger vocabulary that the run will have into it. */
int   trainer_place_vocabularies(lithe_trainer *t, lithe_error *err);
/* The directory of the present one in the run, to be freed; NULL: it is the first. */
char *trainer_vocabulary(const lithe_trainer *t, lithe_error *err);
/* Whether the run will have a larger one. */
bool  trainer_vocabulary_comes(const lithe_trainer *t);
/* The tokenizer of the growth that is next, to be closed. */
lithe_tokenizer *trainer_larger_tokenizer(const lithe_trainer *t, lithe_error *err);
/* Takes it, which is closed with the trainer, and its data for those of the run. */
int   trainer_take_vocabulary(lithe_trainer *t, lithe_tokenizer *to, lithe_error *err);

/* ---- grow_step.c, budget.c --------------------------------------------------------------------------- */

int trainer_grow(lithe_trainer *t, lithe_growth *report, lithe_error *err);
/* Sets the steps that fit a budget of seconds; leaves a checkpoint, which it wrote to time it. */
int trainer_seconds(lithe_trainer *t, const lithe_train_options *o, lithe_error *err);
/* Notes the seconds of a step. */
void trainer_stepped(lithe_trainer *t, double seconds);
/* Whether the run would end so far from its budget that its steps should be chosen again.  Only rank 0 can tell. */
bool trainer_budget_off(const lithe_trainer *t);
/* Whether a checkpoint is due that does so.  It is the same in all ranks, since rank 0 tells the others in each
 * step. */
bool trainer_replan_due(const lithe_trainer *t);
/* Chooses the steps again, by the time that the latest ones took.  A line of the log says so. */
int  trainer_replan(lithe_trainer *t, lithe_error *err);

/* ---- start_run.c, resume_run.c ------------------------------------------------------------------------ */

/* What lithe_trainer_open and lithe_trainer_resume do, with a driver's hooks (which are copied). */
lithe_trainer *trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *t, const lithe_train_options *o, const char *run, const trainer_hooks *hooks, lithe_error *err);
lithe_trainer *trainer_resume(const char *run, const lithe_train_options *o, const trainer_hooks *hooks, lithe_error *err);

/* ---- join_run.c ------------------------------------------------------------------------------------------ */

lithe_trainer *trainer_join(lithe_ranks *r, const trainer_hooks *hooks, lithe_error *err);

#endif

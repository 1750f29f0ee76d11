/* What lithe train makes before a new run begins: a tokenizer, data, a model and the options of a trainer.
 *
 * `lithe train FILE` chooses by itself what lithe_choose_for_text has for the text and the machine: architecture, size
 * of the vocabulary, which is learned from the first 8 MB, parameters, context, batch; and it trains for five minutes,
 * or until it has read the text so many times as is good for it.  All else is the library's default (lithe.h). */
#ifndef CLI_NEW_RUN_H
#define CLI_NEW_RUN_H

#include "lithe_tools.h"
#include "options.h"

typedef struct {
    common common;
    const char *arch, *from, *resume, *config, *out, *tokenizer, *valid, *packing, *schedule, *dtype, *wire, *sample, *grow_at, *grow_method, *grow_where, *moments, *mpi;
    const char *task, *text_column, *pair_column, *label_column, *optimizer, *mask, *augment;
    double params, lr, min_lr, weight_decay, beta1, beta2, eps, clip, tokens, time, epochs, mask_rate, mask_keep, mask_random, grow_noise, grow_old_lr;
    amount warmup, eval_every, save_every;
    int vocab, ctx, batch, accumulate, bptt, steps, eval_windows, recompute, reset_attention, static_masking, next_sentence, patch, lowercase, grow_portable, grow_freeze_old, grow_rewarm, cautious_decay, json;
    uint64_t seed, grow_seed;
} train_settings;

/* The parts of a run, and what was chosen for it. */
typedef struct {
    const arguments *a;
    const train_settings *s;
    const char *arch;                   /* of a new model */
    char *text;                         /* the beginning of the data, 8 MB at most */
    size_t text_size;
    lithe_tokenizer *tokenizer;
    lithe_dataset *data;
    lithe_model *model;
    lithe_text_choice choice;           /* what suits the text; of images all 0 */
    char *command, out[4096], tokenizer_says[200];
    bool images;                        /* the data are images, not text */
    lithe_train_options options;
    lithe_ranks *ranks;                 /* NULL: one process */
    char grow_with[160];                /* of the options */
    double began, budget;               /* when the first part was made; the seconds that the whole may take, 0: any */
    lithe_error err;                    /* of inputs */
} new_run;

enum { NEVER = 1 << 30 };           /* steps */

/* Makes all parts, or fails in err.  new_run.c */
int  new_run_make(new_run *k);
void new_run_close(new_run *k);
bool new_run_labelled(const new_run *k);            /* the data are a table of labelled texts */
/* Refuses options that can have no effect, once the kinds of data and model are known.  new_run_effects.c */
int  new_run_effects(new_run *k);

/* Fills in the options of the trainer, when the parts are there.  new_run_options.c */
int  new_run_options(new_run *k);
int  new_run_batch(const new_run *k);                   /* windows, examples or images in a step */
/* The steps that an amount means, where it is no share of all steps; 0: the default; `none`: it is 0. */
int  steps_of(const arguments *a, const char *name, amount x, int none);
double share_of(amount x);                              /* of all steps; 0: it is a number */

/* Says what was chosen.  new_run_says.c */
void new_run_say(const new_run *k);

#endif

/* Runs of small models on a small text, for the tests of training. */
#ifndef TEST_TRAIN_RUNS_H
#define TEST_TRAIN_RUNS_H

#include "train/run_dir.h"
#include "train/trainer.h"

/* GPT-2 of 32 channels over bytes, with dropout and without; a TokenFormer of the same width. */
extern const char tiny[], still[], slots[];

/* base: under a fresh head, else NULL */
typedef struct { lithe_tokenizer *tokens; lithe_dataset *data; lithe_model *base, *model; lithe_trainer *trainer; lithe_error err; } fixture;

const char *text_file(void);                                /* words in no order */
/* A run called name, its data under name.data. */
fixture     begin_as(const char *arch_name, const char *name, const char *config, const lithe_train_options *o);
fixture     begin(const char *name, const char *config, const lithe_train_options *o);
void        close_fixture(fixture *f);
double      run_out(lithe_trainer *t, lithe_error *err);    /* to the end: the training loss of the last step */
lithe_event run_evaluated(lithe_trainer *t, lithe_error *err);      /* to the end: the last event that evaluated */
double      whole_run(const char *name, const char *config, const lithe_train_options *o);
bool        same_file(const char *a, const char *b, const char *name);      /* of two directories */
bool        same_checkpoint(const char *run_a, const char *run_b, int at);
lithe_error refused(const char *run, const lithe_train_options *o);        /* resuming fails: how */

#endif

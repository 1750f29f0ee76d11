/* Scores of continuations: by a causal model, whose engine reads what sequences begin with once, or by an encoder,
 * which predicts each token from all others (pseudo-log-likelihood; Salazar et al. 2020). */
#ifndef EVAL_TASK_SCORE_H
#define EVAL_TASK_SCORE_H

#include "eval/task_encode.h"
#include "infer/infer.h"

/* greedy: each predicted id is the likeliest at its place. */
typedef struct { double nll; bool greedy; } task_score;
typedef struct { task_sequence *choices; int count; task_score *scores; } task_request;

typedef struct {
    lithe_model *model;
    lithe_engine *engine; size_t context; int choices, at_once;     /* of causal models: task_causal.c */
    int32_t *root; size_t root_length, root_room;                   /* what slot 0 has read */
    float *logits;
    pass *pass; int rows; int32_t mask;                             /* of encoders */
} task_scorer;

int  task_scorer_open(task_scorer *s, lithe_model *m, const lithe_tokenizer *t, lithe_error *err);
void task_scorer_close(task_scorer *s);
/* Fills in the scores of all requests. */
int  task_scorer_run(task_scorer *s, task_request *requests, size_t count, lithe_error *err);

int  score_causal(task_scorer *s, task_request *requests, size_t count, lithe_error *err);      /* task_causal.c */
int  score_masked(task_scorer *s, task_request *requests, size_t count, lithe_error *err);      /* task_masked.c */

#endif

/* Scores by an encoder: each predicted id is masked in a sequence of its own. */
#include "eval/task_score.h"
#include "infer/engine.h"
#include <stdlib.h>
#include <string.h>

enum { SEQUENCES = 256 };

/* The scores of the sequences in the batch, in order. */
typedef struct { task_score *of[SEQUENCES]; int count; } waiting;

static int make_room(task_scorer *s, size_t longest, lithe_error *err)
{
    if (!s->engine && !(s->engine = engine_of_whole(s->model, err))) return err ? (int)err->status : LITHE_ENOMEM;
    s->rows = longest > ROWS_AT_ONCE ? (int)longest : ROWS_AT_ONCE;
    return engine_whole(s->engine, &(whole_pass){ .want = WANT_LOSS, .rows = s->rows, .seqs = SEQUENCES, .selected = SEQUENCES }, &s->pass, err);
}

static int run_waiting(task_scorer *s, waiting *w, lithe_error *err)
{
    int status = w->count ? pass_answer(s->pass, s->model, err) : LITHE_OK;
    for (int i = 0; i < w->count && !status; i++) {
        w->of[i]->nll += (double)s->pass->r.loss->data[i];
        w->of[i]->greedy &= s->pass->r.correct->data[i] > 0;
    }
    w->count = 0;
    batch_begin(&s->pass->batch);
    return status;
}

/* Adds a sequence whose id at `at` is masked; ids are changed for the time of the call. */
static int add_masked(task_scorer *s, waiting *w, task_sequence *q, size_t at, task_score *score, lithe_error *err)
{
    batch_builder *b = &s->pass->batch;
    int status = w->count == SEQUENCES || b->rows + (int)q->n > s->rows ? run_waiting(s, w, err) : LITHE_OK;
    int32_t id = q->ids[at];
    q->ids[at] = s->mask;
    if (!status && (!batch_add(b, &(batch_sequence){ .n = (int)q->n, .ids = q->ids }) || !batch_select(b, (int)at, id, 1))) status = LITHE_EINVAL;
    q->ids[at] = id;
    if (!status) w->of[w->count++] = score;
    return status;
}

int score_masked(task_scorer *s, task_request *requests, size_t count, lithe_error *err)
{
    waiting w = { 0 };
    size_t longest = 0;
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < requests[i].count; c++) if (requests[i].choices[c].n > longest) longest = requests[i].choices[c].n;
    int status = make_room(s, longest, err);
    if (!status) batch_begin(&s->pass->batch);
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < requests[i].count && !status; c++) {
            task_sequence *q = &requests[i].choices[c];
            requests[i].scores[c] = (task_score){ .greedy = true };
            for (size_t at = q->first; at < q->end && !status; at++) status = add_masked(s, &w, q, at, &requests[i].scores[c], err);
        }
    return status ? status : run_waiting(s, &w, err);
}

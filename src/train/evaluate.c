/* An evaluation runs over the validation split, or over as many of its samples as the
 * settings say, spread evenly and the same each time.  Tokens give a loss and the number
 * predicted correctly; labels give logits, from which data/metrics.h computes metrics. */
#include "train/trainer.h"
#include "data/metrics.h"
#include <math.h>
#include <stdlib.h>

/* ---- labels ---------------------------------------------------------------------------- */

/* Adds the predictions of the latest run. */
static void take_outcomes(outcomes *x, const feed *f)
{
    const tensor *logits = f->pass.r.logits;
    const batch_builder *b = &f->pass.batch;
    for (int s = 0; s < b->seqs; s++) outcomes_add(x, logits->data + (size_t)s * (size_t)logits->width, b->label[s], b->value[s]);
}

/* ---- the split -------------------------------------------------------------------------- */

typedef struct { masked_counts masked; outcomes labels; } totals;

static int take_run(lithe_trainer *t, evaluation *e, totals *all, lithe_error *err)
{
    feed *f = &t->valid;
    const batch_builder *b = &f->pass.batch;
    int status = feed_run(f, 1, 1, false, err);
    if (status) return status;
    e->targets += b->targets;
    e->labels += b->labels;
    e->loss += feed_loss(f);
    if (t->objective.most.selected) {
        all->masked.correct += feed_correct(f);
        all->masked.tokens += b->targets;
    }
    if (t->model->task.kind == TASK_SEQUENCE) take_outcomes(&all->labels, f);
    else e->seq_loss += feed_seq_loss(f);
    const tensor *pairs = f->pass.r.seq_loss;               /* of two classes: correct where the loss is below log 2 */
    for (int s = 0; pairs && s < b->seqs; s++) all->masked.pairs_correct += (double)pairs->data[s] < log(2);
    if (t->model->task.kind == TASK_PRETRAIN) all->masked.pairs += b->labels;
    return LITHE_OK;
}

/* Adds what the other ranks found: sums, and the outcomes of examples first .. first + their number - 1 of the n. */
static int sum_over_ranks(lithe_trainer *t, evaluation *e, totals *all, uint64_t n, uint64_t first, lithe_error *err)
{
    outcomes *x = &all->labels;
    double sums[] = { e->loss, e->seq_loss, e->targets, e->labels, all->masked.correct, all->masked.tokens, all->masked.pairs_correct, all->masked.pairs, x->loss };
    if (ranks_count(t->ranks) == 1) return LITHE_OK;
    int status = ranks_sum(t->ranks, sums, sizeof sums / sizeof *sums, err);
    e->loss = sums[0], e->seq_loss = sums[1], e->targets = sums[2], e->labels = sums[3];
    all->masked = (masked_counts){ sums[4], sums[5], sums[6], sums[7] };
    x->loss = sums[8];
    if (status || t->model->task.kind != TASK_SEQUENCE) return status;
    double *found = xalloc(2 * n + 1, sizeof *found);        /* of each example: what was predicted, and what is true */
    if (!found) return fail(err, LITHE_ENOMEM, "not enough memory for %llu examples", (unsigned long long)n);
    for (size_t i = 0; i < x->count; i++) {
        found[2 * (first + i)] = x->classes ? x->predicted[i] : x->value[i];
        found[2 * (first + i) + 1] = x->classes ? x->label[i] : x->truth[i];
    }
    status = ranks_sum(t->ranks, found, (int)(2 * n), err);
    for (size_t i = 0; i < n && !status; i++) {
        if (x->classes) x->predicted[i] = (int)found[2 * i], x->label[i] = (int)found[2 * i + 1];
        else x->value[i] = found[2 * i], x->truth[i] = found[2 * i + 1];
    }
    x->count = (size_t)n;
    free(found);
    return status;
}

static double one_over(double n) { return n > 0 ? 1 / n : 0; }

int trainer_validate(lithe_trainer *t, evaluation *e, lithe_error *err)
{
    uint64_t samples = t->objective.valid_samples, n = (uint64_t)t->settings.eval_windows;
    const task *has = &t->model->task;
    totals all = { 0 };
    *e = (evaluation){ .metrics = metrics_unknown };
    if (n > samples) n = samples;
    int status = has->kind == TASK_SEQUENCE ? outcomes_open(&all.labels, has->regression ? 0 : has->labels, n, err) : LITHE_OK;
    batch_builder *b = &t->valid.pass.batch;
    uint64_t rank = (uint64_t)ranks_rank(t->ranks), ranks = (uint64_t)ranks_count(t->ranks), first = n * rank / ranks, end = n * (rank + 1) / ranks;
    batch_begin(b);
    for (uint64_t i = first, held = 0; i < end && !status; i++) {
        objective_valid(&t->objective, b, i * (samples / n) + i * (samples % n) / n);
        if (++held < (uint64_t)t->valid.samples && i + 1 < end) continue;
        status = take_run(t, e, &all, err);
        batch_begin(b);
        held = 0;
    }
    if (!status) status = sum_over_ranks(t, e, &all, n, first, err);
    if (!status && has->kind == TASK_SEQUENCE) {
        e->metrics = outcomes_metrics(&all.labels);
        e->seq_loss = all.labels.loss;
    } else e->metrics = masked_metrics(&all.masked);
    e->mean = e->loss * one_over(e->targets) + e->seq_loss * one_over(e->labels);
    outcomes_close(&all.labels);
    return status;
}

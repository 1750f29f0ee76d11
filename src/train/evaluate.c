/* Evaluations of a run: the validation split, or as much of it as the settings
 * say, spread evenly and always the same.  Tokens give a loss and how many were
 * right, labels their logits, from which loss and figures are worked out in
 * double. */
#include "train/train.h"
#include "data/metrics.h"
#include <math.h>
#include <stdlib.h>

static const lithe_metrics unknown = { NAN, NAN, NAN, NAN, NAN, NAN };

/* ---- labels ---------------------------------------------------------------------------- */

typedef struct { int *predicted, *label; double *value, *truth; size_t n; } outcomes;

static int outcomes_open(outcomes *x, size_t n, lithe_error *err)
{
    *x = (outcomes){ xalloc(n, sizeof(int)), xalloc(n, sizeof(int)), xalloc(n, sizeof(double)), xalloc(n, sizeof(double)), 0 };
    return x->predicted && x->label && x->value && x->truth ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for %zu predictions", n);
}

static void outcomes_close(outcomes *x)
{
    free(x->predicted);
    free(x->label);
    free(x->value);
    free(x->truth);
}

/* Takes the predictions of the latest run; the sum of their losses. */
static double take_outcomes(outcomes *x, const feed *f, bool regression)
{
    const tensor *logits = f->pass.r.logits;
    const batch_builder *b = &f->pass.batch;
    double sum = 0;
    for (int s = 0; s < b->seqs; s++, x->n++) {
        const real *z = logits->data + (size_t)s * (size_t)logits->width;
        x->label[x->n] = b->label[s];
        x->value[x->n] = (double)z[0];
        x->truth[x->n] = (double)b->value[s];
        x->predicted[x->n] = label_of(z, logits->width);
        sum += regression ? pow(x->value[x->n] - x->truth[x->n], 2) : label_loss(z, logits->width, b->label[s]);
    }
    return sum;
}

static lithe_metrics figures(const outcomes *x, const task *t)
{
    lithe_metrics m = unknown;
    if (t->regression) {
        m.pearson = metric_pearson(x->value, x->truth, x->n);
        m.spearman = metric_spearman(x->value, x->truth, x->n);
        return m;
    }
    class_metrics c = metrics_of_classes(x->predicted, x->label, x->n, t->labels);
    m.accuracy = c.accuracy;
    m.f1 = c.f1;
    m.matthews = c.matthews;
    return m;
}

/* ---- the split -------------------------------------------------------------------------- */

typedef struct { double hits, pairs_right; outcomes labels; } totals;

static int take_run(lithe_trainer *t, evaluation *e, totals *all, lithe_error *err)
{
    feed *f = &t->valid;
    const batch_builder *b = &f->pass.batch;
    int status = feed_run(f, 1, 1, false, err);
    if (status) return status;
    e->targets += b->targets;
    e->labels += b->labels;
    e->loss += feed_loss(f);
    all->hits += feed_hits(f);
    if (t->model->task.kind == TASK_SEQUENCE) e->seq_loss += take_outcomes(&all->labels, f, t->model->task.regression);
    else e->seq_loss += feed_seq_loss(f);
    const tensor *pairs = f->pass.r.seq_loss;                       /* of two classes: right below log 2 */
    for (int s = 0; pairs && s < b->seqs; s++) all->pairs_right += (double)pairs->data[s] < log(2);
    return LITHE_OK;
}

int trainer_validate(lithe_trainer *t, evaluation *e, lithe_error *err)
{
    uint64_t samples = t->objective.valid_samples, n = (uint64_t)t->settings.eval_windows;
    const task *has = &t->model->task;
    totals all = { 0 };
    *e = (evaluation){ .metrics = unknown };
    if (n > samples) n = samples;
    int status = has->kind == TASK_SEQUENCE ? outcomes_open(&all.labels, n, err) : LITHE_OK;
    batch_builder *b = &t->valid.pass.batch;
    batch_begin(b);
    for (uint64_t i = 0, held = 0; i < n && !status; i++) {
        objective_valid(&t->objective, b, i * (samples / n) + i * (samples % n) / n);
        if (++held < (uint64_t)t->valid.samples && i + 1 < n) continue;
        status = take_run(t, e, &all, err);
        batch_begin(b);
        held = 0;
    }
    if (!status && has->kind == TASK_SEQUENCE) e->metrics = figures(&all.labels, has);
    else if (t->objective.most.selected && e->targets > 0) e->metrics.accuracy = all.hits / e->targets;
    if (!status && has->kind == TASK_PRETRAIN && e->labels > 0) e->metrics.next_accuracy = all.pairs_right / e->labels;
    outcomes_close(&all.labels);
    return status;
}

/* Evaluations of a run: the validation split, or as much of it as the settings
 * say, spread evenly and always the same.  Tokens give a loss and how many were
 * right, labels their logits, from which loss and figures are worked out in
 * double. */
#include "train/train.h"
#include "data/metrics.h"
#include <math.h>
#include <stdlib.h>

static const lithe_metrics unknown = { NAN, NAN, NAN, NAN, NAN, NAN };

static int check_images(const lithe_model *m, const lithe_dataset *d, lithe_error *err)
{
    if (!d->images) return fail(err, LITHE_ECONFIG, "a %s reads pictures, the data are text", m->arch->name);
    if (!m->arch->equations.image) return fail(err, LITHE_ECONFIG, "the data are pictures, a %s reads text", m->arch->name);
    if (m->task.kind != TASK_SEQUENCE || m->task.regression)
        return fail(err, LITHE_ECONFIG, "the model's task is \"%s\", the data are pictures with classes", task_name(&m->task));
    image_shape z = m->arch->equations.image(m->config);
    const image_shard *t = &d->images->train;
    if (z.side != t->side || z.channels != t->channels)
        return fail(err, LITHE_ECONFIG, "the pictures are %d x %d with %d channels, the model reads %d x %d with %d", t->side, t->side, t->channels, z.side, z.side, z.channels);
    if (t->classes > m->task.labels) return fail(err, LITHE_ECONFIG, "the data have %d classes, the model %d", t->classes, m->task.labels);
    return t->count && d->images->valid.count ? LITHE_OK : fail(err, LITHE_ECONFIG, "%s: holds no pictures to train on, or none to validate", d->dir);
}

static int image_objective(objective *o, const lithe_model *m, const lithe_dataset *d, const settings *s, lithe_error *err)
{
    int status = check_images(m, d, err);
    if (status) return status;
    objective_settings z = s->objective;
    z.pictures = (picture_settings){ .patch = m->arch->equations.image(m->config).patch, .normal.factor = m->pictures.factor, .way = augmentation_find(s->augment ? s->augment : "none") };
    for (int c = 0; c < 3; c++) {
        z.pictures.normal.mean[c] = m->pictures.mean[c];
        z.pictures.normal.deviation[c] = m->pictures.deviation[c];
    }
    return objective_open(o, &predict_images, d, NULL, &z, s->ctx, s->seed, err);
}

int trainer_objective(objective *o, const lithe_model *m, const lithe_dataset *d, const lithe_tokenizer *t, const settings *s, lithe_error *err)
{
    const task *has = &m->task;
    bool sequences = has->kind == TASK_SEQUENCE, encoder = arch_encoder(m->arch, m->config);
    *o = (objective){ 0 };
    if (failed(err)) return err->status;
    if (d->images || m->arch->equations.image) return image_objective(o, m, d, s, err);
    if (d->labels && !sequences) return fail(err, LITHE_ECONFIG, "the data are labelled, the model's task is \"%s\": give it a head for them", task_name(has));
    if (d->labels && has->regression != d->labels->regression)
        return fail(err, LITHE_ECONFIG, "the model's task is \"%s\", the labels are %s", task_name(has), d->labels->regression ? "numbers" : "classes");
    if (d->labels && !has->regression && d->labels->classes > has->labels)
        return fail(err, LITHE_ECONFIG, "the data have %d classes, the model %d", d->labels->classes, has->labels);
    if (!d->labels && has->kind != TASK_LANGUAGE && has->kind != TASK_PRETRAIN) return fail(err, LITHE_ECONFIG, "the model's task is \"%s\", the data are text without labels", task_name(has));
    const objective_kind *kind = d->labels ? &predict_labels : has->kind == TASK_PRETRAIN ? &predict_pairs : !encoder ? &predict_next
                               : s->objective.sentences ? &predict_sentences : &predict_masked;
    return objective_open(o, kind, d, t, &s->objective, s->ctx, s->seed, err);
}

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

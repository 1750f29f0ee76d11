/* Makes a trainer: checks that its parts go together, chooses the objective, and opens
 * the optimizer and the feeds for the present model, which growing replaces. */
#include "model/fit.h"
#include "train/trainer.h"
#include <math.h>
#include <stdlib.h>
#include <time.h>

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- opening and closing ---------------------------------------------------------------- */

lithe_trainer *trainer_new(const trainer_hooks *hooks, lithe_error *err)
{
    lithe_trainer *t = failed(err) ? NULL : xalloc(1, sizeof *t);
    if (!t) { fail(err, LITHE_ENOMEM, "out of memory for a trainer"); return NULL; }
    t->kernels = kernels_default();
    if (hooks) t->hooks = *hooks;
    t->progress = progress_start;
    t->log.fd = t->events.fd = -1;
    t->train_loss = NAN;
    t->metrics = (lithe_metrics){ NAN, NAN, NAN, NAN, NAN, NAN };
    return t;
}

void lithe_trainer_close(lithe_trainer *t)
{
    if (!t) return;
    feed_close(&t->train);
    feed_close(&t->valid);
    bptt_close(&t->bptt);
    objective_close(&t->objective);
    optimizer_close(&t->optimizer);
    log_close(&t->log);
    tensorboard_close(&t->events);
    lithe_model_close(t->own_model);
    lithe_dataset_close(t->own_data);
    lithe_tokenizer_close(t->own_tokenizer);
    settings_free(&t->settings);
    free(t->sample);
    free(t->run);
    free(t);
}

int trainer_end_line(lithe_trainer *t, lithe_error *err)
{
    t->progress.lines++;
    t->saved = false;
    return trainer_writes(t) ? log_write(&t->log, err) : LITHE_OK;
}

/* ---- the parts of a run ---------------------------------------------------------------- */

static int fit(const lithe_trainer *t, lithe_error *err)
{
    const lithe_dataset *d = t->data;
    const demands from_data = { .data = d->dir, .tokenizer = t->tokenizer, .ctx = t->settings.ctx, .vocab = d->vocab, .classes = d->names.count,
                                .labelled = d->labelled, .numbers = d->numbers, .images = { .side = d->side, .channels = d->channels } };
    return model_fit(t->model, &from_data, err);
}

/* How images are cut into patches and normalized for m, and how they are augmented; zero for a model that reads
 * text. */
static image_settings image_settings_of(const lithe_model *m, const settings *s)
{
    image_settings z = { .patch = arch_images(m->arch, m->config).patch, .tokens = arch_images(m->arch, m->config).tokens, .normal.factor = m->preprocessor.factor,
                         .augmentation = augmentation_find(s->augment ? s->augment : "none") };
    for (int c = 0; c < 3; c++) {
        z.normal.mean[c] = m->preprocessor.mean[c];
        z.normal.deviation[c] = m->preprocessor.deviation[c];
    }
    return z;
}

/* Opens the objective that the kind of the data has for the model. */
static int choose_objective(lithe_trainer *t, lithe_error *err)
{
    const settings *s = &t->settings;
    objective_settings z = s->objective;
    z.images = image_settings_of(t->model, s);
    return objective_open(&t->objective, t->data->kind->objective(settings_task(s, t->model)), t->data, t->tokenizer, &z, s->ctx * s->bptt, s->seed, err);
}

/* A new model takes mean and deviation from its training images, and the names of the classes where it has none. */
static int adopt_images(lithe_model *m, const lithe_dataset *d, lithe_error *err)
{
    int status = model_name_labels(m, (const char *const *)d->names.text, d->names.count, err);
    if (status || m->preprocessor.known) return status;
    m->preprocessor.known = true;
    for (int c = 0; c < d->channels; c++) {
        m->preprocessor.mean[c] = d->mean[c];
        m->preprocessor.deviation[c] = d->deviation[c];
    }
    return LITHE_OK;
}

/* Each rank needs a sample in each part of a step. */
static int check_slices(const settings *s, int ranks, lithe_error *err)
{
    char parts[32] = "";
    if (s->batch / s->accumulate >= ranks) return LITHE_OK;
    if (s->accumulate > 1) snprintf(parts, sizeof parts, " in %d parts", s->accumulate);
    return fail(err, LITHE_EINVAL, "a step of %d samples%s leaves nothing for some of the %d ranks: ask for a batch of at least %lld", s->batch, parts, ranks,
                (long long)s->accumulate * ranks);
}

int trainer_begin(lithe_trainer *t, lithe_error *err)
{
    int status = fit(t, err);
    if (!status && t->data->side) status = adopt_images(t->model, t->data, err);
    if (!status) status = choose_objective(t, err);
    if (!status) status = check_slices(&t->settings, ranks_count(t->ranks), err);
    return status ? status : bptt_check(t->model, &t->objective, &t->settings, err);
}

static void begin_bucket(void *ranks, size_t bucket) { ranks_reduce_begin(ranks, bucket); }

int trainer_prepare(lithe_trainer *t, lithe_error *err)
{
    const settings *s = &t->settings;
    int slices = s->accumulate * ranks_count(t->ranks), windows = s->batch / slices + (s->batch % slices > 0), updates = t->optimizer.updates;
    uint64_t valid = t->objective.valid_samples, eval = (uint64_t)s->eval_windows;
    if (eval > valid) eval = valid;
    optimizer_close(&t->optimizer);
    feed_close(&t->train);
    feed_close(&t->valid);
    bptt_close(&t->bptt);
    optimizer_settings z = s->optimizer;
    z.compute = s->compute;
    int status = optimizer_open(&t->optimizer, t->model, &z, err);
    const shares own = ranks_shares(t->ranks, t->model->params->arena_count);
    const reduce_hook reduce = { own.count > 1 ? own.bucket : 0, begin_bucket, t->ranks };
    t->optimizer.updates = updates;
    if (own.count > 1) optimizer_share(&t->optimizer, &own);
    if (!status) status = feed_open(&t->train, t->model, GRAPH_TRAIN, s, &t->objective, windows, &reduce, err);
    if (!status && eval) status = feed_open(&t->valid, t->model, GRAPH_SCORE, s, &t->objective, eval < (uint64_t)windows ? (int)eval : windows, NULL, err);
    if (!status && s->bptt > 1) status = bptt_open(&t->bptt, t->model, &t->train, s, &t->objective, err);
    return status;
}

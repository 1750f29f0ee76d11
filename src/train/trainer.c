/* A model being fitted to a dataset, one event at a time.  A step is
 *   batch windows -> loss and gradients, in `accumulate` parts -> norm, clip -> AdamW
 * and a step whose loss or gradient is not finite changes nothing (skipped).
 * Three such in a row go back to the newest good checkpoint with half the
 * learning rate, the data going on; after three roll-backs the run has diverged.
 * Invariant: what happens next is a function of settings, progress, weights and
 * moments, all of which a checkpoint holds. */
#include "train/train.h"
#include "base/sized.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- clocks and lines ------------------------------------------------------------------ */

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double wall_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int end_line(lithe_trainer *t, lithe_error *err)
{
    t->progress.lines++;
    t->saved = false;
    return log_write(&t->log, err);
}

typedef struct { const char *tag; double value; } scalar;

/* Event files are begun with their first value: a finished run that is asked again writes none. */
static int write_scalars(lithe_trainer *t, const scalar *s, int count, lithe_error *err)
{
    int status = LITHE_OK, at = t->progress.step;
    double now = wall_now();
    if (!t->events.path) {
        status = tensorboard_open(&t->events, t->run, err);
        if (!status && at > 1) status = tensorboard_restart(&t->events, now, at, err);
    }
    for (int i = 0; i < count && !status; i++) status = tensorboard_scalar(&t->events, now, at, s[i].tag, s[i].value, err);
    return status;
}

/* ---- computing --------------------------------------------------------------------------- */

static double share(double n) { return n > 0 ? 1 / n : 0; }

/* The samples of one part of a step. */
static void fill_part(lithe_trainer *t, int at, int part)
{
    const settings *s = &t->settings;
    uint64_t first = (uint64_t)(at - 1) * (uint64_t)s->batch;
    int64_t begin = (int64_t)part * s->batch / s->accumulate, end = (int64_t)(part + 1) * s->batch / s->accumulate;
    batch_begin(&t->train.pass.batch);
    for (int64_t i = begin; i < end; i++) objective_train(&t->objective, &t->train.pass.batch, at, first + (uint64_t)i);
}

int trainer_step_loss(lithe_trainer *t, int at, double *loss, lithe_error *err)
{
    const int parts = t->settings.accumulate;
    const batch_builder *b = &t->train.pass.batch;
    double targets = 0, labels = 0, sum = 0, seq_sum = 0;
    for (int part = 0; part < parts && parts > 1; part++) {         /* what the step divides by is known before it begins */
        fill_part(t, at, part);
        targets += b->targets;
        labels += b->labels;
    }
    t->step_rows = t->step_flops = 0;
    for (int part = 0; part < parts; part++) {
        fill_part(t, at, part);
        if (parts == 1) { targets = b->targets; labels = b->labels; }
        int status = feed_run(&t->train, share(targets), share(labels), part > 0, err);
        if (status) return status;
        sum += feed_loss(&t->train);
        seq_sum += feed_seq_loss(&t->train);
        t->step_rows += b->rows;
        t->step_flops += feed_flops(&t->train);
    }
    *loss = sum * share(targets) + seq_sum * share(labels);
    return LITHE_OK;
}

/* ---- the events -------------------------------------------------------------------------- */

static int skip(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    progress *p = &t->progress;
    p->skipped++;
    p->in_a_row++;
    e->kind = LITHE_SKIPPED;
    snprintf(t->text, sizeof t->text, "step %d is skipped: the %s is %s", p->step, isfinite(e->loss) ? "gradient's norm" : "loss",
             isnan(isfinite(e->loss) ? e->grad_norm : e->loss) ? "not a number" : "infinite");
    line_begin(&t->log, p->step);
    line_text(&t->log, "skipped", t->text);
    return end_line(t, err);
}

static int log_step(lithe_trainer *t, const lithe_event *e, lithe_error *err)
{
    const scalar s[] = { { "train/loss", e->loss }, { "train/grad_norm", e->grad_norm }, { "train/lr", e->lr },
                         { "train/tokens_per_second", e->seconds > 0 ? e->tokens / e->seconds : 0 } };
    line_begin(&t->log, t->progress.step);
    line_number(&t->log, "loss", e->loss);
    line_number(&t->log, "grad_norm", e->grad_norm);
    line_number(&t->log, "lr", e->lr);
    line_number(&t->log, "tokens", e->tokens);
    line_number(&t->log, "seconds", e->seconds);
    line_number(&t->log, "flops", e->flops);
    int status = end_line(t, err);
    return status ? status : write_scalars(t, s, sizeof s / sizeof *s, err);
}

static int take_step(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    const settings *s = &t->settings;
    progress *p = &t->progress;
    double began = seconds_now();
    int status = trainer_step_loss(t, p->step + 1, &t->train_loss, err);
    if (status) return status;
    p->step++;
    p->lines = 0;
    p->evaluated = t->saved = false;
    e->kind = LITHE_STEPPED;
    e->lr = schedule_lr(&s->schedule, p->step) * p->lr_scale;
    e->loss = t->train_loss;
    e->tokens = t->step_rows;
    e->flops = t->step_flops;
    e->grad_norm = optimizer_norm(&t->optimizer, t->kernels);
    p->tokens += e->tokens;
    e->seconds = seconds_now() - began;
    if (!isfinite(e->loss) || !isfinite(e->grad_norm)) return skip(t, e, err);
    optimizer_step(&t->optimizer, t->kernels, e->lr, e->grad_norm);
    p->in_a_row = 0;
    e->seconds = seconds_now() - began;
    return log_step(t, e, err);
}

/* Figures that the task does not have are left out. */
static int log_evaluation(lithe_trainer *t, const lithe_event *e, lithe_error *err)
{
    const progress *p = &t->progress;
    const lithe_metrics *m = &t->metrics;
    const scalar all[] = { { "valid/loss", p->valid_loss }, { "valid/bits_per_byte", p->bits_per_byte }, { "valid/accuracy", m->accuracy }, { "valid/f1", m->f1 },
                           { "valid/matthews", m->matthews }, { "valid/pearson", m->pearson }, { "valid/spearman", m->spearman },
                           { "valid/next_accuracy", m->next_accuracy } };
    scalar known[sizeof all / sizeof *all];
    int n = 0;
    line_begin(&t->log, p->step);
    line_number(&t->log, "valid_loss", p->valid_loss);
    line_number(&t->log, "bits_per_byte", p->bits_per_byte);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (i > 1 && isfinite(all[i].value)) line_number(&t->log, all[i].tag + strlen("valid/"), all[i].value);
        if (i == 0 || isfinite(all[i].value)) known[n++] = all[i];
    }
    line_number(&t->log, "params", (double)params_total(t->model->params));
    line_number(&t->log, "seconds", e->seconds);
    int status = end_line(t, err);
    return status ? status : write_scalars(t, known, n, err);
}

static int evaluate(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    progress *p = &t->progress;
    evaluation v;
    double began = seconds_now();
    bool next = t->objective.kind == &predict_next;
    int status = trainer_validate(t, &v, err);
    if (status) return status;
    e->kind = LITHE_EVALUATED;
    p->valid_loss = v.loss * share(v.targets) + v.seq_loss * share(v.labels);
    p->bits_per_byte = next ? v.loss / log(2) / dataset_valid_bytes(t->data, (uint64_t)v.targets) : NAN;
    p->evaluated = true;
    t->metrics = v.metrics;
    e->seconds = seconds_now() - began;
    status = log_evaluation(t, e, err);
    if (!status && trainer_samples(t)) status = trainer_sample(t, err);
    return status;
}

static int roll_back(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    progress *p = &t->progress;
    e->kind = LITHE_ROLLED_BACK;
    if (p->roll_backs == MAX_ROLL_BACKS || p->good_step < 0)
        return fail(err, LITHE_EDIVERGED, "%s: step %d: %d steps in a row without a finite loss and gradient, after %d roll-backs: "
                    "the run has diverged, start it with a smaller learning rate than %g", t->run, p->step, p->in_a_row, p->roll_backs,
                    t->settings.schedule.lr);
    int status = trainer_restore(t, p->good_step, err);
    if (status) return status;
    p->roll_backs++;
    p->lr_scale /= 2;
    p->in_a_row = 0;
    p->evaluated = false;
    snprintf(t->text, sizeof t->text, "%d steps in a row were skipped: back to the weights of ckpt-%d, with 1/%.0f of the learning rate",
             SKIPS_IN_A_ROW, p->good_step, 1 / p->lr_scale);
    line_begin(&t->log, p->step);
    line_text(&t->log, "rolled_back", t->text);
    return end_line(t, err);
}

static int grow(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    e->kind = LITHE_GREW;
    double began = seconds_now();
    int status = trainer_grow(t, &t->growth, err);
    if (status) return status;
    e->seconds = seconds_now() - began;
    e->growth = &t->growth;
    snprintf(t->text, sizeof t->text, "%s", t->growth.moves);
    line_begin(&t->log, t->progress.step);
    line_text(&t->log, "grew", t->growth.moves);
    line_text(&t->log, "method", t->growth.method);
    line_number(&t->log, "params_before", (double)t->growth.params_before);
    line_number(&t->log, "params", (double)t->growth.params_after);
    line_number(&t->log, "max_logit", t->growth.max_logit);
    line_number(&t->log, "max_difference", t->growth.max_difference);
    return end_line(t, err);
}

static int save_due(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    double began = seconds_now();
    e->kind = LITHE_SAVED;
    int status = trainer_save(t, err);
    e->seconds = seconds_now() - began;
    snprintf(t->text, sizeof t->text, "%s/ckpt-%d", t->run, t->progress.step);
    return status;
}

/* RUN itself becomes a MODEL: the newest checkpoint's files under their own names. */
static int finish(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    static const char *const but[] = { "optimizer.safetensors", "trainer.json", "manifest.json", NULL };
    e->kind = LITHE_FINISHED;
    char *dir = checkpoint_path(t->run, t->progress.step);
    int status = dir ? run_link(dir, t->run, but, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    free(dir);
    snprintf(t->text, sizeof t->text, "%s", t->run);
    return status;
}

/* ---- what is next ------------------------------------------------------------------------- */

typedef int deed(lithe_trainer *t, lithe_event *e, lithe_error *err);

static bool every(const lithe_trainer *t, int n) { return t->progress.step % n == 0 || t->progress.step == t->settings.schedule.steps; }

static deed *next_deed(const lithe_trainer *t)
{
    const settings *s = &t->settings;
    const progress *p = &t->progress;
    bool growth_due = p->grown < s->growth_count && s->growths[p->grown].at <= p->step, grew = p->grown_at == p->step;
    if (p->in_a_row >= SKIPS_IN_A_ROW) return roll_back;
    if (t->valid.pass.g && !p->evaluated && (every(t, s->eval_every) || growth_due || grew)) return evaluate;
    if (growth_due) return grow;
    if (!t->saved && p->step > 0 && (every(t, s->save_every) || grew)) return save_due;
    return p->step >= s->schedule.steps ? finish : take_step;
}

int lithe_trainer_next(lithe_trainer *t, lithe_event *out, lithe_error *err)
{
    lithe_event ignored, *e = out ? out : &ignored;
    *e = (lithe_event){ 0 };
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "there is no trainer");
    int status = LITHE_OK;
    deed *next = t->notice ? NULL : next_deed(t);
    e->loss = t->train_loss;
    if (!t->notice) t->text[0] = 0;
    if (next) status = next(t, e, err);
    else e->kind = LITHE_ROLLED_BACK;
    t->notice = false;
    e->step = t->progress.step;
    e->steps = t->settings.schedule.steps;
    e->valid_loss = t->progress.valid_loss;
    e->bits_per_byte = t->progress.bits_per_byte;
    e->metrics = t->metrics;
    e->total_tokens = t->progress.tokens;
    e->text = e->kind == LITHE_EVALUATED ? t->sample : t->text;
    return status ? status : e->kind != LITHE_FINISHED;
}

/* ---- opening ---------------------------------------------------------------------------------- */

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

/* A fresh model takes mean and deviation from its training images, and the names of its classes where it has none. */
static int adopt_images(lithe_model *m, const lithe_dataset *d, lithe_error *err)
{
    int status = model_name_labels(m, (const char *const *)d->names.text, d->names.count, err);
    if (status || m->pictures.known) return status;
    m->pictures.known = true;
    for (int c = 0; c < d->channels; c++) {
        m->pictures.mean[c] = d->mean[c];
        m->pictures.deviation[c] = d->deviation[c];
    }
    return LITHE_OK;
}

int trainer_begin(lithe_trainer *t, lithe_error *err)
{
    int status = trainer_fit(t, err);
    if (!status && t->data->side) status = adopt_images(t->model, t->data, err);
    return status ? status : trainer_objective(&t->objective, t->model, t->data, t->tokenizer, &t->settings, err);
}

int trainer_prepare(lithe_trainer *t, lithe_error *err)
{
    const settings *s = &t->settings;
    int windows = s->batch / s->accumulate + (s->batch % s->accumulate > 0), updates = t->optimizer.updates;
    uint64_t valid = t->objective.valid_samples, eval = (uint64_t)s->eval_windows;
    if (eval > valid) eval = valid;
    optimizer_close(&t->optimizer);
    feed_close(&t->train);
    feed_close(&t->valid);
    int status = optimizer_open(&t->optimizer, t->model, &s->adamw, err);
    t->optimizer.updates = updates;
    if (!status) status = feed_open(&t->train, t->model, GRAPH_TRAIN, s, &t->objective, windows, err);
    if (!status && eval) status = feed_open(&t->valid, t->model, GRAPH_SCORE, s, &t->objective, eval < (uint64_t)windows ? (int)eval : windows, err);
    return status;
}

/* Moments of another run, when they are asked for, and the births that hang on their age. */
static int begin_moments(lithe_trainer *t, const lithe_train_options *o, lithe_error *err)
{
    bool carry = o->moments && !strcmp(o->moments, "carry");
    if (o->moments && !carry && strcmp(o->moments, "reset"))
        return fail(err, LITHE_EINVAL, "moments is \"%s\", expected reset or carry", o->moments);
    const char *from = o->from ? o->from : t->model->path;
    if (carry && !from) return fail(err, LITHE_EINVAL, "moments to carry need the checkpoint they lie in");
    char *newest = carry ? run_checkpoint(from, err) : NULL;
    optimizer *m = &t->optimizer;
    int status = carry ? optimizer_read(newest ? newest : from, t->model->params, m->m, m->v, &m->updates, err) : LITHE_OK;
    free(newest);
    if (status) return status;
    groups_begin(t->model, m->updates, !carry);
    return optimizer_groups(m, t->model, err);
}

static int write_text(const char *dir, const char *name, const char *text, lithe_error *err)
{
    size_t n = strlen(text);
    char *path = path_join(dir, name), *line = xalloc(n + 2, 1);
    if (line) { memcpy(line, text, n); line[n] = '\n'; }
    int status = path && line ? file_write(path, line, n + 1, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    free(line);
    return status;
}

/* Everything that stands beside the checkpoints. */
static int furnish(lithe_trainer *t, const lithe_train_options *o, lithe_error *err)
{
    char *data = path_join(t->run, "data"), *samples = path_join(t->run, "samples"), *tokens = path_join(t->run, lithe_tokenizer_file(t->tokenizer));
    char *config = lithe_model_config(t->model);
    int status = data && samples && tokens && config ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    if (!status) status = dir_make(samples, err);
    if (!status) status = dataset_place(t->data, data, err);
    if (!status) status = write_text(t->run, "config.json", config, err);
    if (!status && o->command) status = write_text(t->run, "command.txt", o->command, err);
    if (!status && t->tokenizer) status = lithe_tokenizer_save(t->tokenizer, tokens, err);
    free(data);
    free(samples);
    free(tokens);
    free(config);
    return status;
}

static int log_start(lithe_trainer *t, lithe_error *err)
{
    const settings *s = &t->settings;
    int status = log_open(&t->log, t->run, err);
    if (status) return status;
    line_begin(&t->log, 0);
    line_text(&t->log, "started", t->model->arch->name);
    line_number(&t->log, "params", (double)params_total(t->model->params));
    line_number(&t->log, "steps", s->schedule.steps);
    line_number(&t->log, "batch", s->batch);
    line_number(&t->log, "ctx", s->ctx);
    line_number(&t->log, "lr", s->schedule.lr);
    line_text(&t->log, "schedule", schedule_name(s->schedule.kind));
    line_text(&t->log, "dtype", s->compute == COMPUTE_BF16 ? "bf16" : "f32");
    return end_line(t, err);
}

/* Builds the run under another name, step 0 included, and lets it appear. */
static int give_birth(lithe_trainer *t, const lithe_train_options *o, const char *run, lithe_error *err)
{
    char *temporary = run_begin(run, err), *named = strdup(run);
    if (!temporary || !named) {
        free(temporary);
        free(named);
        return err->status ? (int)err->status : fail(err, LITHE_ENOMEM, "%s: out of memory", run);
    }
    t->run = temporary;
    int status = furnish(t, o, err);
    if (!status && o->seconds > 0) status = trainer_seconds(t, o, err);
    if (!status) status = log_start(t, err);
    if (!status) status = trainer_save(t, err);
    log_close(&t->log);
    if (!status) status = run_appear(temporary, run, err);
    if (status) dir_remove(temporary, NULL);
    free(temporary);
    t->run = named;
    return status ? status : log_open(&t->log, run, err);
}

lithe_trainer *trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *tokenizer, const lithe_train_options *o, const char *run, const trainer_hooks *hooks, lithe_error *err)
{
    lithe_train_options options;
    lithe_error own = { 0 };
    if (failed(err)) return NULL;
    if (!err) err = &own;
    if (options_read(&options, sizeof options, o, "lithe_train_options", err)) return NULL;
    o = &options;
    if (!m || !d || !run || !*run) { fail(err, LITHE_EINVAL, "training needs a model, a dataset and a directory"); return NULL; }
    char *named = strdup(run);
    for (size_t n = named ? strlen(named) : 0; n > 1 && named[n - 1] == '/'; n--) named[n - 1] = 0;
    lithe_trainer *t = named ? trainer_new(hooks, err) : NULL;
    int status = t ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for a trainer");
    if (!status) {
        t->model = m;
        t->data = d;
        t->tokenizer = tokenizer;
        dataset_identity(d, t->identity, sizeof t->identity);
        if (!dir_is_empty(named)) status = fail(err, LITHE_EINVAL, "%s: exists and is not empty: continue it with --resume, or name another --out", named);
    }
    if (!status) status = settings_resolve(&t->settings, o, m, d, err);
    if (!status) status = trainer_begin(t, err);
    if (!status) status = settings_samples(&t->settings, o, t->objective.samples, err);
    if (!status) status = trainer_prepare(t, err);
    if (!status) status = begin_moments(t, o, err);
    if (!status) status = give_birth(t, o, named, err);
    free(named);
    if (!status) return t;
    lithe_trainer_close(t);
    return NULL;
}

/* ---- the rest --------------------------------------------------------------------------------- */

const char  *lithe_trainer_model_dir(const lithe_trainer *t) { return t ? t->run : NULL; }
lithe_model *lithe_trainer_model(lithe_trainer *t)           { return t ? t->model : NULL; }

void lithe_trainer_close(lithe_trainer *t)
{
    if (!t) return;
    feed_close(&t->train);
    feed_close(&t->valid);
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

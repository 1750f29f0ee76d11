/* The training loop, one event at a time.  A step is
 *   samples -> loss and gradients, in `accumulate` micro-batches -> norm, clip -> AdamW
 * and a step whose loss or gradient is not finite, or whose loss exploded, is skipped: it changes nothing.
 * After three skipped steps in a row the run rolls back to the newest good checkpoint
 * and halves the learning rate, while the data continue; when it would roll back a
 * fourth time, it has diverged.
 * Invariant: the next event is a function of settings, progress, weights and moments,
 * all of which a checkpoint holds; of time only in a run with a budget of it, and then with a checkpoint. */
#include "train/run_dir.h"
#include "train/trainer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- lines ------------------------------------------------------------------------------ */

static double wall_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

typedef struct { const char *tag; double value; } scalar;

/* The event file is opened with the first value, so that resuming a finished run makes none. */
static int write_scalars(lithe_trainer *t, const scalar *s, int count, lithe_error *err)
{
    int status = LITHE_OK, at = t->progress.step;
    double now = wall_now();
    if (!trainer_writes(t)) return LITHE_OK;
    if (!t->events.path) {
        status = tensorboard_open(&t->events, t->run, err);
        if (!status && at > 1) status = tensorboard_restart(&t->events, now, at, err);
    }
    for (int i = 0; i < count && !status; i++) status = tensorboard_scalar(&t->events, now, at, s[i].tag, s[i].value, err);
    return status;
}

/* ---- the events -------------------------------------------------------------------------- */

/* Why a step must not change the weights; false when it may. */
static bool failing(const lithe_trainer *t, const lithe_event *e, char *why, size_t size)
{
    const recent_losses *r = &t->progress.losses;
    double bad = isfinite(e->loss) ? e->grad_norm : e->loss;
    bool exploded = losses_exploded(r, e->loss);
    if (!isfinite(bad)) snprintf(why, size, "%s is %s", isfinite(e->loss) ? "gradient's norm" : "loss", isnan(bad) ? "not a number" : "infinite");
    else if (exploded) snprintf(why, size, "loss is %.6g, far above that of the steps before, %.6g", e->loss, r->mean);
    return !isfinite(bad) || exploded;
}

static int skip(lithe_trainer *t, lithe_event *e, const char *why, lithe_error *err)
{
    progress *p = &t->progress;
    p->skipped++;
    p->in_a_row++;
    e->kind = LITHE_SKIPPED;
    snprintf(t->text, sizeof t->text, "step %d is skipped: the %s", p->step, why);
    line_begin(&t->log, p->step);
    line_text(&t->log, "skipped", t->text);
    return trainer_end_line(t, err);
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
    if (ranks_count(t->ranks) > 1) line_number(&t->log, "waited", e->waited);
    int status = trainer_end_line(t, err);
    return status ? status : write_scalars(t, s, sizeof s / sizeof *s, err);
}

/* Each rank updates its shares of the weights, which then come to all.  A matrix that is orthogonalised must be
 * whole. */
static int update(lithe_trainer *t, double lr, double norm, lithe_error *err)
{
    const params *p = t->model->params;
    optimizer_momentum(&t->optimizer, norm);
    int status = t->optimizer.matrix_count ? ranks_spread(t->ranks, p->grad, p->arena_count, err) : LITHE_OK;
    if (status) return status;
    optimizer_step(&t->optimizer, t->kernels, lr, norm);
    return ranks_spread(t->ranks, params_edit(t->model->params), t->model->params->arena_count, err);
}

/* The data are read before weights change, so these are of the step before when a file of the data turns out to be
 * another for any rank: they are saved.  By the same exchange x becomes its sum over all ranks, and rank 0 says whether
 * it is off its budget of time. */
static int check_data(lithe_trainer *t, double *x, lithe_error *err)
{
    lithe_error changed = { 0 }, unsaved = { 0 };
    double sums[3] = { *x, dataset_intact(t->data, &changed) != LITHE_OK, t->ranks && trainer_budget_off(t) };
    int status = ranks_sum(t->ranks, sums, 3, err);
    *x = sums[0];
    t->budget.off = sums[2] > 0;
    if (status || !(sums[1] > 0)) return status;
    ranks_fail_alike(t->ranks);
    if (!changed.status) fail(&changed, LITHE_EFORMAT, "%.100s/data: another rank found it changed while it was being read", t->run);
    bool saved = !t->replay && (t->saved || !trainer_save(t, &unsaved));
    return saved ? fail(err, changed.status, "%s; the run is saved as %.100s/ckpt-%d", changed.text, t->run, t->progress.step)
                 : fail(err, changed.status, "%s", changed.text);
}

static int take_step(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    const settings *s = &t->settings;
    progress *p = &t->progress;
    char why[160];
    double began = seconds_now();
    ranks_waited(t->ranks);
    int status = trainer_step_loss(t, p->step + 1, &t->train_loss, err);
    double squares = status ? 0 : optimizer_squares(&t->optimizer, t->kernels);     /* of this rank's shares */
    if (!status) status = check_data(t, &squares, err);
    if (status) return status;
    e->grad_norm = sqrt(squares);
    p->step++;
    p->lines = 0;
    p->evaluated = t->saved = false;
    e->kind = LITHE_STEPPED;
    e->lr = schedule_lr(&s->schedule, p->step) * p->lr_scale;
    e->loss = t->train_loss;
    e->tokens = t->step_rows;
    e->flops = t->step_flops + optimizer_flops(&t->optimizer);
    p->tokens += e->tokens;
    e->seconds = seconds_now() - began;
    if (failing(t, e, why, sizeof why)) return skip(t, e, why, err);
    losses_add(&p->losses, e->loss);
    status = update(t, e->lr, e->grad_norm, err);
    p->in_a_row = 0;
    e->seconds = seconds_now() - began;
    e->waited = ranks_waited(t->ranks);
    trainer_stepped(t, e->seconds);
    return status ? status : log_step(t, e, err);
}

/* Metrics that the task does not have are left out. */
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
    int status = trainer_end_line(t, err);
    return status ? status : write_scalars(t, known, n, err);
}

static int evaluate(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    progress *p = &t->progress;
    evaluation v;
    double began = seconds_now(), nothing = 0;
    bool next = t->objective.kind == &predict_next;
    int status = trainer_validate(t, &v, err);
    if (!status) status = check_data(t, &nothing, err);
    if (status) return status;
    e->kind = LITHE_EVALUATED;
    p->valid_loss = v.mean;
    p->bits_per_byte = next ? v.loss / log(2) / dataset_valid_bytes(t->data, (uint64_t)v.targets) : NAN;
    p->evaluated = true;
    t->metrics = v.metrics;
    e->seconds = seconds_now() - began;
    status = log_evaluation(t, e, err);
    if (!status && p->step == 0) status = trainer_rate(t, err);       /* it is saved before its evaluation */
    if (!status && trainer_samples(t)) status = trainer_sample(t, err);
    t->budget.check = seconds_now() - began;
    return status;
}

static int roll_back(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    progress *p = &t->progress;
    e->kind = LITHE_ROLLED_BACK;
    if (p->roll_backs == MAX_ROLL_BACKS || p->good_step < 0) {
        ranks_fail_alike(t->ranks);
        return fail(err, LITHE_EDIVERGED, "%s: step %d: %d steps in a row that had to be skipped, after %d roll-backs: "
                    "the run has diverged, start it with a smaller learning rate than %g", t->run, p->step, p->in_a_row, p->roll_backs,
                    t->settings.schedule.lr);
    }
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
    return trainer_end_line(t, err);
}

static int grow(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    e->kind = LITHE_GREW;
    double began = seconds_now();
    int status = trainer_grow(t, &t->growth, err);
    if (status) return status;
    t->progress.losses = (recent_losses){ 0 };
    e->seconds = seconds_now() - began;
    e->growth = &t->growth;
    e->lr = schedule_lr(&t->settings.schedule, t->progress.step) * t->progress.lr_scale;
    snprintf(t->text, sizeof t->text, "%s", t->growth.moves);
    line_begin(&t->log, t->progress.step);
    line_text(&t->log, "grew", t->growth.moves);
    line_text(&t->log, "method", t->growth.method);
    line_number(&t->log, "params_before", (double)t->growth.params_before);
    line_number(&t->log, "params", (double)t->growth.params_after);
    line_number(&t->log, "max_logit", t->growth.max_logit);
    line_number(&t->log, "max_difference", t->growth.max_difference);
    line_number(&t->log, "rms_before", t->growth.rms_before);
    line_number(&t->log, "rms_after", t->growth.rms_after);
    line_text(&t->log, "says", t->growth.says);
    line_text(&t->log, "symmetry", t->growth.symmetry);
    line_number(&t->log, "lr", e->lr);
    return trainer_end_line(t, err);
}

static int save_checkpoint(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    double began = seconds_now();
    e->kind = LITHE_SAVED;
    int status = trainer_replan(t, err);
    if (!status) status = trainer_save(t, err);
    t->budget.save = e->seconds = seconds_now() - began;
    snprintf(t->text, sizeof t->text, "%s/ckpt-%d", t->run, t->progress.step);
    return status;
}

/* Makes RUN itself a MODEL by linking the newest checkpoint's files into it. */
static int finish(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    static const char *const except[] = { MOMENTS_FILE, "trainer.json", "manifest.json", NULL };
    e->kind = LITHE_FINISHED;
    char *dir = checkpoint_path(t->run, t->progress.step);
    int status = dir ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    if (!status && trainer_writes(t)) status = run_link(dir, t->run, except, err);
    free(dir);
    snprintf(t->text, sizeof t->text, "%s", t->run);
    return status;
}

/* ---- what is next ------------------------------------------------------------------------- */

typedef int action(lithe_trainer *t, lithe_event *e, lithe_error *err);

static bool every(const lithe_trainer *t, int n) { return t->progress.step % n == 0 || t->progress.step == t->settings.schedule.steps; }

static action *next_action(const lithe_trainer *t)
{
    const settings *s = &t->settings;
    const progress *p = &t->progress;
    bool growth_due = p->grown < s->growth_count && s->growths[p->grown].at <= p->step, grew = p->grown_at == p->step;
    if (p->in_a_row >= SKIPS_IN_A_ROW) return roll_back;
    if (t->valid.pass.g && !p->evaluated && (every(t, s->eval_every) || growth_due || grew)) return evaluate;
    if (growth_due) return grow;
    if (!t->saved && p->step > 0 && (every(t, s->save_every) || grew || trainer_replan_due(t))) return save_checkpoint;
    return p->step >= s->schedule.steps ? finish : take_step;
}

int lithe_trainer_next(lithe_trainer *t, lithe_event *out, lithe_error *err)
{
    lithe_event ignored, *e = out ? out : &ignored;
    *e = (lithe_event){ 0 };
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "there is no trainer");
    int status = LITHE_OK;
    action *next = t->notice ? NULL : next_action(t);
    e->loss = t->train_loss;
    if (!t->notice) t->text[0] = 0;
    if (next) status = next(t, e, err);
    else e->kind = LITHE_ROLLED_BACK;
    if (!status) status = check_pending(err);
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

/* ---- the rest ------------------------------------------------------------------------------ */

const char  *lithe_trainer_model_dir(const lithe_trainer *t) { return t ? t->run : NULL; }
lithe_model *lithe_trainer_model(lithe_trainer *t)           { return t ? t->model : NULL; }
int          lithe_trainer_pairs(const lithe_trainer *t)     { return t && lithe_dataset_pairs(t->data); }

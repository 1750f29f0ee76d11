/* Turns a budget of seconds into a number of steps before the run begins: it times
 * some steps whose gradients are discarded, subtracts the time of evaluations and
 * checkpoints, and divides the rest.  The number is part of the settings from step 0
 * on.  As the machine may become busy, or idle, each checkpoint chooses it again, and holds the new one: a run that is
 * resumed, even on another machine, has the number of its checkpoint. */
#include "train/trainer.h"
#include <math.h>
#include <stdlib.h>

/* AdamW moves seven times the bytes that the norm reads */
enum { TIMED_MAX = 10, TIMED_MIN = 2, TIMES_MAX = 10, WEIGHTS_PASSES = 7 };
/* Of the budget: for timing; for evaluations and checkpoints each; in all. */
static const double TIMED_SHARE = 0.03, EXTRA_SHARE = 0.1, USED_SHARE = 0.95;
/* Of the budget: the error that makes a checkpoint of its own worth while, the least time between two choices, and how
 * many checkpoints would fit into that time; the error that is not worth another number; how long a step counts. */
static const double OFF_SHARE = 0.08, APART_SHARE = 0.05, APART_SAVES = 10, SAME_SHARE = 0.02, FORGOTTEN_SHARE = 0.1;

static int by_size(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double time_step(lithe_trainer *t, lithe_error *err)
{
    double began = seconds_now(), before_norm, norm, loss;
    params_edit(t->model->params);                          /* weights are packed again, as after an update */
    trainer_step_loss(t, 1, &loss, err);
    before_norm = seconds_now();
    optimizer_squares(&t->optimizer, t->kernels);
    norm = seconds_now() - before_norm;
    optimizer_rehearse(&t->optimizer, t->kernels);
    return seconds_now() - began + WEIGHTS_PASSES * norm;
}

static double median_step(lithe_trainer *t, double budget, lithe_error *err)
{
    double times[TIMED_MAX], began = seconds_now();
    int n = 0;
    time_step(t, err);                                      /* not counted: its memory is cold */
    do times[n++] = time_step(t, err);
    while (n < TIMED_MAX && (n < TIMED_MIN || seconds_now() - began < TIMED_SHARE * budget));
    qsort(times, (size_t)n, sizeof *times, by_size);
    return times[n / 2];
}

static double time_evaluation(lithe_trainer *t, lithe_error *err)
{
    evaluation found;
    double began = seconds_now();
    if (t->valid.pass.g) trainer_validate(t, &found, err);
    if (trainer_samples(t)) trainer_sample(t, err);
    return seconds_now() - began;
}

/* Adds the time of evaluations or checkpoints, each of which takes `seconds`.  When no option says how often (every and
 * share are 0), there is one at the start and ten during the run, or fewer where they would take more than their
 * share. */
static int spread(double seconds, double budget, int every, double share, double *per_step, double *fixed)
{
    double count = share > 0 ? ceil(1 / share) : floor(EXTRA_SHARE * budget / seconds);
    int times = count > TIMES_MAX && !(share > 0) ? TIMES_MAX : count < 1 ? 1 : (int)count;
    if (every) *per_step += seconds / every;
    *fixed += seconds * (every ? 1 : times + 1);
    return times;
}

static int in_parts(int steps, int times) { return steps / times > 1 ? steps / times : 1; }

static double time_checkpoint(lithe_trainer *t, lithe_error *err)
{
    double began = seconds_now();
    trainer_save(t, err);
    return seconds_now() - began;
}

int trainer_seconds(lithe_trainer *t, const lithe_train_options *o, lithe_error *err)
{
    double began = seconds_now(), save = time_checkpoint(t, err), checks = time_evaluation(t, err), per_step, fixed = 0;
    if (failed(err)) return err->status;
    const double each = per_step = median_step(t, o->seconds, err);
    if (failed(err)) return err->status;
    settings *s = &t->settings;
    int evaluations = spread(checks, o->seconds, o->eval_every, o->eval_share, &per_step, &fixed);
    int checkpoints = spread(save, o->seconds, o->save_every, o->save_share, &per_step, &fixed);
    double left = USED_SHARE * o->seconds - fixed - (seconds_now() - began), steps = floor(left / per_step);
    if (steps > 1 << 30) return fail(err, LITHE_EINVAL, "%.0f seconds hold more steps than a run may have", o->seconds);
    if (o->steps_most && steps > o->steps_most) steps = o->steps_most;
    settings_length(s, o, steps > 1 ? (int)steps : 1);
    if (!o->eval_every && !(o->eval_share > 0)) s->eval_every = in_parts(s->schedule.steps, evaluations);
    if (!o->save_every && !(o->save_share > 0)) s->save_every = in_parts(s->schedule.steps, checkpoints);
    t->budget = (time_budget){ .seconds = o->seconds, .began = began, .planned = seconds_now(), .step = each, .check = checks, .save = save, .most = o->steps_most };
    return LITHE_OK;
}

/* ---- while it runs ------------------------------------------------------------------------- */

/* A mean that forgets within a share of the budget. */
void trainer_stepped(lithe_trainer *t, double seconds)
{
    time_budget *b = &t->budget;
    if (b->seconds > 0) b->step += (1 - exp(-seconds / (FORGOTTEN_SHARE * b->seconds))) * (seconds - b->step);
}

/* The number of steps that fit the budget at the present pace, with the evaluations and checkpoints among them; 0:
 * there is no budget. */
static double steps_that_fit(const lithe_trainer *t)
{
    const time_budget *b = &t->budget;
    const settings *s = &t->settings;
    double pace = b->step + b->check / s->eval_every + b->save / s->save_every, left = USED_SHARE * b->seconds - (seconds_now() - b->began);
    if (!(b->seconds > 0)) return 0;
    double steps = t->progress.step + fmax(1, floor(left / pace));
    return b->most && steps > b->most ? b->most : fmin(steps, STEPS_MAX);
}

static bool differs(const lithe_trainer *t, double steps, double share)
{
    const double planned = t->settings.schedule.steps;
    return steps > 0 && fabs(steps - planned) > share * planned;
}

bool trainer_budget_off(const lithe_trainer *t)
{
    const time_budget *b = &t->budget;
    if (!(b->seconds > 0)) return false;
    double apart = seconds_now() - b->planned;
    return apart > fmax(APART_SHARE * b->seconds, APART_SAVES * b->save) && differs(t, steps_that_fit(t), OFF_SHARE);
}

bool trainer_replan_due(const lithe_trainer *t)
{
    if (t->saved || t->progress.step >= t->settings.schedule.steps) return false;
    return t->ranks ? t->budget.off : trainer_budget_off(t);
}

/* A growth that was planned keeps its step. */
static int after_growths(const settings *s, int steps)
{
    for (int i = 0; i < s->growth_count; i++) if (s->growths[i].at >= steps) steps = s->growths[i].at + 1;
    return steps;
}

int trainer_replan(lithe_trainer *t, lithe_error *err)
{
    settings *s = &t->settings;
    double steps = t->progress.step < s->schedule.steps ? steps_that_fit(t) : 0;
    int status = ranks_tell(t->ranks, &steps, sizeof steps, err);
    if (status || !(steps > 0)) return status;
    t->budget.planned = seconds_now();
    if (!differs(t, steps, SAME_SHARE)) return LITHE_OK;
    s->schedule.steps = after_growths(s, (int)steps);
    line_begin(&t->log, t->progress.step);
    line_number(&t->log, "steps", s->schedule.steps);
    return trainer_end_line(t, err);
}

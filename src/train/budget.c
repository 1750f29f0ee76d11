/* Turns a budget of seconds into a number of steps before the run begins: it times
 * some steps whose gradients are discarded, subtracts the time of evaluations and
 * checkpoints, and divides the rest.  The number is part of the settings from step 0
 * on, so a run that is resumed, even on another machine, is the same run. */
#include "train/trainer.h"
#include <math.h>
#include <stdlib.h>

/* AdamW moves seven times the bytes that the norm reads */
enum { TIMED_MAX = 10, TIMED_MIN = 2, TIMES_MAX = 10, WEIGHTS_PASSES = 7 };
/* Of the budget: for timing; for evaluations and checkpoints each; in all. */
static const double TIMED_SHARE = 0.03, EXTRA_SHARE = 0.1, USED_SHARE = 0.95;

static int by_size(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double time_step(lithe_trainer *t, lithe_error *err)
{
    double began = seconds_now(), before_norm, loss;
    params_edit(t->model->params);                          /* weights are packed again, as after an update */
    trainer_step_loss(t, 1, &loss, err);
    before_norm = seconds_now();
    optimizer_squares(&t->optimizer, t->kernels);
    return seconds_now() - began + WEIGHTS_PASSES * (seconds_now() - before_norm);
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

/* Adds the time of evaluations or checkpoints, each of which takes `seconds`.  When no option says how often (every is
 * 0), there is one at the start and ten during the run, or fewer where they would take more than their share. */
static int spread(double seconds, double budget, int every, double *per_step, double *fixed)
{
    double count = floor(EXTRA_SHARE * budget / seconds);
    int times = count > TIMES_MAX ? TIMES_MAX : count < 1 ? 1 : (int)count;
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
    per_step = median_step(t, o->seconds, err);
    if (failed(err)) return err->status;
    int evaluations = spread(checks, o->seconds, o->eval_every, &per_step, &fixed);
    int checkpoints = spread(save, o->seconds, o->save_every, &per_step, &fixed);
    double left = USED_SHARE * o->seconds - fixed - (seconds_now() - began), steps = floor(left / per_step);
    if (steps > 1 << 30) return fail(err, LITHE_EINVAL, "%.0f seconds hold more steps than a run may have", o->seconds);
    settings *s = &t->settings;
    settings_length(s, o, steps > 1 ? (int)steps : 1);
    if (!o->eval_every) s->eval_every = in_parts(s->schedule.steps, evaluations);
    if (!o->save_every) s->save_every = in_parts(s->schedule.steps, checkpoints);
    return LITHE_OK;
}

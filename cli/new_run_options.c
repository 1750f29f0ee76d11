/* The options of a new run's trainer, as they were typed or are usual: how long it takes, and all that the library
 * needs to know. */
#include "new_run.h"
#include "inputs.h"
#include "output.h"
#include "quantity.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef train_settings S;

static const double run_seconds = 300, passes_of_others = 20;
enum { STEPS_LEAST = 100 };

int new_run_batch(const new_run *k)
{
    return k->s->batch ? k->s->batch : k->choice.batch && !lithe_dataset_examples(k->data, 0) ? k->choice.batch : lithe_dataset_batch(k->data);
}

/* The steps of as many passes over the data as are good for it. */
static int steps_of_passes(const new_run *k, double step_tokens)
{
    double tokens = k->images ? (double)lithe_dataset_examples(k->data, 0) * lithe_model_context(k->model) : (double)lithe_dataset_tokens(k->data, 0);
    double passes = k->choice.passes > 0 ? k->choice.passes : passes_of_others;
    return (int)fmin(NEVER, fmax(STEPS_LEAST, ceil(passes * tokens / step_tokens)));
}

int steps_of(const arguments *a, const char *name, amount x, int none)
{
    if (option_origin(a, name) == ORIGIN_DEFAULT) return 0;
    if (!(x.value > 0)) return none;
    return x.unit ? 0 : x.value < 1 ? 1 : x.value > NEVER ? NEVER : (int)x.value;
}

double share_of(amount x) { return x.unit ? x.value / 100 : 0; }

/* Zero means the library's default, so a zero that the user asked for becomes a negative number. */
static double or_off(const arguments *a, const char *name, double x)
{
    return option_origin(a, name) != ORIGIN_DEFAULT && !(x > 0) ? -1 : x;
}

/* As typed, or what suits so many passes over the text. */
static double decay_of(const new_run *k, bool usual)
{
    const bool typed = option_origin(k->a, "weight-decay") != ORIGIN_DEFAULT;
    return typed || !usual ? or_off(k->a, "weight-decay", k->s->weight_decay) : k->choice.weight_decay;
}

/* The options of growths as one text, as in lithe_train_options; NULL when none is given. */
static const char *growing_options(new_run *k)
{
    const S *s = k->s;
    size_t n = 0, size = sizeof k->grow_with;
    char *text = k->grow_with;
    if (s->grow_noise > 0) n += (size_t)snprintf(text + n, size - n, "noise=%.9g,", s->grow_noise);
    if (s->grow_old_lr > 0) n += (size_t)snprintf(text + n, size - n, "old_lr=%.9g,", s->grow_old_lr);
    if (s->grow_rewarm) n += (size_t)snprintf(text + n, size - n, "rewarm=%d,", s->grow_rewarm);
    if (s->grow_where) n += (size_t)snprintf(text + n, size - n, "where=%s,", s->grow_where);
    if (s->grow_seed) n += (size_t)snprintf(text + n, size - n, "seed=%llu,", (unsigned long long)s->grow_seed);
    n += (size_t)snprintf(text + n, size - n, "%s%s", s->grow_portable ? "portable," : "", s->grow_freeze_old ? "freeze_old," : "");
    return n ? text : NULL;
}

/* What reading the text and learning a vocabulary have left of the budget: half of it at least. */
static double seconds_left(const new_run *k) { return fmax(k->budget / 2, k->budget - (clock_seconds() - k->began)); }

static const char *dtype_of(const new_run *k)
{
    return k->s->dtype ? k->s->dtype : k->choice.dtype && !k->s->task ? k->choice.dtype : "f32";
}

int new_run_options(new_run *k)
{
    const S *s = k->s;
    const arguments *a = k->a;
    int ctx = s->ctx ? s->ctx : lithe_model_context(k->model) < 1024 ? lithe_model_context(k->model) : 1024;
    double step_tokens = (double)new_run_batch(k) * ctx * (s->bptt ? s->bptt : 1);
    size_t examples = lithe_dataset_examples(k->data, 0);
    bool lasting = s->tokens > 0 || s->time > 0 || s->epochs > 0 || (examples && !k->images);
    const bool usual = !s->steps && !lasting;
    k->budget = usual ? run_seconds : s->time;
    k->options = LITHE_OPTIONS(lithe_train_options,
        .ctx = s->ctx, .batch = new_run_batch(k), .accumulate = s->accumulate, .lr = s->lr > 0 || !s->task || s->from ? s->lr : 1e-3, .min_lr = or_off(a, "min-lr", s->min_lr),
        .schedule = s->schedule, .weight_decay = decay_of(k, usual), .beta1 = s->beta1, .beta2 = s->beta2, .eps = s->eps,
        .clip = or_off(a, "clip", s->clip), .steps = s->steps, .tokens = s->tokens, .seconds = seconds_left(k), .steps_most = usual ? steps_of_passes(k, step_tokens) : 0, .epochs = s->epochs, .dtype = dtype_of(k), .wire = s->wire, .optimizer = s->optimizer, .cautious_decay = s->cautious_decay, .mask = s->mask, .augment = s->augment,
        .mask_rate = s->mask_rate, .mask_keep = or_off(a, "mask-keep", s->mask_keep), .mask_random = or_off(a, "mask-random", s->mask_random),
        .static_masking = s->static_masking, .packing = s->packing,
        .warmup = steps_of(a, "warmup", s->warmup, -1), .eval_windows = s->eval_windows,
        .eval_every = steps_of(a, "eval-every", s->eval_every, NEVER), .save_every = steps_of(a, "save-every", s->save_every, NEVER),
        .warmup_share = share_of(s->warmup), .eval_share = share_of(s->eval_every), .save_share = share_of(s->save_every),
        .seed = s->seed, .recompute = s->recompute, .bptt = s->bptt, .sample = s->sample, .grow_at = s->grow_at, .grow_method = s->grow_method, .grow_with = growing_options(k),
        .moments = s->moments, .from = s->from, .command = k->command, .ranks = k->ranks);
    const struct { const char *name; double share; } shares[] = { { "warmup", k->options.warmup_share }, { "eval-every", k->options.eval_share }, { "save-every", k->options.save_share } };
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (shares[i].share > 1) wrong(&k->err, LITHE_EINVAL, "--%s %g%%: a share of the steps is at most 100%%", shares[i].name, 100 * shares[i].share);
    return k->err.status;
}

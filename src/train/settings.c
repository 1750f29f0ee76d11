/* Turns the options of a run into its settings (train/settings.h). */
#include "train/settings.h"
#include "base/arena.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const progress progress_start = {
    .lr_scale = 1, .grown_at = -1, .valid_loss = NAN, .bits_per_byte = NAN, .best_loss = NAN, .best_step = -1, .good_step = -1,
};

/* ---- options ------------------------------------------------------------------------ */

static int or_int(int given, int usual) { return given ? given : usual; }
static double or_real(double given, double usual) { return given < 0 || given > 0 ? given : usual; }
static double not_below_zero(double x) { return x > 0 ? x : 0; }

/* Steps: as given, else the share of all of them. */
static int or_share(int given, double share, int steps) { return given ? given : (int)fmax(1, ceil(steps * share - 1e-9)); }

static int check_options(const lithe_train_options *o, lithe_error *err)
{
    const struct { const char *name; double value, least, most; } bounds[] = {
        { "ctx", o->ctx, 0, WINDOWS_MAX }, { "batch", o->batch, 0, WINDOWS_MAX }, { "accumulate", o->accumulate, 0, WINDOWS_MAX },
        { "bptt", o->bptt, 0, WINDOWS_MAX },
        { "steps", o->steps, 0, STEPS_MAX }, { "tokens", o->tokens, 0, 1e18 }, { "seconds", o->seconds, 0, 1e9 },
        { "lr", o->lr, 0, 1e6 }, { "min_lr", o->min_lr, -1e6, 1e6 }, { "warmup", o->warmup, -1, STEPS_MAX },
        { "weight_decay", o->weight_decay, -1e6, 1e6 }, { "beta1", o->beta1, 0, BETA_MAX }, { "beta2", o->beta2, 0, BETA_MAX },
        { "eps", o->eps, 0, 1 }, { "clip", o->clip, -1e18, 1e18 }, { "eval_every", o->eval_every, 0, STEPS_MAX },
        { "save_every", o->save_every, 0, STEPS_MAX }, { "eval_windows", o->eval_windows, 0, STEPS_MAX }, { "epochs", o->epochs, 0, 1e9 },
        { "steps_most", o->steps_most, 0, STEPS_MAX }, { "warmup_share", o->warmup_share, 0, 1 }, { "eval_share", o->eval_share, 0, 1 },
        { "save_share", o->save_share, 0, 1 }, { "mask_rate", o->mask_rate, 0, 1 }, { "mask_keep", o->mask_keep, -1, 1 }, { "mask_random", o->mask_random, -1, 1 },
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (!(bounds[i].value >= bounds[i].least && bounds[i].value <= bounds[i].most))
            return fail(err, LITHE_EINVAL, "%s is %g, must be from %g to %g", bounds[i].name, bounds[i].value, bounds[i].least, bounds[i].most);
    if ((o->steps > 0) + (o->tokens > 0) + (o->seconds > 0) + (o->epochs > 0) > 1)
        return fail(err, LITHE_EINVAL, "steps, tokens, seconds and epochs all say how long to train: give one of them");
    if (not_below_zero(o->mask_keep) + not_below_zero(o->mask_random) > 1)
        return fail(err, LITHE_EINVAL, "mask_keep %g and mask_random %g are shares of the masked tokens, together at most 1", o->mask_keep, o->mask_random);
    return LITHE_OK;
}

static bool copy_text(char **to, const char *from) { return !from || (*to = xstrdup(from)); }

text_task settings_task(const settings *s, const lithe_model *m)
{
    if (m->task.kind == TASK_PRETRAIN) return LEARN_PAIRS;
    if (!arch_encoder(m->arch, m->config)) return LEARN_NEXT;
    return s->objective.sentences ? LEARN_SENTENCES : LEARN_MASKED;
}

/* Chooses the tokens of a window: the option, else the model's context, and not more than the data have. */
static int choose_ctx(settings *s, const lithe_train_options *o, const lithe_model *m, const lithe_dataset *d, lithe_error *err)
{
    int context = lithe_model_context(m);
    if (o->ctx > context) return fail(err, LITHE_EINVAL, "ctx is %d, the model's context is %d", o->ctx, context);
    s->ctx = o->ctx ? o->ctx : context < 1024 ? context : 1024;
    if (s->bptt > WINDOWS_MAX / s->ctx) return fail(err, LITHE_EINVAL, "%d windows of %d tokens are more than %d tokens", s->bptt, s->ctx, WINDOWS_MAX);
    int tokens = s->ctx * s->bptt, status = d->kind->context(d, settings_task(s, m), o->ctx, context, &tokens, err);
    s->ctx = tokens / s->bptt;
    return status;
}

int settings_kinds(settings *s, const char *schedule_text, const char *type, lithe_error *err)
{
    int kind = schedule_find(schedule_text);
    if (kind < 0) return fail(err, LITHE_EINVAL, "schedule is \"%s\", expected cosine, constant, linear, wsd or inverse-sqrt", schedule_text);
    if (strcmp(type, "f32") && strcmp(type, "bf16")) return fail(err, LITHE_EINVAL, "dtype is \"%s\", expected f32 or bf16", type);
    s->schedule.kind = (schedule_kind)kind;
    s->compute = strcmp(type, "bf16") ? COMPUTE_F32 : COMPUTE_BF16;
    return LITHE_OK;
}

static int choose_masks(settings *s, const lithe_train_options *o, const recipe *r, lithe_error *err)
{
    mask_settings *m = &s->objective.mask;
    int kind = mask_find(o->mask ? o->mask : r->mask);
    if (kind < 0) return fail(err, LITHE_EINVAL, "mask is \"%s\", expected each, count or words", o->mask);
    *m = (mask_settings){ .kind = (mask_kind)kind, .rate = or_real(o->mask_rate, r->mask_rate), .keep = not_below_zero(or_real(o->mask_keep, 0.1)),
                          .random = not_below_zero(or_real(o->mask_random, 0.1)), .fixed = o->static_masking };
    s->objective.valid_rate = 0.15;
    if (o->packing && strcmp(o->packing, "pieces") && strcmp(o->packing, "sentences"))
        return fail(err, LITHE_EINVAL, "packing is \"%s\", expected pieces or sentences", o->packing);
    s->objective.sentences = o->packing ? !strcmp(o->packing, "sentences") : r->sentences;
    return LITHE_OK;
}

/* A model that was trained already changes a tenth as fast, unless it goes on with its moments; the recipe of labelled
 * tables is one of fine-tuning as it is. */
static double usual_rate(const lithe_train_options *o, const recipe *r, const lithe_model *m, bool fine_tuning)
{
    const bool carry = o->moments && !strcmp(o->moments, "carry"), trained = o->from || m->path;
    return recipe_lr(r, arch_int(m->arch, m->config, m->arch->growth.keys.width)) * (trained && !carry && !fine_tuning ? TUNING_SHARE : 1);
}

static int choose_optimizer(settings *s, const lithe_train_options *o, const recipe *r, double usual_lr, lithe_error *err)
{
    const bool muon = o->optimizer && !strcmp(o->optimizer, "muon");
    if (o->optimizer && !muon && strcmp(o->optimizer, "adamw") && strcmp(o->optimizer, "decoupled-adamw"))
        return fail(err, LITHE_EINVAL, "optimizer is \"%s\", expected adamw, decoupled-adamw or muon", o->optimizer);
    if (o->cautious_decay && !muon) return fail(err, LITHE_EINVAL, "cautious_decay is for the matrices that muon trains: the optimizer is %s", o->optimizer ? o->optimizer : "adamw");
    bool decoupled = o->optimizer ? !strcmp(o->optimizer, "decoupled-adamw") : r->decoupled;
    double decay = decoupled == r->decoupled ? r->weight_decay : decoupled ? 1e-5 : 0.01;
    s->schedule.lr = or_real(o->lr, usual_lr);
    s->schedule.min_lr = not_below_zero(or_real(o->min_lr, s->schedule.lr * r->floor));
    s->optimizer = (optimizer_settings){
        .beta1 = or_real(o->beta1, r->beta1), .beta2 = or_real(o->beta2, r->beta2), .eps = or_real(o->eps, r->eps),
        .weight_decay = not_below_zero(or_real(o->weight_decay, decay)), .clip = not_below_zero(or_real(o->clip, r->clip)),
        .decoupled = decoupled, .peak = s->schedule.lr, .muon = muon, .cautious = o->cautious_decay != 0,
    };
    return LITHE_OK;
}

static int choose_augmentation(settings *s, const lithe_train_options *o, const lithe_dataset *d, lithe_error *err)
{
    const char *usual = d->kind->augmentation ? d->kind->augmentation(d) : NULL, *name = o->augment ? o->augment : usual;
    if (!usual) return o->augment ? fail(err, LITHE_EINVAL, "augment is \"%s\", but the data are not images", o->augment) : LITHE_OK;
    if (!augmentation_find(name)) return fail(err, LITHE_EINVAL, "augment is \"%s\", expected none, photos or digits", name);
    return copy_text(&s->augment, name) ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for the options");
}

int settings_resolve(settings *s, const lithe_train_options *o, const lithe_model *m, const lithe_dataset *d, lithe_error *err)
{
    *s = (settings){ .seed = o->seed, .recompute = o->recompute, .usual_epochs = d->kind->epochs };
    const recipe *r = recipe_find(m->arch, d->kind->fine_tuning);
    int status = failed(err) ? (int)err->status : check_options(o, err);
    if (!status) status = settings_kinds(s, o->schedule ? o->schedule : r->schedule, o->dtype ? o->dtype : "f32", err);
    if (!status) status = settings_wire(s, o->wire ? o->wire : "f32", err);
    if (!status) status = choose_optimizer(s, o, r, usual_rate(o, r, m, d->kind->fine_tuning), err);
    if (!status) status = choose_masks(s, o, r, err);
    if (status) return status;
    s->batch = or_int(o->batch, d->kind->batch);
    s->accumulate = or_int(o->accumulate, 1);
    s->bptt = or_int(o->bptt, 1);
    s->eval_windows = or_int(o->eval_windows, d->kind->eval_windows ? d->kind->eval_windows : STEPS_MAX);
    s->warmup_share = o->warmup_share > 0 ? o->warmup_share : r->warmup;
    s->eval_share = o->eval_share;
    s->save_share = o->save_share;
    if (s->accumulate > s->batch)
        return fail(err, LITHE_EINVAL, "accumulate is %d: a step of %d windows cannot be split into that many parts", s->accumulate, s->batch);
    if (!copy_text(&s->sample, o->sample) || !copy_text(&s->grow_at, o->grow_at) || !copy_text(&s->grow_method, o->grow_method) || !copy_text(&s->grow_with, o->grow_with))
        return fail(err, LITHE_ENOMEM, "out of memory for the options");
    status = settings_growths(s, err);
    if (!status) status = choose_augmentation(s, o, d, err);
    return status ? status : choose_ctx(s, o, m, d, err);
}

int settings_samples(settings *s, const lithe_train_options *o, uint64_t samples, lithe_error *err)
{
    double step_tokens = (double)s->batch * s->ctx * s->bptt, epochs = o->epochs > 0 ? o->epochs : s->usual_epochs;
    double steps = o->steps > 0 ? o->steps : o->tokens > 0 ? ceil(o->tokens / step_tokens) : ceil(epochs * (double)samples / s->batch);
    if (steps > STEPS_MAX) return fail(err, LITHE_EINVAL, "that is %.0f steps, more than %d", steps, STEPS_MAX);
    settings_length(s, o, o->seconds > 0 ? 0 : (int)steps);
    return LITHE_OK;
}

int settings_wire(settings *s, const char *name, lithe_error *err)
{
    if (strcmp(name, "f32") && strcmp(name, "bf16")) return fail(err, LITHE_EINVAL, "wire is \"%s\", expected f32 or bf16", name);
    s->wire = strcmp(name, "bf16") ? WIRE_F32 : WIRE_BF16;
    return LITHE_OK;
}

void settings_length(settings *s, const lithe_train_options *o, int steps)
{
    int tenth = steps / 10 > 1 ? steps / 10 : 1;
    s->schedule.steps = steps;
    s->schedule.warmup = o->warmup < 0 ? 0 : or_int(o->warmup, (int)ceil(steps * s->warmup_share - 1e-9));
    s->eval_every = s->eval_share > 0 ? or_share(o->eval_every, s->eval_share, steps) : or_int(o->eval_every, tenth);
    s->save_every = s->save_share > 0 ? or_share(o->save_every, s->save_share, steps) : or_int(o->save_every, tenth);
}

void settings_free(settings *s)
{
    free(s->sample);
    free(s->grow_at);
    free(s->grow_method);
    free(s->grow_with);
    free(s->augment);
    *s = (settings){ 0 };
}

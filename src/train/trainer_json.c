/* Writes and reads trainer.json.  Invariant: every number that is read equals the one
 * that was written, and no entry is a time, a path or a number of threads. */
#include "base/json.h"
#include "base/arena.h"
#include "train/settings.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES = 16 << 20, JSON_DEPTH = 8 };

/* ..._OPTIONAL: older files do not have it.  NUMBER_OR_NULL: null stands for NaN.  TEXT: null, or what an
 * older file does not have, stands for NULL. */
typedef enum { INT, INT_OPTIONAL, NUMBER, NUMBER_OPTIONAL, NUMBER_OR_NULL, FLAG, TEXT } entry_kind;
typedef struct { const char *key; entry_kind kind; size_t offset; double least, most; } entry;

#define S(member) offsetof(settings, member)
static const entry of_settings[] = {
    { "ctx", INT, S(ctx), 1, WINDOWS_MAX }, { "batch", INT, S(batch), 1, WINDOWS_MAX }, { "accumulate", INT, S(accumulate), 1, WINDOWS_MAX },
    { "steps", INT, S(schedule.steps), 0, STEPS_MAX }, { "warmup", INT, S(schedule.warmup), 0, STEPS_MAX },
    { "lr", NUMBER, S(schedule.lr), 0, 1e6 }, { "min_lr", NUMBER, S(schedule.min_lr), 0, 1e6 },
    { "beta1", NUMBER, S(optimizer.beta1), 0, BETA_MAX }, { "beta2", NUMBER, S(optimizer.beta2), 0, BETA_MAX }, { "eps", NUMBER, S(optimizer.eps), 0, 1 },
    { "weight_decay", NUMBER, S(optimizer.weight_decay), 0, 1e6 }, { "clip", NUMBER, S(optimizer.clip), 0, 1e18 },
    { "eval_every", INT, S(eval_every), 1, STEPS_MAX }, { "save_every", INT, S(save_every), 1, STEPS_MAX },
    { "eval_windows", INT, S(eval_windows), 1, STEPS_MAX }, { "recompute", FLAG, S(recompute), 0, 1 },
    { "decoupled", FLAG, S(optimizer.decoupled), 0, 1 }, { "mask_rate", NUMBER, S(objective.mask.rate), 0, 1 }, { "mask_keep", NUMBER, S(objective.mask.keep), 0, 1 },
    { "mask_random", NUMBER, S(objective.mask.random), 0, 1 }, { "static_masking", FLAG, S(objective.mask.fixed), 0, 1 },
    { "whole_sentences", FLAG, S(objective.sentences), 0, 1 }, { "valid_mask_rate", NUMBER, S(objective.valid_rate), 0, 1 },
    { "sample", TEXT, S(sample), 0, 0 }, { "grow_at", TEXT, S(grow_at), 0, 0 }, { "grow_method", TEXT, S(grow_method), 0, 0 }, { "grow_with", TEXT, S(grow_with), 0, 0 },
    { "augment", TEXT, S(augment), 0, 0 }, { "bptt", INT_OPTIONAL, S(bptt), 1, WINDOWS_MAX }, { 0 },
};
#define P(member) offsetof(progress, member)
static const entry of_progress[] = {
    { "step", INT, P(step), 0, STEPS_MAX }, { "skipped", INT, P(skipped), 0, STEPS_MAX }, { "skipped_in_a_row", INT, P(in_a_row), 0, STEPS_MAX },
    { "roll_backs", INT, P(roll_backs), 0, MAX_ROLL_BACKS }, { "lr_scale", NUMBER, P(lr_scale), 0, 1 },
    { "grown", INT, P(grown), 0, MAX_GROWTHS }, { "grown_at", INT, P(grown_at), -1, STEPS_MAX }, { "evaluated", FLAG, P(evaluated), 0, 1 },
    { "valid_loss", NUMBER_OR_NULL, P(valid_loss), 0, 0 }, { "bits_per_byte", NUMBER_OR_NULL, P(bits_per_byte), 0, 0 },
    { "best_loss", NUMBER_OR_NULL, P(best_loss), 0, 0 }, { "best_step", INT, P(best_step), -1, STEPS_MAX }, { "good_step", INT, P(good_step), -1, STEPS_MAX },
    { "loss_mean", NUMBER_OPTIONAL, P(losses.mean), 0, 1e300 }, { "loss_variance", NUMBER_OPTIONAL, P(losses.variance), 0, 1e300 },
    { "losses", INT_OPTIONAL, P(losses.count), 0, STEPS_MAX }, { "tokens", NUMBER, P(tokens), 0, 1e18 }, { "log_lines", INT, P(lines), 0, STEPS_MAX }, { 0 },
};

static json_t *entry_value(const entry *e, const void *from)
{
    const void *at = (const char *)from + e->offset;
    double x;
    switch (e->kind) {
    case INT:
    case INT_OPTIONAL: return json_integer(*(const int *)at);
    case FLAG:  return json_boolean(*(const bool *)at);
    case TEXT:  return *(char *const *)at ? json_string(*(char *const *)at) : json_null();
    default:    x = *(const double *)at; return isfinite(x) ? json_real(x) : json_null();
    }
}

static json_t *entries_object(const entry *e, const void *from)
{
    json_t *object = json_object();
    for (; e->key; e++)
        if (json_object_set_new(object, e->key, entry_value(e, from))) { json_decref(object); return NULL; }
    return object;
}

static bool entry_read(const entry *e, const json_t *object, void *to)
{
    const json_t *value = json_object_get(object, e->key);
    void *at = (char *)to + e->offset;
    double x = json_is_number(value) ? json_number_value(value) : NAN;
    switch (e->kind) {
    case INT_OPTIONAL:
    case INT:  return (!value && e->kind == INT_OPTIONAL) || json_int(object, e->key, (int)e->least, (int)e->most, at);
    case NUMBER_OPTIONAL:
        if (!value) return true;
        *(double *)at = x;
        return x >= e->least && x <= e->most;
    case NUMBER: *(double *)at = x; return x >= e->least && x <= e->most;
    case NUMBER_OR_NULL:  *(double *)at = x; return json_is_number(value) || json_is_null(value);
    case FLAG:   *(bool *)at = json_is_true(value); return json_is_boolean(value);
    default:     return !value || json_is_null(value) || (json_is_string(value) && (*(char **)at = xstrdup(json_string_value(value))));
    }
}

static int entries_read(const entry *e, const json_t *object, void *to, const char *path, lithe_error *err)
{
    for (; e->key; e++)
        if (!entry_read(e, object, to))
            return fail(err, LITHE_EFORMAT, "%s: \"%s\" is missing or not what a trainer writes", path, e->key);
    return LITHE_OK;
}

int trainer_json_write(const char *dir, const settings *s, const progress *p, const char *data, const lithe_model *m, lithe_error *err)
{
    if (failed(err)) return err->status;
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)s->seed);
    char *path = path_join(dir, "trainer.json");
    json_t *of_s = entries_object(of_settings, s), *of_p = entries_object(of_progress, p);
    json_t *root = json_pack("{s:i s:s s:o? s:o?}", "format", 1, "data", data, "settings", of_s, "progress", of_p);
    int memory = !path || !root || !of_s || !of_p
              || json_object_set_new(of_s, "schedule", json_string(schedule_name(s->schedule.kind)))
              || json_object_set_new(of_s, "mask", json_string(mask_name(s->objective.mask.kind)))
              || json_object_set_new(of_s, "dtype", json_string(s->compute == COMPUTE_BF16 ? "bf16" : "f32"))
              || json_object_set_new(of_s, "seed", json_string(seed))
              || (s->wire == WIRE_BF16 && json_object_set_new(of_s, "wire", json_string("bf16")))
              || (s->optimizer.muon && json_object_set_new(of_s, "optimizer", json_string("muon")))
              || (s->optimizer.cautious && json_object_set_new(of_s, "cautious_decay", json_true()))
              || (m && m->group_count && json_object_set_new(root, "groups", groups_json(m)));
    int status = memory ? fail(err, LITHE_ENOMEM, "%s: cannot make trainer.json, out of memory or a sample that is not UTF-8", dir) : json_write(root, path, err);
    json_decref(root);
    free(path);
    return status;
}

/* Checks entries that depend on each other, and reads those that are text. */
static int check_read(settings *s, const json_t *of_s, const char *path, lithe_error *err)
{
    const char *seed = json_string_value(json_object_get(of_s, "seed")), *kind = json_string_value(json_object_get(of_s, "schedule"));
    const json_t *wire = json_object_get(of_s, "wire"), *trains = json_object_get(of_s, "optimizer");
    const char *type = json_string_value(json_object_get(of_s, "dtype")), *mask = json_string_value(json_object_get(of_s, "mask"));
    int mask_kind_read = mask ? mask_find(mask) : -1;
    bool rates = s->objective.mask.keep + s->objective.mask.random <= 1;
    s->optimizer.muon = json_is_string(trains) && !strcmp(json_string_value(trains), "muon");
    if (!seed || !*seed || seed[strspn(seed, "0123456789")] || (trains && !s->optimizer.muon) || !kind || !type || mask_kind_read < 0 || !rates || s->accumulate > s->batch || s->bptt > WINDOWS_MAX / s->ctx)
        return fail(err, LITHE_EFORMAT, "%s: seed, schedule, optimizer, dtype, mask, accumulate or bptt is not what a trainer writes", path);
    s->seed = strtoull(seed, NULL, 10);
    s->objective.mask.kind = (mask_kind)mask_kind_read;
    s->optimizer.peak = s->schedule.lr;
    s->optimizer.cautious = json_is_true(json_object_get(of_s, "cautious_decay"));
    int status = settings_kinds(s, kind, type, err);
    if (!status && wire) status = settings_wire(s, json_is_string(wire) ? json_string_value(wire) : "no text", err);
    if (!status && s->augment && !augmentation_find(s->augment)) status = fail(err, LITHE_EFORMAT, "%s: augment is not what a trainer writes", path);
    return status ? status : settings_growths(s, err);
}

int trainer_json_read(const char *dir, settings *s, progress *p, char **data, lithe_error *err)
{
    *s = (settings){ .bptt = 1 };
    *p = progress_start;
    *data = NULL;
    char *path = failed(err) ? NULL : path_join(dir, "trainer.json");
    if (!path) return fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    lithe_error inner = { 0 };
    json_t *root = json_read(path, JSON_BYTES, JSON_DEPTH, &inner), *of_s = json_object_get(root, "settings");
    const char *identity = json_string_value(json_object_get(root, "data"));
    int status = root ? LITHE_OK : fail(err, inner.status, "%s", inner.text);
    if (!status && json_integer_value(json_object_get(root, "format")) != 1)
        status = fail(err, LITHE_EFORMAT, "%s: is of another version of this program", path);
    if (!status && !identity) status = fail(err, LITHE_EFORMAT, "%s: \"data\" is missing", path);
    if (!status) status = entries_read(of_settings, of_s, s, path, err);
    if (!status) status = entries_read(of_progress, json_object_get(root, "progress"), p, path, err);
    if (!status) status = check_read(s, of_s, path, err);
    if (!status && !(*data = xstrdup(identity))) status = fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    json_decref(root);
    free(path);
    if (status) settings_free(s);
    return status;
}

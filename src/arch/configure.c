/* config.json to an architecture's configuration struct and back, by its table
 * of fields.
 * Invariant: a struct that arch_read filled has every value within its bounds,
 * and arch_publish followed by arch_configure gives the same struct. */
#include "arch/layers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes a value of config.json for a message: short, in one line. */
typedef struct { char text[80]; } shown;
static shown show(const json_t *value)
{
    shown s;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(7));
    bool whole = text && strlen(text) < sizeof s.text;
    snprintf(s.text, sizeof s.text, whole ? "%s" : "%.60s...", text ? text : "?");
    free(text);
    return s;
}

/* ---- values ------------------------------------------------------------------ */

static bool bounded(const field *f) { return f->least < 0 || f->least > 0 || f->most < 0 || f->most > 0; }
static bool within(const field *f, double x) { return !bounded(f) || (x >= f->least && x <= f->most); }
/* A default outside the bounds: it means that the key is absent, and no file may state it. */
static bool means_absent(const field *f) { return f->kind != FIELD_CHOICE && !isnan(f->value) && !within(f, f->value); }

/* ---- words: one of "a|b|c" by its place there, or an activation by its constant ---- */

static int choice_find(const char *choices, const char *word, size_t length)
{
    for (int i = 0; ; i++) {
        size_t n = strcspn(choices, "|");
        if (n == length && !memcmp(choices, word, n)) return i;
        if (!choices[n]) return -1;
        choices += n + 1;
    }
}

static int word_find(const field *f, const char *word, size_t length)
{
    return f->choices ? choice_find(f->choices, word, length) : activation_find(word, length);
}

static int word_of(const field *f, const json_t *value)
{
    return json_is_string(value) ? word_find(f, json_string_value(value), json_string_length(value)) : -1;
}

static json_t *word_value(const field *f, int i)
{
    const char *choices = f->choices;
    if (!choices) return json_string(activation_name((activation)i));
    while (i-- > 0) choices += strcspn(choices, "|") + 1;
    return json_stringn(choices, strcspn(choices, "|"));
}

static const char *words_of(const field *f) { return f->choices ? f->choices : activation_names; }

/* ---- reading one field -------------------------------------------------------- */

static int refuse(const field *f, const json_t *value, const char *what, const char *expected, lithe_error *err)
{
    return fail(err, LITHE_ECONFIG, "%s: %s is %s, expected %s", what, f->key, show(value).text, expected);
}

static int read_number(const field *f, const json_t *value, double *x, const char *what, lithe_error *err)
{
    if (!json_is_number(value)) return refuse(f, value, what, f->kind == FIELD_INT ? "an integer" : "a number", err);
    *x = json_number_value(value);
    if (f->kind == FIELD_INT && floor(*x) < *x) return refuse(f, value, what, "an integer", err);
    if (!within(f, *x))
        return fail(err, LITHE_ECONFIG, "%s: %s is %s, expected %.10g to %.10g", what, f->key, show(value).text, f->least, f->most);
    if (f->kind == FIELD_INT && fabs(*x) > (double)INT32_MAX) return refuse(f, value, what, "at most 2147483647", err);
    return LITHE_OK;
}

/* Adds one word to the choices of a list, of which there are *count. */
static int add_choice(const field *f, const json_t *value, const char *word, size_t length, int *out, int *count, const char *what, lithe_error *err)
{
    int choice = word ? word_find(f, word, length) : -1;
    if (choice < 0) return refuse(f, value, what, words_of(f), err);
    if (*count == (int)f->most) return fail(err, LITHE_ECONFIG, "%s: %s names more than %d", what, f->key, *count);
    out[(*count)++] = choice;
    return LITHE_OK;
}

/* "a,c,a", or ["a", "c", "a"] */
static int read_choices(const field *f, const json_t *value, int *out, const char *what, lithe_error *err)
{
    int count = 0, status = LITHE_OK;
    size_t i;
    json_t *item;
    for (int j = 0; j < (int)f->most; j++) out[j] = -1;
    if (!value || json_is_null(value)) return LITHE_OK;
    json_array_foreach(value, i, item)
        if (!status) status = add_choice(f, value, json_string_value(item), json_string_length(item), out, &count, what, err);
    if (json_is_array(value)) return status;
    const char *at = json_string_value(value);
    if (!at) return refuse(f, value, what, words_of(f), err);
    for (size_t length; !status; at += length + 1) {
        length = strcspn(at, ",");
        status = add_choice(f, value, at, length, out, &count, what, err);
        if (!at[length]) break;
    }
    return status;
}

static int read_reals(const field *f, const json_t *value, double *out, const char *what, lithe_error *err)
{
    const size_t n = json_array_size(value);
    for (int i = 0; i < (int)f->most; i++) out[i] = 0;
    if (!value || json_is_null(value)) return LITHE_OK;
    if (!json_is_array(value) || n > (size_t)f->most) return refuse(f, value, what, "a list of numbers, not too long", err);
    for (size_t i = 0; i < n; i++) {
        out[i] = json_number_value(json_array_get(value, i));
        if (!(out[i] > 0)) return refuse(f, value, what, "a list of numbers above 0", err);
    }
    return LITHE_OK;
}

/* value NULL or null: the default. */
static int read_field(const field *f, const json_t *value, void *out, const char *what, lithe_error *err)
{
    void *member = (char *)out + f->offset;
    double x = f->value;
    if (f->kind == FIELD_CHOICES) return read_choices(f, value, member, what, err);
    if (f->kind == FIELD_REALS) return read_reals(f, value, member, what, err);
    if (value && !json_is_null(value)) {
        int status = LITHE_OK;
        switch (f->kind) {
        case FIELD_INT: case FIELD_REAL:
            status = read_number(f, value, &x, what, err);
            break;
        case FIELD_BOOL:
            if (!json_is_boolean(value)) status = refuse(f, value, what, "true or false", err);
            x = json_is_true(value);
            break;
        default:
            x = word_of(f, value);
            if (x < 0) status = refuse(f, value, what, words_of(f), err);
            break;
        }
        if (status) return status;
    } else if (isnan(x)) return fail(err, LITHE_ECONFIG, "%s: %s is missing", what, f->key);
    if (f->kind == FIELD_REAL) *(double *)member = x;
    else *(int *)member = (int)x;
    return LITHE_OK;
}

static double member_value(const field *f, const void *config)
{
    const void *member = (const char *)config + f->offset;
    return f->kind == FIELD_REAL ? *(const double *)member : *(const int *)member;
}

static bool same(double a, double b) { return !(a < b) && !(a > b); }

/* ---- reading ------------------------------------------------------------------- */

/* Puts the name of the file before the message of a hook, which does not know it. */
static int relay(const char *what, const lithe_error *hook, lithe_error *err)
{
    return fail(err, hook->status ? hook->status : LITHE_ECONFIG, "%s: %s", what, hook->text);
}

int arch_normalize(const arch *a, json_t *config, const char *what, lithe_error *err)
{
    lithe_error hook = { 0 };
    if (failed(err)) return err->status;
    if (!json_is_object(config)) return fail(err, LITHE_ECONFIG, "%s: is not a JSON object with the keys of a model", what);
    if (a->config.normalize && (a->config.normalize(config, &hook) < 0 || hook.status)) return relay(what, &hook, err);
    return LITHE_OK;
}

int arch_int(const arch *a, const void *config, const char *key)
{
    for (const field *f = a->config.fields; f->key; f++)
        if (f->kind == FIELD_INT && !strcmp(f->key, key)) return (int)member_value(f, config);
    return 0;
}

int arch_vocab(const arch *a, const void *config) { return arch_int(a, config, "vocab_size"); }

int arch_context(const arch *a, const void *config)
{
    return a->equations.context ? a->equations.context(config) : arch_int(a, config, "max_position_embeddings");
}

static int check_divisors(const arch *a, const void *config, lithe_error *err)
{
    int status = LITHE_OK;
    for (const char *const *pair = a->config.divides; !status && pair && *pair; pair += 2)
        status = check_divides(pair[0], arch_int(a, config, pair[0]), pair[1], arch_int(a, config, pair[1]), err);
    return status;
}

int arch_read(const arch *a, const json_t *normalized, void *out, const char *what, lithe_error *err)
{
    lithe_error hook = { 0 };
    if (failed(err)) return err->status;
    for (const field *f = a->config.fields; f->key; f++) {
        int status = read_field(f, json_object_get(normalized, f->key), out, what, err);
        if (status) return status;
    }
    if (check_divisors(a, out, &hook)) return relay(what, &hook, err);
    if (a->config.check && (a->config.check(out, &hook) < 0 || hook.status)) return relay(what, &hook, err);
    return LITHE_OK;
}

int arch_configure(const arch *a, const json_t *config, void *out, const char *what, lithe_error *err)
{
    if (failed(err)) return err->status;
    json_t *copy = json_deep_copy(config);
    if (!copy) return fail(err, LITHE_ENOMEM, "%s: not enough memory to read it", what);
    int status = arch_normalize(a, copy, what, err);
    if (!status) status = arch_read(a, copy, out, what, err);
    json_decref(copy);
    return status;
}

/* ---- writing ------------------------------------------------------------------- */

static json_t *value_of(const field *f, double x)
{
    switch (f->kind) {
    case FIELD_INT:  return json_integer((json_int_t)x);
    case FIELD_BOOL: return json_boolean(x > 0);
    case FIELD_REAL: return json_real(x);
    default:         return word_value(f, (int)x);
    }
}

static int publish_choices(const field *f, const int *choice, json_t *json)
{
    char text[512];
    size_t used = 0;
    int present[MOST_CHOICES];
    lithe_error other = { 0 };
    if (!read_choices(f, json_object_get(json, f->key), present, "", &other) && !memcmp(present, choice, (size_t)f->most * sizeof *choice)) return 0;
    drop_error(&other);
    for (int i = 0; i < (int)f->most && choice[i] >= 0 && used < sizeof text; i++) {
        json_t *name = word_value(f, choice[i]);
        if (!name) return LITHE_ENOMEM;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "," : "", json_string_value(name));
        json_decref(name);
    }
    return used ? json_object_set_new(json, f->key, json_string(text)) : 0;
}

/* A key that already has this value, in whatever form (1, 1.0, null), stays. */
static int publish_field(const field *f, const void *config, json_t *json)
{
    if (f->kind == FIELD_REALS) return 0;
    if (f->kind == FIELD_CHOICES) return publish_choices(f, (const int *)(const void *)((const char *)config + f->offset), json);
    double x = member_value(f, config);
    const json_t *present = json_object_get(json, f->key);
    if (same(x, f->value) && (json_is_null(present) || means_absent(f))) return 0;
    if (json_is_number(present) && f->kind != FIELD_BOOL && f->kind != FIELD_CHOICE && same(json_number_value(present), x)) return 0;
    if (f->kind == FIELD_CHOICE && same(word_of(f, present), x)) return 0;
    return json_object_set_new(json, f->key, value_of(f, x));
}

int arch_publish(const arch *a, const void *config, json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));
    if ((!type || !arch_alias(a, type)) && json_object_set_new(json, "model_type", json_string(a->name))) return LITHE_ENOMEM;
    for (const field *f = a->config.fields; f->key; f++)
        if (publish_field(f, config, json)) return LITHE_ENOMEM;
    return a->config.publish && a->config.publish(json) < 0 ? LITHE_ENOMEM : LITHE_OK;
}

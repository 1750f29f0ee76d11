/* The default hyper-parameters of runs.  An architecture may have a recipe of its own
 * (arch.h); the others use the usual one.  Labelled tables use that of MosaicBERT's
 * fine-tuning on GLUE. */
#include "lithe_tools.h"
#include "train/settings.h"
#include <math.h>
#include <string.h>

/* Between these a rate that belongs to a width goes down as the width goes up. */
static const double RATE_LEAST = 3e-4, RATE_MOST = 6e-3;

static const recipe usual = {
    .lr = 2e-3, .lr_width = 128, .floor = 0.1, .warmup = 0.02, .schedule = "cosine", .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1,
    .mask = "each", .mask_rate = 0.15,
};

static const recipe fine_tuned = {
    .lr = 5e-5, .warmup = 0.06, .schedule = "linear", .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1,
    .mask = "each", .mask_rate = 0.15,
};

const recipe *recipe_find(const arch *a, bool fine_tuning) { return fine_tuning ? &fine_tuned : a->recipe ? a->recipe : &usual; }

double recipe_lr(const recipe *r, int width)
{
    return r->lr_width && width > 0 ? fmin(RATE_MOST, fmax(RATE_LEAST, r->lr * r->lr_width / width)) : r->lr;
}

/* ---- the defaults as text ---------------------------------------------------- */

typedef struct { char text[32]; } value_text;

static value_text number(double x, const char *unit)
{
    value_text s;
    snprintf(s.text, sizeof s.text, "%g%s", x, x > 0 ? unit : "");
    return s;
}

static value_text rate(const recipe *r)
{
    value_text s = number(r->lr, "");
    const size_t n = strlen(s.text);
    if (r->lr_width) snprintf(s.text + n, sizeof s.text - n, " at width %d", r->lr_width);
    return s;
}

static value_text word(const char *x)
{
    value_text s;
    snprintf(s.text, sizeof s.text, "%s", x);
    return s;
}

/* The recipe's value of an option, as one would type it; empty for an option that no recipe has. */
static value_text value_of(const recipe *r, const char *option)
{
    const struct { const char *option; value_text value; } values[] = {
        { "lr", rate(r) }, { "min-lr", number(100 * r->floor, "% of --lr") }, { "warmup", number(100 * r->warmup, "%") },
        { "schedule", word(r->schedule) }, { "beta1", number(r->beta1, "") }, { "beta2", number(r->beta2, "") }, { "eps", number(r->eps, "") },
        { "weight-decay", number(r->weight_decay, "") }, { "clip", number(r->clip, "") }, { "optimizer", word(r->decoupled ? "decoupled-adamw" : "adamw") },
        { "mask", word(r->mask) }, { "mask-rate", number(r->mask_rate, "") }, { "packing", word(r->sentences ? "sentences" : "pieces") },
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!strcmp(values[i].option, option)) return values[i].value;
    return (value_text){ "" };
}

static bool same(value_text a, value_text b) { return !strcmp(a.text, b.text); }

/* The recipe of architecture i, or, after the last architecture, that of tables. */
static const recipe *recipe_at(int i, const char **whose)
{
    *whose = architectures[i] ? architectures[i]->name : "tables";
    return architectures[i] ? recipe_find(architectures[i], false) : &fine_tuned;
}

/* Appends "; NAME, NAME: 0.01" with all those whose value is the one of `first`, unless an earlier one had that
 * value. */
static size_t append_group(int first, const char *option, char *text, size_t size)
{
    const char *whose;
    value_text value = value_of(recipe_at(first, &whose), option);
    size_t n = 0;
    bool last = false;
    for (int i = 0; i < first; i++)
        if (same(value_of(recipe_at(i, &whose), option), value)) return 0;
    if (same(value, value_of(&usual, option))) return 0;
    for (int i = first; !last && n < size; i++) {
        last = !architectures[i];
        if (same(value_of(recipe_at(i, &whose), option), value)) n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "; ", whose);
    }
    if (n < size) n += (size_t)snprintf(text + n, size - n, ": %s", value.text);
    return n;
}

void lithe_train_defaults(const char *option, char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, "%s", option ? value_of(&usual, option).text : "");
    for (int i = 0; n && n < size; i++) {
        n += append_group(i, option, text + n, size - n);
        if (!architectures[i]) return;
    }
}

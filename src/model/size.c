/* Finds a configuration with a target number of parameters.  A model stores
 *
 *   N(width, layers, s) = a(width) + layers * (b(width) + (s - 1) * c(width))
 *
 * parameters, where s scales the inner sizes (MLP width, slots).  Counting three models
 * of one or two layers therefore gives N for every depth of a width.  Shapes whose N is
 * near the target are ranked by how common their proportions are, and the first whose
 * exact count is within 5 % is taken.
 * Invariant: the parameters of the returned model were counted, not estimated. */
#include "model/model.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_STEP = 32, WIDTHS = 512, LAYERS = 160, KEPT = 64, INNER_STEP = 8 };
static const double TOLERANCE = 0.05, USUAL_RATIO = 64, LEAST_SCALE = 0.5, MOST_SCALE = 2;

typedef struct { int width, layers; double scale, count, cost; } shape;

typedef struct {
    const arch *arch;
    int vocab, context;
    double target;
    const json_t *keys;              /* replace keys of every configuration; or NULL */
    shape best[KEPT];                /* by cost */
    int kept;
    double below, above;             /* the nearest sizes without scaling, for messages; 0: none */
} search;

/* ---- configurations -------------------------------------------------------------- */

/* Multiplies the inner sizes of a configuration; false when it has none and scale is not 1. */
static bool scale_inner(const arch *a, json_t *config, double scale)
{
    bool scaled = fabs(scale - 1) < 1e-12;
    for (const char *const *key = a->growth.inner_keys; key && *key && fabs(scale - 1) >= 1e-12; key++) {
        json_t *value = json_object_get(config, *key);
        if (!json_is_integer(value)) continue;
        long long size = llround((double)json_integer_value(value) * scale / INNER_STEP) * INNER_STEP;
        json_integer_set(value, size < INNER_STEP ? INNER_STEP : size);
        scaled = true;
    }
    return scaled;
}

static json_t *shape_config(const search *s, int width, int layers, double scale)
{
    json_t *config = s->arch->config.sized(width, layers, s->vocab, s->context);
    if (s->keys) json_object_update(config, (json_t *)(uintptr_t)s->keys);
    if (config && scale_inner(s->arch, config, scale)) return config;
    json_decref(config);
    return NULL;
}

/* Counts the stored parameters; a negative number says that there is no such model. */
static double count(const search *s, int width, int layers, double scale)
{
    lithe_error ignored = { 0 };
    json_t *config = shape_config(s, width, layers, scale);
    lithe_model *m = config ? model_declare(s->arch, config, "config.json", &ignored) : NULL;
    double total = m ? (double)params_total(m->params) : -1;
    drop_error(&ignored);
    lithe_model_close(m);
    json_decref(config);
    return total;
}

/* ---- the search ------------------------------------------------------------------- */

/* Ranks a shape: it costs more when width / layers is far from 64, when the width is no multiple of 64, when inner
 * sizes are scaled, and when the count is far from the target. */
static double cost_of(const search *s, const shape *x)
{
    double ratio = (double)x->width / x->layers;
    double scaled = fabs(log(x->scale));
    return fabs(log(ratio / USUAL_RATIO)) + (scaled > 0 ? 0.2 + 3 * scaled : 0) + 4 * fabs(log(x->count / s->target)) + (x->width % 64 ? 0.1 : 0);
}

static void keep(search *s, shape x)
{
    x.cost = cost_of(s, &x);
    int i = s->kept;
    while (i > 0 && s->best[i - 1].cost > x.cost) i--;
    if (i == KEPT) return;
    int last = s->kept < KEPT ? s->kept++ : KEPT - 1;
    memmove(&s->best[i + 1], &s->best[i], (size_t)(last - i) * sizeof x);
    s->best[i] = x;
}

static void note_nearest(search *s, double n)
{
    if (n <= s->target && n > s->below) s->below = n;
    if (n >= s->target && (s->above <= 0 || n < s->above)) s->above = n;
}

/* Tries all depths of one width; false when even one layer is far above the target. */
static bool try_width(search *s, int width)
{
    double one = count(s, width, 1, 1);
    if (one < 0) return true;
    double layer = count(s, width, 2, 1) - one, inner = count(s, width, 1, 2) - one;
    for (int layers = 1; layers <= LAYERS && layer > 0; layers++) {
        double n = one + (layers - 1) * layer;
        note_nearest(s, n);
        shape x = { .width = width, .layers = layers, .scale = 1, .count = n };
        if (fabs(n / s->target - 1) <= TOLERANCE) keep(s, x);
        if (inner <= 0) continue;
        x.scale = 1 + (s->target - n) / (layers * inner);
        x.count = s->target;
        if (x.scale >= LEAST_SCALE && x.scale <= MOST_SCALE) keep(s, x);
    }
    return one * LEAST_SCALE <= s->target * (1 + TOLERANCE);
}

static json_t *first_exact(const search *s)
{
    for (int i = 0; i < s->kept; i++) {
        const shape *x = &s->best[i];
        if (fabs(count(s, x->width, x->layers, x->scale) / s->target - 1) <= TOLERANCE) return shape_config(s, x->width, x->layers, x->scale);
    }
    return NULL;
}

/* ---- the answer ------------------------------------------------------------------- */

/* "3.2M" */
static const char *short_number(double n, char text[16])
{
    static const char *const units[] = { "", "k", "M", "G", "T" };
    size_t i = 0;
    for (; n >= 999.5 && i + 1 < sizeof units / sizeof *units; i++) n /= 1000;
    snprintf(text, 16, "%.3g%s", n, units[i]);
    return text;
}

static int refuse(const search *s, lithe_error *err)
{
    char target[16], below[16], above[16];
    short_number(s->target, target);
    short_number(s->below, below);
    short_number(s->above, above);
    if (s->below <= 0 && s->above <= 0)
        return fail(err, LITHE_ECONFIG, "no %s has a vocabulary of %d and a context of %d", s->arch->name, s->vocab, s->context);
    if (s->below <= 0 && arch_reads_images(s->arch))
        return fail(err, LITHE_ECONFIG, "%s parameters are too few for a %s: the smallest has %s; take more", target, s->arch->name, above);
    if (s->below <= 0)
        return fail(err, LITHE_ECONFIG, "%s parameters are too few for a %s: with a vocabulary of %d the smallest has %s; take more, or a smaller vocabulary",
                    target, s->arch->name, s->vocab, above);
    if (s->above <= 0)
        return fail(err, LITHE_ECONFIG, "%s parameters are more than the largest %s that is sized here, %s", target, s->arch->name, below);
    return fail(err, LITHE_ECONFIG, "no %s comes within 5 %% of %s parameters with a vocabulary of %d; the nearest have %s and %s",
                s->arch->name, target, s->vocab, below, above);
}

/* The text of a complete config.json, which names the architecture. */
static char *finish(const search *s, json_t *config, lithe_error *err)
{
    char *text = NULL;
    lithe_model *m = model_declare(s->arch, config, "config.json", err);
    json_t *full = m ? model_config(m, err) : NULL;
    if (full && !(text = json_text(full))) fail(err, LITHE_ENOMEM, "not enough memory for config.json");
    json_decref(full);
    lithe_model_close(m);
    return text;
}

char *lithe_model_size(const char *name, double target, int vocab, int context, lithe_error *err)
{
    if (failed(err)) return NULL;
    const arch *a = arch_find(name);
    if (!a) { fail(err, LITHE_EINVAL, "%.60s is not a known architecture", name ? name : "(none)"); return NULL; }
    if (arch_reads_images(a)) { fail(err, LITHE_EINVAL, "a %s reads images: its size depends on theirs", a->name); return NULL; }
    return model_size(a, target, vocab, context, NULL, err);
}

char *model_size(const arch *a, double target, int vocab, int context, const json_t *keys, lithe_error *err)
{
    search s = { .arch = a, .vocab = vocab, .context = context, .target = target, .keys = keys };
    if (!s.arch->config.sized) { fail(err, LITHE_EINVAL, "%s cannot be sized by a number of parameters; give a configuration", s.arch->name); return NULL; }
    if (!(target >= 1 && target <= 1e12) || vocab < 1 || context < 1) {
        fail(err, LITHE_EINVAL, "a size needs 1 to 1e12 parameters, a vocabulary and a context; got %g, %d and %d", target, vocab, context);
        return NULL;
    }
    for (int i = 1; i <= WIDTHS && try_width(&s, i * WIDTH_STEP); i++) { }
    json_t *config = first_exact(&s);
    char *text = config ? finish(&s, config, err) : NULL;
    if (!config) refuse(&s, err);
    json_decref(config);
    return text;
}

/* Chooses the sizes of a larger model.  `--set` gives them; `--params N` chooses slots
 * where there are parameter tokens, else that combination of inner width, zero blocks
 * and whole-number duplication of the residual width which changes the proportions
 * least.
 * Invariant: the chosen sizes have the target number of parameters within 5 %, counted. */
#include "base/cgroup.h"
#include "grow/grow.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TOLERANCE = 0.05;

static int inner_size(const lithe_model *m) { return axis_size(m, AXIS_INNER); }

/* Sets a key; one that the architecture does not have is NULL, and nothing is set. */
static void set_int(json_t *config, const char *key, int value) { if (key) json_object_set_new(config, key, json_integer(value)); }
static bool is_key(const char *item, const char *key) { return key && !strcmp(item, key); }

/* Counts the stored parameters of a configuration; negative when it is not valid. */
static double count(const growth *g, const json_t *config)
{
    lithe_error ignored = { 0 };
    lithe_model *m = model_declare(g->arch, config, "the grown config.json", &ignored);
    double total = m ? (double)params_total(m->params) : -1;
    drop_error(&ignored);
    lithe_model_close(m);
    return total;
}

/* ---- parameter tokens ------------------------------------------------------------- */

static void scale_slots(const growth *g, const json_t *from, json_t *to, double factor)
{
    for (const slot_group *s = g->arch->growth.slots; s->slots_key; s++)
        if (slots_used(g, s)) set_int(to, s->slots_key, (int)llround(config_int(from, s->slots_key, 0) * factor));
}

static bool whole_multiples(method m) { return m == METHOD_B || m == METHOD_D; }

static int choose_slots(growth *g, double target, lithe_error *err)
{
    json_t *base = json_deep_copy(g->config);
    scale_slots(g, base, g->config, 2);
    double one = count(g, base), two = count(g, g->config), factor = 1 + (target - one) / (two - one);
    if (whole_multiples(g->method)) factor = round(factor) < 2 ? 2 : round(factor);
    int status = 0;
    scale_slots(g, base, g->config, factor);
    double got = count(g, g->config);
    json_decref(base);
    if (target <= one) status = fail(err, LITHE_EINVAL, "%.0f parameters are not more than the present %.0f", target, one);
    else if (got < 0) status = fail(err, LITHE_EINVAL, "%.0f parameters are more than slots can hold", target);
    else if (fabs(got - target) > TOLERANCE * target)
        status = fail(err, LITHE_EINVAL, "method %s multiplies the slots by a whole number: times %.0f the model has %.0f parameters, not %.0f; ask for that%s",
                      method_name(g->method), factor, got, target, any_number_of_slots(g));
    return status;
}

/* ---- width, depth, inner width ------------------------------------------------------ */

typedef struct { int width, layers, inner; double cost; } shape;

static void set_shape(const growth *g, const json_t *from, json_t *to, const shape *s)
{
    int width = config_int(from, g->arch->growth.keys.width, 1), heads = config_int(from, g->arch->growth.keys.heads, 1), kv = config_int(from, g->arch->growth.keys.kv_heads, 0);
    set_int(to, g->arch->growth.keys.width, s->width);
    set_int(to, g->arch->growth.keys.heads, (int)((long long)heads * s->width / width));
    if (kv) set_int(to, g->arch->growth.keys.kv_heads, (int)((long long)kv * s->width / width));
    set_int(to, g->arch->growth.keys.layers, s->layers);
    set_int(to, g->arch->growth.keys.inner, s->inner);
}

static double count_shape(const growth *g, const json_t *base, shape s)
{
    json_t *config = json_deep_copy(base);
    set_shape(g, base, config, &s);
    double total = count(g, config);
    json_decref(config);
    return total;
}

/* Finds the inner width with which a shape has the target number of parameters; *best is the cheapest shape so far. */
static void try_shape(const growth *g, const json_t *base, const shape *old, shape s, double target, shape *best)
{
    s.inner = old->inner;
    double least = count_shape(g, base, s), slope = (count_shape(g, base, (shape){ s.width, s.layers, s.inner + 64, 0 }) - least) / 64;
    if (least < 0 || slope <= 0) return;
    double inner = old->inner + (target - least) / slope;
    if (inner < old->inner - 0.5 || inner > 1e6) {
        if (inner > 1e6 || least > target * (1 + TOLERANCE)) return;
        inner = old->inner;
    }
    s.inner = (int)llround(inner);
    double got = count_shape(g, base, s);
    if (fabs(got - target) > TOLERANCE * target) return;
    double proportion = (double)s.inner / s.width * old->width / old->inner;
    s.cost = (repeats_layers(g->method) ? 10 : 1) * fabs(log(proportion)) + 0.5 * log((double)s.layers / old->layers) + 0.4 * log((double)s.width / old->width);
    if (best->cost < 0 || s.cost < best->cost - 1e-9) *best = s;
}

/* Width and depth are multiplied by at most these numbers. */
enum { WIDTHS_MAX = 8, DEPTHS_MAX = 4 };
static void try_shapes(const growth *g, const json_t *base, const shape *old, double target, int times, int depths, shape *best)
{
    for (int c = 1; c <= times; c++)
        for (int layers = old->layers; layers <= depths * old->layers; layers++) try_shape(g, base, old, (shape){ c * old->width, layers, 0, 0 }, target, best);
}

static int choose_shape(growth *g, double target, lithe_error *err)
{
    const char *layers = g->arch->growth.keys.layers;
    if (!config_int(g->config, layers, 0)) return fail(err, LITHE_EINVAL, "a model without layers grows by these first: set %s=N", layers);
    json_t *base = json_deep_copy(g->config);
    int heads = config_int(base, g->arch->growth.keys.heads, 1), kv = config_int(base, g->arch->growth.keys.kv_heads, 0);
    shape old = { config_int(base, g->arch->growth.keys.width, 0), config_int(base, g->arch->growth.keys.layers, 0), inner_size(g->small), 0 }, best = { 0, 0, 0, -1 };
    int hd = old.width / heads, status = 0;
    if (!kv) kv = heads;
    if (g->method == METHOD_CORNER) {   /* any whole number of key/value heads with their queries; the depth stays */
        int unit = hd * heads / kv;
        for (int w = old.width; w <= 8 * old.width; w += unit) try_shape(g, base, &old, (shape){ w, old.layers, 0, 0 }, target, &best);
    } else {
        bool deeper = repeats_layers(g->method) || !g->arch->growth.block_changes || !g->arch->growth.block_changes(g->small->config);
        bool wider = !g->arch->growth.heads_change || !g->arch->growth.heads_change(g->small->config);
        try_shapes(g, base, &old, target, wider ? WIDTHS_MAX : 1, deeper ? DEPTHS_MAX : 1, &best);
        /* Changes that do not preserve the function come last. */
        if (best.cost < 0) try_shapes(g, base, &old, target, WIDTHS_MAX, DEPTHS_MAX, &best);
    }
    if (best.cost >= 0) set_shape(g, base, g->config, &best);
    else status = fail(err, LITHE_EINVAL, "no growth of this model holds %.0f parameters within 5 %%; it has %.0f now", target, count(g, base));
    json_decref(base);
    return status;
}

/* ---- sizes to set ---------------------------------------------------------------------- */

static bool size_key(const arch *a, const char *key)
{
    const char *const known[] = { a->growth.keys.width, a->growth.keys.heads, a->growth.keys.kv_heads, a->growth.keys.inner, a->growth.keys.bottleneck, a->growth.keys.layers, "head_dim" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_key(key, known[i])) return true;
    for (const slot_group *s = a->growth.slots; s && s->slots_key; s++)
        if (!strcmp(s->slots_key, key)) return true;
    return false;
}

static bool addition_key(const arch *a, const char *key)
{
    for (const char *const *k = a->growth.additions; k && *k; k++)
        if (!strcmp(*k, key)) return true;
    return false;
}

/* Takes the next "key=value" of a list; an item without = belongs to the value before it ("siaf_act=silu,tanh"). */
static char *next_item(char **rest)
{
    char *item = strsep(rest, ",");
    while (item && *item && *rest && strcspn(*rest, "=") >= strcspn(*rest, ",") && **rest && **rest != ',') {
        (*rest)[-1] = ',';
        strsep(rest, ",");
    }
    return item;
}

/* A number or a truth value as in config.json, else a string. */
static json_t *parse_value(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return json_is_number(value) || json_is_boolean(value) ? value : (json_decref(value), json_string(text));
}

/* The number that a size is set to, or a multiple of the present one ("2x", "1.5x"); 0: it is none. */
static int size_of(const growth *g, const char *key, const char *text)
{
    char *end = NULL;
    double value = text ? strtod(text, &end) : 0;
    if (!text || end == text) return 0;
    if (*end == 'x') value = floor(value * config_int(g->config, key, 0)), end++;
    return !*end && value >= 1 && value <= 1 << 24 && !(floor(value) < value) ? (int)value : 0;
}

/* Whether the list "key=value,key=value" begins with, or has after a comma, the key a second time before `item`. */
static bool said_before(const char *list, size_t item, const char *key)
{
    const size_t n = strlen(key);
    for (size_t at = 0; at < item; at += strcspn(list + at, ",") + 1)
        if (!strncmp(list + at, key, n) && list[at + n] == '=') return true;
    return false;
}

static int set_size(growth *g, const char *key, const char *text, lithe_error *err)
{
    int value = size_of(g, key, text);
    if (!size_key(g->arch, key)) return fail(err, LITHE_EINVAL, "%s is not a size that a %s can grow in", key, g->arch->name);
    if (!value)
        return fail(err, LITHE_EINVAL, "%s%s%s: a size is KEY=NUMBER or KEY=2x, such as %s=%d", key, text ? "=" : "", text ? text : "", g->arch->growth.keys.layers,
                    config_int(g->config, g->arch->growth.keys.layers, 1) + 1);
    set_int(g->config, key, value);
    return LITHE_OK;
}

/* Sets the sizes, and what is added, of "key=value,key=value". */
static int apply_set(growth *g, lithe_error *err)
{
    char text[512], *rest = text, *item;
    bool heads_given = false;
    int status = LITHE_OK;
    if ((size_t)snprintf(text, sizeof text, "%s", g->options.set) >= sizeof text) return fail(err, LITHE_EINVAL, "the text of the sizes to set is too long");
    while (!status && (item = next_item(&rest)) != NULL) {
        char *equals = strchr(item, '=');
        if (!*item) continue;
        if (equals) *equals = 0;
        if (said_before(g->options.set, (size_t)(item - text), item)) return fail(err, LITHE_EINVAL, "%s is given twice", item);
        heads_given |= is_key(item, g->arch->growth.keys.heads) || is_key(item, g->arch->growth.keys.kv_heads);
        if (equals && addition_key(g->arch, item)) {
            g->adds = true;
            status = json_object_set_new(g->config, item, parse_value(equals + 1)) ? fail(err, LITHE_ENOMEM, "not enough memory to grow") : LITHE_OK;
        } else status = set_size(g, item, equals ? equals + 1 : NULL, err);
    }
    int width = config_int(g->before, g->arch->growth.keys.width, 1), times = config_int(g->config, g->arch->growth.keys.width, 1) / width;
    if (status || heads_given || times < 2 || times * width != config_int(g->config, g->arch->growth.keys.width, 1)) return status;
    /* the channels of a head stay the same */
    set_int(g->config, g->arch->growth.keys.heads, times * config_int(g->before, g->arch->growth.keys.heads, 1));
    if (config_int(g->before, g->arch->growth.keys.kv_heads, 0)) set_int(g->config, g->arch->growth.keys.kv_heads, times * config_int(g->before, g->arch->growth.keys.kv_heads, 0));
    return LITHE_OK;
}

static void list_move(lithe_growth *report, const char *key, int before, int after)
{
    size_t used = strlen(report->moves);
    if (before != after && used < sizeof report->moves)
        snprintf(report->moves + used, sizeof report->moves - used, "%s%s %d -> %d", used ? "; " : "", key, before, after);
}

static int list_moves(const growth *g, lithe_growth *report, lithe_error *err)
{
    const char *const keys[] = { g->arch->growth.keys.width, g->arch->growth.keys.heads, g->arch->growth.keys.kv_heads, g->arch->growth.keys.inner, g->arch->growth.keys.bottleneck, g->arch->growth.keys.layers };
    report->moves[0] = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!keys[i]) continue;
        int absent = keys[i] == g->arch->growth.keys.inner ? inner_size(g->small) : keys[i] == g->arch->growth.keys.bottleneck ? axis_size(g->small, AXIS_BOTTLENECK) : 0, old = config_int(g->before, keys[i], absent), new = config_int(g->config, keys[i], absent);
        list_move(report, keys[i], old, new);
        if (new < old) return fail(err, LITHE_EINVAL, "%s would shrink from %d to %d: growing only adds", keys[i], old, new);
    }
    for (const slot_group *s = g->arch->growth.slots; s && s->slots_key; s++) {
        int old = config_int(g->before, s->slots_key, 0), new = config_int(g->config, s->slots_key, 0);
        list_move(report, s->slots_key, old, new);
        if (new < old) return fail(err, LITHE_EINVAL, "%s would shrink from %d to %d: growing only adds", s->slots_key, old, new);
    }
    for (const char *const *key = g->adds ? g->arch->growth.additions : NULL; key && *key; key++) {
        int old = config_int(g->before, *key, 0), new = config_int(g->config, *key, 0);
        list_move(report, *key, old, new);
        if (new < old) return fail(err, LITHE_EINVAL, "%s would shrink from %d to %d: growing only adds", *key, old, new);
    }
    return report->moves[0] ? 0 : fail(err, LITHE_EINVAL, "nothing would grow: the sizes are those the model has%s", config_int(g->before, "head_dim", 0) != config_int(g->config, "head_dim", 0) ? " (the channels of a head do not grow: give more heads)" : "");
}

/* ---- another architecture ------------------------------------------------------------------ */

static const field *field_of(const arch *a, const char *key)
{
    for (const field *f = a->config.fields; f->key; f++)
        if (!strcmp(f->key, key)) return f;
    return NULL;
}

/* Sets the keys of "key=value,key=value". */
static int set_additions(growth *g, lithe_error *err)
{
    char text[512], *rest = text, *item;
    if ((size_t)snprintf(text, sizeof text, "%s", g->options.set ? g->options.set : "") >= sizeof text) return fail(err, LITHE_EINVAL, "the text of the keys to set is too long");
    while ((item = next_item(&rest)) != NULL) {
        char *equals = strchr(item, '=');
        if (!*item) continue;
        if (!equals) return fail(err, LITHE_EINVAL, "%s: an addition is KEY=VALUE", item);
        *equals = 0;
        if (said_before(g->options.set, (size_t)(item - text), item)) return fail(err, LITHE_EINVAL, "%s is given twice", item);
        if (!field_of(g->arch, item) || json_object_get(g->form ? g->config : g->before, item))
            return fail(err, LITHE_EINVAL, "%s is no key that a %s adds to a %s; grow sizes in another step", item, g->arch->name, g->small->arch->name);
        json_object_set_new(g->config, item, parse_value(equals + 1));
    }
    return 0;
}

int grow_additions(growth *g, lithe_growth *report, lithe_error *err)
{
    const lithe_grow_options *o = &g->options;
    if (o->params > 0 || o->factor > 0) return fail(err, LITHE_EINVAL, "becoming a %s keeps the sizes: give no number of parameters", g->arch->name);
    if (o->method || o->noise > 0) return fail(err, LITHE_EINVAL, "becoming a %s repeats nothing: it takes no method and no noise", g->arch->name);
    if (o->where && strcmp(o->where, "top")) return fail(err, LITHE_EINVAL, "becoming a %s adds no layers: leave out where", g->arch->name);
    report->preserves = 1;
    snprintf(report->method, sizeof report->method, "additions");
    if (!g->form || o->set) snprintf(report->symmetry, sizeof report->symmetry, "broken: what is added begins fresh");
    snprintf(report->moves, sizeof report->moves, "%s -> %s%s%s", g->small->arch->name, g->arch->name, o->set ? ": " : "", o->set ? o->set : "");
    return set_additions(g, err);
}

/* Refuses a number of parameters that does not fit: the values of both models, and their packed copies and what passes
 * need while they are compared. */
int check_memory(const growth *g, double target, lithe_error *err)
{
    double needed = 2.5 * ((double)params_total(g->small->params) + target) * sizeof(real), limit = memory_limit();
    if (!(limit > 0) || needed <= limit) return LITHE_OK;
    return fail(err, LITHE_ENOMEM, "%.3g parameters need %.1f GB, more than the %.1f GB of memory of this machine", target, 1e-9 * needed, 1e-9 * limit);
}

int grow_sizes(growth *g, lithe_growth *report, lithe_error *err)
{
    const lithe_grow_options *o = &g->options;
    double now = (double)params_total(g->small->params), target = o->params > 0 ? o->params : o->factor > 0 ? o->factor * now : 0;
    /* Sizes whose default depends on another one (four times the width) are written out, so that they do not grow with
     * it. */
    if (g->arch->growth.keys.inner && inner_size(g->small)) set_int(g->config, g->arch->growth.keys.inner, inner_size(g->small));
    if (axis_size(g->small, AXIS_BOTTLENECK)) set_int(g->config, g->arch->growth.keys.bottleneck, axis_size(g->small, AXIS_BOTTLENECK));
    int status = check_memory(g, target, err);
    if (status) return status;
    if (o->set && target > 0) status = fail(err, LITHE_EINVAL, "give a number of parameters or sizes to set, not both");
    else if (o->set) status = apply_set(g, err);
    else if (!(target > now)) status = fail(err, LITHE_EINVAL, "%.0f parameters are not more than the present %.0f: growing only adds", target, now);
    else status = has_slots(g) ? choose_slots(g, target, err) : choose_shape(g, target, err);
    if (!status) status = list_moves(g, report, err);
    return status;
}

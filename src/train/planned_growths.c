/* Reads which growths a run makes, and how:
 *   grow_at    STEP:WHAT[,STEP:WHAT]; WHAT is a number of parameters, a multiple "2x", sizes "KEY=N[,KEY=N]", another
 *              architecture with what it adds, "to=ARCH[,KEY=VALUE]", or a larger vocabulary, "vocabulary=TOKENIZER"
 *   grow_with  the other options, "noise=0.01,portable,rewarm=50", by the names of lithe_grow_options
 * Invariant: what was read once in a run's options is read in the same way from its trainer.json. */
#include "base/arena.h"
#include "base/cgroup.h"
#include "grow/growth.h"
#include "train/settings.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- when, and to which size ---------------------------------------------------------- */

static const char to_arch[] = "to=", to_vocabulary[] = "vocabulary=";
static bool begins(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

/* The length of "KEY=N,KEY=N" at the beginning of text: up to the comma before the next STEP:, or to its end. */
static size_t sizes_length(const char *text)
{
    size_t n = strcspn(text, ",");
    while (text[n] && strcspn(text + n + 1, ":") >= strcspn(text + n + 1, ",")) n += 1 + strcspn(text + n + 1, ",");
    return n;
}

/* Reads a number of parameters or a multiple; returns what follows it. */
static const char *read_amount(const char *text, planned_growth *g)
{
    char *end;
    double size = strtod(text, &end), unit = *end == 'k' || *end == 'K' ? 1e3 : *end == 'M' ? 1e6 : *end == 'B' || *end == 'G' ? 1e9 : 1;
    bool factor = *end == 'x';
    if (!(size > 0 && size < 1e15)) return text;
    g->params = factor ? 0 : size * unit;
    g->factor = factor ? size : 0;
    return unit > 1 || factor ? end + 1 : end;
}

static int parse_growth(const char *whole, const char **text, planned_growth *g, lithe_error *err)
{
    char *colon;
    long at = strtol(*text, &colon, 10);
    const char *what = colon + 1, *end = what;
    *g = (planned_growth){ .at = (int)at };
    bool sizes = *colon == ':' && what[strcspn(what, "=,:")] == '=';
    if (sizes) {
        g->kind = begins(what, to_arch) ? GROW_ARCH : begins(what, to_vocabulary) ? GROW_VOCABULARY : GROW_SIZES;
        g->what = (size_t)(what - whole) + (g->kind == GROW_ARCH ? strlen(to_arch) : g->kind == GROW_VOCABULARY ? strlen(to_vocabulary) : 0);
        end = what + sizes_length(what);
        g->length = (size_t)(end - whole) - g->what;
    } else if (*colon == ':') end = read_amount(what, g);
    if (at < 1 || at > STEPS_MAX || *colon != ':' || end == what || (*end && *end != ','))
        return fail(err, LITHE_EINVAL, "grow_at is \"%s\" here, expected STEP:PARAMS such as 500:2x or 500:3M, STEP:KEY=N, STEP:to=ARCH or STEP:vocabulary=TOKENIZER", *text);
    *text = *end ? end + 1 : end;
    return LITHE_OK;
}

/* ---- how --------------------------------------------------------------------------------- */

static bool read_number(const char *text, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && *out >= 0 && *out <= most;
}

static bool read_seed(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

/* Reads one item, NAME=VALUE or the name of a flag; false when there is no such option, or no such value. */
static bool read_option(lithe_grow_options *o, char *item)
{
    static const char *const places[] = { "top", "bottom", "spread" };
    char *equals = strchr(item, '=');
    const char *value = equals ? equals + 1 : "1";
    double x = 0;
    if (equals) *equals = 0;
    if (!strcmp(item, "where")) {
        for (int i = 0; i < 3; i++) if (!strcmp(value, places[i])) o->where = places[i];
        return o->where != NULL;
    }
    if (!strcmp(item, "seed")) return read_seed(value, &o->seed);
    if (!read_number(value, !strcmp(item, "rewarm") ? UPDATES_MAX : !strcmp(item, "old_lr") ? 1000 : 1, &x)) return false;
    if (!strcmp(item, "noise")) o->noise = (float)x;
    else if (!strcmp(item, "old_lr")) o->old_lr = (float)x;
    else if (!strcmp(item, "rewarm")) o->rewarm = (int)x;
    else if (!strcmp(item, "portable")) o->portable = x > 0;
    else if (!strcmp(item, "freeze_old")) o->freeze_old = x > 0;
    else return false;
    return true;
}

static int read_options(const char *text, lithe_grow_options *o, lithe_error *err)
{
    char copy[256], *rest = copy, *item;
    if (!text) return LITHE_OK;
    if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) return fail(err, LITHE_EINVAL, "grow_with is longer than %zu characters", sizeof copy);
    while ((item = strsep(&rest, ",")) != NULL)
        if (*item && !read_option(o, item))
            return fail(err, LITHE_EINVAL, "grow_with is \"%s\", expected noise=X, portable, freeze_old, old_lr=X, rewarm=N, where=top|bottom|spread, seed=N", text);
    return LITHE_OK;
}

/* ---- both ---------------------------------------------------------------------------------- */

int settings_growths(settings *s, lithe_error *err)
{
    const char *text = s->grow_at ? s->grow_at : "";
    lithe_grow_options ignored = { .size = sizeof ignored };
    int n = 0, status = read_options(s->grow_with, &ignored, err);
    for (; !status && *text; n++) {
        if (n == MAX_GROWTHS) return fail(err, LITHE_EINVAL, "grow_at names more than %d growths", MAX_GROWTHS);
        status = parse_growth(s->grow_at, &text, &s->growths[n], err);
        if (!status && n && s->growths[n].at <= s->growths[n - 1].at)
            status = fail(err, LITHE_EINVAL, "grow_at: step %d is listed after step %d, steps must increase", s->growths[n].at, s->growths[n - 1].at);
    }
    s->growth_count = n;
    return status;
}

int settings_name_vocabularies(settings *s, lithe_error *err)
{
    size_t room = s->grow_at ? strlen(s->grow_at) + 32 * MAX_GROWTHS : 0, n = 0, from = 0;
    char *text = room ? xalloc(room, 1) : NULL;
    if (!s->grow_at) return LITHE_OK;
    if (!text) return fail(err, LITHE_ENOMEM, "out of memory for the growths");
    for (int i = 0; i < s->growth_count; i++) {
        const planned_growth *g = &s->growths[i];
        if (g->kind != GROW_VOCABULARY) continue;
        n += (size_t)snprintf(text + n, room - n, "%.*svocabulary-%d", (int)(g->what - from), s->grow_at + from, g->at);
        from = g->what + g->length;
    }
    snprintf(text + n, room - n, "%s", s->grow_at + from);
    free(s->grow_at);
    s->grow_at = text;
    return settings_growths(s, err);
}

/* What says how sizes grow is not for the other kinds of growth, where a run has both. */
static void keep_what_applies(const settings *s, const planned_growth *g, lithe_grow_options *o)
{
    bool sizes = false;
    for (int i = 0; i < s->growth_count; i++) sizes |= s->growths[i].kind == GROW_AMOUNT || s->growths[i].kind == GROW_SIZES;
    if (!sizes || g->kind == GROW_AMOUNT || g->kind == GROW_SIZES) return;
    o->method = o->where = NULL;
    o->noise = 0;
    o->portable = 0;
}

int settings_growth(const settings *s, int i, lithe_grow_options *o, char **text, lithe_error *err)
{
    const planned_growth *g = &s->growths[i];
    *o = (lithe_grow_options){ .size = sizeof *o, .params = g->params, .factor = g->factor, .method = s->grow_method };
    *text = g->kind != GROW_AMOUNT ? xstrndup(s->grow_at + g->what, g->length) : NULL;
    if (g->kind != GROW_AMOUNT && !*text) return fail(err, LITHE_ENOMEM, "out of memory for the sizes of a growth");
    if (g->kind == GROW_SIZES) o->set = *text;
    if (g->kind == GROW_ARCH) {
        char *comma = strchr(*text, ',');
        o->to = *text;
        o->set = comma ? comma + 1 : NULL;
        if (comma) *comma = 0;
    }
    int status = read_options(s->grow_with, o, err);
    keep_what_applies(s, g, o);
    return status;
}

/* ---- what can be known of them before the first step ---------------------------------------- */

/* Values, gradients and both moments of the larger model must fit. */
static int check_memory(const planned_growth *g, const lithe_model *large, lithe_error *err)
{
    const double needed = 4.0 * sizeof(real) * (double)params_total(large->params), limit = memory_limit();
    if (!(limit > 0) || needed <= limit) return LITHE_OK;
    return fail(err, LITHE_ENOMEM, "the growth at step %d: training %zu parameters needs %.1f GB, more than the %.1f GB of memory of this machine", g->at, params_total(large->params),
                1e-9 * needed, 1e-9 * limit);
}

/* The model, without values, and the tokenizer after some of the growths. */
typedef struct { const lithe_model *model; lithe_model *declared; const lithe_tokenizer *tokenizer; lithe_tokenizer *opened; } stage;

static void go_on(stage *at, lithe_model *large, lithe_tokenizer *larger)
{
    lithe_model_close(at->declared);
    at->model = at->declared = large;
    if (!larger) return;
    lithe_tokenizer_close(at->opened);
    at->tokenizer = at->opened = larger;
}

static int check_growth(const settings *s, int i, const lithe_dataset *d, stage *at, lithe_error *err)
{
    const planned_growth *g = &s->growths[i];
    lithe_grow_options o;
    lithe_error why = { 0 };
    char *text = NULL;
    if (s->schedule.steps && g->at > s->schedule.steps) return fail(err, LITHE_EINVAL, "grow_at names step %d, but the last step is %d", g->at, s->schedule.steps);
    int status = settings_growth(s, i, &o, &text, err);
    if (!status && g->kind == GROW_VOCABULARY && !d->kind->translate)
        status = fail(err, LITHE_EINVAL, "the growth at step %d: a vocabulary grows in a run on text, not on %s data", g->at, d->kind->name);
    lithe_tokenizer *larger = !status && g->kind == GROW_VOCABULARY ? lithe_tokenizer_open(text, &why) : NULL;
    o.tokenizer = at->tokenizer;
    o.vocabulary = larger;
    lithe_model *large = status ? NULL : growth_declare(at->model, &o, &why);
    if (!status && !large) status = fail(err, why.status, "the growth at step %d: %s", g->at, why.text);
    if (large) status = check_memory(g, large, err);
    free(text);
    if (!status) go_on(at, large, larger);
    else {
        lithe_model_close(large);
        lithe_tokenizer_close(larger);
    }
    return status;
}

int settings_check_growths(const settings *s, const lithe_model *m, const lithe_dataset *d, const lithe_tokenizer *t, lithe_error *err)
{
    stage at = { .model = m, .tokenizer = t };
    int status = LITHE_OK;
    for (int i = 0; !status && i < s->growth_count; i++) status = check_growth(s, i, d, &at, err);
    lithe_model_close(at.declared);
    lithe_tokenizer_close(at.opened);
    return status;
}

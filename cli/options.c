/* The parser follows GNU's conventions: --opt value, --opt=value, --no-opt, -o value, -ovalue,
 * -qo value; "-" is an operand, "--" ends the options, options and operands come in
 * any order.  There are no abbreviations, so that a new option never breaks a script. */
#include "options.h"
#include "lithe_tools.h"
#include "output.h"
#include "quantity.h"
#include "suggest.h"
#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const option common_options[] = {
    { "help", 'h', FLAG(common, help), .help = "print this help and exit; --help --all: all of it", .group = "general" },
    { "quiet", 'q', FLAG(common, quiet), .help = "print nothing but errors", .also = "silent" },
    { "threads", 't', COUNT(common, threads), "N", .help = "number of threads (default: OMP_NUM_THREADS, else the cores that this process may use)",
      .variable = "LITHE_NUM_THREADS", .least = 1, .most = 4096, .also = "jobs,cpus" },
    { 0 }
};

const option *option_at(const verb *v, int i)
{
    int own = 0;
    while (v->options && v->options[own].name) own++;
    const option *o = i < own ? &v->options[i] : &common_options[i - own];
    return o->name ? o : NULL;
}

static int index_named(const verb *v, const char *name, size_t length)
{
    const option *o;
    for (int i = 0; (o = option_at(v, i)); i++)
        if (strlen(o->name) == length && !memcmp(o->name, name, length)) return i;
    return -1;
}

static int index_lettered(const verb *v, char letter)
{
    const option *o;
    for (int i = 0; (o = option_at(v, i)); i++) if (o->letter == letter) return i;
    return -1;
}

origin option_origin(const arguments *a, const char *name)
{
    int i = index_named(a->verb, name, strlen(name));
    return i < 0 ? ORIGIN_DEFAULT : a->origins[i];
}

int letters(const arguments *a, int lowercase) { return lowercase ? 1 : option_origin(a, "lowercase") == ORIGIN_FLAG ? -1 : 0; }

void option_variable(const option *o, char *name, size_t cap)
{
    snprintf(name, cap, "LITHE_%s", o->name);
    for (char *p = name; *p; p++) *p = (char)(*p == '-' ? '_' : toupper((unsigned char)*p));
}

/* ---- values ----------------------------------------------------------------- */

static void print_choices(const char *choices)
{
    for (const char *p = choices; *p; ) {
        size_t n = strcspn(p, "|");
        printf("%.*s\n", (int)n, p);
        p += n + (p[n] == '|');
    }
}

static const char *choice(const char *choices, const char *text)
{
    for (const char *p = choices; *p; ) {
        size_t n = strcspn(p, "|");
        if (strlen(text) == n && !memcmp(p, text, n)) return NULL;
        p += n + (p[n] == '|');
    }
    return "is not one of";
}

static const char *flag_value(const char *text, int *out)
{
    static const char *const words[] = { "0", "no", "false", "off", "1", "yes", "true", "on" };
    for (int i = 0; i < 8; i++) if (!strcmp(text, words[i])) { *out = i >= 4; return NULL; }
    return "is neither yes nor no";
}

static const char *list_add(texts *list, const char *text)
{
    const char **items = realloc(list->items, ((size_t)list->count + 1) * sizeof *items);
    if (!items) return "does not fit in memory";
    items[list->count++] = text;
    list->items = items;
    return NULL;
}

static const char *number_value(const option *o, const char *text, double *x, char *unit)
{
    switch (o->kind) {
    case OPTION_TIME:   return quantity_time(text, x);
    case OPTION_REAL:   return quantity_real(text, x);
    case OPTION_AMOUNT: return quantity_amount(text, *o->choices, x, unit);
    default:            return quantity_size(text, x);
    }
}

/* Stores text as the value of o; returns what is wrong with it, or NULL. */
static const char *store(const option *o, void *settings, const char *text)
{
    void *at = (char *)settings + o->offset;
    double x = 0;
    char unit = 0;
    const char *wrong = NULL;
    switch (o->kind) {
    case OPTION_FLAG:   return flag_value(text, at);
    case OPTION_CHOICE: wrong = choice(o->choices, text); *(const char **)at = text; return wrong;
    case OPTION_TEXT:
    case OPTION_FILE:   *(const char **)at = text; return *text || o->kind == OPTION_TEXT ? NULL : "names no file";
    case OPTION_LIST:   return *text ? list_add(at, text) : "is empty";
    case OPTION_SEED:   return quantity_seed(text, at);
    default:            break;
    }
    if ((wrong = number_value(o, text, &x, &unit))) return wrong;
    if (o->kind == OPTION_COUNT && fabs(x - rint(x)) > 0) return "is not a whole number";
    if (o->kind == OPTION_COUNT && fabs(x) > INT_MAX) return x > 0 ? "is more than 2147483647" : "is less than -2147483647";
    if (x < o->least) return "is below the least";
    if (o->most > 0 && x > o->most) return "is above the most";
    if (o->kind == OPTION_COUNT) *(int *)at = (int)x;
    else if (o->kind == OPTION_AMOUNT) *(amount *)at = (amount){ x, unit };
    else *(double *)at = x;
    return NULL;
}

/* --no-opt */
static void clear(const option *o, void *settings)
{
    void *at = (char *)settings + o->offset;
    switch (o->kind) {
    case OPTION_FLAG: case OPTION_COUNT: *(int *)at = 0; break;
    case OPTION_LIST:   ((texts *)at)->count = 0; break;
    case OPTION_SEED:   *(uint64_t *)at = 0; break;
    case OPTION_AMOUNT: *(amount *)at = (amount){ 0 }; break;
    case OPTION_TEXT: case OPTION_FILE: case OPTION_CHOICE: *(const char **)at = NULL; break;
    case OPTION_SIZE: case OPTION_REAL: case OPTION_TIME: *(double *)at = 0; break;
    }
}

static int no_choice(const option *o, const char *what, const char *text, const char *wrong)
{
    suggestion s;
    suggest_begin(&s, text);
    suggest_list(&s, o->choices, '|');
    return usage("%s: '%s' %s %s%s", what, text, wrong, o->choices, did_you_mean(&s).text);
}

/* A list in one value, of which the last of several would silently replace the others. */
static bool is_one_list(const option *o)
{
    size_t n = o->value ? strlen(o->value) : 0;
    return o->kind == OPTION_TEXT && n > 4 && !strcmp(o->value + n - 4, ",...");
}

/* what: "--lr" or "LITHE_LR" */
static int set(arguments *a, int i, const char *what, const char *text, origin from)
{
    const option *o = option_at(a->verb, i);
    if (o->kind == OPTION_CHOICE && !strcmp(text, "help") && from == ORIGIN_FLAG) {
        if (output_leads()) print_choices(o->choices);
        return EXIT_DONE;
    }
    if (is_one_list(o) && from == ORIGIN_FLAG && a->origins[i] == ORIGIN_FLAG && a->given[i])
        return usage("%s is one list, and is given twice: write %s=%s,%s", what, what, a->given[i], text);
    /* A flag replaces the values of the environment. */
    if (o->kind == OPTION_LIST && a->origins[i] != from) clear(o, a->settings);
    const char *wrong = store(o, a->settings, text);
    a->origins[i] = from;
    a->given[i] = text;
    if (!wrong) return -1;
    if (o->kind == OPTION_CHOICE) return no_choice(o, what, text, wrong);
    if (strstr(wrong, "below")) return usage("%s: %s %s, %.10g", what, text, wrong, o->least);
    if (strstr(wrong, "above")) return usage("%s: %s %s, %.10g", what, text, wrong, o->most);
    return usage("%s: '%s' %s", what, text, wrong);
}

/* ---- the command line ------------------------------------------------------- */

int unknown_option(const verb *v, const char *dashes, const char *name, size_t length)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(length < 60 ? length : 60), name);
    suggestion s;
    suggest_begin(&s, word);
    const option *o;
    for (int i = 0; (o = option_at(v, i)); i++) {
        suggest_offer(&s, o->name);
        suggest_also(&s, o->name, o->also);
    }
    if (*s.best) return usage("unknown option %s%s; did you mean --%s?", dashes, word, s.best);
    return usage("unknown option %s%s; lithe %s --help lists them", dashes, word, v->name);
}

/* The value of a long or short option, where it is the next argument. */
static const char *next_value(const arguments *a, int argc, char **argv, int *at)
{
    const char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
    if (!next) return NULL;
    if (!strncmp(next, "--", 2) && index_named(a->verb, next + 2, strcspn(next + 2, "=")) >= 0) return NULL;
    ++*at;
    return next;
}

static int needs_value(const option *o)
{
    return usage("--%s needs a value: --%s=%s", o->name, o->name, o->value);
}

static int long_option(arguments *a, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2, *value = strchr(name, '=');
    size_t length = strcspn(name, "=");
    int i = index_named(a->verb, name, length);
    char what[64];
    if (i < 0 && !value && !strncmp(name, "no-", 3) && (i = index_named(a->verb, name + 3, length - 3)) >= 0) {
        clear(option_at(a->verb, i), a->settings);
        a->origins[i] = ORIGIN_FLAG;
        a->given[i] = NULL;
        return -1;
    }
    if (i < 0) return unknown_option(a->verb, "--", name, length);
    const option *o = option_at(a->verb, i);
    snprintf(what, sizeof what, "--%s", o->name);
    if (o->kind == OPTION_FLAG)
        return value ? usage("--%s takes no value; --no-%s is its opposite", o->name, o->name) : set(a, i, what, "1", ORIGIN_FLAG);
    value = value ? value + 1 : next_value(a, argc, argv, at);
    return value ? set(a, i, what, value, ORIGIN_FLAG) : needs_value(o);
}

static int short_options(arguments *a, int argc, char **argv, int *at)
{
    for (const char *p = argv[*at] + 1; *p; p++) {
        int i = index_lettered(a->verb, *p), status;
        char what[3] = { '-', *p, 0 };
        if (i < 0) return unknown_option(a->verb, "-", p, 1);
        const option *o = option_at(a->verb, i);
        if (o->kind == OPTION_FLAG) {
            if ((status = set(a, i, what, "1", ORIGIN_FLAG)) >= 0) return status;
            continue;
        }
        const char *value = p[1] ? p + 1 : next_value(a, argc, argv, at);
        return value ? set(a, i, what, value, ORIGIN_FLAG) : needs_value(o);
    }
    return -1;
}

/* Defaults, then the environment. */
static int before_flags(arguments *a)
{
    const option *o;
    char name[64];
    int status = -1;
    for (int i = 0; (o = option_at(a->verb, i)) && status < 0; i++) {
        if (o->preset) store(o, a->settings, o->preset);
        if (!strcmp(o->name, "help")) continue;
        option_variable(o, name, sizeof name);
        const char *value = getenv(name);
        if (!(value && *value) && o->variable) {
            snprintf(name, sizeof name, "%s", o->variable);
            value = getenv(name);
        }
        if (!value || !*value) continue;
        status = set(a, i, name, value, ORIGIN_ENVIRONMENT);
    }
    return status;
}

static int check_operands(const arguments *a)
{
    const verb *v = a->verb;
    if (a->count < v->least)
        return a->count ? usage("%d operands are not enough: lithe %s %s", a->count, v->name, v->operands)
                        : usage("an operand is missing: lithe %s %s", v->name, v->operands);
    if (v->most >= 0 && a->count > v->most)
        return usage("'%s' is one operand too many: lithe %s%s%s", a->operands[v->most], v->name, *v->operands ? " " : "", v->operands);
    return -1;
}

static int asks_for_help(int argc, char **argv, common *settings)
{
    settings->help = 1;
    for (int at = 1; at < argc; at++) if (!strcmp(argv[at], "--all")) settings->help = 2;
    return -1;
}

int arguments_read(arguments *a, const verb *v, int argc, char **argv, void *settings)
{
    *a = (arguments){ .verb = v, .settings = settings, .words = argv };
    int n = 0;
    while (option_at(v, n)) n++;
    assert(n <= MAX_OPTIONS);
    a->operands = calloc((size_t)argc + 1, sizeof *a->operands);
    if (!a->operands) { complain("out of memory"); return EXIT_RESOURCES; }
    for (int at = 1; at < argc && strcmp(argv[at], "--"); at++)             /* --help works whatever else is wrong */
        if (!strcmp(argv[at], "--help")) return asks_for_help(argc, argv, settings);
    int status = before_flags(a);
    bool only_operands = false;
    for (int at = 1; at < argc && status < 0; at++) {
        const char *word = argv[at];
        if (only_operands || word[0] != '-' || !word[1]) a->operands[a->count++] = word;
        else if (!strcmp(word, "--")) only_operands = true;
        else if (word[1] == '-') status = long_option(a, argc, argv, &at);
        else status = short_options(a, argc, argv, &at);
        if (((common *)settings)->help) return asks_for_help(argc, argv, settings);
    }
    return status >= 0 ? status : check_operands(a);
}

void arguments_free(arguments *a)
{
    const option *o;
    for (int i = 0; a->verb && (o = option_at(a->verb, i)); i++)
        if (o->kind == OPTION_LIST) free(((texts *)(void *)((char *)a->settings + o->offset))->items);
    free(a->operands);
}

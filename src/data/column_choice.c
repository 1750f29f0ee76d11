/* Chooses the columns of a table by their names and by what they hold (data/column_choice.h). */
#include "data/column_choice.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LOOKED_AT = 1000, DIFFERENT_MOST = 64, NAME_BYTES = 40, NAME_WORDS = 3 };

/* ---- what a column holds --------------------------------------------------------------- */

/* Over the first rows.  counted: whole numbers that increase by one, as an index does; different: how many different
 * values, DIFFERENT_MOST standing for that many and more. */
typedef struct { double length; bool numbers, filled, counted; int different; size_t rows; const char *seen[DIFFERENT_MOST]; } holding;

/* Truth values count as numbers. */
static bool is_number(const char *text)
{
    char *end;
    if (!strcasecmp(text, "true") || !strcasecmp(text, "false")) return true;
    strtod(text, &end);
    return end != text && !*end;
}

static bool holds(const holding *h, const char *text)
{
    for (int i = 0; i < h->different; i++) if (!strcmp(h->seen[i], text)) return true;
    return false;
}

static holding look_at(const grid *g, size_t first, int column)
{
    const size_t end = g->count < first + LOOKED_AT ? g->count : first + LOOKED_AT;
    holding h = { .numbers = true, .filled = true, .counted = true, .rows = end - first };
    double before = 0;
    for (size_t r = first; r < end; r++) {
        const char *text = grid_field(&g->rows[r], column);
        if (!text || !*text) { h.filled = h.numbers = h.counted = false; continue; }
        double x = strtod(text, NULL);
        h.length += (double)strlen(text) / (double)h.rows;
        h.numbers &= is_number(text);
        h.counted &= r == first || (x > before && x < before + 2 && strspn(text, "0123456789") == strlen(text));
        if (h.different < DIFFERENT_MOST && !holds(&h, text)) h.seen[h.different++] = text;
        before = x;
    }
    h.numbers &= h.rows > 0;
    h.counted &= h.numbers && h.rows > 2;
    return h;
}

/* Values that come again and again, as classes do. */
static bool is_classes(const holding *h) { return h->filled && h->different < DIFFERENT_MOST && (size_t)h->different * 2 <= h->rows; }

/* ---- the header ---------------------------------------------------------------------------- */

static const char *const usual_text[] = { "text", "sentence", "sentence1", "question1", "premise", "question", "review", "content", "utterance", "query", "body", NULL },
                  *const usual_label[] = { "label", "labels", "category", "class", "intent", "score", "gold_label", "similarity", "sentiment", "stars", "target", NULL };
static const char *const usual_pairs[][2] = {
    { "text", "pair" }, { "text", "text_pair" }, { "text", "text2" }, { "text1", "text2" }, { "sentence1", "sentence2" }, { "question1", "question2" },
    { "premise", "hypothesis" }, { "question", "sentence" }, { "question", "passage" }, { "question", "context" }, { "query", "passage" },
    { "query", "document" }, { "#1 string", "#2 string" }, { "question", "answer" },
};

/* Blanks around a name do not count. */
static bool same_name(const char *name, const char *asked)
{
    name += strspn(name, " ");
    size_t n = strlen(asked);
    return !strncasecmp(name, asked, n) && strspn(name + n, " ") == strlen(name + n);
}

static int find_name(const grid *g, const char *name)
{
    for (int i = 0; i < g->columns && g->names; i++) if (g->names[i] && same_name(g->names[i], name)) return i;
    return -1;
}

/* A name and no text: short, of few words, and not ending as a sentence does.  The first may be empty: pandas does not
 * name its index. */
static bool name_like(const char *text, bool first)
{
    const size_t n = text ? strlen(text) : 0;
    int words = 1;
    for (size_t i = 0; i < n; i++) words += text[i] == ' ' && i && text[i - 1] != ' ';
    return n ? n <= NAME_BYTES && words <= NAME_WORDS && !strchr(".!?", text[n - 1]) : first;
}

static bool all_names(const grid_row *r)
{
    for (int i = 0; i < r->count; i++) {
        if (!name_like(r->field[i], i == 0)) return false;
        for (int j = 0; j < i; j++) if (!strcmp(r->field[i], r->field[j])) return false;
    }
    return true;
}

static bool is_usual(const char *name, const char *const *usual)
{
    for (int i = 0; usual[i]; i++) if (same_name(name, usual[i])) return true;
    return false;
}

/* Whether a name was asked for, and not the number of a column. */
static bool asked_by_name(const grid_row *r, const char *name)
{
    bool found = false;
    for (int i = 0; name && *name && i < r->count; i++) found |= r->field[i] && same_name(r->field[i], name);
    return found && strspn(name, "0123456789") < strlen(name);
}

/* The first row is a header when it holds a name that is asked for; or a column below it holds numbers where it does
 * not, or the same few values again and again of which it holds none; or the usual name of a label, or of the only
 * text, that no row below it has. */
static bool is_header(const grid *g, const table_columns *c)
{
    const grid_row *first = &g->rows[0];
    if (asked_by_name(first, c->text) || asked_by_name(first, c->pair) || asked_by_name(first, c->label)) return true;
    if (!all_names(first)) return false;
    double longest = 0, name = 0;
    bool numbers = false, classes = false, usual = false;
    for (int i = 0; i < first->count; i++) {
        const holding h = look_at(g, 1, i);
        const char *text = first->field[i];
        const bool other = *text && !holds(&h, text);
        if (h.length > longest) { longest = h.length; name = (double)strlen(text); }
        numbers |= h.numbers && !is_number(text);
        classes |= other && is_classes(&h);
        usual |= other && (is_usual(text, usual_label) || (first->count == 1 && is_usual(text, usual_text)));
    }
    return numbers || usual || (classes && 2 * name < longest);
}

int columns_header(grid *g, const table_columns *c, bool *header, lithe_error *err)
{
    *header = g->names != NULL;
    if (g->names || !g->count || !is_header(g, c)) return LITHE_OK;
    char **names = arena_alloc(g->memory, ((size_t)g->columns + 1) * sizeof *names);
    if (!names) return grid_out_of_memory(g, err);
    memcpy(names, g->rows[0].field, (size_t)g->rows[0].count * sizeof *names);
    memmove(g->rows, g->rows + 1, --g->count * sizeof *g->rows);
    g->names = names;
    *header = true;
    return LITHE_OK;
}

/* ---- choosing ------------------------------------------------------------------------------ */

typedef struct { const grid *g; const holding *h; column_choice *k; bool one_text; } choosing;

static bool taken(const column_choice *k, int i) { return i == k->text || i == k->pair || i == k->label; }

/* "NAME", or N where there are no names: what a person calls column i. */
typedef struct { char text[NAME_BYTES + 16]; } called;
static called call(const grid *g, int i)
{
    called c;
    if (g->names && g->names[i] && *g->names[i]) snprintf(c.text, sizeof c.text, "\"%.*s\"", NAME_BYTES, g->names[i]);
    else snprintf(c.text, sizeof c.text, "%d", i + 1);
    return c;
}

static int find_free(const choosing *x, const char *const *usual)
{
    for (int i = 0; usual[i]; i++) {
        int at = find_name(x->g, usual[i]);
        if (at >= 0 && !taken(x->k, at)) return at;
    }
    return -1;
}

/* Both names of a usual pair of texts. */
static bool find_pair(const choosing *x)
{
    for (size_t i = 0; i < sizeof usual_pairs / sizeof *usual_pairs; i++) {
        int text = find_name(x->g, usual_pairs[i][0]), pair = find_name(x->g, usual_pairs[i][1]);
        if (text < 0 || pair < 0 || taken(x->k, text) || taken(x->k, pair) || x->h[pair].numbers) continue;
        x->k->text = text;
        x->k->pair = pair;
        return true;
    }
    return false;
}

/* The other column that is text too: no numbers, mostly different, and more than half as long as the text; or -1. */
static int second_text(const choosing *x)
{
    int best = -1;
    for (int i = 0; i < x->g->columns; i++)
        if (!taken(x->k, i) && !x->h[i].numbers && x->h[i].filled && (best < 0 || x->h[i].length > x->h[best].length)) best = i;
    if (best < 0 || x->h[best].different < DIFFERENT_MOST / 2) return -1;
    return x->h[best].length > x->h[x->k->text].length / 2 ? best : -1;
}

static int choose_named_text(const choosing *x, lithe_error *err)
{
    if (!x->one_text && x->k->pair < 0 && find_pair(x)) return LITHE_OK;
    x->k->text = find_free(x, usual_text);
    int other = x->k->text < 0 || x->one_text || x->k->pair >= 0 ? -1 : second_text(x);
    if (other < 0) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "%s: columns %s and %s both hold text: name them with --text-column and --pair-column (\"\" for one text alone)",
                x->g->path, call(x->g, x->k->text).text, call(x->g, other).text);
}

/* The longest column, and with it the next longest in the order of the file. */
static void choose_text(const choosing *x)
{
    column_choice *k = x->k;
    for (int i = 0; i < x->g->columns; i++)
        if (!taken(k, i) && !x->h[i].numbers && (k->text < 0 || x->h[i].length > x->h[k->text].length)) k->text = i;
    for (int i = 0; i < x->g->columns && k->text < 0; i++) if (!taken(k, i)) k->text = i;
    int other = k->text < 0 || x->one_text || k->pair >= 0 ? -1 : second_text(x);
    if (other < 0) return;
    k->pair = other > k->text ? other : k->text;
    k->text = other > k->text ? k->text : other;
}

/* How well a column would do as the label; 0: not at all.  Without names all numbers do equally well. */
static int fitness(const choosing *x, int i)
{
    const holding *h = &x->h[i];
    if (taken(x->k, i) || !h->filled || h->counted) return 0;
    const bool classes = is_classes(h) && h->different > 1;
    if (h->numbers) return classes || !x->g->names ? 4 : 2;
    return classes ? 3 : 1;
}

/* Without names the nearest to the text is the best of those that are equally fit. */
static bool nearer(const choosing *x, int i, int j) { return !x->g->names && abs(i - x->k->text) < abs(j - x->k->text); }

static int choose_label(const choosing *x, lithe_error *err)
{
    int best = -1, equal = -1;
    for (int i = 0; i < x->g->columns; i++) {
        int here = fitness(x, i), there = best < 0 ? 0 : fitness(x, best);
        if (here > there || (here && here == there && nearer(x, i, best))) { best = i; equal = -1; }
        else if (here && here == there && x->g->names) equal = i;
    }
    x->k->label = best;
    if (equal < 0) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "%s: columns %s and %s could each be the label: name it with --label-column", x->g->path, call(x->g, best).text, call(x->g, equal).text);
}

static int named_column(const grid *g, const char *name, int *column, lithe_error *err)
{
    char *end;
    if (!name || !*name) return LITHE_OK;
    if ((*column = find_name(g, name)) >= 0) return LITHE_OK;
    long number = strtol(name, &end, 10);
    if (!*end && number >= 1 && number <= g->columns) { *column = (int)number - 1; return LITHE_OK; }
    if (!*end) return fail(err, LITHE_EINVAL, "%s: has %d columns, there is no column %s", g->path, g->columns, name);
    return fail(err, LITHE_EINVAL, "%s: has no column called \"%s\"%s", g->path, name, g->names ? "" : ", nor a header: give its number, from 1");
}

static int check_different(const grid *g, const column_choice *k, lithe_error *err)
{
    int twice = k->text == k->pair || k->text == k->label ? k->text : k->pair == k->label ? k->pair : -1;
    return twice < 0 ? LITHE_OK : fail(err, LITHE_EINVAL, "%s: column %s cannot be two of text, pair and label", g->path, call(g, twice).text);
}

static int choose_open(const choosing *x, lithe_error *err)
{
    column_choice *k = x->k;
    int status = LITHE_OK;
    const bool text_open = k->text < 0;
    if (x->g->names && k->label < 0) k->label = find_free(x, usual_label);
    if (x->g->names && text_open) status = choose_named_text(x, err);
    if (!status && k->text < 0) choose_text(x);
    if (!status && k->label < 0) status = choose_label(x, err);
    return status ? status : k->text < 0 ? fail(err, LITHE_EFORMAT, "%s: has no column of text", x->g->path) : check_different(x->g, k, err);
}

int columns_choose(const grid *g, const table_columns *c, column_choice *k, lithe_error *err)
{
    *k = (column_choice){ .text = -1, .pair = -1, .label = -1, .header = k->header };
    int status = named_column(g, c->text, &k->text, err);
    if (!status) status = named_column(g, c->pair, &k->pair, err);
    if (!status) status = named_column(g, c->label, &k->label, err);
    holding *h = status ? NULL : xalloc((size_t)g->columns + 1, sizeof *h);
    if (!h) return status ? status : grid_out_of_memory(g, err);
    for (int i = 0; i < g->columns; i++) h[i] = look_at(g, 0, i);
    status = choose_open(&(choosing){ g, h, k, c->pair && !*c->pair }, err);
    free(h);
    return status;
}

char *columns_text(const grid *g, const column_choice *k)
{
    char text[4 * (NAME_BYTES + 32)];
    int n = snprintf(text, sizeof text, "text %s", call(g, k->text).text);
    if (k->pair >= 0) n += snprintf(text + n, sizeof text - (size_t)n, ", pair %s", call(g, k->pair).text);
    if (k->label >= 0) n += snprintf(text + n, sizeof text - (size_t)n, ", label %s", call(g, k->label).text);
    snprintf(text + n, sizeof text - (size_t)n, k->header ? "" : " (no header)");
    return arena_strdup(g->memory, text);
}

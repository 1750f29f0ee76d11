/* Reads labelled text (data/table.h).  A file becomes a grid of fields, columns are chosen, and each row becomes three
 * strings. */
#include "data/table.h"
#include "base/json.h"
#include "data/corpus.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COLUMNS_MOST = 4096, JSON_DEPTH = 32, LOOKED_AT = 1000, DIFFERENT_MOST = 64, NAMES = 12 };

typedef struct { char **field; int count; long line; } grid_row;        /* field NULL: absent or null */
typedef struct {
    const char *path;
    grid_row *rows; size_t count, capacity;
    char **names; int columns;                          /* of the header, or of the objects; NULL without */
    char **field; int fields, field_capacity;           /* of the row that is being read */
    arena *memory;
} grid;

/* ---- rows of fields ------------------------------------------------------------------ */

static int out_of_memory(const grid *g, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: out of memory for its rows", g->path); }

/* Copies n bytes; a NUL among them is refused, since no text holds one. */
static int add_field(grid *g, const char *text, size_t n, long line, lithe_error *err)
{
    if (g->fields == COLUMNS_MOST) return fail(err, LITHE_EFORMAT, "%s:%ld: more than %d columns", g->path, line, COLUMNS_MOST);
    if (memchr(text, 0, n)) return fail(err, LITHE_EFORMAT, "%s:%ld: holds a NUL byte, which no text does", g->path, line);
    if (g->fields == g->field_capacity) {
        int capacity = g->field_capacity ? 2 * g->field_capacity : 16;
        char **grown = xrealloc(g->field, (size_t)capacity, sizeof *grown);
        if (!grown) return out_of_memory(g, err);
        g->field = grown;
        g->field_capacity = capacity;
    }
    char *copy = arena_alloc(g->memory, n + 1);
    if (!copy) return out_of_memory(g, err);
    memcpy(copy, text, n);
    g->field[g->fields++] = copy;
    return LITHE_OK;
}

static int end_row(grid *g, long line, lithe_error *err)
{
    if (g->count == g->capacity) {
        size_t capacity = g->capacity ? 2 * g->capacity : 256;
        grid_row *grown = xrealloc(g->rows, capacity, sizeof *grown);
        if (!grown) return out_of_memory(g, err);
        g->rows = grown;
        g->capacity = capacity;
    }
    char **field = arena_alloc(g->memory, ((size_t)g->fields + 1) * sizeof *field);
    if (!field) return out_of_memory(g, err);
    if (g->fields) memcpy(field, g->field, (size_t)g->fields * sizeof *field);
    g->rows[g->count++] = (grid_row){ field, g->fields, line };
    if (g->fields > g->columns) g->columns = g->fields;
    g->fields = 0;
    return LITHE_OK;
}

static int read_tsv(grid *g, const char *text, size_t size, lithe_error *err)
{
    const char *end = text + size;
    int status = LITHE_OK;
    for (long line = 1; text < end && !status; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end, *next = stop + (newline != NULL);
        if (stop > text && stop[-1] == '\r') stop--;
        bool blank = stop == text;
        for (const char *at = text; !blank && !status;) {
            const char *tab = memchr(at, '\t', (size_t)(stop - at));
            status = add_field(g, at, (size_t)((tab ? tab : stop) - at), line, err);
            if (!tab) break;
            at = tab + 1;
        }
        if (!blank && !status) status = end_row(g, line, err);
        text = next;
    }
    return status;
}

/* Reads a field in quotes: `at` is after the opening ones, and becomes the place after the closing ones. */
static int quoted_field(grid *g, const char **at, const char *end, long *line, long began, lithe_error *err)
{
    const char *p = *at;
    size_t n = 0;
    char *copy = xalloc((size_t)(end - p) + 1 > 65536 ? 65536 : (size_t)(end - p) + 1, 1), *larger;
    size_t capacity = (size_t)(end - p) + 1 > 65536 ? 65536 : (size_t)(end - p) + 1;
    if (!copy) return out_of_memory(g, err);
    for (; p < end; p++) {
        if (*p == '"' && (p + 1 == end || p[1] != '"')) break;
        if (*p == '"') p++;
        if (*p == '\n') ++*line;
        if (n + 1 == capacity) {
            if (!(larger = xrealloc(copy, 2 * capacity, 1))) { free(copy); return out_of_memory(g, err); }
            copy = larger;
            capacity *= 2;
        }
        copy[n++] = *p;
    }
    int status = p < end ? add_field(g, copy, n, began, err) : fail(err, LITHE_EFORMAT, "%s:%ld: a quoted field is not closed", g->path, began);
    free(copy);
    *at = p + 1;
    return status;
}

static int read_csv(grid *g, const char *text, size_t size, lithe_error *err)
{
    const char *at = text, *end = text + size;
    long line = 1, began = 1;
    int status = LITHE_OK;
    while (at < end && !status) {
        if (!g->fields && (*at == '\n' || (*at == '\r' && at + 1 < end && at[1] == '\n'))) { line += *at++ == '\n'; continue; }
        if (!g->fields) began = line;
        if (*at == '"') {
            at++;
            status = quoted_field(g, &at, end, &line, began, err);
            if (!status && at < end && *at != ',' && *at != '\r' && *at != '\n')
                status = fail(err, LITHE_EFORMAT, "%s:%ld: text after the closing quote of a field", g->path, line);
        } else {
            const char *stop = at;
            while (stop < end && *stop != ',' && *stop != '\n') stop++;
            size_t n = (size_t)(stop - at);
            if (stop < end && *stop == '\n' && n && stop[-1] == '\r') n--;
            status = add_field(g, at, n, began, err);
            at = stop;
        }
        if (at < end && *at == '\r') at++;
        bool more = at < end && *at == ',';
        if (!status && more && at + 1 == end) status = add_field(g, "", 0, began, err);
        if (!status && (!more || at + 1 == end)) status = end_row(g, began, err);
        if (at < end) line += *at++ == '\n';
    }
    return status;
}

/* ---- lines of JSON ---------------------------------------------------------------------- */

static int column_of(grid *g, const char *key, lithe_error *err)
{
    for (int i = 0; i < g->columns; i++) if (!strcmp(g->names[i], key)) return i;
    if (g->columns == COLUMNS_MOST) return fail(err, LITHE_EFORMAT, "%s: more than %d different keys", g->path, COLUMNS_MOST);
    if (!g->names && !(g->names = arena_alloc(g->memory, COLUMNS_MOST * sizeof *g->names))) return out_of_memory(g, err);
    if (!(g->names[g->columns] = arena_strdup(g->memory, key))) return out_of_memory(g, err);
    return g->columns++;
}

/* Adds the text of a value: a string as it is, a number or a truth value as JSON writes it; NULL for other values. */
static int add_value(grid *g, const json_t *value, long line, lithe_error *err)
{
    if (json_is_string(value)) return add_field(g, json_string_value(value), json_string_length(value), line, err);
    char *text = json_is_number(value) || json_is_boolean(value) ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) : NULL;
    if (text) {
        int status = add_field(g, text, strlen(text), line, err);
        free(text);
        return status;
    }
    int status = add_field(g, "", 0, line, err);
    if (!status) g->field[g->fields - 1] = NULL;
    return status;
}

static int add_object(grid *g, json_t *object, long line, lithe_error *err)
{
    const char *key;
    json_t *value;
    char **field;
    int status = LITHE_OK;
    if (!json_is_object(object)) return fail(err, LITHE_EFORMAT, "%s:%ld: not a JSON object", g->path, line);
    json_object_foreach(object, key, value) if (!status) { int c = column_of(g, key, err); status = c < 0 ? c : LITHE_OK; }
    if (!status && !(field = arena_alloc(g->memory, ((size_t)g->columns + 1) * sizeof *field))) status = out_of_memory(g, err);
    for (int i = 0; i < g->columns && !status; i++) status = add_value(g, json_object_get(object, g->names[i]), line, err);
    return status ? status : end_row(g, line, err);
}

static int read_jsonl(grid *g, const char *text, size_t size, lithe_error *err)
{
    const char *end = text + size;
    int status = LITHE_OK;
    char what[300];
    for (long line = 1; text < end && !status; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        size_t blank = 0, n = (size_t)(stop - text);
        while (blank < n && strchr(" \t\r", text[blank]) && text[blank]) blank++;
        if (blank < n) {
            snprintf(what, sizeof what, "%.250s:%ld", g->path, line);
            json_t *object = json_parse(text, n, JSON_DEPTH, what, err);
            status = object ? add_object(g, object, line, err) : err ? (int)err->status : LITHE_EFORMAT;
            json_decref(object);
        }
        text = stop + (newline != NULL);
    }
    return status;
}

/* ---- which columns -------------------------------------------------------------------------- */

static const char *const usual_text[NAMES] = { "text", "sentence", "sentence1", "question1", "premise", "question", "review", "content", "utterance", "query", "body", NULL },
                  *const usual_pair[NAMES] = { "pair", "sentence2", "question2", "hypothesis", "text_pair", "text2", "answer", NULL },
                  *const usual_label[NAMES] = { "label", "labels", "category", "class", "intent", "score", "gold_label", "similarity", "sentiment", "stars", "target", NULL };

static const char *field_of(const grid_row *r, int column) { return column >= 0 && column < r->count ? r->field[column] : NULL; }

static int find_name(const grid *g, const char *name)
{
    for (int i = 0; i < g->columns && g->names; i++) if (g->names[i] && !strcasecmp(g->names[i], name)) return i;
    return -1;
}

static int find_usual(const grid *g, const char *const *usual)
{
    for (int i = 0; usual[i]; i++) {
        int at = find_name(g, usual[i]);
        if (at >= 0) return at;
    }
    return -1;
}

/* Whether a name was asked for, and not the number of a column. */
static bool asked_by_name(const grid *g, const char *name)
{
    return name && *name && strspn(name, "0123456789") < strlen(name) && find_name(g, name) >= 0;
}

/* The first row is a header when it holds a name that is looked for. */
static void take_header(grid *g, const table_columns *c)
{
    if (g->names || !g->count) return;
    grid_row *first = &g->rows[0];
    char **names = first->field;
    int columns = g->columns;
    g->names = names;
    g->columns = first->count;
    bool asked = asked_by_name(g, c->text) || asked_by_name(g, c->pair) || asked_by_name(g, c->label);
    if (asked || (find_usual(g, usual_label) >= 0) || (first->count == 1 && find_usual(g, usual_text) >= 0)) {
        g->rows++;
        g->count--;
    } else g->names = NULL;
    g->columns = columns > g->columns ? columns : g->columns;
    if (!g->names) return;
    char **all = arena_alloc(g->memory, (size_t)(g->columns + 1) * sizeof *all);
    if (all) memcpy(all, names, (size_t)first->count * sizeof *all);
    g->names = all ? all : NULL;
    if (!all) g->columns = first->count;
}

/* Statistics of a column over the first rows. */
typedef struct { double length; bool numbers, filled; int different; } holding;

static bool is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return end != text && !*end;
}

static holding look_at(const grid *g, int column)
{
    const char *seen[DIFFERENT_MOST];
    holding h = { .numbers = true, .filled = true };
    size_t rows = g->count < LOOKED_AT ? g->count : LOOKED_AT;
    for (size_t r = 0; r < rows; r++) {
        const char *text = field_of(&g->rows[r], column);
        int i = 0;
        if (!text || !*text) { h.filled = h.numbers = false; continue; }
        h.length += (double)strlen(text) / (double)rows;
        h.numbers &= is_number(text);
        while (i < h.different && strcmp(seen[i], text)) i++;
        if (i == h.different && i < DIFFERENT_MOST) seen[h.different++] = text;
    }
    return h;
}

typedef struct { int text, pair, label; } choice;

static void choose_text(const grid *g, const holding *h, choice *k)
{
    for (int i = 0; i < g->columns; i++)
        if (i != k->label && !h[i].numbers && (k->text < 0 || h[i].length > h[k->text].length)) k->text = i;
    for (int i = 0; i < g->columns && k->text < 0; i++) if (i != k->label) k->text = i;
}

static void choose_pair(const grid *g, const holding *h, choice *k)
{
    int best = -1;
    for (int i = 0; i < g->columns; i++)
        if (i != k->label && i != k->text && !h[i].numbers && h[i].filled && (best < 0 || h[i].length > h[best].length)) best = i;
    if (best < 0 || h[best].different < DIFFERENT_MOST / 2 || h[best].length <= h[k->text].length / 2) return;
    k->pair = best > k->text ? best : k->text;
    k->text = best > k->text ? k->text : best;
}

static void choose_label(const grid *g, const holding *h, choice *k)
{
    int best = -1;
    for (int i = 0; i < g->columns; i++) {
        if (i == k->text || i == k->pair || !h[i].filled) continue;
        bool better = best < 0 || h[i].numbers > h[best].numbers
                   || (h[i].numbers == h[best].numbers && (h[i].numbers ? abs(i - k->text) < abs(best - k->text) : h[i].different < h[best].different));
        if (better) best = i;
    }
    k->label = best;
}

static int choose_by_content(const grid *g, choice *k, bool pair, lithe_error *err)
{
    holding *h = xalloc((size_t)g->columns + 1, sizeof *h);
    if (!h) return out_of_memory(g, err);
    for (int i = 0; i < g->columns; i++) h[i] = look_at(g, i);
    bool text_open = k->text < 0;
    if (text_open) choose_text(g, h, k);
    if (text_open && pair && k->pair < 0 && k->text >= 0) choose_pair(g, h, k);
    if (k->label < 0) choose_label(g, h, k);
    free(h);
    return LITHE_OK;
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

static int choose_columns(const grid *g, const table_columns *c, choice *k, lithe_error *err)
{
    *k = (choice){ -1, -1, -1 };
    int status = named_column(g, c->text, &k->text, err);
    if (!status) status = named_column(g, c->pair, &k->pair, err);
    if (!status) status = named_column(g, c->label, &k->label, err);
    if (status) return status;
    bool named = g->names && k->text < 0;
    if (g->names && k->text < 0) k->text = find_usual(g, usual_text);
    if (named && k->text >= 0 && !c->pair) k->pair = find_usual(g, usual_pair);
    if (g->names && k->label < 0) k->label = find_usual(g, usual_label);
    if (k->text < 0 || k->label < 0) status = choose_by_content(g, k, !c->pair, err);
    if (!status && k->text < 0) status = fail(err, LITHE_EFORMAT, "%s: has no column of text", g->path);
    return status;
}

/* ---- rows --------------------------------------------------------------------------------------- */

static int take_rows(table *t, const grid *g, const choice *k, bool need_label, lithe_error *err)
{
    t->rows = xalloc(g->count + 1, sizeof *t->rows);
    if (!t->rows) return out_of_memory(g, err);
    for (size_t i = 0; i < g->count; i++) {
        const grid_row *r = &g->rows[i];
        table_row row = { field_of(r, k->text), field_of(r, k->pair), field_of(r, k->label), r->line };
        if (!row.text) return fail(err, LITHE_EFORMAT, "%s:%ld: has %d columns, the text is column %d", g->path, r->line, r->count, k->text + 1);
        if (k->pair >= 0 && !row.pair) return fail(err, LITHE_EFORMAT, "%s:%ld: has %d columns, the second text is column %d", g->path, r->line, r->count, k->pair + 1);
        if (need_label && (!row.label || !*row.label))
            return fail(err, LITHE_EFORMAT, "%s:%ld: has no label%s", g->path, r->line, k->label < 0 ? ": name its column" : "");
        t->rows[t->count++] = row;
    }
    return LITHE_OK;
}

static bool named_as(const char *path, const char *ending)
{
    static const char *const packed[] = { "", ".gz", ".zst" };
    size_t n = strlen(path), m = strlen(ending);
    for (int i = 0; i < 3; i++) {
        size_t p = strlen(packed[i]);
        if (n > m + p && !strcasecmp(path + n - p, packed[i]) && !strncasecmp(path + n - p - m, ending, m)) return true;
    }
    return false;
}

static int read_grid(grid *g, lithe_error *err)
{
    document d;
    corpus *c = corpus_open_file(g->path, false, err);
    int status = c ? corpus_next(c, &d, err) : LITHE_EIO;
    if (status == 0) status = fail(err, LITHE_EFORMAT, "%s: is empty", g->path);
    else if (status == 1) {
        bool jsonl = named_as(g->path, ".jsonl") || named_as(g->path, ".json");
        status = (jsonl ? read_jsonl : named_as(g->path, ".csv") ? read_csv : read_tsv)(g, d.text, d.size, err);
    }
    corpus_close(c);
    return status && failed(err) ? (int)err->status : status;
}

int table_read(table *t, const char *path, const table_columns *c, bool need_label, lithe_error *err)
{
    *t = (table){ 0 };
    const table_columns none = { 0 };
    grid g = { .path = path, .memory = &t->memory };
    choice k;
    int status = failed(err) ? (int)err->status : read_grid(&g, err);
    grid_row *rows = g.rows;
    if (!status) take_header(&g, c ? c : &none);
    if (!status && !g.count) status = fail(err, LITHE_EFORMAT, "%s: holds no rows", path);
    if (!status) status = choose_columns(&g, c ? c : &none, &k, err);
    if (!status) status = take_rows(t, &g, &k, need_label, err);
    free(rows);
    free(g.field);
    if (status) table_free(t);
    return status;
}

void table_free(table *t)
{
    free(t->rows);
    arena_free(&t->memory);
    *t = (table){ 0 };
}

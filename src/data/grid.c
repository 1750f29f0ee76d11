/* Reads the file of a table into rows of fields (data/grid.h). */
#include "data/grid.h"
#include "base/json.h"
#include "data/corpus.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COLUMNS_MOST = 4096, JSON_DEPTH = 32 };

/* ---- rows of fields ------------------------------------------------------------------ */

int grid_out_of_memory(const grid *g, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: out of memory for its rows", g->path); }

/* Copies n bytes; a NUL among them is refused, since no text holds one. */
static int add_field(grid *g, const char *text, size_t n, long line, lithe_error *err)
{
    if (g->fields == COLUMNS_MOST) return fail(err, LITHE_EFORMAT, "%s:%ld: more than %d columns", g->path, line, COLUMNS_MOST);
    if (memchr(text, 0, n)) return fail(err, LITHE_EFORMAT, "%s:%ld: holds a NUL byte, which no text does", g->path, line);
    if (g->fields == g->field_capacity) {
        int capacity = g->field_capacity ? 2 * g->field_capacity : 16;
        char **grown = xrealloc(g->field, (size_t)capacity, sizeof *grown);
        if (!grown) return grid_out_of_memory(g, err);
        g->field = grown;
        g->field_capacity = capacity;
    }
    char *copy = arena_alloc(g->memory, n + 1);
    if (!copy) return grid_out_of_memory(g, err);
    memcpy(copy, text, n);
    g->field[g->fields++] = copy;
    return LITHE_OK;
}

static int end_row(grid *g, long line, lithe_error *err)
{
    if (g->count == g->capacity) {
        size_t capacity = g->capacity ? 2 * g->capacity : 256;
        grid_row *grown = xrealloc(g->rows, capacity, sizeof *grown);
        if (!grown) return grid_out_of_memory(g, err);
        g->rows = grown;
        g->capacity = capacity;
    }
    char **field = arena_alloc(g->memory, ((size_t)g->fields + 1) * sizeof *field);
    if (!field) return grid_out_of_memory(g, err);
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
    if (!copy) return grid_out_of_memory(g, err);
    for (; p < end; p++) {
        if (*p == '"' && (p + 1 == end || p[1] != '"')) break;
        if (*p == '"') p++;
        if (*p == '\n') ++*line;
        if (n + 1 == capacity) {
            if (!(larger = xrealloc(copy, 2 * capacity, 1))) { free(copy); return grid_out_of_memory(g, err); }
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
    if (!g->names && !(g->names = arena_alloc(g->memory, COLUMNS_MOST * sizeof *g->names))) return grid_out_of_memory(g, err);
    if (!(g->names[g->columns] = arena_strdup(g->memory, key))) return grid_out_of_memory(g, err);
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
    int status = LITHE_OK;
    if (!json_is_object(object)) return fail(err, LITHE_EFORMAT, "%s:%ld: not a JSON object", g->path, line);
    json_object_foreach(object, key, value) if (!status) { int c = column_of(g, key, err); status = c < 0 ? c : LITHE_OK; }
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

/* ---- files ------------------------------------------------------------------------------- */

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

/* Refuses the first row that is not as wide as the first of all.  Where many rows between tabs are wider, that is the
 * way of the file (GLUE's STS-B adds where a text is from), and no slip. */
static int check_widths(const grid *g, bool tabs, lithe_error *err)
{
    enum { MANY = 16, SHARE = 100 };
    const int width = g->count ? g->rows[0].count : 0;
    size_t wider = 0;
    for (size_t i = 0; i < g->count; i++) wider += g->rows[i].count > width;
    const bool usual = tabs && wider >= MANY && wider >= g->count / SHARE;
    for (size_t i = 0; i < g->count; i++) {
        const grid_row *r = &g->rows[i];
        if (r->count < width || (r->count > width && !usual))
            return fail(err, LITHE_EFORMAT, "%s:%ld: has %d columns, line %ld has %d", g->path, r->line, r->count, g->rows[0].line, width);
    }
    return LITHE_OK;
}

int grid_read(grid *g, lithe_error *err)
{
    document d;
    corpus *c = corpus_open_file(g->path, false, err);
    int status = c ? corpus_next(c, &d, err) : LITHE_EIO;
    if (status == 0) status = fail(err, LITHE_EFORMAT, "%s: is empty", g->path);
    else if (status == 1) {
        const bool jsonl = named_as(g->path, ".jsonl") || named_as(g->path, ".json"), csv = named_as(g->path, ".csv");
        status = (jsonl ? read_jsonl : csv ? read_csv : read_tsv)(g, d.text, d.size, err);
        if (!status && !jsonl) status = check_widths(g, !csv, err);
    }
    corpus_close(c);
    return status && failed(err) ? (int)err->status : status;
}

void grid_free(grid *g)
{
    free(g->rows);
    free(g->field);
}

const char *grid_field(const grid_row *r, int column) { return column >= 0 && column < r->count ? r->field[column] : NULL; }

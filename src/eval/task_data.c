/* Reads the data files of tasks (eval/task_data.h). */
#include "base/arena.h"
#include "eval/task_data.h"
#include "base/file.h"
#include "data/corpus.h"
#include "data/grid.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RECORD_DEPTH = 16, FIELDS_MOST = 1024, NAME_MOST = 256 };

static int memory_out(const task_data *d, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: out of memory for its records", d->path); }

static task_record *add_record(task_data *d, long line)
{
    if (d->count == d->room) {
        size_t room = d->room ? 2 * d->room : 256;
        task_record *grown = xrealloc(d->records, room, sizeof *grown);
        if (!grown) return NULL;
        d->records = grown;
        d->room = room;
    }
    d->records[d->count] = (task_record){ .line = line };
    return &d->records[d->count++];
}

/* Copies a field of n bytes into a record. */
static int copy_field(task_data *d, task_record *r, const char *name, const char *text, size_t n, lithe_error *err)
{
    if (memchr(text, 0, n)) return fail(err, LITHE_EFORMAT, "%s:%ld: \"%.60s\" holds a NUL byte, which no text does", d->path, r->line, name);
    if (r->count == FIELDS_MOST) return fail(err, LITHE_EFORMAT, "%s:%ld: more than %d fields", d->path, r->line, FIELDS_MOST);
    char *key = arena_strdup(&d->memory, name), *copy = arena_alloc(&d->memory, n + 1);
    if (!key || !copy) return memory_out(d, err);
    memcpy(copy, text, n);
    return record_set(r, key, copy, &d->memory) ? LITHE_OK : memory_out(d, err);
}

/* ---- JSON --------------------------------------------------------------------------------- */

/* Adds a value as name, and what it contains as name.key and name.0. */
static int add_value(task_data *d, task_record *r, const char *name, json_t *value, lithe_error *err)
{
    char inner[NAME_MOST];
    const char *key, *dot = *name ? "." : "";
    json_t *part;
    size_t i;
    int status = LITHE_OK;
    if (json_is_string(value)) return copy_field(d, r, name, json_string_value(value), json_string_length(value), err);
    json_object_foreach(value, key, part) {
        if (snprintf(inner, sizeof inner, "%s%s%s", name, dot, key) < NAME_MOST && !status) status = add_value(d, r, inner, part, err);
    }
    json_array_foreach(value, i, part) {
        if (snprintf(inner, sizeof inner, "%s%s%zu", name, dot, i) < NAME_MOST && !status) status = add_value(d, r, inner, part, err);
    }
    if (!json_is_number(value) && !json_is_boolean(value)) return status;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    status = text ? copy_field(d, r, name, text, strlen(text), err) : memory_out(d, err);
    free(text);
    return status;
}

/* The end of the object that begins at text, or `end` if it is not closed; *line counts its lines. */
static const char *object_end(const char *text, const char *end, long *line)
{
    bool quoted = false;
    int depth = 0;
    for (; text < end; text++) {
        if (*text == '\n') ++*line;
        if (quoted && *text == '\\' && text + 1 < end) text++;
        else if (*text == '"') quoted = !quoted;
        else if (!quoted && *text == '{') depth++;
        else if (!quoted && *text == '}' && !--depth) return text + 1;
    }
    return end;
}

static int add_object(task_data *d, const char *text, size_t size, long line, lithe_error *err)
{
    char what[300];
    snprintf(what, sizeof what, "%.250s:%ld", d->path, line);
    json_t *object = json_parse(text, size, RECORD_DEPTH, what, err);
    task_record *r = object ? add_record(d, line) : NULL;
    int status = r ? add_value(d, r, "", object, err) : object ? memory_out(d, err) : LITHE_EFORMAT;
    json_decref(object);
    return status;
}

/* Objects in a list or one after the other. */
static int read_objects(task_data *d, const char *text, const char *end, lithe_error *err)
{
    long line = 1;
    int status = LITHE_OK;
    for (; text < end && !status; text++) {
        if (*text == '\n') line++;
        if (strchr(" \t\r\n,[]", *text) && *text) continue;
        if (*text != '{') return fail(err, LITHE_EFORMAT, "%s:%ld: expected a JSON object, found \"%.*s\"", d->path, line, (int)(end - text < 20 ? end - text : 20), text);
        long begun = line;
        const char *stop = object_end(text, end, &line);
        status = add_object(d, text, (size_t)(stop - text), begun, err);
        text = stop - 1;
    }
    return status;
}

/* ---- tables and lines ------------------------------------------------------------------------ */

static int read_table(task_data *d, lithe_error *err)
{
    grid g = { .path = d->path, .memory = &d->memory };
    int status = grid_read(&g, err);
    for (size_t i = 1; i < g.count && !status; i++) {
        task_record *r = add_record(d, g.rows[i].line);
        if (!r) status = memory_out(d, err);
        for (int c = 0; c < g.rows[0].count && !status; c++) {
            const char *name = grid_field(&g.rows[0], c), *text = grid_field(&g.rows[i], c);
            if (name && text && !record_set(r, name, text, &d->memory)) status = memory_out(d, err);
        }
    }
    grid_free(&g);
    return status;
}

/* Gives the next line of text without its end; false at the end. */
static bool next_line(const char **text, const char *end, const char **line, size_t *n)
{
    if (*text >= end) return false;
    const char *stop = memchr(*text, '\n', (size_t)(end - *text));
    *line = *text;
    *n = (size_t)((stop ? stop : end) - *text);
    *text = stop ? stop + 1 : end;
    if (*n && (*line)[*n - 1] == '\r') --*n;
    return true;
}

static int read_lines(task_data *d, const task_form *f, const char *text, const char *end, lithe_error *err)
{
    const char *line;
    size_t n;
    long number = 0;
    int at = 0, status = LITHE_OK;
    task_record *r = NULL;
    while (!status && next_line(&text, end, &line, &n)) {
        number++;
        if (!at && !n) continue;
        if (!at && !(r = add_record(d, number))) return memory_out(d, err);
        status = copy_field(d, r, f->lines[at], line, n, err);
        at = (at + 1) % f->line_count;
    }
    if (!status && at) status = fail(err, LITHE_EFORMAT, "%s:%ld: ends after %d of the %d lines of a record", d->path, number, at, f->line_count);
    return status;
}

/* ---- forms -------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && !strcasecmp(path + n - m, ending);
}

/* The name of a file without its folder and the endings of packing and format; to be freed. */
static char *stem_of(const char *path)
{
    static const char *const endings[] = { ".gz", ".zst", ".jsonl", ".json", ".csv", ".tsv", ".txt" };
    char *name = xstrdup(path_base(path));
    for (size_t i = 0; name && i < sizeof endings / sizeof *endings; i++)
        if (ends_in(name, endings[i])) name[strlen(name) - strlen(endings[i])] = 0;
    return name;
}

static const task_form *form_of_lines(const task_file *t)
{
    for (int i = 0; i < t->form_count; i++) if (t->forms[i].lines) return &t->forms[i];
    return NULL;
}

static bool has_fields(const task_record *r, const char **fields, int count)
{
    for (int i = 0; i < count; i++) if (!record_text(r, fields[i])) return false;
    return true;
}

static void list_fields(char *text, size_t size, const char **fields, int count)
{
    for (int i = 0; i < count; i++) snprintf(text + strlen(text), size - strlen(text), "%s%s", i ? ", " : "", fields[i]);
}

static int other_form(const task_data *d, const task_file *t, lithe_error *err)
{
    char there[100] = "", wanted[180] = "";
    const task_record *r = &d->records[0];
    for (int i = 0; i < r->count && i < 8; i++) snprintf(there + strlen(there), sizeof there - strlen(there), "%s%.30s", i ? ", " : "", r->fields[i].name);
    for (int i = 0; i < t->form_count; i++) {
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s", i ? "; or " : "");
        if (t->forms[i].lines) snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "lines of text: ");
        list_fields(wanted + strlen(wanted), sizeof wanted - strlen(wanted), t->forms[i].lines ? t->forms[i].lines : t->forms[i].fields, t->forms[i].line_count + t->forms[i].field_count);
    }
    return fail(err, LITHE_EFORMAT, "%s:%ld: is not data of %s: it has %s; expected are %s", d->path, r->line, t->name, *there ? there : "no fields", wanted);
}

/* The form of the records, by the first one. */
static const task_form *find_form(const task_data *d, const task_file *t)
{
    for (int i = 0; i < t->form_count; i++)
        if (has_fields(&d->records[0], t->forms[i].lines ? t->forms[i].lines : t->forms[i].fields, t->forms[i].line_count + t->forms[i].field_count)) return &t->forms[i];
    return NULL;
}

static int extract(task_data *d, task_record *r, const extraction *x, const task_file *t, lithe_error *err)
{
    const char *text = record_text(r, x->field), *name, *start;
    size_t n;
    int found = text ? task_pattern_search(x->pattern, text, err) : 0, status = found < 0 ? found : LITHE_OK;
    if (text && !found) return fail(err, LITHE_EFORMAT, "%s:%ld: \"%s\" is not of the form that %s reads: \"%.80s\"", d->path, r->line, x->field, t->name, text);
    for (int i = 0; found > 0 && !status && task_pattern_group(x->pattern, i, &name, &start, &n); i++)
        if (start) status = copy_field(d, r, name, start, n, err);
    return status;
}

static int derive(task_data *d, task_record *r, const task_form *f, const task_file *t, lithe_error *err)
{
    int status = LITHE_OK;
    for (int i = 0; i < f->extract_count && !status; i++) status = extract(d, r, &f->extract[i], t, err);
    for (int i = 0; i < f->set_count && !status; i++) {
        const char *text;
        status = record_fill(r, f->set[i].text, t, d, &d->memory, &text, err);
        if (!status && text && !record_set(r, f->set[i].name, text, &d->memory)) status = memory_out(d, err);
    }
    return status;
}

/* The labels in the lines of a file beside the data, if it is there. */
static int read_labels(task_data *d, const task_form *f, const task_file *t, lithe_error *err)
{
    const task_record none = { .line = 1 };
    const char *name, *line;
    size_t n, size, row = 0;
    int status = f->labels ? record_fill(&none, f->labels, t, d, &d->memory, &name, err) : LITHE_OK;
    if (!f->labels || status) return status;
    char *dir = path_parent(d->path), *path = dir ? path_join(dir, name) : NULL, *text = path && path_exists(path) ? file_read(path, (size_t)1 << 26, &size, err) : NULL;
    const char *at = text;
    while (text && !status && next_line(&at, text + size, &line, &n)) {
        if (row == d->count) { row += n > 0; if (row > d->count) break; continue; }
        status = copy_field(d, &d->records[row++], "label", line, n, err);
    }
    if (text && !status && row != d->count)
        status = fail(err, LITHE_EFORMAT, "%s: has %s lines than the %zu records of %s", path, row < d->count ? "fewer" : "more", d->count, d->path);
    if (failed(err)) status = err->status;
    free(text);
    free(path);
    free(dir);
    return status;
}

static int read_text(task_data *d, const task_file *t, const char *text, size_t size, lithe_error *err)
{
    const task_form *lines = form_of_lines(t);
    size_t blank = 0;
    while (blank < size && strchr(" \t\r\n", text[blank]) && text[blank]) blank++;
    if (blank < size && (text[blank] == '{' || text[blank] == '[')) return read_objects(d, text, text + size, err);
    if (lines && !ends_in(d->path, ".csv") && !ends_in(d->path, ".tsv")) return read_lines(d, lines, text, text + size, err);
    return read_table(d, err);
}

int task_data_read(task_data *d, const task_file *t, const char *path, lithe_error *err)
{
    *d = (task_data){ .path = path, .name = stem_of(path) };
    document text;
    corpus *c = corpus_open_file(path, false, err);
    int status = c ? corpus_next(c, &text, err) : LITHE_EIO;
    if (status == 1) status = read_text(d, t, text.text, text.size, err);
    if (!status && !d->count) status = fail(err, LITHE_EFORMAT, "%s: holds no records", path);
    corpus_close(c);
    const task_form *f = status ? NULL : find_form(d, t);
    if (!status && !f) status = other_form(d, t, err);
    if (!status) status = read_labels(d, f, t, err);
    for (size_t i = 0; i < d->count && !status; i++) status = derive(d, &d->records[i], f, t, err);
    if (status) task_data_free(d);
    return status && failed(err) ? (int)err->status : status;
}

void task_data_free(task_data *d)
{
    free(d->name);
    free(d->records);
    arena_free(&d->memory);
    *d = (task_data){ 0 };
}

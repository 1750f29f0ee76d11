#include "report/record_table.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int open_file(writer *w, const char *dir, const char *name, const char *ending, lithe_error *err)
{
    char file[128];
    snprintf(file, sizeof file, "%s%s", name, ending);
    char *path = path_join(dir, file);
    int status = path ? writer_open(w, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    return status;
}

int record_begin(record_table *t, const char *dir, const char *name, const char *const *columns, lithe_error *err)
{
    *t = (record_table){ .columns = columns, .err = err };
    t->status = open_file(&t->csv, dir, name, ".csv", err);
    if (t->status) return t->status;
    t->status = open_file(&t->json, dir, name, ".json", err);
    if (t->status) { writer_abandon(&t->csv); return t->status; }
    for (int i = 0; columns[i]; i++) fprintf(t->csv.stream, "%s%s", i ? "," : "", columns[i]);
    fputs("\n", t->csv.stream);
    fputs("[", t->json.stream);
    return LITHE_OK;
}

/* Before a cell: what separates it, and its name in JSON. */
static bool begin_cell(record_table *t)
{
    if (t->status) return false;
    if (!t->column) fputs(t->rows++ ? ",\n {" : "\n {", t->json.stream);
    fputs(t->column ? "," : "", t->csv.stream);
    fprintf(t->json.stream, "%s\"%s\": ", t->column ? ", " : "", t->columns[t->column]);
    return true;
}

static void end_cell(record_table *t)
{
    if (t->columns[++t->column]) return;
    fputs("\n", t->csv.stream);
    fputs("}", t->json.stream);
    t->column = 0;
}

void record_words(record_table *t, const char *text)
{
    if (!begin_cell(t)) return;
    json_t *value = json_string(text);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    fputs(quoted ? quoted : "null", t->json.stream);
    bool quotes = strpbrk(text, ",\"\r\n") != NULL;
    if (quotes) fputc('"', t->csv.stream);
    for (const char *c = text; *c; c++) fprintf(t->csv.stream, *c == '"' ? "\"\"" : "%c", *c);
    if (quotes) fputc('"', t->csv.stream);
    free(quoted);
    json_decref(value);
    end_cell(t);
}

void record_number(record_table *t, double x)
{
    if (!begin_cell(t)) return;
    if (isfinite(x)) fprintf(t->csv.stream, "%.12g", x);
    if (isfinite(x)) fprintf(t->json.stream, "%.12g", x);
    else fputs("null", t->json.stream);
    end_cell(t);
}

int record_end(record_table *t)
{
    if (t->status) return t->status;
    fputs("\n]\n", t->json.stream);
    t->status = writer_commit(&t->csv, t->err);
    if (t->status) writer_abandon(&t->json);
    else t->status = writer_commit(&t->json, t->err);
    return t->status;
}

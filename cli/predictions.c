#include "predictions.h"
#include "inputs.h"
#include "output.h"
#include "output_file.h"
#include "token_answers.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { AT_ONCE = 256 };

/* ---- the table that is written ---------------------------------------------------- */

typedef struct { output_file out; FILE *file; bool commas, number; const lithe_model *model; int labels, column; } table_out;

static void end_field(table_out *s, bool last)
{
    fputc(last ? '\n' : s->commas ? ',' : '\t', s->file);
}

/* Between commas what needs it stands in quotes; between tabs a tab or a line break becomes a blank. */
static void put_field(table_out *s, const char *text, bool last)
{
    const bool quoted = s->commas && strpbrk(text, ",\"\r\n");
    if (quoted) fputc('"', s->file);
    for (const char *p = text; *p; p++) {
        if (quoted && *p == '"') fputc('"', s->file);
        fputc(!s->commas && strchr("\t\r\n", *p) ? ' ' : *p, s->file);
    }
    if (quoted) fputc('"', s->file);
    end_field(s, last);
}

static void put_number(table_out *s, double x, const char *format, bool last)
{
    char text[40];
    snprintf(text, sizeof text, format, x);
    put_field(s, text, last);
}

static void put_head(table_out *s)
{
    char text[24], name[300];
    put_field(s, "predicted", s->number);
    if (s->number) return;
    put_field(s, "probability", false);
    for (int i = 0; i < s->labels; i++) {
        snprintf(name, sizeof name, "p(%s)", label_name(s->model, i, text, sizeof text));
        put_field(s, name, i + 1 == s->labels);
    }
}

static void put_prediction(table_out *s, const float *p)
{
    char text[24];
    int best = 0;
    if (s->number) { put_number(s, (double)p[0], "%.6g", true); return; }
    for (int i = 1; i < s->labels; i++) if (p[i] > p[best]) best = i;
    put_field(s, label_name(s->model, best, text, sizeof text), false);
    put_number(s, (double)p[best], "%.4f", false);
    for (int i = 0; i < s->labels; i++) put_number(s, (double)p[i], "%.4f", i + 1 == s->labels);
}

static bool ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), k = strlen(ending);
    return n > k && !strcasecmp(name + n - k, ending);
}

static int table_begin(table_out *s, const lithe_model *m, const char *out, lithe_error *err)
{
    const char *task = lithe_model_task(m);
    *s = (table_out){ .commas = out && ends_in(out, ".csv"), .model = m, .labels = lithe_model_labels(m), .number = task && !strcmp(task, "regress") };
    if (strcmp(task ? task : "", "classify") && !s->number) return wrong(err, LITHE_EINVAL, "a table is classified by a model that has one answer for each text or image, this one predicts %s", task);
    if (out) output_file_open(&s->out, out, err);
    s->file = out ? s->out.stream : stdout;
    return err->status;
}

static void table_end(table_out *s, lithe_error *err)
{
    if (s->out.stream) output_file_close(&s->out, err);
}

/* ---- tables -------------------------------------------------------------------------- */

/* The rows of the input that are answered together. */
typedef struct { const char *text[AT_ONCE], *pair[AT_ONCE], *label[AT_ONCE]; } rows;

static void put_rows(table_out *s, const rows *r, size_t n, bool pairs, bool labels, const float *p)
{
    for (size_t i = 0; i < n; i++) {
        put_field(s, r->text[i], false);
        if (pairs) put_field(s, r->pair[i] ? r->pair[i] : "", false);
        if (labels) put_field(s, r->label[i] ? r->label[i] : "", false);
        put_prediction(s, p + i * (size_t)(s->number ? 1 : s->labels));
    }
}

static size_t take_rows(const lithe_table *table, size_t first, rows *r)
{
    size_t n = 0;
    for (lithe_table_row row; n < AT_ONCE && (row = lithe_table_row_at(table, first + n)).text; n++) {
        r->text[n] = row.text;
        r->pair[n] = row.pair;
        r->label[n] = row.label;
    }
    return n;
}

static size_t answer_rows(lithe_engine *e, const lithe_tokenizer *t, const lithe_table *table, table_out *s, bool labels, lithe_error *err)
{
    const bool pairs = lithe_table_row_at(table, 0).pair != NULL;
    rows r;
    size_t cut = 0;
    float *p = allocate((size_t)(s->labels > 0 ? s->labels : 1) * AT_ONCE, sizeof *p, err);
    put_field(s, "text", false);
    if (pairs) put_field(s, "pair", false);
    if (labels) put_field(s, "label", false);
    put_head(s);
    for (size_t first = 0, n; p && !err->status && (n = take_rows(table, first, &r)); first += n) {
        size_t some = 0;
        if (lithe_engine_classify(e, t, r.text, pairs ? r.pair : NULL, n, p, &some, err) > 0) put_rows(s, &r, n, pairs, labels, p);
        cut += some;
    }
    free(p);
    return cut;
}

int predict_table(lithe_model *m, const lithe_tokenizer *t, const prediction_settings *o, lithe_error *err)
{
    const lithe_data_options columns = { .size = sizeof columns, .text_column = o->text_column, .pair_column = o->pair_column, .label_column = o->label_column };
    lithe_table *table = lithe_table_open(o->table, &columns, err);
    lithe_engine *e = table ? lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1), err) : NULL;
    table_out s = { 0 };
    if (e && !table_begin(&s, m, o->out, err)) {
        say("columns: %s", lithe_table_columns(table));
        const size_t cut = answer_rows(e, t, table, &s, lithe_table_row_at(table, 0).label != NULL, err);
        table_end(&s, err);
        if (cut) say("%zu of %zu texts are longer than the model's context of %d tokens and were truncated", cut, lithe_table_count(table), lithe_model_context(m));
    }
    lithe_engine_close(e);
    lithe_table_close(table);
    return err->status;
}

/* ---- sets of images ---------------------------------------------------------------------- */

bool is_table(const char *path)
{
    static const char *const endings[] = { ".csv", ".tsv", ".jsonl" }, *const packed[] = { "", ".gz", ".zst" };
    bool named = false;
    struct stat at;
    for (int i = 0; i < 9; i++) {
        char ending[16];
        snprintf(ending, sizeof ending, "%s%s", endings[i / 3], packed[i % 3]);
        named |= ends_in(path, ending);
    }
    return named && !stat(path, &at) && S_ISREG(at.st_mode);
}

bool is_image_set(const char *path)
{
    struct stat at;
    if (stat(path, &at)) return false;
    return S_ISDIR(at.st_mode) || (!ends_in(path, ".png") && !ends_in(path, ".jpg") && !ends_in(path, ".jpeg") && lithe_images_known(path));
}

static void answer_images(lithe_model *m, const lithe_image_set *images, table_out *s, lithe_error *err)
{
    const size_t count = lithe_image_set_count(images);
    float *p = allocate((size_t)(s->labels > 0 ? s->labels : 1) * AT_ONCE, sizeof *p, err);
    put_field(s, "file", false);
    put_head(s);
    for (size_t first = 0; p && first < count && !err->status; first += AT_ONCE) {
        const size_t n = count - first < AT_ONCE ? count - first : AT_ONCE;
        const int labels = lithe_classify_image_set(m, images, first, n, p, err);
        for (size_t i = 0; i < n && labels > 0; i++) {
            put_field(s, lithe_image_set_name(images, first + i), false);
            put_prediction(s, p + i * (size_t)labels);
        }
    }
    free(p);
}

int predict_images(lithe_model *m, const char *const *paths, int n, const prediction_settings *o, lithe_error *err)
{
    table_out s = { 0 };
    lithe_image_set *images = lithe_image_set_open(paths, n, err);
    if (images && !table_begin(&s, m, o->out, err)) {
        const char *left_out = lithe_image_set_left_out(images, err);
        if (left_out) say("left out: %s", left_out);
        answer_images(m, images, &s, err);
        table_end(&s, err);
    }
    lithe_image_set_close(images);
    return err->status;
}

/* Evaluates a model's classes or numbers on a labelled table. */
#include "eval/classification.h"
#include "base/sized.h"
#include "data/metrics.h"
#include "infer/classify.h"
#include <stdlib.h>

/* Holds the rows of a table with their labels as the model knows them. */
typedef struct { table rows; const char **text, **pair; int *label; float *value; } task_table;

static void close_table(task_table *x)
{
    table_free(&x->rows);
    free(x->text);
    free(x->pair);
    free(x->label);
    free(x->value);
}

static int read_table(task_table *x, const lithe_model *m, const char *path, const lithe_data_options *o, lithe_error *err)
{
    const table_columns columns = { o->text_column, o->pair_column, o->label_column };
    label_names names = { 0 };
    int status = table_read(&x->rows, path, &columns, true, err);
    if (!status && !m->task.regression) status = class_names(m, &names, err);
    const label_set set = { m->task.regression, names.text, names.count };
    size_t n = x->rows.count;
    *x = (task_table){ x->rows, xalloc(n, sizeof *x->text), xalloc(n, sizeof *x->pair), xalloc(n, sizeof *x->label), xalloc(n, sizeof *x->value) };
    if (!status && (!x->text || !x->pair || !x->label || !x->value)) status = fail(err, LITHE_ENOMEM, "not enough memory for %zu examples", n);
    for (size_t i = 0; i < n && !status; i++) {
        const table_row *r = &x->rows.rows[i];
        x->text[i] = r->text;
        x->pair[i] = r->pair;
        status = label_read(&set, r, path, &x->label[i], &x->value[i], err);
    }
    names_free(&names);
    return status;
}

typedef struct { const task_table *table; outcomes outcomes; } judging;

static void take_outcomes(void *context, const results *r, const batch *b, size_t first)
{
    judging *j = context;
    const tensor *logits = r->logits;
    for (int s = 0; s < b->seqs; s++)
        outcomes_add(&j->outcomes, logits->data + (size_t)s * (size_t)logits->width, j->table->label[first + (size_t)s], j->table->value[first + (size_t)s]);
}

static int evaluate_table(lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, lithe_evaluation *out, size_t *confusion, lithe_error *err)
{
    task_table x = { 0 };
    judging j = { .table = &x };
    size_t cut = 0;
    lithe_engine *e = engine_of_whole(m, err);
    int status = e ? must_label(m, err) : LITHE_ENOMEM;
    if (!status) status = read_table(&x, m, path, o, err);
    if (!status) status = outcomes_open(&j.outcomes, m->task.regression ? 0 : m->task.labels, x.rows.count, err);
    if (!status) status = read_labelled(e, t, x.text, x.pair, x.rows.count, take_outcomes, &j, &cut, err);
    if (!status) {
        *out = outcomes_evaluation(&j.outcomes);
        out->cut = cut;
        if (confusion) outcomes_confusion(&j.outcomes, confusion);
        snprintf(out->notice, sizeof out->notice, "columns: %s", x.rows.columns);
    }
    outcomes_close(&j.outcomes);
    close_table(&x);
    lithe_engine_close(e);
    return status;
}

int lithe_evaluate(lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, lithe_evaluation *out, lithe_error *err)
{
    return lithe_evaluate_classes(m, t, path, o, out, NULL, err);
}

int lithe_evaluate_classes(lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, lithe_evaluation *out, size_t *confusion, lithe_error *err)
{
    *out = (lithe_evaluation){ .metrics = metrics_unknown };
    lithe_data_options options;
    if (options_read(&options, sizeof options, o, "lithe_data_options", err)) return LITHE_EINVAL;
    if (path && lithe_model_images(m, NULL, NULL, NULL)) return evaluate_images(m, path, out, confusion, err);
    if (!m || !t || !path) return fail(err, LITHE_EINVAL, "an evaluation needs a model, a tokenizer and a table");
    return evaluate_table(m, t, path, &options, out, confusion, err);
}

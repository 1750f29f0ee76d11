/* Classes and numbers of texts, and how good they are on a labelled table. */
#include "data/labelled.h"
#include "base/sized.h"
#include "data/metrics.h"
#include "eval/image_classification.h"
#include "infer/sequences.h"
#include <math.h>
#include <stdlib.h>

static int must_label(const lithe_model *m, lithe_error *err)
{
    if (m->task.kind == TASK_SEQUENCE) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "this %s has no head that classifies texts: its task is \"%s\"; lithe train --from it --task classify makes one",
                m->arch->name, task_name(&m->task));
}

/* ---- texts ------------------------------------------------------------------------------ */

typedef struct { float *out; bool numbers; } labelling;

static void take_labels(void *context, const results *r, const batch *b, size_t first)
{
    const labelling *l = context;
    int classes = r->logits->width;
    for (int s = 0; s < b->seqs; s++) {
        const real *z = r->logits->data + (size_t)s * (size_t)classes;
        float *out = l->out + (first + (size_t)s) * (size_t)classes;
        for (int c = 0; c < classes; c++) out[c] = l->numbers ? (float)z[c] : (float)exp(-label_loss(z, classes, c));
    }
}

int lithe_classify(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n, float *out, size_t *cut, lithe_error *err)
{
    sequences x;
    if (failed(err)) return err->status;
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    int status = must_label(m, err);
    if (status) return status;
    labelling l = { out, m->task.regression };
    status = sequences_encode(&x, m, t, texts, pairs, n, 0, err);
    if (cut) *cut = status ? 0 : x.cut;
    if (!status) status = sequences_run(&x, m, WANT_LOGITS, take_labels, &l, err);
    sequences_close(&x);
    return status ? status : m->task.labels;
}

/* ---- tables -------------------------------------------------------------------------------- */

static int read_table(examples *e, const lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, const pair_form *f, lithe_error *err)
{
    int classes = m->task.regression ? 0 : m->task.labels, named = 0;
    char **names = xalloc((size_t)classes + 1, sizeof *names), numbers[1] = "";
    if (!names) return fail(err, LITHE_ENOMEM, "not enough memory for %d labels", classes);
    for (int i = 0; i < classes; i++) {
        const char *name = lithe_model_label(m, i);
        named += name != NULL;
        names[i] = name ? (char *)(uintptr_t)name : numbers;
    }
    label_set set = { m->task.regression, names, classes };
    table_columns c = { 0 };
    if (o) c = (table_columns){ o->text_column, o->pair_column, o->label_column };
    int status = examples_read(e, path, &c, &set, f, t, err);
    free(names);
    return status;
}

/* The examples as sequences, cut to the model's context. */
static int lay_out(sequences *x, const examples *e, const pair_form *f, const lithe_model *m, lithe_error *err)
{
    int limit = lithe_model_context(m), most = e->longest < limit ? e->longest : limit;
    size_t room;
    *x = (sequences){ .start = xalloc(e->count + 1, sizeof *x->start) };
    if (size_mul(e->count, (size_t)most, &room)) {
        x->ids = xalloc(room, sizeof *x->ids);
        x->types = xalloc(room, sizeof *x->types);
    }
    if (!x->start || !x->ids || !x->types) return fail(err, LITHE_ENOMEM, "not enough memory for %zu examples", e->count);
    for (size_t used = 0; x->n < e->count;) {
        const size_t *s = e->start + 2 * x->n;
        int whole = pair_length(f, (int)(s[1] - s[0]), s[2] > s[1] ? (int)(s[2] - s[1]) : -1);
        x->cut += whole > limit;
        used += (size_t)example_write(e, f, x->n, limit, x->ids + used, x->types + used);
        x->start[++x->n] = used;
    }
    return check_ids(m, x->ids, x->start[x->n], err) ? LITHE_EINVAL : LITHE_OK;
}

typedef struct { const examples *e; double loss; int *predicted; double *value, *truth; } judging;

static void take_outcomes(void *context, const results *r, const batch *b, size_t first)
{
    judging *j = context;
    int classes = r->logits->width;
    for (int s = 0; s < b->seqs; s++) {
        const real *z = r->logits->data + (size_t)s * (size_t)classes;
        size_t i = first + (size_t)s;
        j->predicted[i] = label_of(z, classes);
        j->value[i] = (double)z[0];
        j->truth[i] = (double)j->e->value[i];
        j->loss += classes == 1 ? pow(j->value[i] - j->truth[i], 2) : label_loss(z, classes, j->e->label[i]);
    }
}

static void judge(const judging *j, const lithe_model *m, size_t n, lithe_evaluation *out)
{
    out->loss = j->loss / (double)n;
    if (m->task.regression) {
        out->metrics.pearson = metric_pearson(j->value, j->truth, n);
        out->metrics.spearman = metric_spearman(j->value, j->truth, n);
        return;
    }
    class_metrics c = metrics_of_classes(j->predicted, j->e->label, n, m->task.labels);
    out->metrics.accuracy = c.accuracy;
    out->metrics.f1 = c.f1;
    out->metrics.matthews = c.matthews;
}

int lithe_evaluate(lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, lithe_evaluation *out, lithe_error *err)
{
    examples e = { 0 };
    sequences x = { 0 };
    pair_form f;
    judging j = { .e = &e };
    *out = (lithe_evaluation){ .metrics = { NAN, NAN, NAN, NAN, NAN, NAN } };
    lithe_data_options options;
    if (options_read(&options, sizeof options, o, "lithe_data_options", err)) return LITHE_EINVAL;
    if (m && path && m->arch->equations.image) return evaluate_images(m, path, out, err);
    if (!m || !t || !path) return fail(err, LITHE_EINVAL, "an evaluation needs a model, a tokenizer and a table");
    int status = must_label(m, err);
    if (!status) status = pair_form_open(&f, t, err);
    if (!status) status = read_table(&e, m, t, path, &options, &f, err);
    if (!status) status = lay_out(&x, &e, &f, m, err);
    if (!status) {
        j.predicted = xalloc(e.count, sizeof *j.predicted);
        j.value = xalloc(e.count, sizeof *j.value);
        j.truth = xalloc(e.count, sizeof *j.truth);
        status = j.predicted && j.value && j.truth ? sequences_run(&x, m, WANT_LOGITS, take_outcomes, &j, err) : fail(err, LITHE_ENOMEM, "not enough memory for %zu examples", e.count);
    }
    if (!status) judge(&j, m, e.count, out);
    out->examples = e.count;
    out->cut = x.cut;
    free(j.predicted);
    free(j.value);
    free(j.truth);
    sequences_close(&x);
    examples_free(&e);
    return status;
}

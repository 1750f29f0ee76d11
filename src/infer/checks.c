/* Checks that a model can do what is asked of it, and that what it says are numbers. */
#include "infer/infer.h"
#include <math.h>
#include <stdlib.h>

int must_predict_tokens(const lithe_model *m, lithe_error *err)
{
    if (m->task.kind == TASK_LANGUAGE || m->task.kind == TASK_PRETRAIN) return 0;
    return fail(err, LITHE_EINVAL, "this %s has no head that predicts tokens: its task is \"%s\"", m->arch->name, task_name(&m->task));
}

int must_continue_text(const lithe_model *m, lithe_error *err)
{
    if (must_predict_tokens(m, err)) return LITHE_EINVAL;
    if (!arch_encoder(m->arch, m->config)) return 0;
    return fail(err, LITHE_EINVAL, "%s is bidirectional: it predicts masked tokens (lithe fill) and cannot continue a text", m->arch->name);
}

int must_read_images(const lithe_model *m, lithe_error *err)
{
    bool images = arch_images(m->arch, m->config).side;
    if (images && m->task.kind == TASK_SEQUENCE) return 0;
    if (images) return fail(err, LITHE_EINVAL, "this %s has no head that tells classes: its task is \"%s\"", m->arch->name, task_name(&m->task));
    return fail(err, LITHE_EINVAL, "a %s reads text, not images", m->arch->name);
}

/* ---- results that are no numbers ------------------------------------------------------- */

/* Whether the rows that the batch has of a result are finite; a result that was not asked for is. */
static bool all_finite(const tensor *t, const batch *b)
{
    const int rows = !t ? 0 : t->space == ROWS_TOKENS ? b->rows : t->space == ROWS_SEQS ? b->seqs : b->select ? b->selected : b->rows;
    for (size_t i = 0, n = t ? (size_t)rows * (size_t)t->width : 0; i < n; i++) if (!isfinite(t->data[i])) return false;
    return true;
}

static int blame(const lithe_model *m, lithe_error *err)
{
    int status = lithe_model_finite(m, err);
    return status ? status : fail(err, LITHE_EFORMAT, "the model's results are no numbers, though all its parameters are: they, or the states that it was given, are too large");
}

int pass_answer(pass *p, const lithe_model *m, lithe_error *err)
{
    int status = pass_run(p, err);
    if (status) return status;
    const tensor *const asked[] = { p->r.loss, p->r.logits, p->r.seq_loss, p->r.seq_logits, p->r.hidden };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) if (!all_finite(asked[i], &p->batch.view)) return blame(m, err);
    return LITHE_OK;
}

#include "infer/classify.h"
#include "base/softmax.h"
#include <math.h>

int must_label(const lithe_model *m, lithe_error *err)
{
    if (m->task.kind == TASK_SEQUENCE) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "this %s has no head that classifies texts: its task is \"%s\"; lithe train --from it --task classify makes one",
                m->arch->name, task_name(&m->task));
}

typedef struct { float *out; bool numbers, sigmoid; } labelling;

static void take_labels(void *context, const results *r, const batch *b, size_t first)
{
    const labelling *l = context;
    int classes = r->logits->width;
    for (int s = 0; s < b->seqs; s++) {
        const real *z = r->logits->data + (size_t)s * (size_t)classes;
        float *out = l->out + (first + (size_t)s) * (size_t)classes;
        if (l->sigmoid) for (int c = 0; c < classes; c++) out[c] = (float)(1 / (1 + exp(-(double)z[c])));
        else if (l->numbers) *out = (float)*z;
        else softmax_probabilities(z, classes, out);
    }
}

int read_labelled(lithe_engine *e, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                  sequences_take *take, void *context, size_t *cut, lithe_error *err)
{
    sequences x;
    int status = sequences_encode(&x, engine_model(e), t, texts, pairs, n, 0, err);
    if (cut) *cut = status ? 0 : x.cut;
    if (!status) status = sequences_run(&x, e, WANT_LOGITS, take, context, err);
    sequences_close(&x);
    return status;
}

int lithe_engine_classify(lithe_engine *e, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n, float *out, size_t *cut,
                          lithe_error *err)
{
    if (!e) return fail(err, LITHE_EINVAL, "there is no engine");
    if (failed(err)) return err->status;
    const task *k = &engine_model(e)->task;
    int status = must_label(engine_model(e), err);
    if (!status) status = read_labelled(e, t, texts, pairs, n, take_labels, &(labelling){ out, k->regression, k->sigmoid }, cut, err);
    return status ? status : k->labels;
}

int lithe_classify(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n, float *out, size_t *cut, lithe_error *err)
{
    lithe_engine *e = engine_of_whole(m, err);
    int labels = lithe_engine_classify(e, t, texts, pairs, n, out, cut, err);
    lithe_engine_close(e);
    return labels;
}

/* The likelihoods of texts, alone or after contexts, by the scorer of tasks. */
#include "eval/task_score.h"
#include "lithe_eval.h"
#include "base/progress.h"
#include <string.h>

enum { AT_ONCE = 32 };

static bool long_text(const lithe_model *m, const task_sequence *q) { return q->n > (size_t)lithe_model_context(m) + 1; }

/* Texts first .. first+count-1. */
static int score_some(task_scorer *s, const lithe_tokenizer *t, const char *const *contexts, const char *const *texts, size_t first, size_t count, lithe_likelihood *out, size_t *cut, lithe_error *err)
{
    arena memory = { 0 };
    task_sequence sequences[AT_ONCE];
    task_score scores[AT_ONCE];
    task_request requests[AT_ONCE];
    const bool encoder = arch_encoder(s->model->arch, s->model->config);
    const size_t context = (size_t)lithe_model_context(s->model);
    int status = LITHE_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const char *before = contexts && contexts[first + i] ? contexts[first + i] : "", *text = texts[first + i];
        bool lost = false;
        status = (encoder ? task_encode_around : task_encode)(&sequences[i], t, before, "", text, context, &memory, &lost, err);
        requests[i] = (task_request){ &sequences[i], 1, &scores[i] };
        *cut += lost;
    }
    if (!status) status = task_scorer_run(s, requests, count, err);
    for (size_t i = 0; i < count && !status; i++) {
        const bool unknown = !encoder && long_text(s->model, &sequences[i]);
        out[first + i] = (lithe_likelihood){ -scores[i].nll, sequences[i].end - sequences[i].first, unknown ? -1 : scores[i].greedy };
    }
    arena_free(&memory);
    return status;
}

int lithe_likelihoods(lithe_model *m, const lithe_tokenizer *t, const char *const *contexts, const char *const *texts, size_t n, lithe_likelihood *out, size_t *cut, lithe_error *err)
{
    task_scorer s = { 0 };
    size_t ignored = 0, *lost = cut ? cut : &ignored;
    *lost = 0;
    if (failed(err)) return err->status;
    if (!m || !t || (n && (!texts || !out))) return fail(err, LITHE_EINVAL, "scoring needs a model, a tokenizer and texts");
    int status = lithe_model_fits(m, t, err);
    if (!status) status = task_scorer_open(&s, m, t, err);
    for (size_t first = 0; first < n && !status; first += AT_ONCE) {
        status = progress_tell("scoring texts", (double)first, (double)n, err);
        if (!status) status = score_some(&s, t, contexts, texts, first, n - first < AT_ONCE ? n - first : AT_ONCE, out, lost, err);
    }
    task_scorer_close(&s);
    return status;
}

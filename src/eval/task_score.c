#include "eval/task_score.h"
#include <stdlib.h>

int task_scorer_open(task_scorer *s, lithe_model *m, const lithe_tokenizer *t, lithe_error *err)
{
    *s = (task_scorer){ .model = m, .mask = -1 };
    if (must_predict_tokens(m, err)) return LITHE_EINVAL;
    if (!arch_encoder(m->arch, m->config)) return LITHE_OK;
    s->mask = lithe_tokenizer_special(t, "mask");
    return s->mask >= 0 ? LITHE_OK : fail(err, LITHE_ECONFIG, "the tokenizer has no mask token, by which an encoder scores texts");
}

void task_scorer_close(task_scorer *s)
{
    lithe_engine_close(s->engine);
    free(s->root);
    free(s->logits);
    *s = (task_scorer){ 0 };
}

int task_scorer_run(task_scorer *s, task_request *requests, size_t count, lithe_error *err)
{
    if (!count) return LITHE_OK;
    return arch_encoder(s->model->arch, s->model->config) ? score_masked(s, requests, count, err) : score_causal(s, requests, count, err);
}

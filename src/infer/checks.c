/* What a model must be, and ids must be, for what is asked of them. */
#include "infer/infer.h"

int check_ids(const lithe_model *m, const int32_t *ids, size_t n, lithe_error *err)
{
    int vocab = lithe_model_vocab(m);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return fail(err, LITHE_EINVAL, "token %d at place %zu is not in the model's vocabulary of %d: is this its tokenizer?", (int)ids[i], i, vocab);
    return 0;
}

int must_predict_tokens(const lithe_model *m, lithe_error *err)
{
    if (m->task.kind == TASK_LANGUAGE || m->task.kind == TASK_PRETRAIN) return 0;
    return fail(err, LITHE_EINVAL, "this %s has no head that predicts tokens: its task is \"%s\"", m->arch->name, task_name(&m->task));
}

int must_continue_text(const lithe_model *m, lithe_error *err)
{
    if (must_predict_tokens(m, err)) return LITHE_EINVAL;
    if (!arch_encoder(m->arch, m->config)) return 0;
    return fail(err, LITHE_EINVAL, "%s looks both ways: it fills in masked tokens (lithe fill), it cannot continue a text", m->arch->name);
}

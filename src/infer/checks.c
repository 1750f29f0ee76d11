/* Checks that a model can do what is asked of it. */
#include "infer/infer.h"

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

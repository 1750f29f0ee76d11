/* Computes the logits of images, without any state. */
#include "infer/infer.h"
#include <stdlib.h>

int must_read_images(const lithe_model *m, lithe_error *err)
{
    bool images = arch_images(m->arch, m->config).side;
    if (images && m->task.kind == TASK_SEQUENCE) return 0;
    if (images) return fail(err, LITHE_EINVAL, "this %s has no head that tells classes: its task is \"%s\"", m->arch->name, task_name(&m->task));
    return fail(err, LITHE_EINVAL, "a %s reads text, not images", m->arch->name);
}

int image_pass_open(image_pass *p, const lithe_model *m, int images, lithe_error *err)
{
    *p = (image_pass){ 0 };
    if (failed(err) || must_read_images(m, err)) return err ? (int)err->status : LITHE_EINVAL;
    int tokens = lithe_model_context(m);
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { tokens * images, images, 0 } };
    p->tokens = tokens;
    p->labels = m->task.labels;
    int status = pass_open(&p->pass, m, &o, WANT_LOGITS, err);
    if (!status && !(p->patches = xalloc((size_t)(tokens - 1) * (size_t)p->pass.batch.capacity.patch_width, sizeof *p->patches)))
        status = fail(err, LITHE_ENOMEM, "not enough memory for images of %d tokens", tokens);
    if (status) image_pass_close(p);
    return status;
}

void image_pass_close(image_pass *p)
{
    pass_close(&p->pass);
    free(p->patches);
    *p = (image_pass){ 0 };
}

void image_pass_add(image_pass *p) { batch_add(&p->pass.batch, &(batch_sequence){ .n = p->tokens, .patches = p->patches }); }

int image_pass_run(image_pass *p, lithe_error *err)
{
    int status = pass_run(&p->pass, err);
    batch_begin(&p->pass.batch);
    return status;
}

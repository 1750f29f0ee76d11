/* Pictures through a model that keeps nothing: logits of each. */
#include "infer/infer.h"
#include <stdlib.h>

int must_read_images(const lithe_model *m, lithe_error *err)
{
    if (m->arch->equations.image && m->task.kind == TASK_SEQUENCE) return 0;
    if (m->arch->equations.image) return fail(err, LITHE_EINVAL, "this %s has no head that tells classes: its task is \"%s\"", m->arch->name, task_name(&m->task));
    return fail(err, LITHE_EINVAL, "a %s reads text, not pictures", m->arch->name);
}

int image_pass_open(image_pass *p, const lithe_model *m, int pictures, lithe_error *err)
{
    *p = (image_pass){ 0 };
    if (failed(err) || must_read_images(m, err)) return err ? (int)err->status : LITHE_EINVAL;
    int tokens = lithe_model_context(m), rows = tokens * pictures;
    image_shape z = m->arch->equations.image(m->config);
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { rows, pictures, 0 } };
    p->tokens = tokens;
    p->labels = m->task.labels;
    p->patch_width = z.channels * z.patch * z.patch;
    p->patches = xalloc((size_t)rows * (size_t)p->patch_width, sizeof *p->patches);
    p->pos = xalloc((size_t)rows, sizeof *p->pos);
    p->start = xalloc((size_t)pictures + 1, sizeof *p->start);
    int status = p->patches && p->pos && p->start ? pass_open(&p->pass, m, &o, WANT_LOGITS, err) : fail(err, LITHE_ENOMEM, "not enough memory for %d pictures", pictures);
    if (status) { image_pass_close(p); return status; }
    for (int r = 0; r < rows; r++) p->pos[r] = r % tokens;
    for (int s = 0; s <= pictures; s++) p->start[s] = s * tokens;
    return LITHE_OK;
}

void image_pass_close(image_pass *p)
{
    pass_close(&p->pass);
    free(p->patches);
    free(p->pos);
    free(p->start);
    *p = (image_pass){ 0 };
}

real *image_pass_patches(const image_pass *p, int picture) { return p->patches + ((size_t)picture * (size_t)p->tokens + 1) * (size_t)p->patch_width; }

const real *image_pass_run(image_pass *p, int pictures)
{
    graph_run(p->pass.g, &(batch){ .rows = p->tokens * pictures, .seqs = pictures, .pos = p->pos, .start = p->start, .patches = p->patches });
    return p->pass.r.logits->data;
}

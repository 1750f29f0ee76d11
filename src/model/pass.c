/* Opens, plans and runs a graph of a model's equations (model/pass.h). */
#include "model/pass.h"
#include "base/threads.h"

static int make(pass *p, const lithe_model *m, const graph_options *o, want w, int (*plan)(graph *g, lithe_error *err), lithe_error *err)
{
    *p = (pass){ 0 };
    if (failed(err)) return err->status;
    p->g = graph_new(kernels_default(), m->params, o);
    if (!p->g) return fail(err, LITHE_ENOMEM, "not enough memory for the graph");
    p->r = arch_build(m->arch, m->config, &m->task, p->g, w);
    int status = plan(p->g, err);
    if (status) pass_close(p);
    return status;
}

int pass_plan(pass *p, const lithe_model *m, const graph_options *o, want w, lithe_error *err) { return make(p, m, o, w, graph_plan_only, err); }

int pass_open(pass *p, const lithe_model *m, const graph_options *o, want w, lithe_error *err)
{
    const image_shape images = arch_images(m->arch, m->config);
    batch_capacity most = { .rows = o->capacity[ROWS_TOKENS], .seqs = o->capacity[ROWS_SEQS], .selected = o->capacity[ROWS_SELECTED],
                            .patch_width = images.channels * images.patch * images.patch };
    int status = make(p, m, o, w, graph_plan, err);
    if (status) return status;
    status = batch_open(&p->batch, most, err);
    if (status) pass_close(p);
    return status;
}

void pass_close(pass *p)
{
    graph_close(p->g);
    batch_close(&p->batch);
    *p = (pass){ 0 };
}

stored_type default_cache(size_t bytes, size_t numbers) { return bytes < 3 * numbers ? STORED_F16 : STORED_REAL; }

int pass_run(pass *p, lithe_error *err)
{
    const batch *b = batch_view(&p->batch, err);
    if (!b) return err ? (int)err->status : LITHE_EINVAL;
    if (!thread_ready()) return fail(err, LITHE_ENOMEM, "out of memory for a thread's scratch");
    graph_run(p->g, b);
    return params_intact(graph_params(p->g), err);
}

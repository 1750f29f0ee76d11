#include "golden.h"
#include "test.h"
#include <stdlib.h>

/* ---- levels -------------------------------------------------------------------- */

void at_level(const char *level, void (*run)(const kernels *))
{
    setenv("LITHE_CPU", level, 1);                          /* before anybody asks for the default table */
    const kernels *k = kernels_level(level);
    if (!k) test_skip("this machine has no %s", level);
    CHECK_MSG(!strcmp(kernels_default()->name, k->name), "LITHE_CPU=%s gives %s", level, kernels_default()->name);
    run(k);
}

/* ---- golden models --------------------------------------------------------------- */

static _Noreturn void give_up(const lithe_error *err)
{
    test_fail(__FILE__, __LINE__, err->text);
    fflush(stdout);
    _Exit(1);
}

static void read_ints(const golden *q, const char *name, int *out)
{
    float *values = golden_values(q, NULL, name, GOLDEN_ROWS);
    for (int i = 0; values && i < GOLDEN_ROWS; i++) out[i] = (int)values[i];
    free(values);
}

void golden_open(golden *q, const char *name, const char *answers)
{
    lithe_error err = { 0 };
    char path[128];
    *q = (golden){ .name = name };
    snprintf(path, sizeof path, "tests/golden/%s", name);
    q->model = lithe_model_open(test_file(path), NULL, &err);
    snprintf(path, sizeof path, "tests/golden/%s/golden.safetensors", answers ? answers : name);
    if (q->model) q->answers = tensor_file_open(test_file(path), &err);
    if (!q->answers) give_up(&err);
    read_ints(q, "ids", q->ids);
    read_ints(q, "targets", q->target);
    for (int r = 0; r < GOLDEN_ROWS; r++) q->pos[r] = r % GOLDEN_LENGTH;
    for (int s = 0; s <= GOLDEN_SEQS; s++) q->start[s] = s * GOLDEN_LENGTH;
    q->batch = (batch){ .rows = GOLDEN_ROWS, .seqs = GOLDEN_SEQS, .ids = q->ids, .pos = q->pos, .start = q->start,
                        .target = q->target, .scale = (real)1 / GOLDEN_ROWS };
}

void golden_close(golden *q)
{
    tensor_file_close(q->answers);
    lithe_model_close(q->model);
}

/* The answer under our name, or under one that published files have in its place. */
static const file_tensor *find_answer(const golden *q, const char *kind, const char *name)
{
    char full[2 * PATTERN_BYTES], theirs[PATTERN_BYTES];
    snprintf(full, sizeof full, "%s%s%s", kind ? kind : "", kind ? "." : "", name);
    const file_tensor *t = tensor_file_find(q->answers, full);
    for (const name_pair *pair = q->model->arch->files.names; kind && !t && pair && pair->theirs; pair++) {
        if (!pair->ours || !pattern_rewrite(pair->ours, pair->theirs, name, theirs)) continue;
        snprintf(full, sizeof full, "%s.%s", kind, theirs);
        t = tensor_file_find(q->answers, full);
    }
    return t;
}

float *golden_values(const golden *q, const char *kind, const char *name, size_t count)
{
    const file_tensor *t = find_answer(q, kind, name);
    const param *p = kind ? params_find(q->model->params, name) : NULL;
    if (!t) return NULL;
    file_tensor ours = *t;
    if (p) {                                                 /* in the parameter's own order of rows */
        const wanted_shape shape = param_shape(p);
        naming_view(&ours, &shape);
    }
    CHECK_MSG(t->count == count, "%s: %s holds %zu values, not %zu", q->name, t->name, t->count, count);
    float *values = malloc(count * sizeof *values);
    if (t->count != count || !values || !file_tensor_floats(&ours, 0, count, values)) { free(values); return NULL; }
    return values;
}

graph *golden_graph(const golden *q, const kernels *k, graph_mode mode, compute_type compute, want w, results *r)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = mode, .capacity = { GOLDEN_ROWS, GOLDEN_SEQS, 0 }, .compute = compute, .poison = true };
    graph *g = graph_new(k, q->model->params, &o);
    *r = arch_build(q->model->arch, q->model->config, &q->model->task, g, w);
    if (graph_plan(g, &err)) give_up(&err);
    return g;
}

double run_loss(graph *g, const results *r, const batch *b)
{
    graph_run(g, b);
    double sum = 0;
    for (int i = 0; i < b->rows; i++) sum += (double)r->loss->data[i];
    return sum * (double)b->scale;
}

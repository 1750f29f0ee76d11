/* Runs a planned graph, and gives an op its inputs, outputs and memory while it runs. */
#include "graph/internal.h"
#include <assert.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* ---- the executor --------------------------------------------------------------- */

static void poison(real *data, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(real); i++) data[i] = (real)NAN;
}

static void prepare(graph *g, const batch *b)
{
    assert(b->rows <= g->options.capacity[ROWS_TOKENS] && b->seqs <= g->options.capacity[ROWS_SEQS]);
    assert(!b->select || b->selected <= g->options.capacity[ROWS_SELECTED]);
    for (int s = 0; g->state_count && s < b->seqs; s++) {
        g->keys_before[s] = b->start[s] < b->start[s + 1] ? b->pos[b->start[s]] : 0;
        g->carried_from[s] = g->keys_before[s] ? b->slot[s] : -1;
        if (!g->caches) continue;
        g->key_start[s] = b->slot[s] * g->options.context;
        for (int r = b->start[s]; r < b->start[s + 1]; r++) g->state_rows[r] = g->key_start[s] + b->pos[r];
    }
}

void graph_clear_state_gradients(graph *g)
{
    if (g->state_gradients) memset(g->state_gradients, 0, g->state_count_total * sizeof(real));
}

static void run_pack(graph *g, const pack_request *r)
{
    struct weight *w = &r->param->weight;
    compute_type type = g->options.compute;
    if (w->packed[type][r->tb].version == w->version) return;
    const gemm_args b = as_stored(&(gemm_args){ .b = weight_stored(w), .ldb = (size_t)(r->tb ? r->K : r->N), .tb = r->tb });
    g->kernels->gemm_pack(w->packed[type][r->tb].memory, type, b.b, b.ldb, b.tb, r->K, r->N);
    w->packed[type][r->tb].version = w->version;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_step(graph *g, const step *t)
{
    g->phase = t->kind;
    if (t->kind == STEP_PACK) run_pack(g, &g->packs[t->which]);
    else if (t->kind == STEP_REDUCE) g->options.reduce.begin(g->options.reduce.context, (size_t)t->which);
    else if (t->kind == STEP_BACKWARD) t->node->op->backward(t->node, g->kernels);
    else t->node->op->forward(t->node, g->kernels);
    if (g->see && (t->kind == STEP_FORWARD || t->kind == STEP_FORWARD_BACKWARD)) g->see(g->see_context, t->node);
}

void graph_observe(graph *g, void (*see)(void *context, const node *n), void *context)
{
    g->see = see;
    g->see_context = context;
}

static void run_timed(graph *g, int s)
{
    double start = now();
    run_step(g, &g->steps[s]);
    g->seconds[s] += now() - start;
}

const double *graph_seconds(const graph *g, size_t *runs)
{
    *runs = g->runs;
    return g->seconds;
}

void graph_run(graph *g, const batch *b)
{
    prepare(g, b);
    g->batch = b;
    if (g->options.poison) poison((real *)(void *)g->arena, g->arena_bytes);
    for (int s = 0; s < g->step_count; s++) {
        if (g->seconds) run_timed(g, s);
        else run_step(g, &g->steps[s]);
        if (g->options.poison)
            for (int d = g->range_end_start[s]; d < g->range_end_start[s + 1]; d++)
                poison((real *)(void *)(g->arena + g->buffers[g->range_ends[d]].offset), g->buffers[g->range_ends[d]].bytes);
    }
    g->batch = NULL;
    g->runs++;
}

/* ---- the memory of an op --------------------------------------------------------------- */

const batch *run_batch(const node *n) { return n->graph->batch; }
compute_type compute(const node *n) { return n->graph->options.compute; }

int live_rows(const tensor *t)
{
    if (t->space == ROWS_FIXED) return t->rows;
    const batch *b = t->from->graph->batch;
    switch (t->space) {
    case ROWS_TOKENS:   return b->rows;
    case ROWS_SEQS:     return b->seqs;
    default:            return b->select ? b->selected : b->rows;
    }
}

static bool backward_phase(const node *n) { return n->graph->phase == STEP_BACKWARD; }

const real *in_data(const node *n, int i)
{
    if (!n->in[i]) return NULL;
    const param *p = n->in[i]->param;
    assert(!backward_phase(n) || p || (n->op->reads & IN(i)));
    assert(!p || p->weight.values);                 /* else `weights` of the op does not name this input */
    return p ? p->weight.values : n->in[i]->data;
}

stored in_stored(const node *n, int i)
{
    const tensor *t = n->in[i];
    return t->param ? weight_stored(&t->param->weight) : (stored){ .type = t->type, .data = in_data(n, i) };
}

real *out_data(const node *n, int i)
{
    assert(!backward_phase(n) || (n->op->reads & OUT(i)));
    return n->out[i] ? n->out[i]->data : NULL;
}

exact *save_data(const node *n, int i)
{
    assert(!backward_phase(n) || (n->op->reads & SAVE(i)));
    return n->save[i] ? n->save[i]->data : NULL;
}

real *work_data(const node *n) { return n->work ? n->work->data : NULL; }
real *grad_out(const node *n, int i) { return n->out[i] ? n->out[i]->grad : NULL; }

real *grad_in(const node *n, int i, bool *add)
{
    const tensor *t = n->in[i];
    *add = !(n->first_writer >> i & 1);
    if (!t || !t->wants_grad) return NULL;
    if (t->param && n->graph->batch->accumulate) *add = true;
    return t->param ? t->param->grad : t->grad;
}

const void *packed_weight(const node *n, const tensor *w, bool tb)
{
    compute_type type = n->graph->options.compute;
    if (!w->param || w->param->weight.packed[type][tb].version != w->param->weight.version) return NULL;
    return w->param->weight.packed[type][tb].memory;
}

const int *key_start(const node *n, bool has_state) { return has_state ? n->graph->key_start : n->graph->batch->start; }
const int *keys_before(const node *n, bool has_state) { return has_state ? n->graph->keys_before : n->graph->zeros; }
const int *state_rows(const node *n) { return n->graph->state_rows; }
const int *carried_from(const node *n) { return n->graph->carried_from; }

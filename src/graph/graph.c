#include "graph/internal.h"
#include "base/random.h"
#include "kernels/blocks.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

graph *graph_new(const kernels *k, params *p, const graph_options *o)
{
    graph *g = xalloc(1, sizeof *g);
    if (!g) return NULL;
    g->kernels = k;
    g->params = p;
    g->options = *o;
    return g;
}

void graph_close(graph *g)
{
    if (!g) return;
    big_free(g->arena, g->arena_bytes);
    if (!g->options.states) big_free(g->state_memory, g->state_bytes);
    big_free(g->state_gradients, g->state_count_total * sizeof(real));
    arena_free(&g->memory);
    free(g->nodes);
    free(g->states);
    free(g->packs);
    free(g->taps);
    free(g->steps);
    free(g->seconds);
    free(g->buffers);
    free(g->range_ends);
    free(g->range_end_start);
    free(g);
}

const graph_options *graph_settings(const graph *g) { return &g->options; }
const params *graph_params(const graph *g) { return g->params; }
bool graph_ok(const graph *g) { return g->error.status == LITHE_OK; }
bool training(const graph *g) { return g->options.mode == GRAPH_TRAIN; }

bool require(graph *g, bool condition, const char *format, ...)
{
    if (condition || !graph_ok(g)) return condition;
    char text[sizeof g->error.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail(&g->error, LITHE_ECONFIG, "%s%s", g->prefix, text);
    return false;
}

/* Grows *items to hold one more; records the failure. */
static bool room(graph *g, void **items, int count, int *capacity, size_t size)
{
    int unlimited = 0;
    if (!capacity) capacity = &unlimited;
    if (*capacity > count) return true;
    int more = count < 16 ? 16 : (count & (count - 1)) == 0 ? 2 * count : 0;
    if (!more && capacity == &unlimited) return true;           /* between powers of two there is room */
    if (!more) more = 2 * count;
    void *p = xrealloc(*items, (size_t)more, size);
    if (!p) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the graph"); return false; }
    *items = p;
    *capacity = more;
    return true;
}

void scope(graph *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(g->prefix, sizeof g->prefix, format, args);
    va_end(args);
    require(g, n < (int)sizeof g->prefix, "the name of a scope is too long");
    g->segment++;
    g->ordinal = 0;
}

void unscope(graph *g) { scope(g, "%s", ""); }

static tensor *tensor_new(graph *g, const char *name, tensor_kind kind, row_space space, int rows, int width)
{
    tensor *t = arena_alloc(&g->memory, sizeof *t);
    if (!t) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the graph"); return NULL; }
    *t = (tensor){ .name = name, .kind = kind, .space = space, .rows = rows, .width = width, .buffer = -1, .grad_buffer = -1 };
    if (space == ROWS_SELECTED && !g->options.capacity[ROWS_SELECTED]) space = ROWS_TOKENS;
    if (space != ROWS_FIXED) t->rows = g->options.capacity[space];
    return t;
}

static const char *full_name(graph *g, const char *name)
{
    char text[256];
    int n = snprintf(text, sizeof text, "%s%s", g->prefix, name);
    if (!require(g, n < (int)sizeof text, "the name %s is too long", name)) return NULL;
    char *copy = arena_strdup(&g->memory, text);
    if (!copy) fail(&g->error, LITHE_ENOMEM, "not enough memory for the graph");
    return copy;
}

tensor *parameter(graph *g, const char *name, param_rule rule)
{
    const char *full = graph_ok(g) ? full_name(g, name) : NULL;
    if (!full) return NULL;
    if (!rule.rank) while (rule.rank < PARAM_RANK && rule.dims[rule.rank]) rule.rank++;
    param *p = params_declare(g->params, full, &rule);
    if (!require(g, p != NULL, "%s: no such parameter", name)) return NULL;
    bool same = p->rule.rank == rule.rank;
    for (int i = 0; same && i < rule.rank; i++) same = p->rule.dims[i] == rule.dims[i];
    if (!require(g, same, "%s: declared twice with different shapes", name)) return NULL;
    tensor *t = tensor_new(g, p->name, TENSOR_PARAM, ROWS_FIXED, rule.rank > 1 ? rule.dims[0] : 1, rule.dims[rule.rank - 1]);
    if (!t) return NULL;
    for (int i = 1; i + 1 < rule.rank; i++) t->rows *= rule.dims[i];
    t->param = p;
    t->wants_grad = training(g) && !p->frozen;
    return t;
}

static tensor *state_new(graph *g, const char *name, int rows, int width)
{
    const char *full = full_name(g, name);
    int total;
    if (!full || !require(g, !__builtin_mul_overflow(rows, g->options.slots, &total), "%s: too many rows", name)) return NULL;
    tensor *t = tensor_new(g, full, TENSOR_STATE, ROWS_FIXED, total, width);
    if (!t || !room(g, (void **)&g->states, g->state_count, NULL, sizeof *g->states)) return NULL;
    return g->states[g->state_count++] = t;
}

tensor *state(graph *g, const char *name, int rows, int width)
{
    tensor *t = graph_ok(g) && g->options.mode == GRAPH_DECODE ? state_new(g, name, rows, width) : NULL;
    if (t) t->type = g->options.cache;
    g->caches |= t != NULL;
    return t;
}

tensor *carried(graph *g, const char *name, int width)
{
    bool trained = training(g) && g->options.windows;
    if (!graph_ok(g) || (g->options.mode != GRAPH_DECODE && !trained)) return NULL;
    if (!require(g, !trained || !g->options.recompute, "%s is passed on between windows: its forward cannot be run again", name)) return NULL;
    tensor *t = state_new(g, name, 1, width);
    if (t) t->recurrent = true;
    return t;
}

bool graph_recurrent(const graph *g)
{
    for (int i = 0; i < g->state_count; i++)
        if (g->states[i]->recurrent) return true;
    return false;
}

tensor *tap(graph *g, tensor *x, const char *name, int layer)
{
    if (!graph_ok(g) || !g->options.taps || !room(g, (void **)&g->taps, g->tap_count, NULL, sizeof *g->taps)) return x;
    x->keep = true;
    g->taps[g->tap_count++] = (tapped){ name, layer, x };
    return x;
}

node *append(graph *g, const op *kind, tensor *const *in, int inputs)
{
    assert(inputs <= MAX_IN);
    if (!graph_ok(g)) return NULL;
    if (!require(g, !training(g) || kind->backward || kind->forward_backward, "%s cannot be trained: it has no backward", kind->name)) return NULL;
    for (int i = 0; training(g) && i < inputs; i++)         /* backward writes the gradient of each input on its own */
        for (int j = 0; j < i; j++)
            if (!require(g, !in[i] || in[i] != in[j], "%s reads one tensor twice", kind->name)) return NULL;
    node *n = arena_alloc(&g->memory, sizeof *n);
    if (!n || !room(g, (void **)&g->nodes, g->count, &g->node_capacity, sizeof *g->nodes)) {
        fail(&g->error, LITHE_ENOMEM, "not enough memory for the graph");
        return NULL;
    }
    n->op = kind;
    n->graph = g;
    n->index = g->count;
    n->segment = g->segment;
    n->key = key_of_name((uint64_t)g->ordinal++, g->prefix);
    for (int i = 0; i < inputs; i++)
        if ((n->in[i] = in[i])) {
            in[i]->consumers++;
            if (in[i]->param && !g->params->closed && !(kind->weights & IN(i))) in[i]->param->plain = true;
        }
    return g->nodes[g->count++] = n;
}

tensor *output(node *n, int i, row_space space, int rows, int width)
{
    if (!n) return NULL;
    graph *g = n->graph;
    if (!require(g, rows >= 0 && width > 0, "%s: a result of %d x %d", n->op->name, rows, width)) return NULL;
    tensor *t = tensor_new(g, n->op->name, TENSOR_VALUE, space, rows, width);
    if (!t) return NULL;
    t->from = n;
    for (int j = 0; j < MAX_IN; j++)
        if (n->in[j] && n->in[j]->wants_grad) t->wants_grad = true;
    return n->out[i] = t;
}

tensor *save(node *n, int i, row_space space, int width)
{
    if (!n || !training(n->graph)) return NULL;
    return n->save[i] = tensor_new(n->graph, n->op->name, TENSOR_EXACT, space, 0, width);
}

void workspace(node *n, int rows, int width)
{
    if (n) n->work = tensor_new(n->graph, n->op->name, TENSOR_VALUE, ROWS_FIXED, rows, width);
}

void *graph_constant(graph *g, size_t bytes)
{
    void *p = arena_alloc(&g->memory, bytes);
    if (!p) fail(&g->error, LITHE_ENOMEM, "not enough memory for the graph");
    return p;
}

void read_as(const node *n, const tensor *w, read_kind how)
{
    if (n && w && w->param && !n->graph->params->closed) w->param->reads |= (unsigned)how;
}

void pack(node *n, const tensor *w, bool tb, int K, int N)
{
    if (!n || !w || !w->param) return;
    graph *g = n->graph;
    read_as(n, w, tb ? READ_ROWS : READ_COLUMNS);
    if (in_blocks(weight_stored(&w->param->weight).type)) return;
    if (!g->kernels->gemm_pack_bytes || !g->kernels->gemm_pack_bytes(g->options.compute, K, N)) return;
    for (int i = 0; i < g->pack_count; i++)
        if (g->packs[i].param == w->param && g->packs[i].tb == tb) return;
    if (!room(g, (void **)&g->packs, g->pack_count, NULL, sizeof *g->packs)) return;
    g->packs[g->pack_count++] = (pack_request){ w->param, tb, K, N, n };
}

int capacity_rows(const tensor *t) { return t->rows; }

int graph_taps(const graph *g, const tapped **taps) { *taps = g->taps; return g->tap_count; }
int graph_states(const graph *g, tensor *const **states) { *states = g->states; return g->state_count; }
int graph_steps(const graph *g, const step **steps) { *steps = g->steps; return g->step_count; }
int graph_buffers(const graph *g, const buffer **buffers) { *buffers = g->buffers; return g->buffer_count; }

#include "ops/carry.h"

void carry_saves(node *n, const tensor *state)
{
    for (int i = CARRY_BEGIN; n && state && i <= CARRY_FIRST; i++) save(n, i, ROWS_SEQS, state->width);
}

static real *slot_of(real *states, const tensor *state, int slot) { return states + (size_t)slot * (size_t)state->width; }

exact *carry_begin(const node *n, const kernels *k, const tensor *state)
{
    exact *begin = save_data(n, CARRY_BEGIN);
    const int *from = carried_from(n);
    const size_t width = state ? (size_t)state->width : 0;
    for (int s = 0; begin && s < run_batch(n)->seqs; s++) {
        exact *row = begin + (size_t)s * width;
        if (state && from[s] >= 0) k->copy(row, false, slot_of(state->data, state, from[s]), width);
        else for (size_t i = 0; i < width; i++) row[i] = 0;
    }
    return begin;
}

const exact *carry_end(const node *n, const kernels *k, const tensor *state)
{
    exact *end = save_data(n, CARRY_END);
    const batch *b = run_batch(n);
    for (int s = 0; end && s < b->seqs; s++) k->copy(end + (size_t)s * (size_t)state->width, false, slot_of(state->grad, state, b->slot[s]), (size_t)state->width);
    return end;
}

exact *carry_first(const node *n) { return save_data(n, CARRY_FIRST); }

/* Before position 0 there is no window that needs a gradient. */
void carry_out(const node *n, const kernels *k, const tensor *state, bool join)
{
    const exact *first = save_data(n, CARRY_FIRST);
    const int *from = carried_from(n);
    const batch *b = run_batch(n);
    for (int s = 0; first && s < b->seqs; s++) {
        real *slot = slot_of(state->grad, state, b->slot[s]);
        if (from[s] >= 0) k->copy(slot, join, first + (size_t)s * (size_t)state->width, (size_t)state->width);
        else for (int i = 0; i < state->width; i++) slot[i] = 0;
    }
}

tensor *matrix_scan(graph *g, const op *what, const char *name, tensor *const in[], int inputs, int N)
{
    if (!graph_ok(g)) return NULL;
    const tensor *x = in[0];
    int size;
    require(g, x->space == ROWS_TOKENS, "%s: its input has no order", what->name);
    if (!require(g, N > 0 && x->width % N == 0, "%s: heads of %d do not divide %d channels", what->name, N, x->width)) return NULL;
    if (!require(g, !__builtin_mul_overflow(x->width, N, &size), "%s: a state of %d x %d is too large", what->name, x->width, N)) return NULL;
    int64_t work = training(g) ? wkv_work_rows(x->rows, graph_settings(g)->capacity[ROWS_SEQS], x->width / N) : 2;
    if (!require(g, work <= INT32_MAX, "%s: %d heads over %d rows are too many to train at once", what->name, x->width / N, x->rows)) return NULL;
    tensor *all[MAX_IN];
    for (int i = 0; i < inputs; i++) all[i] = in[i];
    all[inputs] = carried(g, name, size);
    node *n = append(g, what, all, inputs + 1);
    if (!n) return NULL;
    n->i[0] = N;
    carry_saves(n, n->in[inputs]);
    workspace(n, (int)work, N * N);
    return output(n, 0, ROWS_TOKENS, x->rows, x->width);
}

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
        if (from[s] >= 0) k->copy(row, false, slot_of(state->data, state, from[s]), width);
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

/* Before position 0 there is no window to hand a gradient to. */
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

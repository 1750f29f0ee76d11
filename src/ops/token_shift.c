/* Token shift: every row is mixed with the one before it in its sequence.  Peng
 * et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era", section 3.1.
 * All mixtures of one input are one node, so that it is read once. */
#include "ops/carry.h"
#include "ops/ops.h"

enum { X, MIX, STATE = MIX + MAX_MIXES };
enum { MIXES, PAST, PER_ROW, PEEK };

static token_shift_args arguments(const node *n)
{
    const batch *b = run_batch(n);
    token_shift_args a = { .seqs = b->seqs, .width = n->out[0]->width, .mixes = n->i[MIXES], .start = b->start, .past = n->i[PAST],
                           .per_row = n->i[PER_ROW], .x = in_data(n, X) };
    for (int m = 0; m < a.mixes; m++) a.mix[m] = in_data(n, MIX + m);
    return a;
}

static void forward(const node *n, const kernels *k)
{
    token_shift_args a = arguments(n);
    const batch *b = run_batch(n);
    const tensor *state = n->in[STATE];
    size_t width = (size_t)a.width;
    a.before = in_data(n, STATE);
    a.from = state ? carried_from(n) : NULL;
    carry_begin(n, k, state);
    for (int m = 0; m < a.mixes; m++) a.y[m] = out_data(n, m);
    k->token_shift(&a);
    /* The next run's first row is mixed with this run's last. */
    for (int s = 0; state && !n->i[PEEK] && s < b->seqs; s++)
        if (b->start[s] < b->start[s + 1]) k->copy(state->data + (size_t)b->slot[s] * width, false, a.x + (size_t)(b->start[s + 1] - 1) * width, width);
}

static void backward(const node *n, const kernels *k)
{
    token_shift_args a = arguments(n);
    a.dx = grad_in(n, X, &a.add_dx);
    for (int m = 0; m < a.mixes; m++) {
        a.dy[m] = grad_out(n, m);
        a.dmix[m] = grad_in(n, MIX + m, &a.add_dmix[m]);
    }
    a.begin = save_data(n, CARRY_BEGIN);
    a.d_end = n->i[PEEK] ? NULL : carry_end(n, k, n->in[STATE]);
    a.d_begin = carry_first(n);
    k->token_shift_backward(&a);
    carry_out(n, k, n->in[STATE], n->i[PEEK]);          /* the node that writes the state is the first in backward */
}

static const op op_token_shift = { .name = "token_shift", .forward = forward, .backward = backward, .reads = IN(X) | CARRY_READS };
/* The mixes are values of this run, one for each row of x. */
static const op op_by_row = { .name = "token_shift", .forward = forward, .backward = backward,
                              .reads = IN(X) | CARRY_READS | IN(MIX) | IN(MIX + 1) | IN(MIX + 2) | IN(MIX + 3) | IN(MIX + 4) | IN(MIX + 5) };

tensor_list token_shift(graph *g, tensor *x, token_shift_options o)
{
    const int mixes = list_length(&o.mix);
    tensor *in[MAX_IN] = { x };
    tensor_list y = { 0 };
    if (!graph_ok(g) || !require(g, mixes, "token_shift: no mixture")) return y;
    bool per_row = o.mix.at[0]->space == x->space;
    require(g, x->space == ROWS_TOKENS, "token_shift: its input has no order");
    for (int m = 0; m < mixes; m++) {
        const tensor *mix = in[MIX + m] = o.mix.at[m];
        require(g, mix->width == x->width, "token_shift: a mix of %d channels, its input is %d wide", mix->width, x->width);
        require(g, (mix->space == x->space) == per_row, "token_shift: mixes of channels and mixes of rows");
    }
    in[STATE] = o.name ? carried(g, o.name, x->width) : o.state;
    node *n = append(g, per_row ? &op_by_row : &op_token_shift, in, MAX_IN);
    if (!n) return y;
    n->i[MIXES] = mixes;
    n->i[PAST] = o.past;
    n->i[PER_ROW] = per_row;
    n->i[PEEK] = o.peek;
    carry_saves(n, in[STATE]);
    for (int m = 0; m < mixes; m++) y.at[m] = output(n, m, x->space, x->rows, x->width);
    return y;
}

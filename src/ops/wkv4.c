/* RWKV-4's weighted average of the values so far.  Peng et al. 2023, section
 * 3.1.3: a scan over the tokens with one numerator and denominator for each
 * channel.  Backward scans again, so forward keeps only its result. */
#include "ops/carry.h"
#include "ops/ops.h"

enum { K, V, DECAY, BONUS, STATE };

static wkv4_args arguments(const node *n)
{
    const batch *b = run_batch(n);
    return (wkv4_args){ .seqs = b->seqs, .width = n->out[0]->width, .start = b->start, .y = out_data(n, 0),
                        .k = in_data(n, K), .v = in_data(n, V), .decay = in_data(n, DECAY), .bonus = in_data(n, BONUS) };
}

/* A sequence that begins has no weights yet: their maximum is below every key. */
static void begin_averages(const node *n, const kernels *k)
{
    exact *begin = carry_begin(n, k, n->in[STATE]);
    const int *from = carried_from(n);
    const size_t width = (size_t)n->out[0]->width;
    for (int s = 0; begin && s < run_batch(n)->seqs; s++)
        for (size_t c = 0; from[s] < 0 && c < width; c++) begin[((size_t)s * 3 + 2) * width + c] = (exact)-1e38;
}

static void forward(const node *n, const kernels *k)
{
    wkv4_args a = arguments(n);
    begin_averages(n, k);
    if (n->in[STATE]) {
        a.state = n->in[STATE]->data;
        a.from = carried_from(n);
        a.to = run_batch(n)->slot;
    }
    k->wkv4(&a);
}

static void backward(const node *n, const kernels *k)
{
    wkv4_args a = arguments(n);
    a.dy = grad_out(n, 0);
    a.work = work_data(n);
    a.dk = grad_in(n, K, &a.add_dk);
    a.dv = grad_in(n, V, &a.add_dv);
    a.ddecay = grad_in(n, DECAY, &a.add_ddecay);
    a.dbonus = grad_in(n, BONUS, &a.add_dbonus);
    a.begin = save_data(n, CARRY_BEGIN);
    a.d_end = carry_end(n, k, n->in[STATE]);
    a.d_begin = carry_first(n);
    k->wkv4_backward(&a);
    carry_out(n, k, n->in[STATE], false);
}

static double flops(const node *n) { return 12.0 * capacity_rows(n->out[0]) * n->out[0]->width; }

static const op op_wkv4 = { .name = "wkv4", .forward = forward, .backward = backward, .reads = IN(K) | IN(V) | OUT(0) | CARRY_READS, .flops = flops };

tensor *wkv4(graph *g, const char *name, wkv4_inputs in)
{
    if (!graph_ok(g)) return NULL;
    const int rows = in.k->rows, C = in.k->width;
    require(g, in.k->space == ROWS_TOKENS && in.v->width == C, "wkv4: keys of %d channels, values of %d", C, in.v->width);
    require(g, in.decay->width == C && in.bonus->width == C, "wkv4: %d decays and %d bonuses for %d channels", in.decay->width, in.bonus->width, C);
    node *n = append(g, &op_wkv4, (tensor *[]){ in.k, in.v, in.decay, in.bonus, carried(g, name, 3 * C) }, 5);
    if (!n) return NULL;
    if (training(g)) workspace(n, 2 * rows, C);
    carry_saves(n, n->in[STATE]);
    return output(n, 0, in.k->space, rows, C);
}

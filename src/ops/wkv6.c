/* The scan of RWKV-5 and 6.  Peng et al. 2024, "Eagle and Finch: RWKV with
 * Matrix-Valued States and Dynamic Recurrence".  Backward recomputes the states
 * from the inputs. */
#include "ops/carry.h"
#include "ops/ops.h"
#include <math.h>

enum { R, DECAY, KEY, V, BONUS, STATE };

static wkv6_args arguments(const node *n)
{
    const batch *b = run_batch(n);
    return (wkv6_args){ .seqs = b->seqs, .width = n->out[0]->width, .N = n->i[0], .start = b->start, .constant = n->in[DECAY]->space == ROWS_FIXED, .r = in_data(n, R),
                        .decay = in_data(n, DECAY), .key = in_data(n, KEY), .v = in_data(n, V), .bonus = in_data(n, BONUS), .work = work_data(n) };
}

static void forward(const node *n, const kernels *k)
{
    wkv6_args a = arguments(n);
    a.y = out_data(n, 0);
    carry_begin(n, k, n->in[STATE]);
    if (n->in[STATE]) {
        a.state = n->in[STATE]->data;
        a.from = carried_from(n);
        a.to = run_batch(n)->slot;
    }
    k->wkv6(&a);
}

static void backward(const node *n, const kernels *k)
{
    wkv6_args a = arguments(n);
    a.dy = grad_out(n, 0);
    a.dr = grad_in(n, R, &a.add_dr);
    a.ddecay = grad_in(n, DECAY, &a.add_ddecay);
    a.dkey = grad_in(n, KEY, &a.add_dkey);
    a.dv = grad_in(n, V, &a.add_dv);
    a.dbonus = grad_in(n, BONUS, &a.add_dbonus);
    a.begin = save_data(n, CARRY_BEGIN);
    a.d_end = carry_end(n, k, n->in[STATE]);
    a.d_begin = carry_first(n);
    k->wkv6_backward(&a);
    carry_out(n, k, n->in[STATE], false);
}

static double flops(const node *n) { return 7.0 * capacity_rows(n->out[0]) * n->out[0]->width * n->i[0]; }

static const op op_wkv6 = { .name = "wkv6", .forward = forward, .backward = backward, .flops = flops,
                            .reads = IN(R) | IN(DECAY) | IN(KEY) | IN(V) | IN(BONUS) | CARRY_READS };

tensor *wkv6(graph *g, const char *name, wkv6_inputs in)
{
    if (!graph_ok(g)) return NULL;
    const int C = in.r->width, decays = in.decay->space == ROWS_FIXED ? in.decay->rows * in.decay->width : in.decay->width;
    require(g, in.key->width == C && in.v->width == C && decays == C, "wkv6: not all inputs are %d wide", C);
    require(g, in.bonus->rows * in.bonus->width == C, "wkv6: %d bonuses for %d channels", in.bonus->rows * in.bonus->width, C);
    return matrix_scan(g, &op_wkv6, name, (tensor *[]){ in.r, in.decay, in.key, in.v, in.bonus }, STATE, in.N);
}

/* ---- RWKV-5.0 and 5.1: one decay and one bonus for a head ---- */

static void constants_forward(const node *n, const kernels *k)
{
    (void)k;
    const real *x = in_data(n, 0);
    real *y = out_data(n, 0);
    for (int c = 0, N = n->i[0]; c < n->out[0]->width; c++) y[c] = n->i[1] ? (real)exp((double)x[c / N]) : x[c / N];
}

static const op op_constants = { .name = "one decay or bonus for a head (RWKV-5.0, 5.1)", .forward = constants_forward };

tensor *head_constants(graph *g, tensor *x, int N, bool exponential)
{
    if (!graph_ok(g)) return NULL;
    int width;
    if (!require(g, !__builtin_mul_overflow(x->width, N, &width), "head_constants: %d heads of %d channels", x->width, N)) return NULL;
    node *n = append(g, &op_constants, (tensor *[]){ x }, 1);
    if (!n) return NULL;
    n->i[0] = N;
    n->i[1] = exponential;
    return output(n, 0, ROWS_FIXED, 1, width);
}

/* The series activation of PanGu-pi.  Wang et al. 2023, "PanGu-pi: Enhancing
 * Language Model Architectures via Nonlinearity Compensation", section 3.2:
 *   S(u)_c = sum over i of g_ic sigma_i(a_ic u_c + b_ic),   y = S(u) or S(u) * v.
 * The paper's formula can be read in three ways.  This is the one whose cost is
 * negligible, as the paper says it is: a scale and a bias for each channel (or
 * one for all) on the pre-activation, not n matrices, and no neighbouring tokens.
 * With q = dy v and z_i = a_i u + b_i:
 *   du = q sum g_i a_i sigma_i'(z_i),  dv = dy S(u),
 *   da_i = sum over rows of q g_i sigma_i' u,  db_i of q g_i sigma_i',  dg_i of q sigma_i.
 * Backward recomputes z: only u and v are kept, as for a plain gate. */
#include "ops/ops.h"

enum { U, V, SCALE, BIAS, GAIN, KINDS = 3 };                /* a parameter's kind is its input less SCALE */
enum { BRANCHES, SCALAR, FIRST_ACT };

static size_t table_size(const node *n) { return (size_t)n->i[BRANCHES] * (size_t)n->out[0]->width; }

/* One number for all channels is spread out in the workspace, before its gradients. */
static const real *table(const node *n, int kind)
{
    const real *given = in_data(n, SCALE + kind);
    if (!given || !n->i[SCALAR]) return given;
    int width = n->out[0]->width;
    real *wide = work_data(n) + (size_t)kind * table_size(n);
    for (size_t i = 0; i < table_size(n); i++) wide[i] = given[i / (size_t)width];
    return wide;
}

static series_args arguments(const node *n)
{
    series_args a = { .rows = live_rows(n->out[0]), .width = n->out[0]->width, .n = n->i[BRANCHES], .u = in_data(n, U), .v = in_data(n, V),
                      .scale = table(n, 0), .bias = table(n, 1), .gain = table(n, 2) };
    for (int i = 0; i < a.n; i++) a.act[i] = (activation)n->i[FIRST_ACT + i];
    return a;
}

static void forward(const node *n, const kernels *k)
{
    series_args a = arguments(n);
    a.y = out_data(n, 0);
    k->series(&a);
}

static void backward(const node *n, const kernels *k)
{
    series_args a = arguments(n);
    real *d[KINDS], *wide[KINDS];
    bool join[KINDS];
    a.dy = grad_out(n, 0);
    a.du = grad_in(n, U, &a.add_du);
    a.dv = grad_in(n, V, &a.add_dv);
    for (int i = 0; i < KINDS; i++) {
        d[i] = wide[i] = grad_in(n, SCALE + i, &join[i]);
        if (d[i] && n->i[SCALAR]) wide[i] = work_data(n) + (size_t)(KINDS + i) * table_size(n);
    }
    bool own = !n->i[SCALAR];
    a.dscale = wide[0], a.add_dscale = own && join[0];
    a.dbias = wide[1], a.add_dbias = own && join[1];
    a.dgain = wide[2], a.add_dgain = own && join[2];
    k->series_backward(&a);
    for (int i = 0; i < KINDS && n->i[SCALAR]; i++)
        for (int b = 0; d[i] && b < a.n; b++) k->column_sum(d[i] + b, join[i], wide[i] + (size_t)b * (size_t)a.width, 1, a.width, 1);
}

static const op op_series = { .name = "series", .forward = forward, .backward = backward, .reads = IN(U) | IN(V) };

/* Channels: (n, width); one for all: (n). */
static bool fits(const tensor *t, const tensor *u, const series_options *o)
{
    return !t || (o->scalar ? t->rows == 1 && t->width == o->n : t->rows == o->n && t->width == u->width);
}

tensor *series(graph *g, tensor *u, tensor *v, series_options o)
{
    if (!graph_ok(g)) return NULL;
    require(g, o.n >= 1 && o.n <= MAX_SERIES, "series: %d branches, there can be 1 to %d", o.n, MAX_SERIES);
    require(g, !v || (v->width == u->width && v->space == u->space), "series: the gate is %d wide, its partner %d", u->width, v ? v->width : 0);
    require(g, fits(o.scale, u, &o) && fits(o.bias, u, &o) && fits(o.gain, u, &o), "series: its parameters do not fit %d branches of %d channels", o.n, u->width);
    node *n = append(g, &op_series, (tensor *[]){ u, v, o.scale, o.bias, o.gain }, 5);
    if (!n) return NULL;
    n->i[BRANCHES] = o.n;
    n->i[SCALAR] = o.scalar;
    for (int i = 0; i < o.n; i++) n->i[FIRST_ACT + i] = (int)o.act[i];
    if (o.scalar) workspace(n, (training(g) ? 2 : 1) * KINDS * o.n, u->width);
    return output(n, 0, u->space, u->rows, u->width);
}

/* Sums and activations: y = a + b; y = act(x); y = act(gate) * up
 * (Shazeer 2020); y = a + (b - a) m; y = factor x. */
#include "ops/ops.h"

static size_t elements(const tensor *t) { return (size_t)live_rows(t) * (size_t)t->width; }

static void add_forward(const node *n, const kernels *k)
{
    k->sum(out_data(n, 0), in_data(n, 0), in_data(n, 1), elements(n->out[0]));
}

static void add_backward(const node *n, const kernels *k)
{
    for (int i = 0; i < 2; i++) {
        bool join;
        real *d = grad_in(n, i, &join);
        if (d) k->copy(d, join, grad_out(n, 0), elements(n->out[0]));
    }
}

static const op op_add = { .name = "add", .forward = add_forward, .backward = add_backward };

tensor *add(graph *g, tensor *a, tensor *b)
{
    if (!graph_ok(g)) return NULL;
    require(g, a->width == b->width && a->space == b->space, "add: %d and %d wide", a->width, b->width);
    return output(append(g, &op_add, (tensor *[]){ a, b }, 2), 0, a->space, a->rows, a->width);
}

static void act_forward(const node *n, const kernels *k)
{
    k->act(out_data(n, 0), in_data(n, 0), (activation)n->i[0], elements(n->out[0]));
}

static void act_backward(const node *n, const kernels *k)
{
    bool join;
    real *dx = grad_in(n, 0, &join);
    if (dx) k->act_backward(dx, join, grad_out(n, 0), in_data(n, 0), (activation)n->i[0], elements(n->out[0]));
}

static const op op_act = { .name = "activate", .forward = act_forward, .backward = act_backward, .reads = IN(0) };

tensor *activate(graph *g, tensor *x, activation act)
{
    if (!graph_ok(g)) return NULL;
    node *n = append(g, &op_act, (tensor *[]){ x }, 1);
    if (n) n->i[0] = (int)act;
    return output(n, 0, x->space, x->rows, x->width);
}

static void glu_forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    k->glu(out_data(n, 0), in_data(n, 0), in_data(n, 1), (size_t)y->width, (activation)n->i[0], live_rows(y), y->width);
}

static void glu_backward(const node *n, const kernels *k)
{
    bool join_gate, join_up;
    real *dgate = grad_in(n, 0, &join_gate), *dup = grad_in(n, 1, &join_up);
    const tensor *y = n->out[0];
    k->glu_backward(dgate, join_gate, dup, join_up, grad_out(n, 0), in_data(n, 0), in_data(n, 1), (size_t)y->width, (activation)n->i[0], live_rows(y), y->width);
}

static const op op_glu = { .name = "glu", .forward = glu_forward, .backward = glu_backward, .reads = IN(0) | IN(1) };

tensor *glu(graph *g, tensor *gate, tensor *up, activation act)
{
    if (!graph_ok(g)) return NULL;
    require(g, gate->width == up->width && gate->space == up->space, "glu: the gate is %d wide, its partner %d", gate->width, up->width);
    node *n = append(g, &op_glu, (tensor *[]){ gate, up }, 2);
    if (n) n->i[0] = (int)act;
    return output(n, 0, gate->space, gate->rows, gate->width);
}

/* Gate and up side by side in one row. */
static void halves_forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    const real *x = in_data(n, 0);
    k->glu(out_data(n, 0), x, x + y->width, 2 * (size_t)y->width, (activation)n->i[0], live_rows(y), y->width);
}

static void halves_backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    const real *x = in_data(n, 0);
    bool join;
    real *dx = grad_in(n, 0, &join);
    if (dx) k->glu_backward(dx, join, dx + y->width, join, grad_out(n, 0), x, x + y->width, 2 * (size_t)y->width, (activation)n->i[0], live_rows(y), y->width);
}

static const op op_glu_halves = { .name = "glu_halves", .forward = halves_forward, .backward = halves_backward, .reads = IN(0) };

tensor *glu_halves(graph *g, tensor *x, activation act)
{
    if (!graph_ok(g)) return NULL;
    require(g, x->width % 2 == 0, "glu: a width of %d has no two halves", x->width);
    node *n = append(g, &op_glu_halves, (tensor *[]){ x }, 1);
    if (n) n->i[0] = (int)act;
    return output(n, 0, x->space, x->rows, x->width / 2);
}

static void lerp_forward(const node *n, const kernels *k)
{
    k->lerp(out_data(n, 0), in_data(n, 0), in_data(n, 1), in_data(n, 2), elements(n->out[0]));
}

static void lerp_backward(const node *n, const kernels *k)
{
    bool join[3];
    real *d[3];
    for (int i = 0; i < 3; i++) d[i] = grad_in(n, i, &join[i]);
    k->lerp_backward(d[0], join[0], d[1], join[1], d[2], join[2], grad_out(n, 0), in_data(n, 0), in_data(n, 1), in_data(n, 2), elements(n->out[0]));
}

static const op op_lerp = { .name = "lerp", .forward = lerp_forward, .backward = lerp_backward, .reads = IN(0) | IN(1) | IN(2) };

tensor *lerp(graph *g, tensor *a, tensor *b, tensor *m)
{
    if (!graph_ok(g)) return NULL;
    require(g, a->width == b->width && a->width == m->width && a->space == b->space && a->space == m->space, "lerp: %d, %d and %d wide", a->width, b->width, m->width);
    return output(append(g, &op_lerp, (tensor *[]){ a, b, m }, 3), 0, a->space, a->rows, a->width);
}

static void scale_forward(const node *n, const kernels *k)
{
    k->scale(out_data(n, 0), false, in_data(n, 0), n->f[0], elements(n->out[0]));
}

static void scale_backward(const node *n, const kernels *k)
{
    bool join;
    real *dx = grad_in(n, 0, &join);
    if (dx) k->scale(dx, join, grad_out(n, 0), n->f[0], elements(n->out[0]));
}

static const op op_scale = { .name = "scale", .forward = scale_forward, .backward = scale_backward };

tensor *times(graph *g, tensor *x, double factor)
{
    if (!graph_ok(g)) return NULL;
    if (!(factor < 1) && !(factor > 1)) return x;
    node *n = append(g, &op_scale, (tensor *[]){ x }, 1);
    if (n) n->f[0] = (real)factor;
    return output(n, 0, x->space, x->rows, x->width);
}

tensor *capped(graph *g, tensor *x, double cap)
{
    return cap > 0 ? times(g, activate(g, times(g, x, 1 / cap), ACT_TANH), cap) : x;
}

/* Every backward against central differences of its forward: the loss is a fixed
 * random combination of the outputs, each input moves along a random direction.
 * In the double build to 1e-7, in float as far as differences of floats reach. */
#include "kernels_check.h"
#include <math.h>

enum { INPUTS = 3 };

/* An operation with up to three inputs: forward gives the loss, backward the gradients. */
typedef struct problem {
    const char *name;
    void (*forward)(const kernels *k, const struct problem *p, real *y);
    void (*backward)(const kernels *k, const struct problem *p, const real *y, const real *dy, real *dx[INPUTS]);
    real *x[INPUTS];
    size_t n[INPUTS], outputs;
    activation act;
    theta_kind kind;
    exact *stat, *stat2;
    int rows, width;
    attention_args attention;
} problem;

static double loss_of(const kernels *k, const problem *p, const real *dy, real *y)
{
    double loss = 0;
    p->forward(k, p, y);
    for (size_t i = 0; i < p->outputs; i++) loss += (double)dy[i] * (double)y[i];
    return loss;
}

static void move(const problem *p, int input, const real *base, const real *direction, double step)
{
    for (size_t i = 0; i < p->n[input]; i++) p->x[input][i] = (real)((double)base[i] + step * (double)direction[i]);
}

static void check(const kernels *k, problem p)
{
    double step = sizeof(real) == 8 ? 1e-5 : 1e-2, tolerance = sizeof(real) == 8 ? 1e-7 : 2e-3;
    real *y = blank(p.outputs), *dy = filled(p.outputs, 1), *dx[INPUTS] = {0}, *scrap = blank(p.outputs);
    for (int i = 0; i < INPUTS; i++) if (p.x[i]) dx[i] = blank(p.n[i]);
    p.forward(k, &p, y);
    p.backward(k, &p, y, dy, dx);
    for (int i = 0; i < INPUTS && p.x[i]; i++) {
        real *base = copy_of(p.x[i], p.n[i]), *direction = filled(p.n[i], 1);
        double analytic = 0, norm = 0;
        for (size_t j = 0; j < p.n[i]; j++) {
            analytic += (double)direction[j] * (double)dx[i][j];
            norm += (double)dx[i][j] * (double)dx[i][j];
        }
        move(&p, i, base, direction, step);
        double plus = loss_of(k, &p, dy, scrap);
        move(&p, i, base, direction, -step);
        double minus = loss_of(k, &p, dy, scrap), numeric = (plus - minus) / (2 * step);
        move(&p, i, base, direction, 0);
        CHECK_MSG(fabs(numeric - analytic) <= tolerance * sqrt(norm), "%s, input %d at %s: %.10g by differences, %.10g by backward, |gradient| %.3g",
                  p.name, i, k->name, numeric, analytic, sqrt(norm));
    }
}

/* ---- the operations ---------------------------------------------------------------------- */

static void act_forward(const kernels *k, const problem *p, real *y) { k->act(y, p->x[0], p->act, p->outputs); }
static void act_gradient(const kernels *k, const problem *p, const real *y, const real *dy, real *dx[INPUTS])
{
    (void)y;
    k->act_backward(dx[0], false, dy, p->x[0], p->act, p->outputs);
}

static void glu_forward(const kernels *k, const problem *p, real *y) { k->glu(y, p->x[0], p->x[1], p->outputs, p->act, 1, (int)p->outputs); }
static void glu_gradient(const kernels *k, const problem *p, const real *y, const real *dy, real *dx[INPUTS])
{
    (void)y;
    k->glu_backward(dx[0], false, dx[1], false, dy, p->x[0], p->x[1], p->outputs, p->act, 1, (int)p->outputs);
}

static void layer_norm_forward(const kernels *k, const problem *p, real *y)
{
    k->layer_norm(y, p->stat, p->stat2, p->x[0], p->x[1], p->x[2], (real)1e-5, p->rows, p->width);
}
static void layer_norm_gradient(const kernels *k, const problem *p, const real *y, const real *dy, real *dx[INPUTS])
{
    (void)y;
    k->layer_norm_backward(dx[0], false, dx[1], dx[2], false, dy, p->x[0], p->x[1], p->stat, p->stat2, p->rows, p->width);
}

static void rms_norm_forward(const kernels *k, const problem *p, real *y)
{
    k->rms_norm(y, p->stat, p->x[0], p->x[1], (real)1e-5, p->rows, p->width);
}
static void rms_norm_gradient(const kernels *k, const problem *p, const real *y, const real *dy, real *dx[INPUTS])
{
    (void)y;
    k->rms_norm_backward(dx[0], false, dx[1], false, dy, p->x[0], p->x[1], p->stat, p->rows, p->width);
}

static void theta_forward(const kernels *k, const problem *p, real *y)
{
    k->theta(y, p->stat, p->x[0], p->kind, (real)p->width, p->rows, p->width);
}
static void theta_gradient(const kernels *k, const problem *p, const real *y, const real *dy, real *dx[INPUTS])
{
    (void)y;
    k->theta_backward(dx[0], dy, p->x[0], p->stat, p->kind, (real)p->width, p->rows, p->width);
}

/* The outputs are the losses of the rows; all of them count alike. */
static void loss_forward(const kernels *k, const problem *p, real *y)
{
    int target[64];
    for (int r = 0; r < p->rows; r++) target[r] = r * 7 % p->width;
    k->cross_entropy(p->x[0], y, target, p->x[1], false, 1, p->rows, p->width);
}
static void loss_gradient(const kernels *k, const problem *p, const real *y, const real *dy, real *dx[INPUTS])
{
    int target[64];
    (void)y;
    for (int r = 0; r < p->rows; r++) target[r] = r * 7 % p->width;
    memcpy(dx[0], p->x[0], p->n[0] * sizeof(real));
    k->cross_entropy(dx[0], p->stat, target, dy, true, 1, p->rows, p->width);
}

static void attention_forward_of(const kernels *k, const problem *p, real *y)
{
    attention_args a = p->attention;
    a.o = y;
    k->attention(&a);
}
static void attention_gradient_of(const kernels *k, const problem *p, const real *y, const real *dy, real *dx[INPUTS])
{
    attention_args a = p->attention;
    a.o = copy_of(y, p->outputs), a.d_o = dy, a.dq = dx[0], a.dk = dx[1], a.dv = dx[2];
    k->attention_backward(&a);
}

/* ---- the cases --------------------------------------------------------------------------- */

static void elementwise(const kernels *k)
{
    EACH_ACT(act) {
        if (act == ACT_RELU) continue;                      /* its kink is within a step of some element */
        size_t n = 500;
        check(k, (problem){ "act", act_forward, act_gradient, { filled(n, 3) }, { n }, n, .act = act });
        check(k, (problem){ "glu", glu_forward, glu_gradient, { filled(n, 3), filled(n, 3) }, { n, n }, n, .act = act });
    }
}

static void rows(const kernels *k)
{
    size_t R = 9, W = 37, n = R * W;
    problem p = { .x = { filled(n, 3), filled(W, 1), filled(W, 1) }, .n = { n, W, W }, .outputs = n, .stat = blank(R), .stat2 = blank(R),
                  .rows = (int)R, .width = (int)W };
    p.name = "layer_norm", p.forward = layer_norm_forward, p.backward = layer_norm_gradient;
    check(k, p);
    p.name = "rms_norm", p.forward = rms_norm_forward, p.backward = rms_norm_gradient, p.x[2] = NULL;
    check(k, p);
    p.name = "theta", p.forward = theta_forward, p.backward = theta_gradient, p.x[1] = NULL;
    for (p.kind = THETA_L2_GELU; p.kind <= THETA_SOFTMAX; p.kind++) check(k, p);
    p.name = "cross_entropy", p.forward = loss_forward, p.backward = loss_gradient, p.outputs = R;
    check(k, p);
}

static void attentions(const kernels *k)
{
    static const int start[] = { 0, 70, 73 }, past[] = { 0, 0 };
    enum { R = 73, HEADS = 4, KV = 2, D = 6 };
    static const exact slopes[] = { 0.5, 0.03125, 0.75, 0 };
    EACH_FLAG(causal) EACH_FLAG(drop) EACH_FLAG(near) {
        size_t n = R * HEADS * D, kv = R * KV * D;
        problem p = { .name = "attention", .forward = attention_forward_of, .backward = attention_gradient_of, .outputs = n,
                      .x = { filled(n, 1), filled(kv, 1), filled(kv, 1) }, .n = { n, kv, kv } };
        p.attention = (attention_args){ .seqs = 2, .heads = HEADS, .kv_heads = KV, .head_dim = D, .start = start, .kv_start = start, .past = past,
            .causal = causal, .window = near ? 9 : 0, .alibi = near ? slopes : NULL, .scale = (real)0.5, .q = p.x[0], .k.data = p.x[1], .v.data = p.x[2], .q_stride = HEADS * D, .k_stride = KV * D,
            .v_stride = KV * D, .o_stride = HEADS * D, .lse = blank(R * HEADS), .delta = blank(R * HEADS),
            .dropout = (real)(drop ? 0.2 : 0), .row_key = keys(R), .layer_key = 3 };
        check(k, p);
    }
}

void gradients_by_differences(const kernels *k)
{
    elementwise(k);
    rows(k);
    attentions(k);
}

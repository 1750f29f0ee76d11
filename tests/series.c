/* The series activation against its definition in double: the kernel at random
 * shapes, the operation with one number for all channels too; and the identities
 * that tie it to the plain activations. */
#include "kernels_check.h"
#include "ops_case.h"
#include <math.h>
#include <stdlib.h>

/* ---- the kernel -------------------------------------------------------------------- */

static double *plain_sum(const double *dy, const double *u, const double *v, size_t n)
{
    double *d = doubles(NULL, n);
    for (size_t i = 0; i < n; i++) d[i] = dy[i] * (v ? v[i] : 1) * (u ? u[i] : 1);
    return d;
}

/* What the formulas at the head of ops/series.c say, one branch at a time. */
typedef struct { double *y, *du, *dv, *da, *db, *dg; } expected;

static expected by_definition(const series_args *s, const double *dy)
{
    size_t N = (size_t)s->rows * (size_t)s->width, P = (size_t)s->n * (size_t)s->width;
    double *u = doubles(s->u, N), *v = s->v ? doubles(s->v, N) : NULL, *q = plain_sum(dy, NULL, v, N);
    expected e = { doubles(NULL, N), doubles(NULL, N), doubles(NULL, N), doubles(NULL, P), doubles(NULL, P), doubles(NULL, P) };
    for (int i = 0; i < s->n; i++)
        for (size_t at = 0; at < N; at++) {
            size_t p = (size_t)i * (size_t)s->width + at % (size_t)s->width;
            double a = (double)s->scale[p], g = s->gain ? (double)s->gain[p] : 1, z = a * u[at] + (double)s->bias[p];
            double value = plain_act(s->act[i], z), slope = plain_slope(s->act[i], z);
            e.y[at] += g * value * (v ? v[at] : 1);
            e.du[at] += q[at] * g * a * slope;
            e.dv[at] += dy[at] * g * value;
            e.da[p] += q[at] * g * slope * u[at];
            e.db[p] += q[at] * g * slope;
            e.dg[p] += q[at] * value;
        }
    return e;
}

static void join(double *d, const real *before, size_t n, bool add)
{
    for (size_t i = 0; add && i < n; i++) d[i] += (double)before[i];
}

static const activation smooth[] = { ACT_SILU, ACT_GELU_ERF, ACT_GELU_TANH, ACT_TANH, ACT_RELU };

static void one_series(const kernels *k, int n, bool gated, bool with_gain)
{
    series_args s = { .rows = size_up_to(200), .width = size_up_to(150), .n = n };
    size_t N = (size_t)s.rows * (size_t)s.width, P = (size_t)n * (size_t)s.width;
    for (int i = 0; i < n; i++) s.act[i] = smooth[below(4)];
    s.u = filled(N, 3);
    s.v = gated ? filled(N, 2) : NULL;
    s.scale = filled(P, 1.5);
    s.bias = filled(P, 1);
    s.gain = with_gain ? filled(P, 2) : NULL;
    s.y = blank(N);
    k->series(&s);
    real *dy = filled(N, 1);
    s.dy = dy;
    expected e = by_definition(&s, doubles(dy, N));
    expect("series", s.y, e.y, N, TOLERANCE);

    s.add_du = below(2), s.add_dv = below(2), s.add_dscale = below(2), s.add_dbias = below(2), s.add_dgain = below(2);
    s.du = target(N, s.add_du), join(e.du, s.du, N, s.add_du);
    if (gated) s.dv = target(N, s.add_dv), join(e.dv, s.dv, N, s.add_dv);
    s.dscale = target(P, s.add_dscale), join(e.da, s.dscale, P, s.add_dscale);
    s.dbias = target(P, s.add_dbias), join(e.db, s.dbias, P, s.add_dbias);
    if (with_gain) s.dgain = target(P, s.add_dgain), join(e.dg, s.dgain, P, s.add_dgain);
    s.y = NULL;
    k->series_backward(&s);
    double tolerance = sizeof(real) == 8 ? 1e-9 : 1e-5;     /* plain_slope is a finite difference */
    expect("series du", s.du, e.du, N, tolerance);
    if (gated) expect("series dv", s.dv, e.dv, N, TOLERANCE);
    expect("series dscale", s.dscale, e.da, P, tolerance);
    expect("series dbias", s.dbias, e.db, P, tolerance);
    if (with_gain) expect("series dgain", s.dgain, e.dg, P, TOLERANCE);
}

void series_branches(const kernels *k)
{
    for (int n = 1; n <= 4; n++)
        for (int flags = 0; flags < 4; flags++) one_series(k, n, flags & 1, flags & 2);
    one_series(k, MAX_SERIES, true, true);
}

/* One branch of scale 1 and bias 0 is the activation, to the bit; a second one that is off changes nothing. */
void series_is_the_activation(const kernels *k)
{
    for (size_t act = 0; act < sizeof smooth / sizeof *smooth; act++) {
        int width = size_up_to(90), rows = size_up_to(60);
        size_t N = (size_t)rows * (size_t)width, W = (size_t)width;
        real *u = filled(N, 8), *v = filled(N, 1), *plain = blank(N), *y = blank(N), *scale = blank(2 * W), *bias = blank(2 * W);
        for (size_t i = 0; i < 2 * W; i++) scale[i] = i < W, bias[i] = 0;
        series_args s = { .rows = rows, .width = width, .act = { smooth[act], smooth[act] }, .u = u, .v = v, .scale = scale, .bias = bias, .y = y };
        k->glu(plain, u, v, N, smooth[act], 1, (int)N);
        for (s.n = 1; s.n <= 2; s.n++) {
            k->series(&s);
            for (size_t i = 0; i < N; i++) CHECK_MSG(y[i] == plain[i], "%d branches of act %d at %s: %.9g, not %.9g", s.n, smooth[act], k->name, (double)y[i], (double)plain[i]);
        }
        real *dgate = blank(N), *dup = blank(N), *du = blank(N), *dv = blank(N);
        s = (series_args){ .rows = rows, .width = width, .n = 1, .act = { smooth[act] }, .u = u, .v = v, .scale = scale, .bias = bias, .dy = plain, .du = du, .dv = dv };
        k->glu_backward(dgate, false, dup, false, plain, u, v, N, smooth[act], 1, (int)N);
        k->series_backward(&s);
        expect_same("series du", du, dgate, N);
        expect_same("series dv", dv, dup, N);
    }
}

/* silu(u) - silu(-u) = u, the same for gelu; silu(u) + silu(-u) = u tanh(u/2). */
void series_identities(const kernels *k)
{
    enum { N = 4001 };
    static const activation acts[] = { ACT_SILU, ACT_GELU_ERF };
    real *u = blank(N), *y = blank(N), *scale = blank(2 * N), *bias = blank(2 * N), *gain = blank(2 * N);
    for (int i = 0; i < N; i++) {
        u[i] = (real)((i - N / 2) * 8.0 / (N / 2));
        scale[i] = 1, scale[N + i] = -1, gain[i] = 1, gain[N + i] = -1, bias[i] = bias[N + i] = 0;
    }
    series_args s = { .rows = 1, .width = N, .n = 2, .u = u, .scale = scale, .bias = bias, .gain = gain, .y = y };
    for (int act = 0; act < 2; act++) {
        s.act[0] = s.act[1] = acts[act];
        k->series(&s);
        for (int i = 0; i < N; i++) CHECK_MSG(fabs((double)y[i] - (double)u[i]) <= 2e-6, "at %s: %.9g from %.9g", k->name, (double)y[i], (double)u[i]);
    }
    s.act[0] = s.act[1] = ACT_SILU;
    s.gain = NULL;
    k->series(&s);
    for (int i = 0; i < N; i++) {
        double right = (double)u[i] * tanh((double)u[i] / 2);
        CHECK_MSG(fabs((double)y[i] - right) <= 2e-6, "at %s: %.9g, not %.9g", k->name, (double)y[i], right);
    }
}

void multiples(const kernels *k)
{
    EACH_FLAG(add) {
        size_t n = (size_t)size_up_to(40000);
        real *x = filled(n, 1), *y = target(n, add);
        double *sum = prior(y, n, add);
        for (size_t i = 0; i < n; i++) sum[i] += 0.75 * (double)x[i];
        k->scale(y, add, x, (real)0.75, n);
        expect("scale", y, sum, n, TOLERANCE);
    }
}

/* ---- the operations ------------------------------------------------------------------ */

static tensor *build_series(graph *g, tensor *const *in, const void *options)
{
    series_options o = *(const series_options *)options;
    o.scale = in[2], o.bias = in[3], o.gain = in[4];
    return series(g, in[0], in[1], o);
}

static tensor *build_times(graph *g, tensor *const *in, const void *options) { return times(g, in[0], *(const double *)options); }

/* (branches, width) from (branches) when one number serves all channels. */
static real *spread(const float *x, int n, int width, bool scalar)
{
    real *wide = malloc((size_t)(n * width) * sizeof *wide);
    for (int i = 0; i < n * width; i++) wide[i] = (real)x[scalar ? i / width : i];
    return wide;
}

static void folded(double *d, int n, int width, bool scalar)
{
    for (int i = 0; i < n && scalar; i++) {
        double sum = 0;
        for (int c = 0; c < width; c++) sum += d[i * width + c];
        d[i] = sum;
    }
}

static void one_operation(const kernels *k, bool gated, bool scalar)
{
    enum { ROWS = 70, WIDTH = 21, N = ROWS * WIDTH, BRANCHES = 3 };
    int P = scalar ? BRANCHES : BRANCHES * WIDTH;
    float *u = random_floats(N, 1, 2), *v = random_floats(N, 2, 1), *dy = random_floats(N, 3, 1);
    float *a = random_floats((size_t)P, 4, 1), *b = random_floats((size_t)P, 5, 1), *gain = random_floats((size_t)P, 6, 1);
    series_options o = { .n = BRANCHES, .act = { ACT_SILU, ACT_TANH, ACT_GELU_ERF }, .scalar = scalar };
    operand table = { .rows = scalar ? 1 : BRANCHES, .width = scalar ? BRANCHES : WIDTH };
    op_case c = { .in = { { u, ROWS, WIDTH, true } }, .build = build_series, .options = &o, .dy = dy, .capacity = ROWS + 9 };
    if (gated) c.in[1] = (operand){ v, ROWS, WIDTH, true };
    float *const given[] = { a, b, gain };
    for (int i = 0; i < 3; i++) c.in[2 + i] = (operand){ given[i], table.rows, table.width, false };
    outcome found = outcome_of(k, &c);

    check_begin(k);
    real *wide[3], *uu = copy_of(u, N), *vv = copy_of(v, N);
    for (int i = 0; i < 3; i++) wide[i] = spread(given[i], BRANCHES, WIDTH, scalar);
    series_args s = { .rows = ROWS, .width = WIDTH, .n = BRANCHES, .act = { ACT_SILU, ACT_TANH, ACT_GELU_ERF }, .u = uu, .v = gated ? vv : NULL,
                      .scale = wide[0], .bias = wide[1], .gain = wide[2] };
    expected e = by_definition(&s, doubles(dy, N));
    double *const d[] = { e.da, e.db, e.dg };
    expect_doubles("series", found.y, e.y, N);
    expect_doubles("series du", found.d[0], e.du, N);
    if (gated) expect_doubles("series dv", found.d[1], e.dv, N);
    for (int i = 0; i < 3; i++) {
        folded(d[i], BRANCHES, WIDTH, scalar);
        expect_doubles("series parameters", found.d[2 + i], d[i], (size_t)P);
        free(wide[i]);
    }
    check_end();
    outcome_free(&found);
    free(u), free(v), free(dy), free(a), free(b), free(gain);
}

static void series_operation(const kernels *k)
{
    for (int flags = 0; flags < 4; flags++) one_operation(k, flags & 1, flags & 2);
    enum { ROWS = 11, WIDTH = 19, N = ROWS * WIDTH };
    double factor = 0.75, y[N], dx[N];
    float *x = random_floats(N, 1, 2), *dy = random_floats(N, 2, 1);
    for (int i = 0; i < N; i++) y[i] = factor * (double)x[i], dx[i] = factor * (double)dy[i];
    outcome o = outcome_of(k, &(op_case){ .in = { { x, ROWS, WIDTH, true } }, .build = build_times, .options = &factor, .dy = dy });
    expect_doubles("times", o.y, y, N);
    expect_doubles("d times", o.d[0], dx, N);
    outcome_free(&o);
    free(x), free(dy);
}
EACH_LEVEL(static, series_operation)

const test tests_series[] = {
    LEVELS("ops: series activation", series_operation)
    { 0 }
};

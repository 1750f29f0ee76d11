/* Operations that have no fixture, and sizes of more than a tile, against loops
 * in double. */
#include "base/random.h"
#include "kernels_check.h"
#include "ops_case.h"
#include <math.h>
#include <stdlib.h>

static double *zeros(size_t n) { return calloc(n, sizeof(double)); }

/* c (m,n) += a (m,k) b (k,n), with strides between rows and columns. */
typedef struct { const double *at; int row, column; } view;
static void product(double *c, view a, view b, int m, int k, int n)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            for (int p = 0; p < k; p++) c[i * n + j] += a.at[i * a.row + p * a.column] * b.at[p * b.row + j * b.column];
}

static double *widened(const float *x, size_t n)
{
    double *y = zeros(n);
    for (size_t i = 0; x && i < n; i++) y[i] = (double)x[i];
    return y;
}

/* ---- linear ------------------------------------------------------------------------- */

typedef struct { layout layout; activation act; } linear_case;

static tensor *build_linear(graph *g, tensor *const *in, const void *options)
{
    const linear_case *o = options;
    return linear(g, in[0], in[1], in[2], (linear_options){ o->layout, o->act, in[3] });
}

typedef struct { int rows, in, out; } linear_sizes;

static void one_linear(const kernels *k, linear_sizes z, linear_case o, bool bias, bool residual)
{
    size_t x_size = (size_t)(z.rows * z.in), w_size = (size_t)(z.in * z.out), y_size = (size_t)(z.rows * z.out);
    float *x = random_floats(x_size, 1, 1), *w = random_floats(w_size, 2, 0.3), *b = random_floats((size_t)z.out, 3, 1), *r = random_floats(y_size, 4, 1), *dy = random_floats(y_size, 5, 1);
    bool out_in = o.layout == OUT_IN;
    op_case c = { .in = { { x, z.rows, z.in, true }, { w, out_in ? z.out : z.in, out_in ? z.in : z.out, false } }, .build = build_linear, .options = &o, .dy = dy };
    if (bias) c.in[2] = (operand){ b, 1, z.out, false };
    if (residual) c.in[3] = (operand){ r, z.rows, z.out, true };
    outcome found = outcome_of(k, &c);

    double *xd = widened(x, x_size), *wd = widened(w, w_size), *y = zeros(y_size), *dz = widened(dy, y_size);
    double *dx = zeros(x_size), *dw = zeros(w_size), *db = zeros((size_t)z.out);
    view W = { wd, out_in ? 1 : z.out, out_in ? z.in : 1 }, X = { xd, z.in, 1 };               /* W as (in,out) */
    product(y, X, W, z.rows, z.in, z.out);
    for (int i = 0; i < z.rows * z.out; i++) {
        double before = y[i] + (bias ? (double)b[i % z.out] : 0);
        dz[i] *= plain_slope(o.act, before);
        y[i] = plain_act(o.act, before) + (residual ? (double)r[i] : 0);
        db[i % z.out] += dz[i];
    }
    product(dx, (view){ dz, z.out, 1 }, (view){ wd, W.column, W.row }, z.rows, z.out, z.in);
    if (out_in) product(dw, (view){ dz, 1, z.out }, X, z.out, z.rows, z.in);
    else        product(dw, (view){ xd, 1, z.in }, (view){ dz, z.out, 1 }, z.in, z.rows, z.out);
    expect_doubles("y", found.y, y, y_size);
    expect_doubles("dx", found.d[0], dx, x_size);
    expect_doubles("dw", found.d[1], dw, w_size);
    if (bias) expect_doubles("dbias", found.d[2], db, (size_t)z.out);
    if (residual) expect_near("dresidual", found.d[3], dy, y_size);
    outcome_free(&found);
    free(x), free(w), free(b), free(r), free(dy), free(xd), free(wd), free(y), free(dz), free(dx), free(dw), free(db);
}

static void linear_plain(const kernels *k)
{
    static const linear_sizes sizes[] = { { 13, 7, 9 }, { 1, 1, 1 }, { 70, 33, 65 } };
    for (int s = 0; s < 3; s++)
        EACH_ACT(act)
            for (int flags = 0; flags < 8; flags++)
                one_linear(k, sizes[s], (linear_case){ flags & 1 ? OUT_IN : IN_OUT, act }, flags & 2, flags & 4);
}
EACH_LEVEL(, linear_plain)

/* ---- sums and gates --------------------------------------------------------------------- */

static tensor *build_add(graph *g, tensor *const *in, const void *options) { (void)options; return add(g, in[0], in[1]); }
static tensor *build_glu(graph *g, tensor *const *in, const void *options) { return glu(g, in[0], in[1], *(const activation *)options); }
static tensor *build_act(graph *g, tensor *const *in, const void *options) { return activate(g, in[0], *(const activation *)options); }

static void sums_and_gates_plain(const kernels *k)
{
    enum { ROWS = 11, WIDTH = 19, N = ROWS * WIDTH };
    float *a = random_floats(N, 1, 2), *b = random_floats(N, 2, 2), *dy = random_floats(N, 3, 1);
    operand x = { a, ROWS, WIDTH, true }, y = { b, ROWS, WIDTH, true };
    double sum[N], gate[N], da[N], db[N], one[N], slope[N];
    EACH_ACT(act) {
        for (int i = 0; i < N; i++) {
            double u = (double)a[i], v = (double)b[i], d = (double)dy[i];
            sum[i] = u + v;
            gate[i] = plain_act(act, u) * v;
            da[i] = d * v * plain_slope(act, u);
            db[i] = d * plain_act(act, u);
            one[i] = plain_act(act, u);
            slope[i] = d * plain_slope(act, u);
        }
        outcome o = outcome_of(k, &(op_case){ .in = { x, y }, .build = build_glu, .options = &act, .dy = dy });
        expect_doubles("glu", o.y, gate, N);
        expect_doubles("d gate", o.d[0], da, N);
        expect_doubles("d up", o.d[1], db, N);
        outcome_free(&o);
        o = outcome_of(k, &(op_case){ .in = { x }, .build = build_act, .options = &act, .dy = dy });
        expect_doubles("activation", o.y, one, N);
        expect_doubles("d activation", o.d[0], slope, N);
        outcome_free(&o);
    }
    outcome o = outcome_of(k, &(op_case){ .in = { x, y }, .build = build_add, .dy = dy });
    expect_doubles("add", o.y, sum, N);
    expect_near("d add", o.d[0], dy, N);
    expect_near("d add", o.d[1], dy, N);
    outcome_free(&o);
    free(a), free(b), free(dy);
}
EACH_LEVEL(, sums_and_gates_plain)

/* ---- tables and selected rows ------------------------------------------------------------- */

static tensor *build_embedding(graph *g, tensor *const *in, const void *options) { (void)options; return embedding(g, in[0]); }
static tensor *build_positions(graph *g, tensor *const *in, const void *options) { (void)options; return add_positions(g, in[0], in[1]); }
static tensor *build_select(graph *g, tensor *const *in, const void *options) { (void)options; return select_rows(g, in[0]); }
static tensor *build_loss(graph *g, tensor *const *in, const void *options) { (void)options; return cross_entropy(g, in[0], in[1], NULL); }

static void check_rows(const kernels *k)
{
    enum { ROWS = 12, WIDTH = 5, TABLE = 7 };
    static const int ids[ROWS] = { 3, 0, 3, 6, 1, 1, 1, 5, 6, 0, 2, 3 }, pos[ROWS] = { 0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 0, 1 }, chosen[] = { 4, 0, 11, 7 };
    float *table = random_floats(TABLE * WIDTH, 1, 1), *x = random_floats(ROWS * WIDTH, 2, 1), *dy = random_floats(ROWS * WIDTH, 3, 1);
    double y[ROWS * WIDTH], moved[ROWS * WIDTH], dtable[TABLE * WIDTH] = { 0 }, dplaces[TABLE * WIDTH] = { 0 }, some[4 * WIDTH], dx[ROWS * WIDTH] = { 0 };
    for (int i = 0; i < ROWS * WIDTH; i++) {
        int r = i / WIDTH, c = i % WIDTH;
        y[i] = (double)table[ids[r] * WIDTH + c];
        moved[i] = (double)x[i] + (double)table[pos[r] * WIDTH + c];
        dtable[ids[r] * WIDTH + c] += (double)dy[i];
        dplaces[pos[r] * WIDTH + c] += (double)dy[i];
    }
    for (int i = 0; i < 4 * WIDTH; i++) {
        some[i] = (double)x[chosen[i / WIDTH] * WIDTH + i % WIDTH];
        dx[chosen[i / WIDTH] * WIDTH + i % WIDTH] += (double)dy[i];
    }
    outcome o = outcome_of(k, &(op_case){ .in = { { table, TABLE, WIDTH, false } }, .build = build_embedding, .batch = { .rows = ROWS, .ids = ids }, .dy = dy });
    expect_doubles("embedding", o.y, y, ROWS * WIDTH);
    expect_doubles("d table", o.d[0], dtable, TABLE * WIDTH);
    outcome_free(&o);
    o = outcome_of(k, &(op_case){ .in = { { x, ROWS, WIDTH, true }, { table, TABLE, WIDTH, false } }, .build = build_positions, .batch = { .pos = pos }, .dy = dy });
    expect_doubles("positions", o.y, moved, ROWS * WIDTH);
    expect_near("d rows", o.d[0], dy, ROWS * WIDTH);
    expect_doubles("d positions", o.d[1], dplaces, TABLE * WIDTH);
    outcome_free(&o);
    o = outcome_of(k, &(op_case){ .in = { { x, ROWS, WIDTH, true } }, .build = build_select, .batch = { .select = chosen, .selected = 4 }, .dy = dy });
    expect_doubles("selected rows", o.y, some, 4 * WIDTH);
    expect_doubles("d selected rows", o.d[0], dx, ROWS * WIDTH);
    outcome_free(&o);
    free(table), free(x), free(dy);
}

/* A loss over more rows than a tile, without weights and bias. */
static void check_long_loss(const kernels *k)
{
    enum { ROWS = 300, WIDTH = 8, VOCAB = 40 };
    float *x = random_floats(ROWS * WIDTH, 1, 1), *w = random_floats(VOCAB * WIDTH, 2, 1);
    double *xd = widened(x, ROWS * WIDTH), *wd = widened(w, VOCAB * WIDTH), *logits = zeros(ROWS * VOCAB), loss[ROWS], *dx = zeros(ROWS * WIDTH), *dw = zeros(VOCAB * WIDTH);
    int goal[ROWS];
    product(logits, (view){ xd, WIDTH, 1 }, (view){ wd, 1, WIDTH }, ROWS, WIDTH, VOCAB);
    for (int r = 0; r < ROWS; r++) {
        double *l = logits + r * VOCAB, sum = 0;
        goal[r] = (int)(random_u64(8, (uint64_t)r) % VOCAB);
        for (int v = 0; v < VOCAB; v++) sum += exp(l[v]);
        loss[r] = log(sum) - l[goal[r]];
        for (int v = 0; v < VOCAB; v++) l[v] = (exp(l[v]) / sum - (v == goal[r])) / ROWS;
    }
    product(dx, (view){ logits, VOCAB, 1 }, (view){ wd, WIDTH, 1 }, ROWS, VOCAB, WIDTH);
    product(dw, (view){ logits, 1, VOCAB }, (view){ xd, WIDTH, 1 }, VOCAB, ROWS, WIDTH);
    outcome o = outcome_of(k, &(op_case){ .in = { { x, ROWS, WIDTH, true }, { w, VOCAB, WIDTH, false } }, .build = build_loss, .capacity = ROWS + 50,
                                          .batch = { .target = goal, .scale = (real)1 / ROWS } });
    expect_doubles("long loss", o.y, loss, ROWS);
    expect_doubles("d hidden", o.d[0], dx, ROWS * WIDTH);
    expect_doubles("d head", o.d[1], dw, VOCAB * WIDTH);
    outcome_free(&o);
    free(x), free(w), free(xd), free(wd), free(logits), free(dx), free(dw);
}

static void tables_plain(const kernels *k)
{
    check_rows(k);
    check_long_loss(k);
}
EACH_LEVEL(, tables_plain)

/* ---- Pattention wider than what is kept, longer than a tile ---------------------------------- */

enum { P_ROWS = 300, P_IN = 8, P_OUT = 6, P_SLOTS = 70 };
typedef struct { theta_kind theta; double tau2; } wide_case;

static tensor *build_wide(graph *g, tensor *const *in, const void *options)
{
    const wide_case *o = options;
    return pattention(g, in[0], in[1], in[2], (pattention_options){ o->theta, o->tau2, NULL });
}

static void plain_theta(double *s, const double *a, wide_case o)
{
    double tau2 = o.tau2 > 0 ? o.tau2 : P_SLOTS, sum = 0;
    for (int i = 0; i < P_SLOTS; i++) {
        double u = o.theta == THETA_GELU_L2 ? plain_act(ACT_GELU_ERF, a[i]) : a[i];
        s[i] = o.theta == THETA_SOFTMAX ? exp(u) : u;
        sum += o.theta == THETA_SOFTMAX ? s[i] : u * u;
    }
    double scale = o.theta == THETA_SOFTMAX ? tau2 / sum : sqrt(tau2 / sum);
    for (int i = 0; i < P_SLOTS; i++) s[i] = o.theta == THETA_L2_GELU ? plain_act(ACT_GELU_ERF, s[i] * scale) : s[i] * scale;
}

/* The gradient of ds . Theta(a), by differences of fourth order. */
static void plain_theta_backward(double *da, double *a, const double *ds, wide_case o)
{
    static const double at[] = { -2, -1, 1, 2 }, weight[] = { 1, -8, 8, -1 };
    const double h = 1e-3;
    double s[P_SLOTS];
    for (int i = 0; i < P_SLOTS; i++) {
        double keep = a[i], sum = 0;
        for (int j = 0; j < 4; j++) {
            a[i] = keep + at[j] * h;
            plain_theta(s, a, o);
            for (int m = 0; m < P_SLOTS; m++) sum += weight[j] * ds[m] * s[m];
        }
        a[i] = keep;
        da[i] = sum / (12 * h);
    }
}

static void one_wide(const kernels *k, wide_case o)
{
    size_t scores = (size_t)P_ROWS * P_SLOTS;
    float *x = random_floats(P_ROWS * P_IN, 1, 1), *key = random_floats(P_SLOTS * P_IN, 2, 0.4), *value = random_floats(P_SLOTS * P_OUT, 3, 1), *dy = random_floats(P_ROWS * P_OUT, 4, 1);
    double *xd = widened(x, P_ROWS * P_IN), *kd = widened(key, P_SLOTS * P_IN), *vd = widened(value, P_SLOTS * P_OUT), *dyd = widened(dy, P_ROWS * P_OUT);
    double *a = zeros(scores), *s = zeros(scores), *ds = zeros(scores), *da = zeros(scores), *y = zeros(P_ROWS * P_OUT), *dx = zeros(P_ROWS * P_IN), *dk = zeros(P_SLOTS * P_IN), *dv = zeros(P_SLOTS * P_OUT);
    product(a, (view){ xd, P_IN, 1 }, (view){ kd, 1, P_IN }, P_ROWS, P_IN, P_SLOTS);
    product(ds, (view){ dyd, P_OUT, 1 }, (view){ vd, 1, P_OUT }, P_ROWS, P_OUT, P_SLOTS);
    for (int r = 0; r < P_ROWS; r++) {
        plain_theta(s + r * P_SLOTS, a + r * P_SLOTS, o);
        plain_theta_backward(da + r * P_SLOTS, a + r * P_SLOTS, ds + r * P_SLOTS, o);
    }
    product(y, (view){ s, P_SLOTS, 1 }, (view){ vd, P_OUT, 1 }, P_ROWS, P_SLOTS, P_OUT);
    product(dx, (view){ da, P_SLOTS, 1 }, (view){ kd, P_IN, 1 }, P_ROWS, P_SLOTS, P_IN);
    product(dk, (view){ da, 1, P_SLOTS }, (view){ xd, P_IN, 1 }, P_SLOTS, P_ROWS, P_IN);
    product(dv, (view){ s, 1, P_SLOTS }, (view){ dyd, P_OUT, 1 }, P_SLOTS, P_ROWS, P_OUT);
    outcome found = outcome_of(k, &(op_case){ .in = { { x, P_ROWS, P_IN, true }, { key, P_SLOTS, P_IN, false }, { value, P_SLOTS, P_OUT, false } },
                                              .build = build_wide, .options = &o, .dy = dy, .capacity = P_ROWS + 3 });
    expect_doubles("wide pattention", found.y, y, P_ROWS * P_OUT);
    expect_doubles("dx", found.d[0], dx, P_ROWS * P_IN);
    expect_doubles("dkey", found.d[1], dk, P_SLOTS * P_IN);
    expect_doubles("dvalue", found.d[2], dv, P_SLOTS * P_OUT);
    outcome_free(&found);
    free(x), free(key), free(value), free(dy), free(xd), free(kd), free(vd), free(dyd);
    free(a), free(s), free(ds), free(da), free(y), free(dx), free(dk), free(dv);
}

static void wide_pattention_plain(const kernels *k)
{
    for (int theta = 0; theta < 3; theta++) {
        one_wide(k, (wide_case){ (theta_kind)theta, 0 });
        one_wide(k, (wide_case){ (theta_kind)theta, 33 });
    }
}
EACH_LEVEL(, wide_pattention_plain)

/* ---- dropout ------------------------------------------------------------------------------------ */

static tensor *build_dropout(graph *g, tensor *const *in, const void *options)
{
    tensor *once = dropout(g, in[0], 0.3);
    if (!options) return once;
    return add(g, once, dropout(g, in[0], 0.3));                        /* two places in a model, two masks */
}

static void dropout_plain(const kernels *k)
{
    enum { ROWS = 40, WIDTH = 100, N = ROWS * WIDTH };
    float *x = random_floats(N, 1, 1), *dy = random_floats(N, 2, 1);
    uint64_t key[ROWS];
    double y[N], dx[N], kept = 0;
    for (int r = 0; r < ROWS; r++) key[r] = key_of(5, (uint64_t)r);
    op_case c = { .in = { { x, ROWS, WIDTH, true } }, .build = build_dropout, .batch = { .row_key = key }, .dy = dy };
    outcome o = outcome_of(k, &c), again = outcome_of(k, &c);
    for (int i = 0; i < N; i++) {
        bool keep = o.y[i] > 0 || o.y[i] < 0;
        kept += keep;
        y[i] = keep ? (double)x[i] / 0.7 : 0;
        dx[i] = keep ? (double)dy[i] / 0.7 : 0;
    }
    expect_doubles("dropout", o.y, y, N);
    expect_doubles("d dropout", o.d[0], dx, N);
    CHECK_MSG(fabs(kept / N - 0.7) < 0.03, "%.4f are kept", kept / N);
    CHECK(!memcmp(o.y, again.y, N * sizeof(float)));
    outcome_free(&again);
    c.options = &c;
    again = outcome_of(k, &c);
    int none = 0;
    for (int i = 0; i < N; i++) none += again.y[i] == 0;
    CHECK_MSG(fabs((double)none / N - 0.09) < 0.02, "%.4f are dropped by both of two masks", (double)none / N);
    outcome_free(&again);
    for (int r = 0; r < ROWS; r++) key[r] = key_of(6, (uint64_t)r);
    c.options = NULL;
    again = outcome_of(k, &c);
    CHECK(memcmp(o.y, again.y, N * sizeof(float)));                     /* another step, another mask */
    outcome_free(&again);
    outcome_free(&o);
    free(x), free(dy);
}
EACH_LEVEL(, dropout_plain)

/* Operations through graphs, forward and backward, against float64 results of
 * PyTorch (tests/golden/ops), with every dead buffer poisoned. */
#include "ops_case.h"
#include "base/random.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

/* ---- a graph of one operation ------------------------------------------------------ */

static size_t elements(const tensor *t) { return (size_t)live_rows(t) * (size_t)t->width; }

/* A parameter's rows as activations of tokens. */
static void given_forward(const node *n, const kernels *k) { k->copy(out_data(n, 0), false, in_data(n, 0), elements(n->out[0])); }
static void given_backward(const node *n, const kernels *k)
{
    bool join;
    real *d = grad_in(n, 0, &join);
    if (d) k->copy(d, join, grad_out(n, 0), elements(n->out[0]));
}
static const op op_given = { .name = "given", .forward = given_forward, .backward = given_backward };

/* The end: the gradient of its input is what the case says. */
static void toward_forward(const node *n, const kernels *k)
{
    bool join;
    real *d = grad_in(n, 0, &join);
    if (d) k->copy(d, join, n->data, elements(n->in[0]));
    for (int r = 0; r < live_rows(n->out[0]); r++) out_data(n, 0)[r] = 0;
}
static const op op_toward = { .name = "toward", .forward = toward_forward, .forward_backward = true };

static tensor *build(graph *g, const op_case *c)
{
    tensor *in[MAX_OPERANDS] = { 0 };
    for (int i = 0; i < MAX_OPERANDS; i++) {
        const operand *x = &c->in[i];
        char name[16];
        if (!x->values) continue;
        snprintf(name, sizeof name, "in%d", i);
        in[i] = parameter(g, name, (param_rule){ .rank = x->rows > 1 || x->activation ? 2 : 1, .dims = { x->rows > 1 || x->activation ? x->rows : x->width, x->width } });
        if (x->activation) in[i] = output(append(g, &op_given, (tensor *[]){ in[i] }, 1), 0, ROWS_TOKENS, 0, x->width);
    }
    tensor *y = c->build(g, in, c->options);
    if (y) y->keep = true;
    if (!c->dy || !training(g)) return y;
    node *n = append(g, &op_toward, (tensor *[]){ y }, 1);
    if (n) n->data = c->dy;
    output(n, 0, y->space, 0, 1);
    return y;
}

static void fill(params *p, const op_case *c)
{
    lithe_error err = { 0 };
    params_close(p, &err);
    params_gradients(p, &err);
    for (int i = 0; i < p->count; i++) {
        const operand *x = &c->in[atoi(p->items[i]->name + 2)];
        for (size_t j = 0; j < p->items[i]->count; j++) p->items[i]->weight.values[j] = (real)x->values[j];
    }
}

static float *copied(const real *x, size_t n)
{
    float *y = malloc(n * sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = (float)x[i];
    return y;
}

outcome outcome_of(const kernels *k, const op_case *c)
{
    lithe_error err = { 0 };
    batch b = c->batch;
    if (!b.rows) b.rows = c->in[0].rows;
    int start[2] = { 0, b.rows }, *pos = calloc((size_t)b.rows, sizeof *pos);
    for (int r = 0; r < b.rows; r++) pos[r] = r;
    if (!b.seqs) b.seqs = 1, b.start = start;
    if (!b.pos) b.pos = pos;
    if (!(b.scale > 0)) b.scale = 1;
    graph_options o = { .mode = GRAPH_TRAIN, .capacity = { c->capacity ? c->capacity : b.rows, b.seqs, b.selected }, .poison = true };

    params *p = params_new();
    graph *g = graph_new(k, p, &o);
    build(g, c);
    graph_close(g);
    fill(p, c);
    g = graph_new(k, p, &o);
    tensor *y = build(g, c);
    outcome out = { 0 };
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    if (!err.status) {
        graph_run(g, &b);
        out.rows = y->space == ROWS_SELECTED && b.select ? b.selected : b.rows;
        out.width = y->width;
        out.y = copied(y->data, (size_t)out.rows * (size_t)out.width);
        for (int i = 0; i < p->count; i++) out.d[atoi(p->items[i]->name + 2)] = copied(p->items[i]->grad, p->items[i]->count);
    }
    graph_close(g);
    params_free(p);
    free(pos);
    return out;
}

void outcome_free(outcome *o)
{
    free(o->y);
    for (int i = 0; i < MAX_OPERANDS; i++) free(o->d[i]);
}

void expect_doubles(const char *what, const float *found, const double *expected, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; found && i < n; i++) {
        difference += ((double)found[i] - expected[i]) * ((double)found[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    double error = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
    CHECK_MSG(found && error <= 1e-5, "%s is off by %.3g", what, error);
}

void expect_near(const char *what, const float *found, const float *expected, size_t n)
{
    double *wide = malloc(n * sizeof *wide);
    for (size_t i = 0; i < n; i++) wide[i] = (double)expected[i];
    expect_doubles(what, found, wide, n);
    free(wide);
}

float *random_floats(size_t n, uint64_t seed, double scale)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(scale * random_normal(key_of(seed, 99), i));
    return x;
}

/* ---- fixtures -------------------------------------------------------------------------- */

typedef struct { tensor_file *file; float *values[64]; int count; } fixture;

static fixture fixture_open(const char *name)
{
    lithe_error err = { 0 };
    char path[100];
    snprintf(path, sizeof path, "tests/golden/ops/%s.safetensors", name);
    fixture f = { .file = tensor_file_open(test_file(path), &err) };
    if (!f.file) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    return f;
}

static float *of(fixture *f, const char *kind, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s%s", kind, *kind ? "." : "", name);
    const file_tensor *t = tensor_file_find(f->file, full);
    CHECK_MSG(t, "no %s", full);
    if (!t) { fflush(stdout); _Exit(1); }
    float *values = f->values[f->count++] = malloc(t->count * sizeof *values);
    CHECK(file_tensor_floats(t, 0, t->count, values));
    return values;
}

static void ints(fixture *f, const char *name, int *out, int n)
{
    const float *values = of(f, "", name);
    for (int i = 0; i < n; i++) out[i] = (int)values[i];
}

static void fixture_close(fixture *f)
{
    for (int i = 0; i < f->count; i++) free(f->values[i]);
    tensor_file_close(f->file);
}

static const char *const thetas[] = { "l2_norm_gelu", "gelu_l2_norm", "softmax" };      /* in the order of theta_kind */

static void theta_golden(const kernels *k)
{
    enum { ROWS = 5, SLOTS = 7 };
    fixture f = fixture_open("theta");
    const float *scores = of(&f, "", "scores"), *ds = of(&f, "", "ds");
    for (int kind = 0; kind < 3; kind++) {
        real s[ROWS * SLOTS], da[ROWS * SLOTS];
        exact stat[ROWS];
        k->theta(s, stat, scores, (theta_kind)kind, SLOTS, ROWS, SLOTS);
        k->theta_backward(da, ds, scores, stat, (theta_kind)kind, SLOTS, ROWS, SLOTS);
        expect_near(thetas[kind], s, of(&f, thetas[kind], "s"), ROWS * SLOTS);
        expect_near(thetas[kind], da, of(&f, thetas[kind], "da"), ROWS * SLOTS);
    }
    fixture_close(&f);
}
EACH_LEVEL(static, theta_golden)

/* ---- Pattention --------------------------------------------------------------------------- */

static tensor *build_pattention(graph *g, tensor *const *in, const void *options)
{
    return pattention(g, in[0], in[1], in[2], (pattention_options){ *(const theta_kind *)options, 0, in[3] });
}

static void pattention_golden(const kernels *k)
{
    enum { ROWS = 5, IN = 6, OUT = 4, SLOTS = 7 };
    fixture f = fixture_open("pattention");
    float *residual = random_floats(ROWS * OUT, 1, 1);
    for (int kind = 0; kind < 3; kind++)
        for (int joined = 0; joined < 2; joined++) {
            theta_kind theta = (theta_kind)kind;
            op_case c = { .in = { { of(&f, "", "x"), ROWS, IN, true }, { of(&f, "", "key"), SLOTS, IN, false }, { of(&f, "", "value"), SLOTS, OUT, false } },
                          .build = build_pattention, .options = &theta, .dy = of(&f, "", "dy") };
            if (joined) c.in[3] = (operand){ residual, ROWS, OUT, true };
            outcome o = outcome_of(k, &c);
            float *y = of(&f, thetas[kind], "y");
            for (int i = 0; joined && i < ROWS * OUT; i++) y[i] += residual[i];
            expect_near(thetas[kind], o.y, y, ROWS * OUT);
            expect_near("dx", o.d[0], of(&f, thetas[kind], "dx"), ROWS * IN);
            expect_near("dkey", o.d[1], of(&f, thetas[kind], "dkey"), SLOTS * IN);
            expect_near("dvalue", o.d[2], of(&f, thetas[kind], "dvalue"), SLOTS * OUT);
            if (joined) expect_near("dresidual", o.d[3], c.dy, ROWS * OUT);
            outcome_free(&o);
        }
    free(residual);
    fixture_close(&f);
}
EACH_LEVEL(static, pattention_golden)

/* ---- activations ---------------------------------------------------------------------------- */

static tensor *build_activate(graph *g, tensor *const *in, const void *options) { return activate(g, in[0], *(const activation *)options); }

static void activation_golden(const kernels *k)
{
    static const struct { const char *name; activation act; } kinds[] = { { "gelu_erf", ACT_GELU_ERF }, { "gelu_tanh", ACT_GELU_TANH }, { "silu", ACT_SILU } };
    enum { N = 101 };
    fixture f = fixture_open("activation");
    float ones[N];
    for (int i = 0; i < N; i++) ones[i] = 1;
    for (int i = 0; i < 3; i++) {
        op_case c = { .in = { { of(&f, "", "x"), N, 1, true } }, .build = build_activate, .options = &kinds[i].act, .dy = ones };
        outcome o = outcome_of(k, &c);
        expect_near(kinds[i].name, o.y, of(&f, kinds[i].name, "y"), N);
        expect_near(kinds[i].name, o.d[0], of(&f, kinds[i].name, "dydx"), N);
        outcome_free(&o);
    }
    fixture_close(&f);
}
EACH_LEVEL(static, activation_golden)

/* ---- norms ------------------------------------------------------------------------------------ */

static tensor *build_layer_norm(graph *g, tensor *const *in, const void *options) { return layer_norm(g, in[0], in[1], in[2], *(const double *)options); }
static tensor *build_rms_norm(graph *g, tensor *const *in, const void *options) { return rms_norm(g, in[0], in[1], *(const double *)options); }

static void norm_golden(const kernels *k)
{
    enum { ROWS = 3, WIDTH = 10 };
    fixture f = fixture_open("norm");
    double eps = (double)*of(&f, "", "eps");
    operand x = { of(&f, "", "x"), ROWS, WIDTH, true }, w = { of(&f, "", "weight"), 1, WIDTH, false }, b = { of(&f, "", "bias"), 1, WIDTH, false };
    const struct { const char *name; op_case c; } cases[] = {
        { "layernorm", { .in = { x, w, b }, .build = build_layer_norm } },
        { "layernorm_plain", { .in = { x }, .build = build_layer_norm } },
        { "rmsnorm", { .in = { x, w }, .build = build_rms_norm } },
    };
    for (int i = 0; i < 3; i++) {
        op_case c = cases[i].c;
        c.options = &eps;
        c.dy = of(&f, "", "dy");
        outcome o = outcome_of(k, &c);
        expect_near(cases[i].name, o.y, of(&f, cases[i].name, "y"), ROWS * WIDTH);
        expect_near("dx", o.d[0], of(&f, cases[i].name, "dx"), ROWS * WIDTH);
        if (c.in[1].values) expect_near("dweight", o.d[1], of(&f, cases[i].name, "dweight"), WIDTH);
        if (c.in[2].values) expect_near("dbias", o.d[2], of(&f, cases[i].name, "dbias"), WIDTH);
        outcome_free(&o);
    }
    fixture_close(&f);
}
EACH_LEVEL(static, norm_golden)

/* ---- rotary positions ---------------------------------------------------------------------------- */

typedef struct { int dims; double base; } rotation;

static tensor *build_rope(graph *g, tensor *const *in, const void *options)
{
    const rotation *o = options;
    return rope(g, in[0], rope_table(g, (rope_options){ .dims = o->dims, .base = o->base }), 2);
}

static void rotary_golden(const kernels *k)
{
    enum { ROWS = 9, WIDTH = 16 };
    fixture f = fixture_open("rotary");
    int pos[ROWS];
    ints(&f, "pos", pos, ROWS);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "r8" : "r2";
        rotation o = { i ? 8 : 2, (double)*of(&f, "", "base") };
        op_case c = { .in = { { of(&f, "", "x"), ROWS, WIDTH, true } }, .build = build_rope, .options = &o, .capacity = 1018, .batch = { .pos = pos }, .dy = of(&f, "", "dy") };
        outcome out = outcome_of(k, &c);
        expect_near(name, out.y, of(&f, name, "y"), ROWS * WIDTH);
        expect_near(name, out.d[0], of(&f, name, "dx"), ROWS * WIDTH);
        outcome_free(&out);
    }
    fixture_close(&f);
}
EACH_LEVEL(static, rotary_golden)

/* ---- attention -------------------------------------------------------------------------------------- */

static tensor *build_attention(graph *g, tensor *const *in, const void *options)
{
    (void)options;
    return attention(g, in[0], in[1], in[2], (attention_options){ 4, 2, .causal = true });
}

/* [q k v] of each row side by side: widths 16, 8, 8. */
static float *side_by_side(const float *q, const float *k, const float *v, int rows)
{
    float *x = malloc((size_t)rows * 32 * sizeof *x);
    for (int r = 0; r < rows; r++) {
        memcpy(x + r * 32, q + r * 16, 16 * sizeof *x);
        memcpy(x + r * 32 + 16, k + r * 8, 8 * sizeof *x);
        memcpy(x + r * 32 + 24, v + r * 8, 8 * sizeof *x);
    }
    return x;
}

static float *twice(const float *x, size_t n)
{
    float *y = malloc(2 * n * sizeof *y);
    memcpy(y, x, n * sizeof *y);
    memcpy(y + n, x, n * sizeof *y);
    return y;
}

/* Separate and fused operands; the sequence alone, and twice in a batch. */
static void attention_golden(const kernels *k)
{
    enum { ROWS = 9 };
    static const int starts[] = { 0, ROWS, 2 * ROWS }, pos[2 * ROWS];
    fixture f = fixture_open("attention");
    for (int copies = 1; copies <= 2; copies++) {
        int rows = copies * ROWS;
        size_t q_size = (size_t)rows * 16, kv_size = (size_t)rows * 8;
        float *all[8] = { twice(of(&f, "", "q"), ROWS * 16), twice(of(&f, "", "k"), ROWS * 8), twice(of(&f, "", "v"), ROWS * 8), twice(of(&f, "", "do"), ROWS * 16),
                          twice(of(&f, "", "o"), ROWS * 16), twice(of(&f, "", "dq"), ROWS * 16), twice(of(&f, "", "dk"), ROWS * 8), twice(of(&f, "", "dv"), ROWS * 8) };
        float *joined = side_by_side(all[0], all[1], all[2], rows), *d_joined = side_by_side(all[5], all[6], all[7], rows);
        op_case c = { .in = { { all[0], rows, 16, true }, { all[1], rows, 8, true }, { all[2], rows, 8, true } }, .build = build_attention,
                      .batch = { .rows = rows, .seqs = copies, .start = starts, .pos = pos }, .dy = all[3] };
        outcome o = outcome_of(k, &c);
        expect_near("o", o.y, all[4], q_size);
        expect_near("dq", o.d[0], all[5], q_size);
        expect_near("dk", o.d[1], all[6], kv_size);
        expect_near("dv", o.d[2], all[7], kv_size);
        outcome_free(&o);
        c.in[0] = (operand){ joined, rows, 32, true }, c.in[1] = c.in[2] = (operand){ 0 };
        o = outcome_of(k, &c);
        expect_near("o of fused operands", o.y, all[4], q_size);
        expect_near("gradient of fused operands", o.d[0], d_joined, (size_t)rows * 32);
        outcome_free(&o);
        for (int i = 0; i < 8; i++) free(all[i]);
        free(joined);
        free(d_joined);
    }
    fixture_close(&f);
}
EACH_LEVEL(static, attention_golden)

static void log_sum_exp_golden(const kernels *k)
{
    enum { ROWS = 9, HEADS = 4 };
    static const int start[] = { 0, ROWS }, zero[] = { 0 };
    fixture f = fixture_open("attention");
    real o[ROWS * 16];
    exact lse[ROWS * HEADS];
    k->attention(&(attention_args){ .seqs = 1, .heads = HEADS, .kv_heads = 2, .head_dim = 4, .start = start, .kv_start = zero, .past = zero, .causal = true,
                                    .scale = (real)0.5, .q = of(&f, "", "q"), .k.data = of(&f, "", "k"), .v.data = of(&f, "", "v"),
                                    .q_stride = 16, .k_stride = 8, .v_stride = 8, .o = o, .o_stride = 16, .lse = lse });
    expect_near("lse", lse, of(&f, "", "lse"), ROWS * HEADS);
    fixture_close(&f);
}
EACH_LEVEL(static, log_sum_exp_golden)

/* ---- loss ----------------------------------------------------------------------------------------------- */

static tensor *build_cross_entropy(graph *g, tensor *const *in, const void *options) { (void)options; return cross_entropy(g, in[0], in[1], in[2]); }

/* Logits as hidden states before a head that is the identity, moved by half a bias. */
static void cross_entropy_golden(const kernels *k)
{
    enum { ROWS = 6, VOCAB = 11 };
    fixture f = fixture_open("cross_entropy");
    float *logits = of(&f, "", "logits"), hidden[ROWS * VOCAB], identity[VOCAB * VOCAB] = { 0 }, bias[VOCAB], total = 0, loss = 0;
    const float *weights = of(&f, "", "weights"), *each = of(&f, "", "each"), *dlogits = of(&f, "", "dlogits");
    int target[ROWS];
    double dw[VOCAB * VOCAB] = { 0 }, dbias[VOCAB] = { 0 }, expected[ROWS];
    ints(&f, "targets", target, ROWS);
    for (int i = 0; i < VOCAB; i++) identity[i * VOCAB + i] = 1, bias[i] = 0.25f * (float)i - 1;
    for (int r = 0; r < ROWS; r++) {
        total += weights[r];
        expected[r] = (double)weights[r] * (double)each[r];
        for (int i = 0; i < VOCAB; i++) hidden[r * VOCAB + i] = logits[r * VOCAB + i] - bias[i];
        for (int i = 0; i < VOCAB; i++) dbias[i] += (double)dlogits[r * VOCAB + i];
        for (int i = 0; i < VOCAB * VOCAB; i++) dw[i] += (double)dlogits[r * VOCAB + i / VOCAB] * (double)hidden[r * VOCAB + i % VOCAB];
    }
    op_case c = { .in = { { hidden, ROWS, VOCAB, true }, { identity, VOCAB, VOCAB, false }, { bias, 1, VOCAB, false } }, .build = build_cross_entropy,
                  .batch = { .target = target, .weight = weights, .scale = 1 / total } };
    outcome o = outcome_of(k, &c);
    expect_doubles("loss of each row", o.y, expected, ROWS);
    for (int r = 0; r < ROWS; r++) loss += o.y[r] / total;
    expect_near("loss", &loss, of(&f, "", "loss"), 1);
    expect_near("dlogits", o.d[0], dlogits, ROWS * VOCAB);
    expect_doubles("dw", o.d[1], dw, VOCAB * VOCAB);
    expect_doubles("dbias", o.d[2], dbias, VOCAB);
    outcome_free(&o);
    fixture_close(&f);
}
EACH_LEVEL(static, cross_entropy_golden)

const test tests_ops[] = {
    LEVELS("ops: theta", theta_golden)
    LEVELS("ops: pattention", pattention_golden)
    LEVELS("ops: activations", activation_golden)
    LEVELS("ops: norms", norm_golden)
    LEVELS("ops: rotary positions", rotary_golden)
    LEVELS("ops: attention", attention_golden)
    LEVELS("ops: log-sum-exp of attention", log_sum_exp_golden)
    LEVELS("ops: cross-entropy", cross_entropy_golden)
    LEVELS("ops: linear", linear_plain)
    LEVELS("ops: sums and gates", sums_and_gates_plain)
    LEVELS("ops: tables and selected rows", tables_plain)
    LEVELS("ops: wide pattention", wide_pattention_plain)
    LEVELS("ops: dropout", dropout_plain)
    { 0 }
};

/* RWKV: what must hold without any reference.  Relations between the versions'
 * recurrences, the authors' initial values, the groups they train in, and L2Wrap. */
#include "golden.h"
#include "ops/ops.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>
#include <time.h>

/* ---- recurrences -------------------------------------------------------------------- */

enum { T = 29, N = 16, W = 32, SIZE = T * W };
static const int WHOLE[] = { 0, T }, EMPTY[] = { -1 }, SLOT[] = { 0 };

static real *draws(size_t n, uint64_t seed, double low, double high)
{
    real *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (real)(low + (high - low) * random_unit(seed, i));
    return x;
}

static real *zeros(size_t n) { return calloc(n, sizeof(real)); }

/* The weights of version 4 are relative: all keys higher by the same number are the same keys. */
static void keys_are_relative(const kernels *k)
{
    real *key = draws(SIZE, 1, -3, 3), *higher = malloc(SIZE * sizeof *higher), *v = draws(SIZE, 2, -1, 1), *decay = draws(W, 3, -5, 3), *bonus = draws(W, 4, -1, 1);
    real *y = zeros(SIZE), *z = zeros(SIZE);
    for (int i = 0; i < SIZE; i++) higher[i] = key[i] + 64;
    wkv4_args a = { .seqs = 1, .width = W, .start = WHOLE, .k = key, .v = v, .decay = decay, .bonus = bonus, .y = y };
    k->wkv4(&a);
    a.k = higher, a.y = z;
    k->wkv4(&a);
    CHECK_MSG(relative_error(z, y, SIZE) <= 2e-5, "keys 64 higher: another average, off by %.3g", relative_error(z, y, SIZE));
    free(key), free(higher), free(v), free(decay), free(bonus), free(y), free(z);
}
EACH_LEVEL(static, keys_are_relative)

/* Version 7 that writes nothing where it unlearns (rates of 0) has the states of version 6 with the same decays, and
 * reads them a row later. */
static void without_rates_it_is_six(const kernels *k)
{
    real *r = draws(SIZE, 1, -1, 1), *key = draws(SIZE, 2, -1, 1), *v = draws(SIZE, 3, -1, 1), *removal = draws(SIZE, 4, -0.2, 0.2), *written = zeros(SIZE);
    real *decay7 = draws(SIZE, 5, -4, 4), *decay6 = malloc(SIZE * sizeof *decay6), *bonus = zeros(W), *y6 = zeros(SIZE), *y7 = zeros(SIZE), *work = zeros(2 * N * N);
    real *state6 = zeros(W * N), *state7 = zeros(W * N);
    /* Log of e^(-1/2) sigmoid. */
    for (int i = 0; i < SIZE; i++) decay6[i] = (real)(-0.5 - log(1 + exp(-(double)decay7[i])));
    wkv6_args a = { .seqs = 1, .width = W, .N = N, .start = WHOLE, .state = state6, .from = EMPTY, .to = SLOT, .r = r, .decay = decay6, .key = key, .v = v, .bonus = bonus, .y = y6, .work = work };
    wkv7_args b = { .seqs = 1, .width = W, .N = N, .start = WHOLE, .state = state7, .from = EMPTY, .to = SLOT, .r = r, .decay = decay7, .key = key, .v = v,
                    .removal = removal, .written = written, .y = y7, .work = work };
    k->wkv6(&a), k->wkv7(&b);
    CHECK_MSG(relative_error(state7, state6, W * N) <= 1e-6, "states off by %.3g", relative_error(state7, state6, W * N));
    for (int c = 0; c < W; c++) {                            /* the last row: version 7 reads what version 6 left */
        double y = 0;
        for (int j = 0; j < N; j++) y += (double)state6[c * N + j] * (double)r[(T - 1) * W + c / N * N + j];
        CHECK_MSG(fabs(y - (double)y7[(T - 1) * W + c]) <= 1e-5, "channel %d reads %g, not %g", c, (double)y7[(T - 1) * W + c], y);
    }
    free(r), free(key), free(v), free(removal), free(written), free(decay7), free(decay6), free(bonus), free(y6), free(y7), free(work), free(state6), free(state7);
}
EACH_LEVEL(static, without_rates_it_is_six)

/* The delta rule at rate 1 without fading: what was written last under a key is what is read under it, whatever was
 * written under it before. */
static void the_last_value_is_recalled(const kernels *k)
{
    real *key = draws(SIZE, 6, -1, 1), *v = draws(SIZE, 7, -1, 1), *decay = draws(SIZE, 8, -60, -59), *y = zeros(SIZE), *work = zeros(2 * N * N);
    for (int i = 0; i < SIZE; i += N) {                      /* three keys in turn, of length 1 */
        double length = 0;
        for (int j = 0; j < N; j++) key[i + j] = key[i % (3 * W) + j], length += i < 3 * W ? (double)key[i + j] * (double)key[i + j] : 0;
        for (int j = 0; i < 3 * W && j < N; j++) key[i + j] = (real)((double)key[i + j] / sqrt(length));
    }
    k->wkv7(&(wkv7_args){ .seqs = 1, .width = W, .N = N, .start = WHOLE, .r = key, .decay = decay, .key = key, .v = v, .removal = key, .written = key, .y = y, .work = work });
    CHECK_MSG(relative_error(y, v, SIZE) <= 1e-5, "recall is off by %.3g", relative_error(y, v, SIZE));
    free(key), free(v), free(decay), free(y), free(work);
}
EACH_LEVEL(static, the_last_value_is_recalled)

/* ---- whole models ---------------------------------------------------------------------- */

static void set_all(const params *p, const char *part, real value)
{
    for (int i = 0; i < p->count; i++)
        for (size_t j = 0; strstr(p->items[i]->name, part) && j < p->items[i]->count; j++) p->items[i]->weight.values[j] = value;
}

static float *logits_of(const small_model *m, const char *level, small_batch *b)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { SMALL_ROWS, SMALL_SEQS, 0 } };
    graph *g = graph_new(kernels_level(level), m->p, &o);
    results r = arch_build(m->a, m->config, NULL, g, WANT_LOGITS);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    graph_run(g, &b->b);
    float *copy = malloc((size_t)SMALL_ROWS * 23 * sizeof *copy);
    memcpy(copy, r.logits->data, (size_t)SMALL_ROWS * 23 * sizeof *copy);
    graph_close(g);
    return copy;
}

static void copy_values(const small_model *to, const char *name, const small_model *from, const char *source, bool other_side)
{
    const param *p = params_find(to->p, name), *q = params_find(from->p, source);
    CHECK_MSG(p && q && p->count == q->count, "%s, %s", name, source);
    for (size_t j = 0; p && q && j < p->count; j++) p->weight.values[j] = other_side ? 1 - q->weight.values[j] : q->weight.values[j];
}

/* Version 6 whose products of low rank are zero is version 5.2 (mixes weigh the other side, decays stand in a row). */
static void six_without_ranks_is_five(const kernels *k)
{
    static const char *const same[] = { "att.key.weight", "att.value.weight", "att.receptance.weight", "att.gate.weight", "att.output.weight", "att.ln_x.weight", "att.ln_x.bias",
        "att.time_decay", "att.time_faaaa", "ln1.weight", "ln1.bias", "ln2.weight", "ln2.bias", "ffn.key.weight", "ffn.value.weight", "ffn.receptance.weight" };
    static const char *const mixes[] = { "att.%s_k", "att.%s_v", "att.%s_r", "att.%s_g", "ffn.%s_k", "ffn.%s_r" };
    static const char *const ends[] = { "emb.weight", "blocks.0.ln0.weight", "blocks.0.ln0.bias", "ln_out.weight", "ln_out.bias", "head.weight" };
    small_model five = small_new("rwkv5", SMALL_RWKV5, 3), six = small_new("rwkv6", SMALL_RWKV6, 4);
    small_batch b;
    char to[64], from[64], part[32];
    small_fill(&b, 23, 11);
    for (size_t i = 0; i < 6; i++) copy_values(&six, ends[i], &five, ends[i], false);
    for (int l = 0; l < 3; l++) {
        for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
            snprintf(to, sizeof to, "blocks.%d.%s", l, same[i]);
            copy_values(&six, to, &five, to, false);
        }
        for (int i = 0; i < 6; i++) {
            snprintf(part, sizeof part, "%.4s%s%s", mixes[i], "time_maa", mixes[i] + 6), snprintf(to, sizeof to, "blocks.%d.%s", l, part);
            snprintf(part, sizeof part, "%.4s%s%s", mixes[i], "time_mix", mixes[i] + 6), snprintf(from, sizeof from, "blocks.%d.%s", l, part);
            copy_values(&six, to, &five, from, true);
        }
    }
    set_all(six.p, "maa_w2", 0), set_all(six.p, "decay_w2", 0);
    float *x = logits_of(&five, k->name, &b), *y = logits_of(&six, k->name, &b);
    CHECK_MSG(relative_error(y, x, SMALL_ROWS * 23) <= 2e-6, "logits off by %.3g", relative_error(y, x, SMALL_ROWS * 23));
    CHECK(max_difference(x, x + 23, 23) > 1e-2);
    free(x), free(y);
    small_free(&five), small_free(&six);
}

static void six_without_ranks(void) { six_without_ranks_is_five(kernels_default()); }

/* Layers whose last matrices are zero leave the embedding as it is: logits are those of its norms alone. */
static void without_outputs_the_embedding_is_left(void)
{
    static const char *const cases[][2] = { { "rwkv4", SMALL_RWKV4 }, { "rwkv5", SMALL_RWKV5 }, { "rwkv6", SMALL_RWKV6 }, { "rwkv7", SMALL_RWKV7 } };
    for (int c = 0; c < 4; c++) {
        small_model m = small_new(cases[c][0], cases[c][1], 7);
        small_batch b;
        small_fill(&b, 23, 11);
        set_all(m.p, "att.output", 0), set_all(m.p, "ffn.value", 0);
        float *whole = logits_of(&m, "ref", &b);
        for (int r = 0; r < SMALL_ROWS; r++)            /* the same token, wherever it stands, has the same logits */
            for (int q = 0; q < r; q++)
                if (b.ids[q] == b.ids[r]) CHECK_MSG(!memcmp(whole + q * 23, whole + r * 23, 23 * sizeof *whole), "%s: rows %d and %d", cases[c][0], q, r);
        set_all(m.p, "ffn.key", 3), set_all(m.p, "att.receptance", -2), set_all(m.p, "att.key", 1);
        float *other = logits_of(&m, "ref", &b);
        CHECK_MSG(!memcmp(whole, other, (size_t)SMALL_ROWS * 23 * sizeof *whole), "%s: layers without outputs are seen", cases[c][0]);
        free(whole), free(other);
        small_free(&m);
    }
}

/* ---- initial values and groups ------------------------------------------------------------ */

/* The shorter side's vectors of a matrix against length^2 times the unit matrix. */
static double not_orthogonal(const param *p, double length)
{
    int rows = p->rule.dims[0], columns = p->rule.dims[1], n = rows < columns ? rows : columns, m = rows < columns ? columns : rows;
    double worst = 0;
    for (int i = 0; i < n; i += n > 100 ? 7 : 1)
        for (int j = 0; j <= i; j += n > 100 ? 5 : 1) {
            double sum = 0;
            for (int t = 0; t < m; t++)
                sum += (double)(rows < columns ? p->weight.values[i * m + t] : p->weight.values[t * n + i]) * (double)(rows < columns ? p->weight.values[j * m + t] : p->weight.values[t * n + j]);
            worst = fmax(worst, fabs(sum - (i == j ? length * length : 0)) / (length * length));
        }
    return worst;
}

static void check_orthogonal(const lithe_model *m, const char *name, double length)
{
    const param *p = params_find(m->params, name);
    double off = p ? not_orthogonal(p, length) : 1;
    CHECK_MSG(off <= 1e-4, "%s: %s off by %.3g", m->arch->name, name, off);
}

static void matrices_are_orthogonal(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("rwkv7", "{\"vocab_size\":9001,\"hidden_size\":192,\"num_hidden_layers\":2}", 5, &err);
    CHECK_MSG(m, "%s", err.text);
    check_orthogonal(m, "head.weight", 0.5 * sqrt(9001.0 / 192));
    check_orthogonal(m, "blocks.1.att.receptance.weight", 1);
    check_orthogonal(m, "blocks.1.att.key.weight", 0.1);
    check_orthogonal(m, "blocks.0.ffn.key.weight", 1);
    check_orthogonal(m, "blocks.0.att.w2", 0.1);
    lithe_model_close(m);
    m = lithe_model_new("rwkv4", "{\"vocab_size\":150,\"hidden_size\":192,\"num_hidden_layers\":2}", 5, &err);
    check_orthogonal(m, "head.weight", 0.5);
    check_orthogonal(m, "blocks.0.ffn.key.weight", 2);
    lithe_model_close(m);
}

/* Every threads count gives the same head. */
static void heads_do_not_depend_on_threads(void)
{
    float *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        lithe_error err = { 0 };
        lithe_threads(threads);
        lithe_model *m = lithe_model_new("rwkv6", "{\"vocab_size\":1500,\"hidden_size\":192,\"num_hidden_layers\":1}", 5, &err);
        const param *p = params_find(m->params, "head.weight");
        if (!first) first = memcpy(malloc(p->count * sizeof *first), p->weight.values, p->count * sizeof *first);
        CHECK_MSG(!memcmp(first, p->weight.values, p->count * sizeof *first), "another head with %d threads", threads);
        lithe_model_close(m);
    }
    free(first);
}

/* Formulas of the authors' trainer at layers and channels picked here, computed by hand; which matrices decay, which
 * train faster. */
static void initial_values_are_the_authors(void)
{
    static const struct { const char *arch, *name; int at; double value; } picked[] = { /* 3 layers of 64 channels */
        { "rwkv4", "blocks.0.att.time_decay", 32, -5 + 8 * 0.62239572 },                         /* (32/63)^0.7 */
        { "rwkv4", "blocks.2.att.time_decay", 63, 3 }, { "rwkv4", "blocks.1.att.time_first", 1, -1.2039728 + 0.5 }, { "rwkv4", "blocks.1.att.time_first", 2, -1.2039728 - 0.5 },
        { "rwkv4", "blocks.2.att.time_mix_v", 0, 0.3 }, { "rwkv4", "blocks.0.att.time_mix_r", 16, 0.5 }, { "rwkv4", "blocks.0.ffn.time_mix_r", 16, 0.25 },
        { "rwkv5", "blocks.2.att.time_decay", 63, -1 }, { "rwkv5", "blocks.2.att.time_faaaa", 0, 1 }, { "rwkv5", "blocks.0.att.time_faaaa", 1, 0.1 },
        { "rwkv5", "blocks.0.att.time_mix_g", 16, 0.5 }, { "rwkv5", "blocks.2.att.ln_x.weight", 5, 1 }, { "rwkv5", "blocks.0.att.ln_x.weight", 5, 0.46347 },
        { "rwkv6", "blocks.0.att.time_maa_w", 16, 0.75 }, { "rwkv6", "blocks.2.att.time_maa_v", 0, 0.7 }, { "rwkv6", "blocks.0.ffn.time_maa_k", 32, 0.5 },
        { "rwkv7", "blocks.0.att.x_k", 0, 1 }, { "rwkv7", "blocks.0.ffn.x_k", 32, 0.5 }, { "rwkv7", "blocks.0.att.w0", 63, -6 + 6 + 0.5 + 2.5 }, { "rwkv7", "blocks.1.att.k_a", 7, 1.02 },
        { "rwkv7", "blocks.2.att.r_k", 7, -0.04 }, { "rwkv7", "blocks.1.att.v0", 0, 0.73 + 0.2 }, { "rwkv7", "blocks.1.att.a0", 0, -0.19 - 0.3 - 0.2 },
    };
    for (size_t i = 0; i < sizeof picked / sizeof *picked; i++) {
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_new(picked[i].arch, "{\"vocab_size\":40,\"hidden_size\":64,\"num_hidden_layers\":3}", 5, &err);
        const param *p = m ? params_find(m->params, picked[i].name) : NULL;
        CHECK_MSG(p && fabs((double)p->weight.values[picked[i].at] - picked[i].value) <= 1e-5, "%s: %s[%d] is %.7g, not %.7g", picked[i].arch, picked[i].name, picked[i].at,
                  p ? (double)p->weight.values[picked[i].at] : NAN, picked[i].value);
        for (int t = 0; m && t < m->params->count; t++) {
            const param *q = m->params->items[t];
            size_t length = strlen(q->name);
            bool matrix = q->rule.rank == 2 && length > 7 && !strcmp(q->name + length - 7, ".weight");
            double factor = strstr(q->name, "time_first") ? 3 : (strstr(q->name, "att.time_decay") && !strstr(q->name, "_w")) || strstr(q->name, "att.w0") ? 2 : 1;
            CHECK_MSG(q->rule.decay == matrix && fabs(q->rule.lr_factor - factor) < 1e-9, "%s: %s decays %d, factor %g", picked[i].arch, q->name, q->rule.decay, q->rule.lr_factor);
        }
        lithe_model_close(m);
    }
}

/* ---- L2Wrap --------------------------------------------------------------------------------- */

#define WRAP "0.5"
static const char *with_wrap(const char *config, char text[400])
{
    snprintf(text, 400, "{\"l2_wrap\":" WRAP ",%s", strstr(config, ",") + 1);
    return text;
}

/* Losses of a training graph, and its gradients added to sum; parts: the batch's sequences one after the other. */
static double train(const small_model *m, const kernels *k, const small_batch *b, bool parts, real *grad)
{
    results r;
    graph *g = small_graph(m, GRAPH_TRAIN, false, k->name, &r);
    double loss = 0;
    for (int s = 0; s < (parts ? SMALL_SEQS : 1); s++) {
        int first = parts ? b->start[s] : 0, end = parts ? b->start[s + 1] : SMALL_ROWS, one[] = { 0, end - first };
        batch x = b->b;
        x.rows = end - first, x.ids += first, x.pos += first, x.target += first, x.weight += first, x.accumulate = s > 0;
        if (parts) x.seqs = 1, x.start = one;
        graph_run(g, &x);
        for (int i = 0; i < x.rows; i++) loss += (double)r.loss->data[i] * (double)x.scale;
    }
    memcpy(grad, m->p->grad, m->p->arena_count * sizeof *grad);
    graph_close(g);
    return loss;
}

static double hidden_gradient(const small_model *m, const kernels *k, small_batch *b, real *peaks)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { SMALL_ROWS, SMALL_SEQS, 0 } };
    graph *g = graph_new(k, m->p, &o);
    results r = arch_build(m->a, m->config, NULL, g, WANT_HIDDEN);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    graph_run(g, &b->b);
    float *logits = logits_of(m, k->name, b);
    int C = r.hidden->width;
    double size = 0;
    for (int i = 0; i < SMALL_ROWS; i++) {
        int at = 0;
        for (int v = 1; v < 23; v++)
            if (logits[i * 23 + v] > logits[i * 23 + at]) at = v;
        double d = 0.5 * (double)b->b.scale * (double)b->weight[i] * (double)logits[i * 23 + at];
        for (int c = 0; c < C; c++) peaks[at * C + c] += (real)(d * (double)r.hidden->data[i * C + c]);
        size += fabs(d);
    }
    free(logits);
    graph_close(g);
    return size;
}

static void l2_wrap_is_the_gradient_of_the_peaks(const kernels *k)
{
    char text[400];
    small_model plain = small_new("rwkv6", SMALL_RWKV6, 3), m = small_new("rwkv6", with_wrap(SMALL_RWKV6, text), 3);
    small_batch b;
    size_t n = m.p->arena_count;
    small_fill(&b, 23, 12);
    b.weight[4] = 0;                                         /* a masked target has no peak */
    real *without = zeros(n), *with = zeros(n), *parts = zeros(n);
    double loss = train(&plain, k, &b, false, without);
    CHECK_MSG(fabs(train(&m, k, &b, false, with) - loss) <= 0, "the loss is another with L2Wrap");
    train(&m, k, &b, true, parts);
    CHECK_MSG(relative_error(parts, with, n) <= 1e-6, "in parts off by %.3g", relative_error(parts, with, n));
    const param *last = params_find(m.p, "head.weight");
    size_t at = last->offset;
    real *peaks = zeros(last->count), *more = zeros(last->count);
    CHECK(hidden_gradient(&m, k, &b, peaks) > 0.01);
    for (size_t i = 0; i < last->count; i++) more[i] = with[at + i] - without[at + i];
    CHECK_MSG(relative_error(more, peaks, last->count) <= 2e-6, "the head's gradient is off by %.3g", relative_error(more, peaks, last->count));
    CHECK_MSG(relative_error(with, without, n) > 1e-3, "L2Wrap does nothing");
    free(without), free(with), free(parts), free(peaks), free(more);
    small_free(&plain), small_free(&m);
}
EACH_LEVEL(static, l2_wrap_is_the_gradient_of_the_peaks)

/* ---- truncated back-propagation through time ------------------------------------------------ */

enum { LONG = 21, CUT = 9, WINDOWS = 2 };
typedef struct { int ids[WINDOWS * LONG], pos[WINDOWS * LONG], target[WINDOWS * LONG], start[3], slot[2]; } windowed;

/* Rows first .. end-1 of two sequences side by side. */
static batch window_of(windowed *x, int first, int end, bool accumulate)
{
    int n = end - first;
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < n; i++) {
            int at = s * n + i;
            uint64_t key = (uint64_t)(s * LONG + first + i);
            x->ids[at] = (int)(random_u64(1, key) % 23), x->target[at] = (int)(random_u64(2, key) % 23), x->pos[at] = first + i;
        }
    for (int s = 0; s < 3; s++) x->start[s] = s * n;
    x->slot[0] = 1, x->slot[1] = 0;
    return (batch){ .rows = 2 * n, .seqs = 2, .ids = x->ids, .pos = x->pos, .start = x->start, .slot = x->slot, .target = x->target, .scale = (real)1 / (2 * LONG), .accumulate = accumulate };
}

static void run_window(graph *g, int first, int end, bool accumulate)
{
    windowed x;
    batch b = window_of(&x, first, end, accumulate);
    graph_run(g, &b);
}

/* Two windows with the state's gradient passed back are the whole; without it they are not. */
static void windows_of(const kernels *k, const char *name, const char *config)
{
    lithe_error err = { 0 };
    small_model m = small_new(name, config, 3);
    size_t n = m.p->arena_count;
    real *whole = zeros(n);
    graph_options o = { .mode = GRAPH_TRAIN, .capacity = { 2 * LONG, 2, 0 }, .slots = 2, .windows = true, .poison = true };
    graph *g = graph_new(k, m.p, &o);
    arch_build(m.a, m.config, NULL, g, WANT_LOSS);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    run_window(g, 0, LONG, false);
    memcpy(whole, m.p->grad, n * sizeof *whole);
    for (int passed = 1; passed >= 0; passed--) {
        run_window(g, 0, CUT, false);                        /* leaves the states between the windows */
        graph_clear_state_gradients(g);
        run_window(g, CUT, LONG, false);
        if (!passed) graph_clear_state_gradients(g);
        run_window(g, 0, CUT, true);
        double off = relative_error(m.p->grad, whole, n);
        if (passed) CHECK_MSG(off <= 1e-5, "%s: windows are off by %.3g", name, off);
        else CHECK_MSG(off > 1e-3, "%s: the state's gradient is nothing, %.3g", name, off);
    }
    graph_close(g);
    o.recompute = true;
    g = graph_new(k, m.p, &o);
    arch_build(m.a, m.config, NULL, g, WANT_LOSS);
    CHECK(graph_plan(g, &err) == LITHE_ECONFIG && strstr(err.text, "passed on between windows"));
    graph_close(g);
    free(whole);
    small_free(&m);
}

static void windows_are_the_whole(const kernels *k)
{
    windows_of(k, "rwkv4", SMALL_RWKV4), windows_of(k, "rwkv5", SMALL_RWKV5), windows_of(k, "rwkv6", SMALL_RWKV6), windows_of(k, "rwkv7", SMALL_RWKV7);
}
EACH_LEVEL(static, windows_are_the_whole)

const test tests_rwkv[] = {
    LEVELS("rwkv: windows that pass gradients are the whole", windows_are_the_whole)
    LEVELS("rwkv: keys are relative", keys_are_relative)
    LEVELS("rwkv: version 7 without rates has version 6's states", without_rates_it_is_six)
    LEVELS("rwkv: version 7 recalls the last value", the_last_value_is_recalled)
    { "rwkv: version 6 without ranks is version 5", six_without_ranks },
    { "rwkv: layers without outputs", without_outputs_the_embedding_is_left },
    { "rwkv: matrices begin orthogonal", matrices_are_orthogonal },
    { "rwkv: a head does not depend on threads", heads_do_not_depend_on_threads },
    { "rwkv: initial values and groups are the authors'", initial_values_are_the_authors },
    LEVELS("rwkv: L2Wrap", l2_wrap_is_the_gradient_of_the_peaks)
    { 0 }
};

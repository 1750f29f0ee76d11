/* What a model computes of a text: attention against softmax in double and against the outputs of every architecture,
 * the use of parameter tokens against its definition, half-lives against decays that were set. */
#include "lithe_eval.h"
#include "base/random.h"
#include "infer/infer.h"
#include "ops/observe.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { N = 17 };

static const int32_t *some_ids(void)
{
    static int32_t ids[N];
    for (int i = 0; i < N; i++) ids[i] = (int32_t)(random_u64(11, (uint64_t)i) % 23);
    return ids;
}

static lithe_model *a_model(const char *family, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(family, config, 7, &err);
    CHECK_MSG(m, "%s: %s", family, err.text);
    if (!m) exit(1);
    small_perturb(m->params, 0.2, 3);
    return m;
}

static lithe_internals *looked_into(lithe_model *m, int maps)
{
    lithe_error err = { 0 };
    lithe_internals *x = lithe_internals_open(m, some_ids(), N, maps, &err);
    CHECK_MSG(x, "%s", err.text);
    if (!x) exit(1);
    return x;
}

/* Runs the model over the same ids with an observer of the test. */
static void watched(lithe_model *m, void (*see)(void *context, const node *n), void *context)
{
    lithe_error err = { 0 };
    pass p;
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { N, 1, 0 }, .poison = true };
    CHECK_MSG(!pass_open(&p, m, &o, WANT_HIDDEN, &err), "%s", err.text);
    batch_begin(&p.batch);
    batch_add(&p.batch, &(batch_sequence){ .n = N, .ids = some_ids() });
    graph_observe(p.g, see, context);
    CHECK_MSG(!pass_run(&p, &err), "%s", err.text);
    pass_close(&p);
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct { const char *arch; lithe_internals *x; size_t maps; int nodes; bool causal, plain; } expected_maps;

static double at(const node *n, int operand, int width, int row, int column)
{
    const bool fused = !n->in[1];
    const tensor *t = n->in[fused ? 0 : operand];
    const int first = fused && operand ? (operand == 1 ? width : width + (t->width - width) / 2) : 0;
    return (double)in_data(n, fused ? 0 : operand)[(size_t)row * (size_t)t->width + (size_t)(first + column)];
}

/* softmax(q k' / sqrt(D)) in double, for architectures that add nothing to it. */
static void check_softmax(const expected_maps *e, const node *n, int h, const float *weights)
{
    const int width = n->out[0]->width, heads = attention_heads(n), D = width / heads;
    const int kv = n->in[1] ? n->in[1]->width : (n->in[0]->width - width) / 2, group = heads / (kv / D);
    for (int i = 0; i < N; i++) {
        double score[N], most = -INFINITY, sum = 0, worst = 0;
        const int last = e->causal ? i : N - 1;
        for (int j = 0; j <= last; j++) {
            score[j] = 0;
            for (int c = 0; c < D; c++) score[j] += at(n, 0, width, i, h * D + c) * at(n, 1, width, j, h / group * D + c) / sqrt(D);
            most = fmax(most, score[j]);
        }
        for (int j = 0; j <= last; j++) sum += score[j] = exp(score[j] - most);
        for (int j = 0; j <= last; j++) worst = fmax(worst, fabs((double)weights[i * N + j] - score[j] / sum));
        CHECK_MSG(worst < 1e-5, "%s, head %d, query %d: %g away from softmax", e->arch, h, i, worst);
    }
}

/* Rows sum to 1, hide what comes later where attention is causal, and give the output for the values. */
static void see_attention(void *context, const node *n)
{
    expected_maps *e = context;
    const int heads = attention_heads(n), width = n->out[0]->width;
    if (!heads) return;
    const int D = width / heads, kv = n->in[1] ? n->in[2]->width : (n->in[0]->width - width) / 2, group = heads / (kv / D);
    for (int h = 0; h < heads; h++) {
        lithe_attention_map m = { 0 };
        CHECK(lithe_internals_map(e->x, e->maps++, &m) && m.head == h && m.tokens == N && (e->plain ? m.layer == e->nodes : m.layer >= e->nodes));
        if (!m.weights) return;
        for (int i = 0; i < N; i++) {
            double sum = 0;
            for (int j = 0; j < N; j++) {
                double p = (double)m.weights[i * N + j];
                sum += p;
                CHECK_MSG(p >= 0 && (!e->causal || j <= i || !(p > 0)), "%s: query %d sees key %d by %g", e->arch, i, j, p);
            }
            CHECK_MSG(fabs(sum - 1) < 1e-5, "%s, layer %d, head %d: row %d sums to %g", e->arch, m.layer, h, i, sum);
            for (int c = 0; c < D; c++) {
                double o = 0, out = (double)out_data(n, 0)[i * width + h * D + c];
                for (int j = 0; j < N; j++) o += (double)m.weights[i * N + j] * at(n, 2, width, j, h / group * D + c);
                CHECK_MSG(fabs(o - out) < 2e-5 * fmax(1, fabs(out)), "%s, head %d: %g, not %g", e->arch, h, o, out);
            }
        }
        if (e->plain) check_softmax(e, n, h, m.weights);
    }
    e->nodes++;
}

static void check_maps_of(const char *family, lithe_model *m, bool causal, bool plain)
{
    lithe_attention_map none;
    expected_maps e = { family, looked_into(m, 1), 0, 0, causal, plain };
    watched(m, see_attention, &e);
    CHECK_MSG(e.nodes > 0 && !lithe_internals_map(e.x, e.maps, &none), "%s: %d layers", family, e.nodes);
    lithe_internals_close(e.x);
    e.x = looked_into(m, 0);
    CHECK(!lithe_internals_map(e.x, 0, &none));
    lithe_internals_close(e.x);
    lithe_model_close(m);
}

static void check_maps(const char *family, const char *config, bool causal, bool plain) { check_maps_of(family, a_model(family, config), causal, plain); }

static void attention_is_softmax(void)
{
    check_maps("gpt2", SMALL_GPT2, true, true);
    check_maps("llama", SMALL_LLAMA, true, true);
    check_maps("llama", SMALL_LLAMA_TIED, true, true);
    check_maps("bert", SMALL_ENCODER "\"hidden_act\":\"gelu\"}", false, true);
    check_maps("tokenformer", SMALL_TOKENFORMER("l2_norm_gelu"), true, true);
}

/* Of every architecture that reads text and has attention. */
static void attention_of_all(void)
{
    int with = 0;
    for (int i = 0; architectures[i]; i++) {
        const arch *a = architectures[i];
        if (a->equations.image || !strncmp(a->name, "rwkv", 4)) continue;
        json_t *config = a->config.sized(32, 2, 23, 24);
        char *text = json_dumps(config, 0);
        check_maps(a->name, text, false, false);
        with++;
        json_decref(config);
        free(text);
    }
    CHECK_MSG(with > 10, "%d architectures", with);
}

/* Windows, caps, biases by distance, shared keys: of the models of their authors. */
static void attention_of_published_forms(void)
{
    static const struct { const char *name; bool causal; } models[] = { { "gemma2", true }, { "gemma3", true }, { "qwen3-window", true }, { "gpt_neo", true }, { "phi3", true }, { "opt", true },
                                                                        { "modernbert", false }, { "mosaicbert", false }, { "mpnet", false }, { "pangu-pi-all", true } };
    char path[100];
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        lithe_error err = { 0 };
        snprintf(path, sizeof path, "tests/golden/%s", models[i].name);
        lithe_model *m = lithe_model_open(test_file(path), NULL, &err);
        CHECK_MSG(m, "%s", err.text);
        if (m) check_maps_of(models[i].name, m, models[i].causal, false);
    }
}

/* ---- parameter tokens ----------------------------------------------------------------------- */

static real *values_of(lithe_model *m, const char *name, const char *ending, int *width)
{
    char full[200];
    const char *keys = strstr(name, "key_param_tokens");
    snprintf(full, sizeof full, "%.*s%s", (int)(keys - name), name, ending);
    param *p = params_find(m->params, full);
    CHECK_MSG(p, "there is no %s", full);
    if (!p) exit(1);
    *width = p->rule.dims[1];
    return weight_edit(&p->weight);
}

typedef struct { lithe_model *m; lithe_internals *x; size_t i; } expected_slots;

/* The same from the definition in double: s = gelu(a sqrt(n) / |a|). */
static void see_slots(void *context, const node *n)
{
    expected_slots *e = context;
    lithe_slot_use u;
    int in, out;
    if (!pattention_slots(n)) return;
    CHECK(lithe_internals_slots(e->x, e->i++, &u) && u.slots == pattention_slots(n) && !strcmp(u.name, pattention_name(n)));
    const real *keys = values_of(e->m, u.name, "key_param_tokens", &in), *values = values_of(e->m, u.name, "value_param_tokens", &out), *x = in_data(n, 0);
    double *sum = calloc((size_t)u.slots, sizeof *sum), *a = malloc((size_t)u.slots * sizeof *a);
    for (int r = 0; r < N; r++) {
        double squares = 0;
        for (int j = 0; j < u.slots; j++) {
            a[j] = 0;
            for (int c = 0; c < in; c++) a[j] += (double)x[r * in + c] * (double)keys[j * in + c];
            squares += a[j] * a[j];
        }
        for (int j = 0; j < u.slots; j++) {
            double z = a[j] * sqrt(u.slots / squares);
            sum[j] += fabs(0.5 * z * erfc(-z / sqrt(2))) / N;
        }
    }
    for (int j = 0; j < u.slots; j++) {
        double length = 0;
        for (int c = 0; c < out; c++) length += pow((double)values[j * out + c], 2);
        CHECK_MSG(fabs(u.use[j] - sum[j] * sqrt(length)) <= 1e-4 * fabs(u.use[j]) + 1e-7, "%s, slot %d: %g, not %g", u.name, j, u.use[j], sum[j] * sqrt(length));
    }
    free(sum);
    free(a);
}

static void slots_of_tokenformer(void)
{
    lithe_model *m = a_model("tokenformer", SMALL_TOKENFORMER("l2_norm_gelu"));
    expected_slots e = { m, looked_into(m, 0), 0 };
    lithe_slot_use u, none;
    int width, total = 0;
    watched(m, see_slots, &e);
    CHECK_MSG(e.i == 2 * 5 && !lithe_internals_slots(e.x, e.i, &none), "%zu Pattentions", e.i);
    for (size_t i = 0; lithe_internals_slots(e.x, i, &u); i++) CHECK_MSG(u.layer == (int)i / 5, "%s is said to be of layer %d", u.name, u.layer);
    CHECK(lithe_internals_slots(e.x, 5, &u));
    char name[200];
    snprintf(name, sizeof name, "%s", u.name);
    int before = u.dead;
    CHECK_MSG(before == 0, "%d dead slots to begin with", before);
    lithe_internals_close(e.x);

    /* Two slots lose their keys, one of these and another their values: three are dead, in one Pattention alone. */
    real *keys = values_of(m, name, "key_param_tokens", &width);
    for (int c = 0; c < width; c++) keys[3 * width + c] = keys[5 * width + c] = 0;
    real *values = values_of(m, name, "value_param_tokens", &width);
    for (int c = 0; c < width; c++) values[5 * width + c] = values[9 * width + c] = 0;
    e.x = looked_into(m, 0);
    for (size_t i = 0; lithe_internals_slots(e.x, i, &u); i++) {
        total += u.dead;
        if (i != 5) continue;
        CHECK_MSG(u.dead == 3 && !(u.use[3] > 0) && !(u.use[5] > 0) && !(u.use[9] > 0) && u.use[4] > 0, "%d dead slots", u.dead);
    }
    CHECK_MSG(total == 3, "%d dead slots", total);
    lithe_internals_close(e.x);
    lithe_model_close(m);
}

/* ---- decays ------------------------------------------------------------------------------------ */

static real *parameter_of(lithe_model *m, const char *name, size_t *count)
{
    param *p = params_find(m->params, name);
    CHECK_MSG(p, "there is no %s", name);
    if (!p) exit(1);
    *count = p->count;
    return weight_edit(&p->weight);
}

/* Channel c of layer 1 gets the half-life c + 2, as the architecture writes it down; what depends on tokens is off. */
static void check_half_lives(const char *family, const char *config, const char *base, const char *off)
{
    lithe_model *m = a_model(family, config);
    size_t channels, count;
    lithe_decay d;
    real *w = parameter_of(m, base, &channels);
    for (size_t c = 0; c < channels; c++) {
        double rate = log(2) / (double)(c + 2), share = rate / exp(-0.5);
        w[c] = (real)(strcmp(family, "rwkv7") ? log(rate) : log(share / (1 - share)));
    }
    if (off) {
        real *x = parameter_of(m, off, &count);
        for (size_t i = 0; i < count; i++) x[i] = 0;
    }
    lithe_internals *x = looked_into(m, 1);
    for (int l = 0; l < 3; l++) CHECK_MSG(lithe_internals_decay(x, (size_t)l, &d) && d.layer == l && (size_t)d.channels == channels, "%s, layer %d", family, l);
    CHECK(lithe_internals_decay(x, 1, &d));
    for (size_t c = 0; c < channels; c++) CHECK_MSG(fabs(d.half_life[c] / (double)(c + 2) - 1) < 1e-5, "%s, channel %zu: %g tokens, not %zu", family, c, d.half_life[c], c + 2);
    CHECK(!lithe_internals_decay(x, 3, &d));
    lithe_internals_close(x);
    lithe_model_close(m);
}

static void half_lives_that_were_set(void)
{
    check_half_lives("rwkv4", SMALL_RWKV4, "blocks.1.att.time_decay", NULL);
    check_half_lives("rwkv5", SMALL_RWKV5, "blocks.1.att.time_decay", NULL);
    check_half_lives("rwkv6", SMALL_RWKV6, "blocks.1.att.time_decay", "blocks.1.att.time_decay_w2");
    check_half_lives("rwkv7", SMALL_RWKV7, "blocks.1.att.w0", "blocks.1.att.w2");
}

/* Where the decay depends on the token: the mean rate, as a state of ones would lose it over the text. */
static void see_decay(void *context, const node *n)
{
    lithe_internals *x = *(lithe_internals **)context;
    static size_t layer;
    lithe_decay d;
    if (!decay_channels(n)) return;
    CHECK(lithe_internals_decay(x, layer++, &d));
    for (int c = 0; c < d.channels; c++) {
        double kept = 1, first = 0, last = 0;
        for (int t = 0; t < N; t++) {
            double w = exp(-exp((double)in_data(n, 1)[t * d.channels + c]));
            kept *= w;
            if (!t) first = w;
            last = w;
        }
        double half_life = -N * log(2) / log(kept);
        CHECK_MSG(fabs(d.half_life[c] / half_life - 1) < 1e-4, "channel %d: %g, not %g", c, d.half_life[c], half_life);
        if (!c) CHECK_MSG(fabs(first - last) > 0, "the decays are constant");
    }
}

static void decays_of_tokens(void)
{
    lithe_model *m = a_model("rwkv6", SMALL_RWKV6);
    lithe_internals *x = looked_into(m, 0);
    watched(m, see_decay, &x);
    lithe_internals_close(x);
    lithe_model_close(m);
}

/* ---- all ------------------------------------------------------------------------------------------- */

/* Watching changes no bit of what comes out. */
static void nothing(void *context, const node *n)
{
    int *seen = context;
    real *use = calloc(100000, sizeof *use);
    double *sums = calloc(1000, sizeof *sums);
    if (attention_heads(n)) { ++*seen; CHECK(attention_weights(n, kernels_default(), use)); }
    if (pattention_slots(n)) { ++*seen; CHECK(pattention_use(n, kernels_default(), sums)); }
    free(use);
    free(sums);
}

static void watching_changes_nothing(void)
{
    lithe_error err = { 0 };
    lithe_model *m = a_model("tokenformer", SMALL_TOKENFORMER("gelu_l2_norm"));
    pass p;
    int seen = 0, width;
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { N, 1, 0 }, .poison = true };
    CHECK(!pass_open(&p, m, &o, WANT_LOGITS, &err));
    width = p.r.logits->width;
    real *first = malloc((size_t)(N * width) * sizeof *first);
    for (int i = 0; i < 2; i++) {
        batch_begin(&p.batch);
        batch_add(&p.batch, &(batch_sequence){ .n = N, .ids = some_ids() });
        if (i) graph_observe(p.g, nothing, &seen);
        CHECK(!pass_run(&p, &err));
        if (!i) memcpy(first, p.r.logits->data, (size_t)(N * width) * sizeof *first);
    }
    CHECK(seen == 12 && !memcmp(first, p.r.logits->data, (size_t)(N * width) * sizeof *first));
    free(first);
    pass_close(&p);
    lithe_model_close(m);
}

static void refusals(void)
{
    lithe_error e = { 0 };
    lithe_model *m = a_model("gpt2", SMALL_GPT2);
    int32_t ids[30] = { 0 }, bad[2] = { 0, 23 };
    CHECK(!lithe_internals_open(NULL, ids, 3, 0, &e) && e.status == LITHE_EINVAL);
    e = (lithe_error){ 0 };
    CHECK(!lithe_internals_open(m, ids, 25, 0, &e) && strstr(e.text, "25 ids: the model takes 1 to 24"));
    e = (lithe_error){ 0 };
    CHECK(!lithe_internals_open(m, ids, 0, 0, &e) && strstr(e.text, "0 ids"));
    e = (lithe_error){ 0 };
    CHECK(!lithe_internals_open(m, bad, 2, 0, &e) && strstr(e.text, "23"));
    lithe_internals_close(NULL);
    lithe_model_close(m);
}

const test tests_internals[] = {
    { "internals: attention is softmax", attention_is_softmax },
    { "internals: attention of every architecture", attention_of_all },
    { "internals: attention of published forms", attention_of_published_forms },
    { "internals: the use of parameter tokens", slots_of_tokenformer },
    { "internals: half-lives that were set", half_lives_that_were_set },
    { "internals: half-lives of decays that depend on tokens", decays_of_tokens },
    { "internals: watching changes nothing", watching_changes_nothing },
    { "internals: refusals", refusals },
    { 0 }
};

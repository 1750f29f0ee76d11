/* Architectures against PyTorch, at every level of kernels: logits, loss, every
 * gradient and three AdamW steps of tests/golden; a saved model is the same
 * model, bf16 is near, initial values are the papers'. */
#include "golden.h"
#include "small.h"
#include "test.h"
#include "values.h"
#include "arch_tests.h"
#include <math.h>
#include <stdlib.h>

static const struct { const char *name, *answers; } goldens[] = {
    { "gpt2", NULL }, { "gpt2-sharded", "gpt2" }, { "llama", NULL }, { "llama-scaled", NULL }, { "llama-linear", NULL }, { "llama-new", NULL }, { "llama-yarn", NULL },
    { "qwen3", NULL }, { "qwen3-window", NULL }, { "smollm3", NULL }, { "olmo2", NULL }, { "granite", NULL }, { "phi3", NULL }, { "phi3-short", NULL }, { "phi3-long", NULL }, { "gemma", NULL }, { "gemma2", NULL }, { "gemma3", NULL }, { "llama-dynamic", NULL }, { "openpangu", NULL }, { "internlm2", NULL }, { "stablelm", NULL },
    { "gpt_neo", NULL }, { "opt", NULL }, { "opt-narrow", NULL }, { "gpt_neox", NULL }, { "gpt_neox-sequential", NULL }, { "gpt_neox-new", NULL },
    { "pangu-pi", NULL }, { "pangu-pi-all", NULL }, { "pangu-pi-after", NULL }, { "pangu-pi-dense", NULL },
    { "rwkv4", NULL }, { "rwkv4-hf", NULL }, { "rwkv5", NULL }, { "rwkv5-0", NULL }, { "rwkv5-1", NULL }, { "rwkv6", NULL }, { "rwkv7", NULL }, { "rwkv7-fla", "rwkv7" },
    { "bert", NULL }, { "bert-old", "bert" }, { "roberta", NULL }, { "xlm-roberta", NULL }, { "camembert", NULL }, { "distilbert", NULL }, { "mpnet", NULL }, { "mosaicbert", NULL }, { "modernbert", NULL },
    { "tokenformer", NULL }, { "tokenformer-bin", "tokenformer" }, { "tokenformer-gelu-l2", NULL }, { "tokenformer-softmax", NULL },
};
enum { GOLDENS = sizeof goldens / sizeof *goldens };

/* ---- logits and loss -------------------------------------------------------------- */

static void logits_and_loss(const kernels *k)
{
    for (int i = 0; i < GOLDENS; i++) {
        golden q;
        results r;
        size_t count = GOLDEN_ROWS * GOLDEN_VOCAB;
        golden_open(&q, goldens[i].name, goldens[i].answers);
        float *logits = golden_values(&q, NULL, "logits", count), *loss = golden_values(&q, NULL, "loss", 1);
        graph *g = golden_graph(&q, k, GRAPH_SCORE, COMPUTE_F32, WANT_LOGITS, &r);
        graph_run(g, &q.batch);
        double worst = max_difference(r.logits->data, logits, count);
        CHECK_MSG(worst <= 2e-5, "%s: logits differ by %.3g", q.name, worst);
        graph_close(g);
        g = golden_graph(&q, k, GRAPH_SCORE, COMPUTE_F32, WANT_LOSS, &r);
        double found = run_loss(g, &r, &q.batch);
        CHECK_MSG(fabs(found - (double)*loss) <= 1e-6 * (double)*loss, "%s: the loss is %.9g, not %.9g", q.name, found, (double)*loss);
        graph_close(g);
        free(logits);
        free(loss);
        golden_close(&q);
    }
}
EACH_LEVEL(static, logits_and_loss)

/* The public way to the same numbers: one sequence at a time, at the process's level. */
static void public_logits(const kernels *k)
{
    (void)k;
    for (int i = 0; i < GOLDENS; i++) {
        golden q;
        lithe_error err = { 0 };
        golden_open(&q, goldens[i].name, goldens[i].answers);
        float *logits = golden_values(&q, NULL, "logits", GOLDEN_ROWS * GOLDEN_VOCAB), found[GOLDEN_LENGTH * GOLDEN_VOCAB];
        for (int s = 0; s < GOLDEN_SEQS; s++) {
            CHECK_MSG(!lithe_logits(q.model, q.ids + s * GOLDEN_LENGTH, GOLDEN_LENGTH, found, &err), "%s: %s", q.name, err.text);
            double worst = max_difference(found, logits + s * GOLDEN_LENGTH * GOLDEN_VOCAB, GOLDEN_LENGTH * GOLDEN_VOCAB);
            CHECK_MSG(worst <= 2e-5, "%s: logits differ by %.3g", q.name, worst);
        }
        free(logits);
        golden_close(&q);
    }
}
EACH_LEVEL(static, public_logits)

/* ---- gradients ---------------------------------------------------------------------- */

static double norm(const float *x, size_t n) { double sum = 0; for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i]; return sqrt(sum); }

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

/* ||a - b|| against max(||g|| of the tensor, 1e-3 ||g|| of the model): some gradients are mathematically zero. */
static void check_gradients(const golden *q)
{
    const params *p = q->model->params;
    double whole = 0;
    for (int t = 0; t < p->count; t++) {
        float *expected = golden_values(q, "grad", p->items[t]->name, p->items[t]->count);
        CHECK_MSG(expected, "%s: no gradient of %s", q->name, p->items[t]->name);
        whole = expected ? hypot(whole, norm(expected, p->items[t]->count)) : whole;
        free(expected);
    }
    for (int t = 0; t < p->count; t++) {
        const param *it = p->items[t];
        float *expected = golden_values(q, "grad", it->name, it->count);
        double error = expected ? distance(it->grad, expected, it->count) / fmax(norm(expected, it->count), 1e-3 * whole) : 1;
        CHECK_MSG(error <= 1e-4, "%s: the gradient of %s is off by %.3g", q->name, it->name, error);
        free(expected);
    }
}

static void gradients(const kernels *k)
{
    for (int i = 0; i < GOLDENS; i++) {
        golden q;
        lithe_error err = { 0 };
        results r;
        golden_open(&q, goldens[i].name, goldens[i].answers);
        float *any = golden_values(&q, "grad", q.model->params->items[0]->name, q.model->params->items[0]->count);
        if (any) {
            params_gradients(q.model->params, &err);
            graph *g = golden_graph(&q, k, GRAPH_TRAIN, COMPUTE_F32, WANT_LOSS, &r);
            run_loss(g, &r, &q.batch);
            check_gradients(&q);
            graph_close(g);
        }
        free(any);
        golden_close(&q);
    }
}
EACH_LEVEL(static, gradients)

/* ---- three steps of AdamW --------------------------------------------------------------- */

typedef struct { real *m, *v; int step; } moments;

static void adamw(params *p, moments *o, const kernels *k, double lr, double eps, double decay)
{
    o->step++;
    adamw_args a = { .lr = (real)lr, .beta1 = (real)0.9, .beta2 = (real)0.95, .eps = (real)eps, .scale = 1,
                     .correction1 = (real)(1 - pow(0.9, o->step)), .correction2 = (real)(1 - pow(0.95, o->step)) };
    for (int t = 0; t < p->count; t++) {
        param *it = p->items[t];
        size_t at = it->offset;
        a.weight_decay = it->rule.decay ? (real)decay : 0;
        a.lr = (real)(lr * it->rule.lr_factor);
        k->adamw(it->weight.values, o->m + at, o->v + at, it->grad, it->count, &a);
        it->weight.version++;
    }
}

static bool ends_in(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && !strcmp(name + n - m, ending);
}

/* A bias of keys adds the same number to all scores of a query, so its gradient is mathematically zero and Adam
 * steps in the direction of rounding errors: of [q k v] side by side only the query and value parts compare. */
static double step_error(const param *it, const float *expected)
{
    size_t third = it->count / 3;
    if (ends_in(it->name, "self.key.bias") || ends_in(it->name, "attention.k_lin.bias") || ends_in(it->name, "attention.attn.k.bias")) return 0;
    if (!strncmp(it->name, "layers.", 7) && ends_in(it->name, "self_attn.k_proj.bias")) return 0;           /* OPT's */
    if (!ends_in(it->name, "attn.c_attn.bias") && !ends_in(it->name, "self.Wqkv.bias") && !ends_in(it->name, "query_key_value.bias"))
        return relative_error(it->weight.values, expected, it->count);
    return fmax(relative_error(it->weight.values, expected, third), relative_error(it->weight.values + 2 * third, expected + 2 * third, third));
}

static void three_steps(const kernels *k)
{
    for (int i = 0; i < GOLDENS; i++) {
        golden q;
        lithe_error err = { 0 };
        results r;
        golden_open(&q, goldens[i].name, goldens[i].answers);
        params *p = q.model->params;
        float *any = golden_values(&q, "step3", p->items[0]->name, p->items[0]->count);
        if (any) {
            moments o = { calloc(p->arena_count, sizeof(real)), calloc(p->arena_count, sizeof(real)), 0 };
            params_gradients(p, &err);
            graph *g = golden_graph(&q, k, GRAPH_TRAIN, COMPUTE_F32, WANT_LOSS, &r);
            for (int n = 0; n < 3; n++) {
                run_loss(g, &r, &q.batch);
                adamw(p, &o, k, 1e-2, 1e-6, 0.1);
            }
            for (int t = 0; t < p->count; t++) {
                float *expected = golden_values(&q, "step3", p->items[t]->name, p->items[t]->count);
                double error = expected ? step_error(p->items[t], expected) : 1;
                CHECK_MSG(error <= 1e-5, "%s: %s after three steps is off by %.3g", q.name, p->items[t]->name, error);
                free(expected);
            }
            graph_close(g);
            free(o.m);
            free(o.v);
        }
        free(any);
        golden_close(&q);
    }
}
EACH_LEVEL(static, three_steps)

/* ---- precision, files, initial values ------------------------------------------------ */

static void bf16_is_near(const kernels *k)
{
    for (int i = 0; i < GOLDENS; i++) {
        golden q;
        results r;
        size_t count = GOLDEN_ROWS * GOLDEN_VOCAB;
        golden_open(&q, goldens[i].name, goldens[i].answers);
        float *logits = golden_values(&q, NULL, "logits", count);
        graph *g = golden_graph(&q, k, GRAPH_SCORE, COMPUTE_BF16, WANT_LOGITS, &r);
        graph_run(g, &q.batch);
        double error = relative_error(r.logits->data, logits, count);
        CHECK_MSG(error <= 0.02, "%s: bf16 logits are off by %.3g", q.name, error);
        CHECK_MSG(error > 1e-6, "%s: bf16 logits are off by %.3g: not rounded?", q.name, error);
        graph_close(g);
        free(logits);
        golden_close(&q);
    }
}
EACH_LEVEL(static, bf16_is_near)

/* The type of the matrices. */
static const char *type_of(const lithe_model *m)
{
    stored_type most = STORED_REAL;
    for (int i = 0; i < m->params->count; i++) if (weight_stored(&m->params->items[i]->weight).type > most) most = weight_stored(&m->params->items[i]->weight).type;
    return stored_formats[most].name;
}

static void saved_is_the_same(void)
{
    for (int i = 0; i < GOLDENS; i++) {
        golden q;
        lithe_error err = { 0 };
        char dir[400];
        golden_open(&q, goldens[i].name, goldens[i].answers);
        snprintf(dir, sizeof dir, "%s/%s", test_dir(), q.name);
        CHECK_MSG(!lithe_model_save(q.model, dir, type_of(q.model), NULL, &err), "%s: %s", q.name, err.text);
        lithe_model *again = lithe_model_open(dir, NULL, &err);
        CHECK_MSG(again, "%s: %s", q.name, err.text);
        if (!again) { golden_close(&q); continue; }
        CHECK(same_parameters(q.model, again));
        float x[GOLDEN_LENGTH * GOLDEN_VOCAB], y[GOLDEN_LENGTH * GOLDEN_VOCAB];
        CHECK(!lithe_logits(q.model, q.ids, GOLDEN_LENGTH, x, &err) && !lithe_logits(again, q.ids, GOLDEN_LENGTH, y, &err));
        CHECK_MSG(!memcmp(x, y, sizeof x), "%s: other logits after saving and opening", q.name);
        lithe_model_close(again);
        golden_close(&q);
    }
}

/* Initial values as the papers have them; weight decay on matrices and tables, on nothing else. */
static void initial_values_are_the_papers(void)
{
    /* The first part that a name holds. */
    static const struct { const char *arch, *config, *part; double std; } rules[] = {
        /* 0.02 / sqrt(2 layers) */
        { "gpt2", "{\"n_embd\":96,\"n_layer\":8,\"n_head\":2,\"vocab_size\":500,\"n_positions\":64}", "c_proj.weight", 0.005 },
        { "gpt2", NULL, "weight", 0.02 },
        { "llama", "{\"hidden_size\":96,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":200,\"vocab_size\":500,\"initializer_range\":0.03}", "weight", 0.03 },
        /* 2 / (layers sqrt(width)) */
        { "tokenformer", "{\"hidden_size\":64,\"num_layers\":4,\"num_attention_heads\":2,\"qkv_slot_num\":96,\"proj_slot_num\":96,\"ffn_slot_num\":200,\"vocab_size\":500}", "value_param_tokens", 0.0625 },
        { "tokenformer", NULL, "weight", 0.02 }, { "tokenformer", NULL, "key_param_tokens", 0.02 },
    };
    for (size_t first = 0; first < sizeof rules / sizeof *rules; first++) {
        lithe_error err = { 0 };
        if (!rules[first].config) continue;
        lithe_model *m = lithe_model_new(rules[first].arch, rules[first].config, 3, &err);
        CHECK_MSG(m, "%s", err.text);
        for (int t = 0; m && t < m->params->count; t++) {
            const param *p = m->params->items[t];
            size_t rule = first;
            double expected = 0, found = sqrt(norm(p->weight.values, p->count) * norm(p->weight.values, p->count) / (double)p->count);
            while (rule < sizeof rules / sizeof *rules && !(strcmp(rules[rule].arch, rules[first].arch) == 0 && strstr(p->name, rules[rule].part))) rule++;
            if (p->rule.rank == 1) expected = strstr(p->name, "weight") ? 1 : 0;
            else if (rule < sizeof rules / sizeof *rules) expected = rules[rule].std;
            CHECK_MSG(fabs(found - expected) <= 0.06 * expected, "%s: %s begins at %.4g, not %.4g", m->arch->name, p->name, found, expected);
            CHECK_MSG(p->rule.decay == (p->rule.rank > 1), "%s: weight decay of %s", m->arch->name, p->name);
        }
        lithe_model_close(m);
    }
}

/* 5.0 and 5.1 are run; a graph that would train them says what it cannot. */
static void old_versions_are_not_trained(void)
{
    static const char *const names[] = { "rwkv5-0", "rwkv5-1" };
    for (int i = 0; i < 2; i++) {
        golden q;
        lithe_error err = { 0 };
        golden_open(&q, names[i], NULL);
        graph_options o = { .mode = GRAPH_TRAIN, .capacity = { GOLDEN_ROWS, GOLDEN_SEQS, 0 } };
        graph *g = graph_new(kernels_level("ref"), q.model->params, &o);
        arch_build(q.model->arch, q.model->config, NULL, g, WANT_LOSS);
        CHECK_MSG(graph_plan(g, &err) == LITHE_ECONFIG && strstr(err.text, "RWKV-5.0, 5.1") && strstr(err.text, "cannot be trained"), "%s", err.text);
        graph_close(g);
        golden_close(&q);
    }
}

const test tests_arch[] = {
    { "arch: RWKV-5.0 and 5.1 are not trained", old_versions_are_not_trained },
    LEVELS("arch: logits and loss as PyTorch's", logits_and_loss)
    LEVELS("arch: logits by lithe_logits", public_logits)
    LEVELS("arch: every gradient as PyTorch's", gradients)
    LEVELS("arch: three AdamW steps as PyTorch's", three_steps)
    LEVELS("arch: bf16 is near fp32", bf16_is_near)
    { "arch: initial values are the papers'", initial_values_are_the_papers },
    { "arch: saved and opened is the same", saved_is_the_same },
    LEVELS("arch: decoding is the full pass", decoding_is_the_full_pass)
    LEVELS("arch: rows do not see capacity or neighbours", rows_do_not_see_neighbours)
    LEVELS("arch: threads do not change a bit", threads_do_not_matter)
    LEVELS("arch: parts of a step are the step", parts_are_the_step)
    LEVELS("arch: published checkpoints", published_checkpoints)
    LEVELS("arch: published RWKV", published_rwkv)
    { 0 }
};

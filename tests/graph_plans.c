/* The memory plan against lifetimes found the slow way: every step is asked what
 * it reads and writes, by the ops' own masks, and no two buffers that are alive
 * at a step may share a byte.  And what a plan must not change: results. */
#include "graph_tests.h"
#include "ops/ops.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

/* ---- what a step touches -------------------------------------------------------- */

typedef enum { UNTOUCHED, DEFINED, READ } touching;          /* DEFINED: written whole, nothing read of it before */

typedef struct { const graph *g; const step *steps; const buffer *buffers; int step_count, buffer_count; touching *at; bool *begun, *kept; } plan;

static void touch(plan *p, int s, int index, bool define)
{
    if (index < 0) return;
    touching *t = &p->at[(size_t)s * (size_t)p->buffer_count + (size_t)index];
    if (*t != READ) *t = define ? DEFINED : READ;
}

static void touch_forward(plan *p, int s, const node *n)
{
    for (int i = 0; i < MAX_IN; i++)
        if (n->in[i]) touch(p, s, n->in[i]->buffer, false);
    for (int o = 0; o < MAX_OUT; o++) {
        const tensor *t = n->out[o];
        if (!t) continue;
        touch(p, s, t->buffer, !(n->in[0] && n->in[0]->buffer == t->buffer));
        if (t->keep) p->kept[t->buffer] = true;
    }
    for (int i = 0; i < MAX_SAVE; i++)
        if (n->save[i]) touch(p, s, n->save[i]->buffer, true);
}

static void touch_gradients_in(plan *p, int s, const node *n)
{
    for (int i = 0; i < MAX_IN; i++)
        if (n->in[i] && n->in[i]->grad_buffer >= 0) {
            int index = n->in[i]->grad_buffer;
            touch(p, s, index, !p->begun[index]);
            p->begun[index] = true;
        }
}

static void touch_backward(plan *p, int s, const node *n)
{
    for (int i = 0; i < MAX_IN; i++)
        if (n->in[i] && (n->op->reads & IN(i))) touch(p, s, n->in[i]->buffer, false);
    for (int o = 0; o < MAX_OUT; o++)
        if (n->out[o]) {
            if (n->op->reads & OUT(o)) touch(p, s, n->out[o]->buffer, false);
            touch(p, s, n->out[o]->grad_buffer, false);
        }
    for (int i = 0; i < MAX_SAVE; i++)
        if (n->save[i] && (n->op->reads & SAVE(i))) touch(p, s, n->save[i]->buffer, false);
    touch_gradients_in(p, s, n);
}

static void look(plan *p)
{
    for (int s = 0; s < p->step_count; s++) {
        const node *n = p->steps[s].node;
        if (p->steps[s].kind == STEP_PACK) continue;
        if (p->steps[s].kind == STEP_BACKWARD) touch_backward(p, s, n); else touch_forward(p, s, n);
        if (p->steps[s].kind == STEP_FORWARD_BACKWARD && graph_settings(p->g)->mode == GRAPH_TRAIN) touch_gradients_in(p, s, n);
        if (n->work) touch(p, s, n->work->buffer, true);
    }
}

/* Touched now, or holding something that is read later. */
static bool alive(const plan *p, int s, int index)
{
    bool before = false;
    const touching *at = p->at + index;
    for (int i = 0; i <= s; i++) before |= at[(size_t)i * (size_t)p->buffer_count] != UNTOUCHED;
    if (!before || at[(size_t)s * (size_t)p->buffer_count] != UNTOUCHED) return before;
    for (int i = s + 1; i < p->step_count; i++)
        if (at[(size_t)i * (size_t)p->buffer_count] != UNTOUCHED) return at[(size_t)i * (size_t)p->buffer_count] == READ;
    return p->kept[index];
}

static void check_step(const plan *p, int s, const int *live, int count, size_t arena_bytes, const char *what)
{
    for (int i = 0; i < count; i++) {
        const buffer *a = &p->buffers[live[i]];
        CHECK_MSG(a->offset % 64 == 0 && a->offset + a->bytes <= arena_bytes, "%s: %s lies at %zu, %zu bytes of an arena of %zu", what, a->name, a->offset, a->bytes, arena_bytes);
        for (int j = 0; j < i; j++) {
            const buffer *b = &p->buffers[live[j]];
            CHECK_MSG(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset, "%s: step %d: %s and %s are alive and share bytes", what, s, a->name, b->name);
        }
    }
}

static void check_sizes(const node *n, const buffer *buffers, const char *what)
{
    const tensor *all[MAX_OUT + MAX_SAVE + 1];
    int count = 0;
    for (int i = 0; i < MAX_OUT; i++) all[count++] = n->out[i];
    for (int i = 0; i < MAX_SAVE; i++) all[count++] = n->save[i];
    all[count++] = n->work;
    for (int i = 0; i < count; i++) {
        if (!all[i]) continue;
        size_t bytes = (size_t)capacity_rows(all[i]) * (size_t)all[i]->width * sizeof(real);
        CHECK_MSG(buffers[all[i]->buffer].bytes >= bytes, "%s: %s has %zu bytes for %zu", what, all[i]->name, buffers[all[i]->buffer].bytes, bytes);
        CHECK(all[i]->grad_buffer < 0 || buffers[all[i]->grad_buffer].bytes >= bytes);
    }
}

static void check_plan(const graph *g, const char *what)
{
    plan p = { .g = g };
    p.step_count = graph_steps(g, &p.steps);
    p.buffer_count = graph_buffers(g, &p.buffers);
    p.at = calloc((size_t)p.step_count * (size_t)p.buffer_count, sizeof *p.at);
    p.begun = calloc((size_t)p.buffer_count, 1);
    p.kept = calloc((size_t)p.buffer_count, 1);
    int *live = calloc((size_t)p.buffer_count, sizeof *live);
    size_t largest = 0;
    plan_summary summary = graph_summary(g);
    look(&p);
    for (int s = 0; s < p.step_count; s++) {
        int count = 0;
        size_t bytes = 0;
        for (int b = 0; b < p.buffer_count; b++)
            if (alive(&p, s, b)) { live[count++] = b; bytes += p.buffers[b].bytes; }
        check_step(&p, s, live, count, summary.arena_bytes, what);
        check_sizes(p.steps[s].node, p.buffers, what);
        if (bytes > largest) largest = bytes;
    }
    CHECK_MSG(largest == summary.largest_live, "%s: %zu bytes alive at once, the plan says %zu", what, largest, summary.largest_live);
    CHECK_MSG(summary.arena_bytes >= largest, "%s: an arena of %zu bytes for %zu", what, summary.arena_bytes, largest);
    CHECK_MSG(summary.arena_bytes <= 2 * largest, "%s: an arena of %zu bytes for %zu: much is lost between buffers", what, summary.arena_bytes, largest);
    free(p.at);
    free(p.begun);
    free(p.kept);
    free(live);
}

/* ---- architectures ------------------------------------------------------------------ */

static void plans_of_architectures(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) {
        small_model m = small_new(cases[i].arch, cases[i].config, 1);
        bool continues_text = m.task.kind == TASK_LANGUAGE && !arch_encoder(m.a, m.config);
        for (int mode = GRAPH_TRAIN; mode <= (continues_text ? GRAPH_DECODE : GRAPH_SCORE); mode++)
            for (int recompute = 0; recompute <= (mode == GRAPH_TRAIN); recompute++)
                for (int selected = 0; selected <= 4; selected += 4) {
                    lithe_error err = { 0 };
                    char what[100];
                    graph_options o = { .mode = (graph_mode)mode, .capacity = { 21, 3, selected }, .slots = 3, .context = 24, .recompute = recompute };
                    graph *g = graph_new(kernels_level("ref"), m.p, &o);
                    arch_build(m.a, m.config, &m.task, g, mode == GRAPH_TRAIN ? WANT_LOSS : WANT_LOGITS);
                    snprintf(what, sizeof what, "%s, mode %d, recompute %d, selected %d", cases[i].name, mode, recompute, selected);
                    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
                    check_plan(g, what);
                    graph_close(g);
                }
        small_free(&m);
    }
}

/* ---- random graphs -------------------------------------------------------------------- */

static params *random_params(uint64_t seed, int nodes)
{
    lithe_error err = { 0 };
    kernels none = { 0 };
    params *p = params_new();
    graph *g = graph_new(&none, p, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { SMALL_ROWS, SMALL_SEQS, 0 } });
    random_graph(g, seed, nodes);
    CHECK(graph_ok(g));
    graph_close(g);
    params_close(p, &err);
    params_gradients(p, &err);
    params_initialize(p, seed);
    return p;
}

static graph *random_planned(params *p, const kernels *k, uint64_t seed, int nodes, bool recompute, bool poison, results *r)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = GRAPH_TRAIN, .capacity = { SMALL_ROWS + 2, SMALL_SEQS, 0 }, .recompute = recompute, .poison = poison };
    graph *g = graph_new(k, p, &o);
    *r = (results){ .loss = random_graph(g, seed, nodes) };
    CHECK_MSG(!graph_plan(g, &err), "random graph %d: %s", (int)seed, err.text);
    return g;
}

/* The loss along its own gradient, by central difference of step h. */
static double slope(params *p, graph *g, const results *r, const small_batch *b, const real *at, const real *grad, double norm, double h)
{
    double loss[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < p->arena_count; i++) p->values[i] = (real)((double)at[i] + (side ? -h : h) * (double)grad[i] / norm);
        loss[side] = small_loss(g, r, b);
    }
    memcpy(p->values, at, p->arena_count * sizeof *at);
    return (loss[0] - loss[1]) / (2 * h);
}

/* In float a long step suits flat losses and a short one crooked ones: one of the two must agree. */
static void check_slope(params *p, graph *g, const results *r, const small_batch *b, const char *what)
{
    const bool doubles = sizeof(real) == sizeof(double);
    const double longer = doubles ? 1e-6 : 2e-3, shorter = doubles ? 1e-6 : 1e-4, tolerance = doubles ? 1e-5 : 2e-2;
    size_t n = p->arena_count;
    real *at = malloc(n * sizeof *at), *grad = malloc(n * sizeof *grad);
    memcpy(at, p->values, n * sizeof *at);
    memcpy(grad, p->grad, n * sizeof *grad);
    double norm = 0;
    for (size_t i = 0; i < n; i++) norm += (double)grad[i] * (double)grad[i];
    norm = sqrt(norm);
    double found = slope(p, g, r, b, at, grad, norm, longer);
    if (fabs(found - norm) > tolerance * norm) found = slope(p, g, r, b, at, grad, norm, shorter);
    CHECK_MSG(fabs(found - norm) <= tolerance * norm, "%s: a slope of %.9g by differences, %.9g by backward", what, found, norm);
    free(at);
    free(grad);
}

static void plans_of_random_graphs(void)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        int nodes = 4 + (int)(seed % 29);
        char what[40];
        small_batch b;
        results r;
        params *p = random_params(seed, nodes);
        size_t bytes = p->arena_count * sizeof(real);
        real *grad = malloc(bytes), loss[SMALL_ROWS];
        small_fill(&b, RANDOM_VOCAB, seed);
        for (int way = 0; way < 4; way++) {
            bool recompute = way & 1, poison = way < 2;
            snprintf(what, sizeof what, "random graph %d%s%s", (int)seed, recompute ? ", recompute" : "", poison ? ", poison" : "");
            graph *g = random_planned(p, kernels_default(), seed, nodes, recompute, poison, &r);
            if (poison) check_plan(g, what);
            memset(p->grad, 0, bytes);                       /* of parameters that the loss does not see */
            CHECK_MSG(isfinite(small_loss(g, &r, &b)), "%s: not finite", what);
            if (way == 0) {
                memcpy(grad, p->grad, bytes);
                memcpy(loss, r.loss->data, sizeof loss);
                check_slope(p, g, &r, &b, what);
            }
            CHECK_MSG(way == 0 || !memcmp(loss, r.loss->data, sizeof loss), "%s: another loss", what);
            CHECK_MSG(way == 0 || !memcmp(grad, p->grad, bytes), "%s: other gradients", what);
            graph_close(g);
        }
        free(grad);
        params_free(p);
    }
}

/* ---- recomputation ------------------------------------------------------------------------ */

#define DEEP(dropout) "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":24,\"n_layer\":8,\"n_head\":3,\"resid_pdrop\":" dropout ",\"embd_pdrop\":" dropout ",\"attn_pdrop\":" dropout ",\"initializer_range\":0.1}"

static void recomputation_is_the_same(void)
{
    static const struct { const char *arch, *config; } deep[] = {
        { "gpt2", DEEP("0") }, { "gpt2", DEEP("0.2") },
        { "llama", "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":24,\"num_hidden_layers\":8,\"num_attention_heads\":3,\"intermediate_size\":40,\"initializer_range\":0.1}" },
        { "tokenformer", "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":24,\"num_layers\":8,\"num_attention_heads\":3,\"qkv_slot_num\":12,\"proj_slot_num\":10,\"ffn_slot_num\":70,\"rotary_pct\":0.5,\"init_method_std\":0.1}" },
        { "rwkv4", "{\"vocab_size\":23,\"context_length\":24,\"hidden_size\":24,\"num_hidden_layers\":8,\"intermediate_size\":40}" },
        { "rwkv7", "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":24,\"head_dim\":4,\"num_hidden_layers\":8,\"intermediate_size\":40,\"decay_low_rank_dim\":3,\"a_low_rank_dim\":5,\"v_low_rank_dim\":2,\"gate_low_rank_dim\":6}" },
    };
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        small_model m = small_new(deep[i].arch, deep[i].config, 2);
        small_batch b;
        results r;
        size_t bytes = m.p->arena_count * sizeof(real), larger = 0;
        real *grad = malloc(bytes);
        double loss = 0;
        small_fill(&b, 23, 5);
        for (int recompute = 0; recompute < 2; recompute++) {
            graph *g = small_graph(&m, GRAPH_TRAIN, recompute, kernels_default()->name, &r);
            memset(m.p->grad, 0, bytes);
            double found = small_loss(g, &r, &b);
            if (recompute) {
                size_t smaller = graph_summary(g).arena_bytes;
                CHECK_MSG(!memcmp(&loss, &found, sizeof loss), "%s: a loss of %.17g, with recomputation %.17g", deep[i].arch, loss, found);
                CHECK_MSG(!memcmp(grad, m.p->grad, bytes), "%s: other gradients with recomputation", deep[i].arch);
                CHECK_MSG(smaller < larger * 2 / 3, "%s: %zu bytes, with recomputation %zu", deep[i].arch, larger, smaller);
            }
            loss = found;
            memcpy(grad, m.p->grad, bytes);
            larger = graph_summary(g).arena_bytes;
            graph_close(g);
        }
        free(grad);
        small_free(&m);
    }
}

/* GPT-2 of 124 M parameters at 4 sequences of 512 tokens: 2 GiB of floats. */
static void gpt2_fits(void)
{
    const arch *a = arch_find("gpt2");
    lithe_error err = { 0 };
    json_t *json = json_loads("{\"resid_pdrop\":0,\"embd_pdrop\":0,\"attn_pdrop\":0}", 0, NULL);
    void *config = calloc(1, a->config.size);
    params *p = params_new();
    arch_configure(a, json, config, "test", &err);
    arch_declare(a, config, NULL, p, &err);
    CHECK_MSG(params_total(p) == 124439808, "%zu parameters", params_total(p));
    size_t bytes[2];
    for (int recompute = 0; recompute < 2; recompute++) {
        graph *g = graph_new(kernels_default(), p, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { 2048, 4, 0 }, .recompute = recompute });
        arch_build(a, config, NULL, g, WANT_LOSS);
        CHECK_MSG(!graph_plan_only(g, &err), "%s", err.text);
        bytes[recompute] = graph_summary(g).arena_bytes;
        graph_close(g);
    }
    CHECK_MSG(bytes[0] <= ((size_t)2 << 30) / sizeof(float) * sizeof(real), "an arena of %.3f GiB", (double)bytes[0] / 0x1p30);
    CHECK_MSG(bytes[1] <= bytes[0] / 2, "with recomputation %.3f GiB of %.3f", (double)bytes[1] / 0x1p30, (double)bytes[0] / 0x1p30);
    params_free(p);
    free(config);
    json_decref(json);
}

/* Also of the double build, where every gradient is checked. */
const test tests_plans[] = {
    { "plans: architectures", plans_of_architectures },
    { "plans: results and gradients of random graphs", plans_of_random_graphs },
    { "plans: recomputation is the same", recomputation_is_the_same },
    { "plans: GPT-2 124M fits", gpt2_fits },
    { 0 }
};

/* What must not change a result: how a sequence is cut into pushes and chunks,
 * the capacity of a graph, the neighbours in a batch, the number of threads,
 * and the parts a step is accumulated from. */
#include "arch_tests.h"
#include "base/threads.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { VOCAB = 67, CONTEXT = 300 };
#define SIZES "\"vocab_size\":67,\"hidden_size\":64,\"max_position_embeddings\":300,"
static const struct { const char *arch, *config; } variants[] = {
    { "gpt2", "{\"vocab_size\":67,\"n_positions\":300,\"n_embd\":64,\"n_layer\":2,\"n_head\":2,\"resid_pdrop\":0,\"embd_pdrop\":0,\"attn_pdrop\":0,\"initializer_range\":0.1}" },
    { "llama", "{" SIZES "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":90,\"initializer_range\":0.1}" },
    { "pangu_pi", "{" SIZES "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":90,\"initializer_range\":0.1,\"siaf_n\":3,\"siaf_gain\":true,\"aug_ffn\":true,\"aug_scale\":0.8}" },
    { "tokenformer", "{" SIZES "\"num_layers\":2,\"num_attention_heads\":2,\"qkv_slot_num\":50,\"proj_slot_num\":48,\"ffn_slot_num\":270,\"init_method_std\":0.1}" },
    { "tokenformer", "{" SIZES "\"num_layers\":2,\"num_attention_heads\":2,\"qkv_slot_num\":50,\"proj_slot_num\":48,\"ffn_slot_num\":270,\"init_method_std\":0.1,\"norm_activation_type\":\"softmax\"}" },
    { "rwkv5", "{\"vocab_size\":67,\"context_length\":300,\"hidden_size\":64,\"head_size\":16,\"num_hidden_layers\":2,\"intermediate_size\":90}" },
    { "rwkv6", "{\"vocab_size\":67,\"context_length\":300,\"hidden_size\":64,\"head_size\":16,\"num_hidden_layers\":2,\"intermediate_size\":90,\"time_mix_extra_dim\":7,\"time_decay_extra_dim\":9}" },
    { "rwkv7", "{" SIZES "\"num_hidden_layers\":2,\"head_dim\":16,\"intermediate_size\":90,\"decay_low_rank_dim\":10,\"a_low_rank_dim\":9,\"v_low_rank_dim\":7,\"gate_low_rank_dim\":12}" },
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* Model i: a variant, or one of the registry at the size its `sized` gives; NULL past the last. */
static lithe_model *fresh(int i)
{
    lithe_error err = { 0 };
    const arch *a = i < VARIANTS ? arch_find(variants[i].arch) : architectures[i - VARIANTS];
    if (!a) return NULL;
    json_t *sized = i < VARIANTS ? NULL : a->config.sized(64, 2, VOCAB, CONTEXT);
    char *config = sized ? json_dumps(sized, 0) : strdup(variants[i].config);
    lithe_model *m = lithe_model_new(a->name, config, 9, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    json_decref(sized);
    free(config);
    small_perturb(m->params, 0.1, 3);
    return m;
}

static bool predicts_tokens(const lithe_model *m) { return m->task.kind == TASK_LANGUAGE; }
static bool continues_text(const lithe_model *m) { return predicts_tokens(m) && !arch_encoder(m->arch, m->config); }

static int32_t token(uint64_t i) { return (int32_t)(random_u64(31, i) % VOCAB); }

/* The plain kernels are naive for ever: what takes long runs in part at their level. */
static bool plain(const kernels *k) { return !strcmp(k->name, "ref"); }

/* ---- decoding: the law of order makes it the full pass to the byte ------------------ */

static void check_row(const char *name, const char *how, size_t row, const float *found, const float *full, int vocab)
{
    const float *expected = full + row * (size_t)vocab;
    CHECK_MSG(!memcmp(found, expected, (size_t)vocab * sizeof *found), "%s, %s: the logits after token %zu differ by %.3g",
              name, how, row, max_difference(found, expected, (size_t)vocab));
}

static void check_decoding(lithe_model *m, const int32_t *ids, size_t n, int ways)
{
    static const size_t chunks[] = { 129, 7, 2, 3, 64, 127, 128, CONTEXT };
    lithe_error err = { 0 };
    int vocab = lithe_model_vocab(m);
    float *full = malloc(n * (size_t)vocab * sizeof *full);
    CHECK_MSG(!lithe_logits(m, ids, n, full, &err), "%s", err.text);
    lithe_session *s = lithe_session_open(m, 0, &err);
    for (size_t i = 0; i < n; i++) {
        CHECK_MSG(!lithe_session_push(s, ids[i], &err), "%s", err.text);
        check_row(m->arch->name, "token by token", i, lithe_session_logits(s), full, vocab);
    }
    for (size_t c = 0; c < (size_t)ways; c++) {
        char how[40];
        snprintf(how, sizeof how, "in chunks of %zu", chunks[c]);
        lithe_session_sync(s, NULL, 0, &err);
        for (size_t end = 0; end < n; ) {
            end = end + chunks[c] < n ? end + chunks[c] : n;
            CHECK_MSG(!lithe_session_sync(s, ids, end, &err), "%s", err.text);
            check_row(m->arch->name, how, end - 1, lithe_session_logits(s), full, vocab);
        }
    }
    lithe_session_close(s);
    free(full);
}

static void decoding_is_the_full_pass(const kernels *k)
{
    static const char *const goldens[] = { "gpt2", "llama", "llama-scaled", "llama-linear", "pangu-pi", "pangu-pi-all", "pangu-pi-after", "tokenformer", "tokenformer-gelu-l2", "tokenformer-softmax" };
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        golden q;
        golden_open(&q, goldens[i], NULL);
        check_decoding(q.model, q.ids, GOLDEN_ROWS, 8);
        golden_close(&q);
    }
    int32_t ids[CONTEXT];
    for (int i = 0; i < CONTEXT; i++) ids[i] = token((uint64_t)i);
    lithe_model *m;
    for (int i = 0; (m = fresh(i)); i++) {
        if (continues_text(m)) check_decoding(m, ids, CONTEXT, plain(k) ? 1 : 8);
        lithe_model_close(m);
    }
}
EACH_LEVEL(, decoding_is_the_full_pass)

/* ---- batches ------------------------------------------------------------------------ */

/* Sequences of 37, 200, 1, 130 and 20 tokens: more rows than a tile of the head or of Pattention. */
enum { SEQS = 5, ROWS = 388 };
static const int lengths[SEQS] = { 37, 200, 1, 130, 20 };
typedef struct { int ids[ROWS], pos[ROWS], start[SEQS + 1], target[ROWS]; uint64_t row_key[ROWS]; batch b; } ragged;

static void fill(ragged *x, int first, int count)
{
    int rows = 0, before = 0;
    for (int s = 0; s < first; s++) before += lengths[s];
    for (int s = 0; s < count; s++) {
        x->start[s] = rows;
        for (int i = 0; i < lengths[first + s]; i++, rows++) {
            x->pos[rows] = i;
            x->ids[rows] = token((uint64_t)(before + rows));
            x->target[rows] = token((uint64_t)(1000 + before + rows));
            x->row_key[rows] = key_of(key_of(5, (uint64_t)(first + s)), (uint64_t)i);
        }
    }
    x->start[count] = rows;
    x->b = (batch){ .rows = rows, .seqs = count, .ids = x->ids, .pos = x->pos, .start = x->start, .target = x->target,
                    .row_key = x->row_key, .scale = (real)1 / ROWS };
}

static graph *planned(const lithe_model *m, const kernels *k, graph_mode mode, compute_type compute, int rows, int seqs, want w, results *r)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = mode, .capacity = { rows, seqs, 0 }, .compute = compute, .poison = true };
    graph *g = graph_new(k, m->params, &o);
    *r = arch_build(m->arch, m->config, &m->task, g, w);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    return g;
}

static void check_neighbours(lithe_model *m, const kernels *k, compute_type compute)
{
    static const int rows[] = { ROWS, ROWS + 1, 1000 };
    ragged *all = malloc(sizeof *all), *alone = malloc(sizeof *alone);
    size_t row_bytes = (size_t)lithe_model_vocab(m) * sizeof(float);    /* a padded vocabulary is wider than VOCAB */
    char *logits = malloc(ROWS * row_bytes);
    const char *type = compute == COMPUTE_BF16 ? "bf16" : "fp32";
    results r;
    fill(all, 0, SEQS);
    for (int c = 0; c < (plain(k) ? 2 : 3); c++) {
        graph *g = planned(m, k, GRAPH_SCORE, compute, rows[c], SEQS + 3 * c, WANT_LOGITS, &r);
        graph_run(g, &all->b);
        if (c == 0) memcpy(logits, r.logits->data, ROWS * row_bytes);
        else CHECK_MSG(!memcmp(logits, r.logits->data, ROWS * row_bytes), "%s, %s: a capacity of %d rows changes the logits", m->arch->name, type, rows[c]);
        for (int s = 0, row = 0; s < SEQS; row += lengths[s], s++) {
            fill(alone, s, 1);
            graph_run(g, &alone->b);
            CHECK_MSG(!memcmp(logits + (size_t)row * row_bytes, r.logits->data, (size_t)lengths[s] * row_bytes),
                      "%s, %s: a sequence of %d has other logits alone", m->arch->name, type, lengths[s]);
        }
        graph_close(g);
    }
    free(all);
    free(alone);
    free(logits);
}

static void rows_do_not_see_neighbours(const kernels *k)
{
    lithe_model *m;
    for (int i = 0; (m = fresh(i)); i++) {
        if (predicts_tokens(m)) check_neighbours(m, k, COMPUTE_F32);
        if (predicts_tokens(m) && !plain(k)) check_neighbours(m, k, COMPUTE_BF16);
        lithe_model_close(m);
    }
}
EACH_LEVEL(, rows_do_not_see_neighbours)

/* ---- training ------------------------------------------------------------------------ */

static double step_of(lithe_model *m, const kernels *k, compute_type compute, int rows, const batch *b)
{
    lithe_error err = { 0 };
    results r;
    params_gradients(m->params, &err);
    graph *g = planned(m, k, GRAPH_TRAIN, compute, rows, SEQS, WANT_LOSS, &r);
    double loss = run_loss(g, &r, b);
    graph_close(g);
    return loss;
}

static void check_threads(lithe_model *m, const kernels *k, compute_type compute, const batch *b)
{
    static const struct { int threads, rows; } ways[] = { { 1, ROWS }, { 3, 777 }, { 2, ROWS }, { 3, ROWS } };
    size_t bytes = 0;
    real *grad = NULL;
    double loss = 0;
    for (int w = 0; w < (plain(k) ? 2 : 4); w++) {
        threads_set(ways[w].threads);
        double found = step_of(m, k, compute, ways[w].rows, b);
        if (w == 0) {
            bytes = m->params->arena_count * sizeof(real);
            grad = malloc(bytes);
            memcpy(grad, m->params->grad, bytes);
            loss = found;
            continue;
        }
        CHECK_MSG(!memcmp(&found, &loss, sizeof loss), "%s: %d threads, %d rows: a loss of %.17g, not %.17g", m->arch->name, ways[w].threads, ways[w].rows, found, loss);
        CHECK_MSG(!memcmp(grad, m->params->grad, bytes), "%s: %d threads, %d rows: other gradients", m->arch->name, ways[w].threads, ways[w].rows);
    }
    free(grad);
}

static void threads_do_not_matter(const kernels *k)
{
    ragged *all = malloc(sizeof *all);
    fill(all, 0, SEQS);
    lithe_model *m;
    for (int i = 0; (m = fresh(i)); i++) {
        if (predicts_tokens(m)) check_threads(m, k, COMPUTE_F32, &all->b);
        if (predicts_tokens(m) && !plain(k)) check_threads(m, k, COMPUTE_BF16, &all->b);
        lithe_model_close(m);
    }
    free(all);
}
EACH_LEVEL(, threads_do_not_matter)

/* Micro-batches: sums of gradients in another order, so equal up to rounding; dropout draws by sample, so it is the
 * same. */
static void parts_are_the_step(const kernels *k)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int c = 0; c < count; c++) {
        small_model m = small_new(cases[c].arch, cases[c].config, 4);
        if (m.task.kind != TASK_LANGUAGE) { small_free(&m); continue; }
        small_batch b;
        results r;
        small_fill(&b, 23, 8);
        graph *g = small_graph(&m, GRAPH_TRAIN, false, k->name, &r);
        double whole = run_loss(g, &r, &b.b), parts = 0;
        size_t n = m.p->arena_count;
        real *grad = malloc(n * sizeof *grad);
        memcpy(grad, m.p->grad, n * sizeof *grad);
        for (int s = 0; s < SMALL_SEQS; s++) {
            int first = b.start[s], start[2] = { 0, b.start[s + 1] - first };
            batch part = { .rows = start[1], .seqs = 1, .ids = b.ids + first, .pos = b.pos + first, .type = b.type + first, .start = start, .target = b.target + first,
                           .weight = b.weight + first, .row_key = b.row_key + first, .scale = b.b.scale, .accumulate = s > 0 };
            parts += run_loss(g, &r, &part);
        }
        CHECK_MSG(fabs(parts - whole) <= 1e-6 * whole, "%s: a loss of %.9g in parts, %.9g at once", cases[c].name, parts, whole);
        double error = relative_error(m.p->grad, grad, n);
        CHECK_MSG(error <= 1e-6, "%s: gradients in parts are off by %.3g", cases[c].name, error);
        free(grad);
        graph_close(g);
        small_free(&m);
    }
}
EACH_LEVEL(, parts_are_the_step)

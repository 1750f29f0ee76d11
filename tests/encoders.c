/* Encoders against the original authors' code: hidden states, every head, padded
 * batches, ALiBi's slopes (tests/golden; masked tokens are in arch.c), what must
 * not pass for them, and what no neighbour or order of a batch changes. */
#include "golden.h"
#include "ops/ops.h"
#include "small.h"
#include "test.h"
#include "encoders.h"
#include <math.h>
#include <stdlib.h>

static const char *const names[] = { "bert", "roberta", "mosaicbert", "modernbert", "xlm-roberta", "camembert", "distilbert", "mpnet" };
enum { NAMES = sizeof names / sizeof *names, LABELS = 3 };

/* ---- golden models with another head -------------------------------------------------- */

static _Noreturn void give_up(const char *why)
{
    test_fail(__FILE__, __LINE__, why);
    fflush(stdout);
    _Exit(1);
}

const char *changed_config(const char *name, const char *key, json_t *value)
{
    static char path[400];
    char from[100];
    snprintf(from, sizeof from, "tests/golden/%s/config.json", name);
    json_t *config = json_load_file(test_file(from), 0, NULL);
    json_object_set_new(config, key, value);
    snprintf(path, sizeof path, "%s/config.json", test_dir());
    if (json_dump_file(config, path, 0)) give_up(path);
    json_decref(config);
    return path;
}

static json_t *class_of(const char *name, const char *ending)
{
    static const char *const stems[NAMES] = { "Bert", "Roberta", "Bert", "ModernBert", "XLMRoberta", "Camembert", "DistilBert", "MPNet" };
    int i = 0;
    while (strcmp(names[i], name)) i++;
    char text[80];
    snprintf(text, sizeof text, "%s%s", stems[i], ending);
    return json_pack("[s]", text);
}

typedef struct {
    lithe_model *model;
    tensor_file *answers;
    int ids[GOLDEN_ROWS], target[GOLDEN_ROWS], type[GOLDEN_ROWS], kind[GOLDEN_ROWS], label[GOLDEN_SEQS], pair[GOLDEN_SEQS], pos[GOLDEN_ROWS], start[GOLDEN_SEQS + 1];
    batch batch;
} subject;

static const file_tensor *answer(const subject *s, const char *name) { return tensor_file_find(s->answers, name); }

static void read_ints(const subject *s, const char *name, int *out, int count)
{
    const file_tensor *t = answer(s, name);
    float values[64];
    if (!t || (int)t->count != count || !file_tensor_floats(t, 0, t->count, values)) give_up(name);
    for (int i = 0; i < count; i++) out[i] = (int)values[i];
}

static void subject_open(subject *s, const char *name, const char *config)
{
    lithe_error err = { 0 };
    char path[128];
    *s = (subject){ 0 };
    snprintf(path, sizeof path, "tests/golden/%s", name);
    s->model = lithe_model_open(test_file(path), config, &err);
    snprintf(path, sizeof path, "tests/golden/%s/golden.safetensors", name);
    if (s->model) s->answers = tensor_file_open(test_file(path), &err);
    if (!s->answers) give_up(err.text);
    read_ints(s, "ids", s->ids, GOLDEN_ROWS);
    read_ints(s, "targets", s->target, GOLDEN_ROWS);
    read_ints(s, "types", s->type, GOLDEN_ROWS);
    read_ints(s, "kinds", s->kind, GOLDEN_ROWS);
    read_ints(s, "labels", s->label, GOLDEN_SEQS);
    read_ints(s, "pairs", s->pair, GOLDEN_SEQS);
    for (int r = 0; r < GOLDEN_ROWS; r++) s->pos[r] = r % GOLDEN_LENGTH;
    for (int i = 0; i <= GOLDEN_SEQS; i++) s->start[i] = i * GOLDEN_LENGTH;
    s->batch = (batch){ .rows = GOLDEN_ROWS, .seqs = GOLDEN_SEQS, .ids = s->ids, .pos = s->pos, .type = s->type, .start = s->start,
                        .target = s->model->task.kind == TASK_TOKENS ? s->kind : s->target, .scale = (real)1 / GOLDEN_ROWS,
                        .label = s->model->task.kind == TASK_PRETRAIN ? s->pair : s->label, .seq_scale = (real)1 / GOLDEN_SEQS };
}

static void subject_close(subject *s)
{
    tensor_file_close(s->answers);
    lithe_model_close(s->model);
}

static graph *planned(const lithe_model *m, const kernels *k, graph_mode mode, int selected, want w, results *r)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = mode, .capacity = { 64, 8, selected }, .poison = true };
    graph *g = graph_new(k, m->params, &o);
    *r = arch_build(m->arch, m->config, &m->task, g, w);
    if (graph_plan(g, &err)) give_up(err.text);
    return g;
}

static void expect_values(const subject *s, const char *job, const char *what, const real *found, double most)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", job ? job : "", job ? "." : "", what);
    const file_tensor *t = answer(s, name);
    float *values = t ? malloc(t->count * sizeof *values) : NULL;
    if (!t || !file_tensor_floats(t, 0, t->count, values)) give_up(name);
    double worst = max_difference(found, values, t->count);
    CHECK_MSG(worst <= most, "%s: %s differs by %.3g", s->model->arch->name, name, worst);
    free(values);
}

/* ---- hidden states ---------------------------------------------------------------------- */

static void hidden_states(const kernels *k)
{
    for (int i = 0; i < NAMES; i++) {
        subject s;
        results r;
        subject_open(&s, names[i], NULL);
        graph *g = planned(s.model, k, GRAPH_SCORE, 0, WANT_HIDDEN, &r);
        graph_run(g, &s.batch);
        expect_values(&s, NULL, "hidden", r.hidden->data, 2e-5);
        graph_close(g);
        subject_close(&s);
    }
}
EACH_LEVEL(static, hidden_states)

/* Three sequences end to end have what the authors' code gives them among padding. */
static void padding_is_not_missed(const kernels *k)
{
    enum { SEQS = 3, LENGTH = 9 };
    for (int i = 0; i < NAMES; i++) {
        subject s;
        results r;
        int padded[SEQS * LENGTH], lengths[SEQS], ids[SEQS * LENGTH], pos[SEQS * LENGTH], start[SEQS + 1] = { 0 }, rows = 0;
        subject_open(&s, names[i], NULL);
        read_ints(&s, "padded.ids", padded, SEQS * LENGTH);
        read_ints(&s, "padded.lengths", lengths, SEQS);
        for (int q = 0; q < SEQS; q++) {
            for (int t = 0; t < lengths[q]; t++, rows++) ids[rows] = padded[q * LENGTH + t], pos[rows] = t;
            start[q + 1] = rows;
        }
        graph *g = planned(s.model, k, GRAPH_SCORE, 0, WANT_HIDDEN, &r);
        graph_run(g, &(batch){ .rows = rows, .seqs = SEQS, .ids = ids, .pos = pos, .start = start });
        const file_tensor *t = answer(&s, "padded.hidden");
        int width = r.hidden->width;
        float *expected = malloc(t->count * sizeof *expected);
        file_tensor_floats(t, 0, t->count, expected);
        for (int q = 0; q < SEQS; q++) {
            double worst = max_difference(r.hidden->data + start[q] * width, expected + q * LENGTH * width, (size_t)(lengths[q] * width));
            CHECK_MSG(worst <= 2e-6, "%s: a sequence of %d among padding differs by %.3g", names[i], lengths[q], worst);
        }
        free(expected);
        graph_close(g);
        subject_close(&s);
    }
}
EACH_LEVEL(static, padding_is_not_missed)

/* ---- every head ---------------------------------------------------------------------------- */

static double norm(const float *x, size_t n) { double sum = 0; for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i]; return sqrt(sum); }

static void check_gradients(const subject *s, const char *job)
{
    const params *p = s->model->params;
    double whole = 0;
    int found = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int t = 0; t < s->answers->count; t++) {
            const file_tensor *a = &s->answers->tensors[t];
            size_t n = strlen(job);
            if (strncmp(a->name, job, n) || strncmp(a->name + n, ".grad.", 6)) continue;
            const char *name = a->name + n + 6, *prefix = s->model->arch->files.prefix, *own = strncmp(name, prefix, strlen(prefix)) ? name : name + strlen(prefix);
            const param *it = params_find(p, own);
            float *expected = malloc(a->count * sizeof *expected);
            file_tensor_floats(a, 0, a->count, expected);
            CHECK_MSG(it && it->count == a->count, "%s: no parameter %s", s->model->arch->name, own);
            if (!pass) whole = hypot(whole, norm(expected, a->count));
            else if (it) {
                double size = fmax(norm(expected, a->count), 1e-3 * whole);
                for (size_t i = 0; i < a->count; i++) expected[i] -= (float)it->grad[i];
                CHECK_MSG(norm(expected, a->count) <= 1e-4 * size, "%s, %s: the gradient of %s is off by %.3g", s->model->arch->name, job, own, norm(expected, a->count) / size);
                found++;
            }
            free(expected);
        }
    CHECK_MSG(found > 8, "%s, %s: %d gradients are known", s->model->arch->name, job, found);
}

static void check_head(const kernels *k, const char *name, const char *job, const char *ending)
{
    subject s;
    results r;
    lithe_error err = { 0 };
    bool of_sequences = !strcmp(job, "classify");
    subject_open(&s, name, changed_config(name, "architectures", class_of(name, ending)));
    graph *g = planned(s.model, k, GRAPH_SCORE, 0, WANT_LOGITS, &r);
    graph_run(g, &s.batch);
    expect_values(&s, job, "logits", r.logits->data, of_sequences ? 1e-5 : 2e-5);
    CHECK_MSG(r.logits->space == (of_sequences ? ROWS_SEQS : ROWS_TOKENS), "%s, %s: logits of other rows", name, job);
    if (!strcmp(job, "pretrain")) expect_values(&s, job, "pair", r.seq_logits->data, 1e-5);
    graph_close(g);
    if (!strcmp(job, "span")) { subject_close(&s); return; }
    params_gradients(s.model->params, &err);
    g = planned(s.model, k, GRAPH_TRAIN, 0, WANT_LOSS, &r);
    graph_run(g, &s.batch);
    double loss = 0;
    const tensor *of_seqs = of_sequences ? r.loss : r.seq_loss;
    for (int i = 0; !of_sequences && i < GOLDEN_ROWS; i++) loss += (double)r.loss->data[i] / GOLDEN_ROWS;
    for (int i = 0; of_seqs && i < GOLDEN_SEQS; i++) loss += (double)of_seqs->data[i] / GOLDEN_SEQS;
    float found = (float)loss;
    expect_values(&s, job, "loss", &found, 2e-6 * loss);
    check_gradients(&s, job);
    graph_close(g);
    subject_close(&s);
}

static void every_head(const kernels *k)
{
    static const struct { const char *name, *job, *ending; } heads[] = {
        { "bert", "pretrain", "ForPreTraining" }, { "bert", "classify", "ForSequenceClassification" }, { "bert", "tokens", "ForTokenClassification" },
        { "bert", "span", "ForQuestionAnswering" }, { "roberta", "classify", "ForSequenceClassification" }, { "roberta", "tokens", "ForTokenClassification" },
        { "roberta", "span", "ForQuestionAnswering" }, { "mosaicbert", "classify", "ForSequenceClassification" },
        { "modernbert", "classify", "ForSequenceClassification" }, { "modernbert", "tokens", "ForTokenClassification" },
        { "xlm-roberta", "classify", "ForSequenceClassification" }, { "xlm-roberta", "tokens", "ForTokenClassification" }, { "xlm-roberta", "span", "ForQuestionAnswering" },
        { "camembert", "classify", "ForSequenceClassification" }, { "camembert", "tokens", "ForTokenClassification" },
        { "distilbert", "classify", "ForSequenceClassification" }, { "distilbert", "tokens", "ForTokenClassification" }, { "distilbert", "span", "ForQuestionAnswering" },
        { "mpnet", "classify", "ForSequenceClassification" }, { "mpnet", "tokens", "ForTokenClassification" }, { "mpnet", "span", "ForQuestionAnswering" },
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) check_head(k, heads[i].name, heads[i].job, heads[i].ending);
}
EACH_LEVEL(static, every_head)

/* ---- what must not pass --------------------------------------------------------------------- */

static double masked_error(const char *name, const char *config, void (*spoil)(lithe_model *))
{
    golden q;
    subject s;
    results r;
    size_t count = GOLDEN_ROWS * GOLDEN_VOCAB;
    golden_open(&q, name, NULL);
    subject_open(&s, name, config);
    if (spoil) spoil(s.model);
    float *logits = golden_values(&q, NULL, "logits", count);
    graph *g = planned(s.model, kernels_level("ref"), GRAPH_SCORE, 0, WANT_LOGITS, &r);
    graph_run(g, &q.batch);
    double worst = max_difference(r.logits->data, logits, count);
    graph_close(g);
    free(logits);
    subject_close(&s);
    golden_close(&q);
    return worst;
}

/* Swaps the first and second half of every layer's gates, or the first and last head of queries, keys and values. */
static void swap_rows(param *p, size_t first, size_t second, size_t rows)
{
    size_t width = p->rule.rank > 1 ? (size_t)p->rule.dims[1] : 1;
    for (size_t i = 0; i < rows * width; i++) {
        real x = p->weight.values[first * width + i];
        p->weight.values[first * width + i] = p->weight.values[second * width + i];
        p->weight.values[second * width + i] = x;
    }
    p->weight.version++;
}

static void swap_gates(lithe_model *m)
{
    params_masters(m->params, NULL);
    for (int t = 0; t < m->params->count; t++) {
        param *p = m->params->items[t];
        size_t half = (size_t)p->rule.dims[0] / 2;
        if (strstr(p->name, "gated_layers") || strstr(p->name, "mlp.Wi")) swap_rows(p, 0, half, half);
    }
}

/* Heads 0, 1, 2 have slopes 1/16, 1/256, 1/4: with heads 0 and 2 in each other's place the slopes are in order of
 * size. */
static void sort_slopes(lithe_model *m)
{
    params_masters(m->params, NULL);
    const size_t hd = 6, d = 18;
    for (int t = 0; t < m->params->count; t++) {
        param *p = m->params->items[t];
        if (strstr(p->name, "Wqkv"))
            for (size_t part = 0; part < 3; part++) swap_rows(p, part * d, part * d + 2 * hd, hd);
        if (!strstr(p->name, "attention.output.dense.weight")) continue;
        for (size_t row = 0; row < d; row++)
            for (size_t c = 0; c < hd; c++) {
                real *x = p->weight.values + row * d + c, kept = *x;
                *x = x[2 * hd];
                x[2 * hd] = kept;
            }
    }
}

static void controls_fail(void)
{
    static const struct { const char *name, *key; double value; const char *text; } wrong[] = {
        { "bert", "hidden_act", 0, "gelu_new" }, { "bert", "layer_norm_eps", 1e-5, NULL }, { "roberta", "pad_token_id", 0, NULL }, { "roberta", "layer_norm_eps", 1e-12, NULL },
        { "mosaicbert", "hidden_act", 0, "gelu_new" }, { "modernbert", "local_attention", 6, NULL }, { "modernbert", "local_attention", 2, NULL },
        { "modernbert", "local_rope_theta", 160, NULL }, { "modernbert", "global_attn_every_n_layers", 2, NULL }, { "modernbert", "hidden_activation", 0, "gelu_new" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *value = wrong[i].text ? json_string(wrong[i].text) : floor(wrong[i].value) < wrong[i].value ? json_real(wrong[i].value) : json_integer((json_int_t)wrong[i].value);
        double error = masked_error(wrong[i].name, changed_config(wrong[i].name, wrong[i].key, value), NULL);
        CHECK_MSG(error > 4e-5, "%s: with another %s the logits differ by %.3g only", wrong[i].name, wrong[i].key, error);
    }
    CHECK(masked_error("mosaicbert", NULL, NULL) <= 2e-5);
    CHECK(masked_error("mosaicbert", NULL, swap_gates) > 1e-3 && masked_error("modernbert", NULL, swap_gates) > 1e-3);
    CHECK(masked_error("mosaicbert", NULL, sort_slopes) > 1e-3);
}

/* ---- distances ----------------------------------------------------------------------------- */

static void buckets(void)
{
    enum { FURTHEST = 600, COUNT = 2 * FURTHEST + 1 };
    subject s;
    int expected[COUNT];
    float values[COUNT];
    subject_open(&s, "mpnet", NULL);
    const file_tensor *t = answer(&s, "buckets");
    CHECK(t && t->count == COUNT && file_tensor_floats(t, 0, COUNT, values));
    for (int i = 0; i < COUNT; i++) expected[i] = (int)values[i];
    for (int i = 0; i < COUNT; i++) CHECK_MSG(distance_bucket(i - FURTHEST) == expected[i], "distance %d is in bucket %d, not %d", i - FURTHEST, distance_bucket(i - FURTHEST), expected[i]);
    subject_close(&s);
}

/* ---- ALiBi ---------------------------------------------------------------------------------- */

static void slopes(void)
{
    subject s;
    subject_open(&s, "mosaicbert", NULL);
    const file_tensor *t = answer(&s, "slopes");
    float theirs[64 * 65 / 2];
    CHECK(t->count == 64 * 65 / 2 && file_tensor_floats(t, 0, t->count, theirs));
    for (int heads = 1, at = 0; heads <= 64; heads++)
        for (int h = 0; h < heads; h++, at++) {
            float ours = (float)alibi_slope(heads, h);
            CHECK_MSG(ours <= nextafterf(theirs[at], 1) && ours >= nextafterf(theirs[at], 0), "head %d of %d: %.9g, not %.9g", h, heads, (double)ours, (double)theirs[at]);
        }
    CHECK(alibi_slope(12, 0) == 0.5 && alibi_slope(12, 7) == 0.00390625 && fabs(alibi_slope(12, 8) - M_SQRT1_2) < 1e-16);
    subject_close(&s);
}

/* ---- order and company -------------------------------------------------------------------------- */

/* Three sequences in every order: each has the same bytes. */
static void order_does_not_matter(const kernels *k)
{
    static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
    for (int i = 0; i < NAMES; i++) {
        subject s;
        results r;
        float first[SMALL_ROWS * 32];
        small_batch b;
        subject_open(&s, names[i], NULL);
        graph *g = planned(s.model, k, GRAPH_SCORE, 0, WANT_HIDDEN, &r);
        size_t width = (size_t)r.hidden->width;
        small_fill(&b, GOLDEN_VOCAB, 3);
        for (int o = 0; o < 3; o++) {
            int ids[SMALL_ROWS], pos[SMALL_ROWS], type[SMALL_ROWS], start[4] = { 0 }, rows = 0;
            for (int q = 0; q < 3; q++) {
                for (int t = b.start[orders[o][q]]; t < b.start[orders[o][q] + 1]; t++, rows++) ids[rows] = b.ids[t], pos[rows] = b.pos[t], type[rows] = b.type[t];
                start[q + 1] = rows;
            }
            graph_run(g, &(batch){ .rows = rows, .seqs = 3, .ids = ids, .pos = pos, .type = type, .start = start });
            if (!o) memcpy(first, r.hidden->data, SMALL_ROWS * width * sizeof *first);
            for (int q = 0; q < 3; q++) {
                int from = orders[o][q];
                CHECK_MSG(!memcmp(first + (size_t)b.start[from] * width, r.hidden->data + (size_t)start[q] * width, (size_t)(start[q + 1] - start[q]) * width * sizeof *first),
                          "%s: order %d changes sequence %d", names[i], o, from);
            }
        }
        graph_close(g);
        subject_close(&s);
    }
}
EACH_LEVEL(static, order_does_not_matter)

/* The head over the masked rows alone, against all rows of which the others weigh nothing. */
static void masked_rows_alone(const kernels *k)
{
    static const int chosen[] = { 1, 4, 5, 9, 16 };
    enum { CHOSEN = 5 };
    for (int i = 0; i < NAMES; i++) {
        small_batch b;
        results r;
        lithe_error err = { 0 };
        subject s;
        subject_open(&s, names[i], NULL);
        params *p = s.model->params;
        int target[CHOSEN];
        small_fill(&b, GOLDEN_VOCAB, 3);
        real weight[SMALL_ROWS] = { 0 };
        for (int c = 0; c < CHOSEN; c++) weight[chosen[c]] = 1, target[c] = b.target[chosen[c]];
        params_gradients(p, &err);
        graph *g = planned(s.model, k, GRAPH_TRAIN, 0, WANT_LOSS, &r);
        b.b.weight = weight, b.b.scale = (real)1 / CHOSEN;
        for (int t = 0; t < p->count; t++)                              /* rows that no token names begin anew too */
            for (size_t j = 0; j < p->items[t]->count; j++) p->items[t]->grad[j] = (real)NAN;
        double all = run_loss(g, &r, &b.b), alone = 0;
        real *grad = malloc(p->arena_count * sizeof *grad);
        memcpy(grad, p->grad, p->arena_count * sizeof *grad);
        graph_close(g);
        g = planned(s.model, k, GRAPH_TRAIN, 8, WANT_LOSS, &r);
        b.b.weight = NULL, b.b.select = chosen, b.b.selected = CHOSEN, b.b.target = target;
        graph_run(g, &b.b);
        for (int c = 0; c < CHOSEN; c++) alone += (double)r.loss->data[c] / CHOSEN;
        CHECK_MSG(fabs(all - alone) <= 1e-6 * all, "%s: a loss of %.9g over masked rows, %.9g over all", names[i], alone, all);
        CHECK_MSG(relative_error(p->grad, grad, p->arena_count) <= 1e-6, "%s: other gradients over masked rows: %.3g", names[i], relative_error(p->grad, grad, p->arena_count));
        b.b.selected = 0;
        graph_run(g, &b.b);
        double none = 0;
        for (size_t j = 0; j < p->arena_count; j++) none += fabs((double)p->grad[j]);
        CHECK_MSG(!(none > 0), "%s: no masked row at all has gradients", names[i]);
        graph_close(g);
        free(grad);
        subject_close(&s);
    }
}
EACH_LEVEL(static, masked_rows_alone)

/* A sequence's dropped rows depend on nothing but itself: parts of a step are the step, with the classifier's dropout
 * too. */
static void dropped_alike_in_parts(const kernels *k)
{
    static const char *const configs[][2] = {
        { "bert", SMALL_ENCODER "\"hidden_dropout_prob\":0.2,\"attention_probs_dropout_prob\":0.1,\"classifier_dropout\":0.4" SMALL_CLASSIFY },
        { "roberta", SMALL_ENCODER "\"type_vocab_size\":1,\"hidden_dropout_prob\":0.3" SMALL_CLASSIFY },
        { "modernbert", SMALL_ENCODER "\"local_attention\":4,\"mlp_dropout\":0.2,\"classifier_dropout\":0.4,\"classifier_pooling\":\"mean\"" SMALL_CLASSIFY },
    };
    for (size_t c = 0; c < sizeof configs / sizeof *configs; c++) {
        small_model m = small_new(configs[c][0], configs[c][1], 4);
        small_batch b;
        results r;
        small_fill(&b, 23, 8);
        graph *g = small_graph(&m, GRAPH_TRAIN, c == 1, k->name, &r);
        double whole = small_loss(g, &r, &b), parts = 0;
        real *grad = malloc(m.p->arena_count * sizeof *grad);
        memcpy(grad, m.p->grad, m.p->arena_count * sizeof *grad);
        for (int s = SMALL_SEQS; s-- > 0; ) {
            int first = b.start[s], start[2] = { 0, b.start[s + 1] - first };
            batch part = { .rows = start[1], .seqs = 1, .ids = b.ids + first, .pos = b.pos + first, .type = b.type + first, .start = start, .label = b.label + s,
                           .row_key = b.row_key + first, .seq_scale = b.b.seq_scale, .accumulate = s < SMALL_SEQS - 1 };
            graph_run(g, &part);
            parts += (double)r.loss->data[0] * (double)part.seq_scale;
        }
        CHECK_MSG(fabs(parts - whole) <= 1e-6 * whole, "%s: a loss of %.9g in parts, %.9g at once", configs[c][0], parts, whole);
        CHECK_MSG(relative_error(m.p->grad, grad, m.p->arena_count) <= 2e-6, "%s: gradients in parts are off by %.3g", configs[c][0], relative_error(m.p->grad, grad, m.p->arena_count));
        free(grad);
        graph_close(g);
        small_free(&m);
    }
}
EACH_LEVEL(static, dropped_alike_in_parts)

const test tests_encoders[] = {
    { "encoders: the bucket of each distance", buckets },
    LEVELS("encoders: hidden states as the authors'", hidden_states)
    LEVELS("encoders: padding is not missed", padding_is_not_missed)
    LEVELS("encoders: every head as the authors'", every_head)
    { "encoders: what is another model differs", controls_fail },
    { "encoders: ALiBi's slopes", slopes },
    LEVELS("encoders: the order of a batch", order_does_not_matter)
    LEVELS("encoders: the head over masked rows alone", masked_rows_alone)
    LEVELS("encoders: parts of a step drop alike", dropped_alike_in_parts)
    { "encoders: published sizes", encoders_published_sizes },
    { "encoders: published names and spellings", encoders_names },
    { "encoders: what is refused", encoders_refused },
    { "encoders: initial values are cut", encoders_initial_values },
    { "encoders: several labels at once", encoders_several_labels },
    { "encoders: growing keeps what it can", encoders_grow },
    { 0 }
};

/* ALiBi at lengths never trained: a small MosaicBERT learns masked characters in
 * windows of 64 and reads windows of 64, 128 and 256, the same characters masked
 * in each; the same model with learned positions refuses more than its table.
 *   extrapolation FILE...      (make check-long)
 * Prints cross-entropies in nats a masked character; exits 1 when that of 256 is
 * over 1.03 times that of 64, or nothing was learned, or the other model reads on. */
#include "base/random.h"
#include "infer/infer.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAINED = 64, LONGEST = 256, SEQS = 16, ROWS = SEQS * TRAINED, STEPS = 1500, WARMUP = 100, MASK = 256, MOST = 1 << 20 };
#define SIZES "\"vocab_size\":320,\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":128,\"max_position_embeddings\":64," \
              "\"initializer_range\":0.1,\"hidden_dropout_prob\":0,\"attention_probs_dropout_prob\":0}"

typedef struct { unsigned char bytes[MOST]; size_t size; } corpus;
typedef struct { int ids[ROWS], pos[ROWS], start[SEQS + 1], select[ROWS], target[ROWS]; batch b; } window_batch;

static size_t read_all(corpus *c, int count, char **paths)
{
    for (int i = 0; i < count; i++) {
        FILE *f = fopen(paths[i], "r");
        if (f) c->size += fread(c->bytes + c->size, 1, MOST - c->size, f);
        if (f) fclose(f);
    }
    return c->size;
}

static bool masked(uint64_t seed, size_t at) { return random_unit(seed, at) < 0.3; }

/* One window of `length` bytes from `at` on; what is masked depends on (seed, its place in the text) alone. */
static void add_window(window_batch *s, const corpus *c, size_t at, int length, uint64_t seed)
{
    for (int i = 0; i < length; i++) {
        int row = s->b.rows++, byte = c->bytes[at + (size_t)i];
        s->ids[row] = byte, s->pos[row] = i;
        if (!masked(seed, at + (size_t)i)) continue;
        s->ids[row] = MASK;
        s->select[s->b.selected] = row, s->target[s->b.selected++] = byte;
    }
    s->start[++s->b.seqs] = s->b.rows;
}

static void clear(window_batch *s)
{
    s->b = (batch){ .ids = s->ids, .pos = s->pos, .start = s->start, .select = s->select, .target = s->target };
    s->start[0] = 0;
}

static double run(graph *g, const results *r, window_batch *s)
{
    double sum = 0;
    s->b.scale = (real)(1.0 / (s->b.selected > 0 ? s->b.selected : 1));
    graph_run(g, &s->b);
    for (int i = 0; i < s->b.selected; i++) sum += (double)r->loss->data[i];
    return sum;
}

static graph *planned(const lithe_model *m, graph_mode mode, int rows, results *r, lithe_error *err)
{
    graph_options o = { .mode = mode, .capacity = { rows, SEQS, rows } };
    graph *g = graph_new(kernels_default(), m->params, &o);
    *r = arch_build(m->arch, m->config, &m->task, g, WANT_LOSS);
    graph_plan(g, err);
    return g;
}

static void adamw(params *p, real *m, real *v, int at)
{
    double lr = 4e-3 * fmin((double)at / WARMUP, (double)(STEPS - at + 1) / (STEPS - WARMUP));
    adamw_args a = { .lr = (real)lr, .beta1 = (real)0.9, .beta2 = (real)0.98, .eps = (real)1e-6, .scale = 1,
                     .correction1 = (real)(1 - pow(0.9, at)), .correction2 = (real)(1 - pow(0.98, at)) };
    kernels_default()->adamw(p->values, m, v, p->grad, p->arena_count, &a);
    params_edit(p);
}

static void train(lithe_model *m, const corpus *c, size_t end, window_batch *s, lithe_error *err)
{
    results r;
    params_gradients(m->params, err);
    graph *g = planned(m, GRAPH_TRAIN, ROWS, &r, err);
    real *moments = calloc(2 * m->params->arena_count, sizeof *moments);
    for (int n = 1; moments && !err->status && n <= STEPS; n++) {
        clear(s);
        for (int q = 0; q < SEQS; q++) add_window(s, c, random_u64(5, (uint64_t)(n * SEQS + q)) % (end - TRAINED), TRAINED, (uint64_t)n);
        run(g, &r, s);
        adamw(m->params, moments, moments + m->params->arena_count, n);
    }
    graph_close(g);
    free(moments);
}

/* Of the text from `first` on, in windows of `length`: nats a masked byte. */
static double evaluate(const lithe_model *m, const corpus *c, size_t first, int length, window_batch *s, lithe_error *err)
{
    results r;
    double sum = 0;
    size_t count = 0, windows = (c->size - first) / LONGEST * (size_t)(LONGEST / length);
    graph *g = planned(m, GRAPH_SCORE, ROWS, &r, err);
    for (size_t w = 0; !err->status && w < windows; w++) {
        clear(s);
        add_window(s, c, first + w * (size_t)length, length, 99);
        count += (size_t)s->b.selected;
        sum += run(g, &r, s);
    }
    graph_close(g);
    return sum / (double)count;
}

/* What knowing how often each byte stands gives: a model that reads its neighbours is well below. */
static double by_frequency(const corpus *c, size_t first)
{
    double count[256], sum = 0;
    for (int i = 0; i < 256; i++) count[i] = 1;
    for (size_t i = 0; i < first; i++) count[c->bytes[i]]++;
    for (size_t i = first; i < c->size; i++) sum -= log(count[c->bytes[i]] / (double)(first + 256));
    return sum / (double)(c->size - first);
}

static bool learned_positions_refuse(lithe_error *err)
{
    static int32_t ids[TRAINED + 1];
    static float logits[(TRAINED + 1) * 320];
    lithe_error says = { 0 };
    lithe_model *m = lithe_model_new("bert", "{" SIZES, 1, err);
    bool refuses = m && !lithe_logits(m, ids, TRAINED, logits, &says) && lithe_logits(m, ids, TRAINED + 1, logits, &says) < 0;
    printf("learned positions: %s\n", says.text);
    lithe_model_close(m);
    return refuses;
}

int main(int argc, char **argv)
{
    static corpus text;
    static window_batch s;
    lithe_error err = { 0 };
    double nats[3] = { 0 };
    if (read_all(&text, argc - 1, argv + 1) < 20 * LONGEST) { fprintf(stderr, "extrapolation FILE...: at least %d bytes of text\n", 20 * LONGEST); return 2; }
    size_t end = text.size / 10 * 9;
    lithe_model *m = lithe_model_new("mosaicbert", "{" SIZES, 1, &err);
    if (m) train(m, &text, end, &s, &err);
    for (int i = 0; m && i < 3; i++) {
        nats[i] = evaluate(m, &text, end, TRAINED << i, &s, &err);
        printf("mosaicbert, trained at %d: %.4f nats a masked character in windows of %d (%.3f times)\n", TRAINED, nats[i], TRAINED << i, nats[i] / nats[0]);
    }
    double known = by_frequency(&text, end);
    printf("by frequency alone: %.4f\n", known);
    bool refuses = learned_positions_refuse(&err);
    if (err.status) fprintf(stderr, "%s\n", err.text);
    lithe_model_close(m);
    return err.status || !refuses || !(nats[0] < 0.9 * known) || !(nats[2] <= 1.03 * nats[0]);
}

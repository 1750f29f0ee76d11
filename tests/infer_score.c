/* Likelihoods in windows against a direct computation from logits; two models
 * compared; logits as a file. */
#include "base/random.h"
#include "infer/infer.h"
#include "infer_tests.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { VOCAB = 23, LONGEST = 24 };

static lithe_model *fresh(uint64_t seed)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("llama", SMALL_LLAMA, seed, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    return m;
}

static int32_t *some_ids(size_t n)
{
    int32_t *ids = malloc(n * sizeof *ids);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(random_u64(3, i) % VOCAB);
    return ids;
}

/* -ln p of ids[i+1], given ids[begin] .. ids[i]. */
static double direct(lithe_model *m, const int32_t *ids, size_t begin, size_t i)
{
    lithe_error err = { 0 };
    float logits[LONGEST * VOCAB];
    CHECK_MSG(!lithe_logits(m, ids + begin, i - begin + 1, logits, &err), "%s", err.text);
    const float *last = logits + (i - begin) * VOCAB;
    double total = 0;
    for (int v = 0; v < VOCAB; v++) total += exp((double)last[v]);
    return log(total) - (double)last[ids[i + 1]];
}

/* Window w reads ids[w*stride ..+ctx-1] and scores what no earlier one did. */
static void check_windows(lithe_model *m, const int32_t *ids, size_t n, int ctx, int stride)
{
    lithe_error err = { 0 };
    float *nll = malloc(n * sizeof *nll);
    double total = -1, expected = 0;
    for (size_t i = 0; i < n; i++) nll[i] = NAN;
    CHECK_MSG(!lithe_score(m, ids, n, ctx, stride, nll, &total, &err), "%s", err.text);
    size_t window = ctx ? (size_t)ctx : LONGEST, advance = stride ? (size_t)stride : window, scored = 0;
    for (size_t begin = 0; scored + 1 < n; begin += advance)
        for (; scored + 1 < n && scored < begin + window; scored++) {
            double one = direct(m, ids, begin, scored);
            CHECK_MSG(fabs((double)nll[scored] - one) < 1e-5, "%zu ids, windows of %d by %d: token %zu scores %.7f, not %.7f", n, ctx, stride, scored + 1, (double)nll[scored], one);
            expected += one;
        }
    CHECK_MSG(fabs(total - expected) < 1e-5 * (double)n, "%zu ids, windows of %d by %d: %.7f in all, not %.7f", n, ctx, stride, total, expected);
    free(nll);
}

void scores_in_windows(void)
{
    static const struct { size_t n; int ctx, stride; } ways[] = {
        { 2, 0, 0 }, { 5, 0, 0 }, { 25, 0, 0 }, { 26, 0, 0 }, { 49, 0, 0 }, { 120, 0, 0 }, { 120, 8, 0 }, { 120, 8, 8 }, { 120, 8, 1 }, { 121, 8, 3 },
        { 122, 8, 5 }, { 9, 8, 4 }, { 10, 8, 4 }, { 7, 8, 4 }, { 60, 1, 1 }, { 70, 24, 23 }, { 3000, 24, 0 }, { 2, 1, 1 },
    };
    lithe_model *m = fresh(5);
    int32_t *ids = some_ids(3000);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) check_windows(m, ids, ways[i].n, ways[i].ctx, ways[i].stride);
    lithe_error err = { 0 };
    double total = 0;
    CHECK(!lithe_score(m, ids, 50, 0, 0, NULL, &total, &err) && total > 0);
    CHECK(!lithe_score(m, ids, 50, 0, 0, NULL, NULL, &err));
    free(ids);
    lithe_model_close(m);
}

static void check_refused(int status, lithe_error *err, const char *text)
{
    CHECK_MSG(status == LITHE_EINVAL && err->status == LITHE_EINVAL && strstr(err->text, text), "\"%s\" does not say \"%s\"", err->text, text);
    *err = (lithe_error){ 0 };
}

/* In a model of one layer with rotary positions, the logits after a token are those of the tokens in its window
 * alone. */
static void check_window(const char *config, size_t window, bool decoded)
{
    enum { N = 24, V = 61 };
    static float all[N][V], part[N][V];
    lithe_error err = { 0 };
    int32_t ids[N];
    for (int i = 0; i < N; i++) ids[i] = (i * 17 + 5) % V;
    lithe_model *m = lithe_model_new("llama", config, 4, &err);
    CHECK_MSG(m, "%s", err.text);
    small_perturb(m->params, 0.3, 7);
    lithe_session *s = lithe_session_open(m, 0, &err);
    if (!decoded) CHECK(!lithe_logits(m, ids, N, all[0], &err));
    for (size_t p = 0; p < N && decoded; p++) {
        CHECK(!lithe_session_push(s, ids[p], &err));
        memcpy(all[p], lithe_session_logits(s), sizeof all[p]);
    }
    for (size_t p = 0; p < N; p++) {
        size_t n = p + 1 < window ? p + 1 : window;
        double worst = 0;
        CHECK(!lithe_logits(m, ids + p + 1 - n, n, part[0], &err));
        for (int v = 0; v < V; v++) worst = fmax(worst, fabs((double)all[p][v] - (double)part[n - 1][v]));
        CHECK_MSG(worst < 1e-4, "%s: token %zu differs by %g", config, p, worst);
    }
    lithe_session_close(s);
    lithe_model_close(m);
}

void sliding_windows(void)
{
#define ONE_LAYER(rest) "{\"vocab_size\":61,\"hidden_size\":16,\"intermediate_size\":24,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"max_position_embeddings\":32," rest "}"
    for (int decoded = 0; decoded < 2; decoded++) {
        check_window(ONE_LAYER("\"model_type\":\"mistral\",\"sliding_window\":5"), 5, decoded);
        check_window(ONE_LAYER("\"model_type\":\"mistral\""), 24, decoded);         /* 4096: longer than the context */
        check_window(ONE_LAYER("\"model_type\":\"qwen2\",\"use_sliding_window\":true,\"sliding_window\":7,\"max_window_layers\":0"), 7, decoded);
        check_window(ONE_LAYER("\"model_type\":\"qwen2\",\"use_sliding_window\":true,\"sliding_window\":7,\"max_window_layers\":1"), 24, decoded);
        check_window(ONE_LAYER("\"model_type\":\"qwen2\",\"use_sliding_window\":true,\"sliding_window\":7"), 24, decoded);
    }
}

void scoring_refuses(void)
{
    lithe_model *m = fresh(5);
    int32_t *ids = some_ids(40), bad[] = { 1, 2, 3, 77 };
    lithe_error err = { 0 };
    float logits[VOCAB * 50];
    check_refused(lithe_score(m, ids, 1, 0, 0, NULL, NULL, &err), &err, "1 tokens");
    check_refused(lithe_score(m, ids, 0, 0, 0, NULL, NULL, &err), &err, "0 tokens");
    check_refused(lithe_score(m, ids, 30, 25, 0, NULL, NULL, &err), &err, "25");
    check_refused(lithe_score(m, ids, 30, 8, 9, NULL, NULL, &err), &err, "stride of 9");
    check_refused(lithe_score(m, ids, 30, -1, 0, NULL, NULL, &err), &err, "-1");
    check_refused(lithe_score(m, ids, 30, 8, -3, NULL, NULL, &err), &err, "-3");
    check_refused(lithe_score(m, bad, 4, 0, 0, NULL, NULL, &err), &err, "token 77 at place 3");
    check_refused(lithe_logits(m, bad, 4, logits, &err), &err, "token 77 at place 3");
    check_refused(lithe_logits(m, ids, 0, logits, &err), &err, "0 ids");
    check_refused(lithe_logits(m, ids, 25, logits, &err), &err, "25 ids");
    CHECK(lithe_score(NULL, ids, 5, 0, 0, NULL, NULL, &err) && lithe_logits(NULL, ids, 5, logits, &err));
    free(ids);
    lithe_model_close(m);
}

void two_models_compared(void)
{
    enum { N = 60 };
    lithe_model *a = fresh(1), *b = fresh(2);
    lithe_error err = { 0 };
    lithe_growth report = { .preserves = 7 };
    int32_t *ids = some_ids(N);
    double largest = 0, difference = 0, divergence = 0;
    for (size_t first = 0; first < N; first += LONGEST) {
        float x[LONGEST * VOCAB], y[LONGEST * VOCAB];
        size_t rows = N - first < LONGEST ? N - first : LONGEST;
        CHECK(!lithe_logits(a, ids + first, rows, x, &err) && !lithe_logits(b, ids + first, rows, y, &err));
        for (size_t i = 0; i < rows * VOCAB; i++) {
            largest = fmax(largest, fabs((double)x[i]));
            difference = fmax(difference, fabs((double)x[i] - (double)y[i]));
        }
        for (size_t r = 0; r < rows; r++) {
            double sum[2] = { 0 };
            for (size_t c = 0; c < VOCAB; c++) sum[0] += exp((double)x[r * VOCAB + c]), sum[1] += exp((double)y[r * VOCAB + c]);
            for (size_t c = 0; c < VOCAB; c++) {
                double p = exp((double)x[r * VOCAB + c]) / sum[0], q = exp((double)y[r * VOCAB + c]) / sum[1];
                divergence += p * log(p / q) / N;
            }
        }
    }
    CHECK(!lithe_compare(a, b, ids, N, &report, &err) && report.preserves == 7);
    CHECK_MSG(fabs(report.max_logit - largest) < 1e-6 && fabs(report.max_difference - difference) < 1e-6, "%g %g, not %g %g",
              report.max_logit, report.max_difference, largest, difference);
    CHECK_MSG(divergence > 0.1 && fabs(report.divergence - divergence) < 1e-6 * divergence, "a divergence of %.9g, not %.9g", report.divergence, divergence);
    CHECK(!lithe_compare(a, a, ids, N, &report, &err) && report.max_difference == 0 && fabs(report.divergence) < 1e-12);
    for (int i = 0; i < N; i++) ids[i] %= VOCAB - 1;    /* a token that stands in the first pass only and breaks it */
    ids[3] = VOCAB - 1;
    param *embedding = params_find(b->params, "model.embed_tokens.weight");
    embedding->weight.values[embedding->count - 1] = NAN;
    CHECK(!lithe_compare(a, b, ids, N, &report, &err) && isnan(report.max_difference));
    CHECK(!lithe_compare(b, a, ids, N, &report, &err) && isnan(report.max_difference) && isnan(report.max_logit));

    check_refused(lithe_compare(a, b, ids, 0, &report, &err), &err, "no tokens");
    lithe_model *other = lithe_model_new("gpt2", "{\"vocab_size\":31,\"n_positions\":8,\"n_embd\":8,\"n_layer\":1,\"n_head\":1}", 1, &err);
    check_refused(lithe_compare(other, a, ids, 5, &report, &err), &err, "31 and 23");
    CHECK(lithe_compare(NULL, a, ids, 5, &report, &err) && lithe_compare(a, NULL, ids, 5, &report, &err));
    lithe_model_close(other);
    lithe_model_close(a);
    lithe_model_close(b);
    free(ids);
}

void logits_in_a_file(void)
{
    lithe_model *m = fresh(1);
    lithe_error err = { 0 };
    int32_t *ids = some_ids(7);
    float logits[7 * VOCAB], read[7 * VOCAB];
    char path[400];
    snprintf(path, sizeof path, "%s/logits.safetensors", test_dir());
    CHECK_MSG(!lithe_logits_save(m, ids, 7, path, &err) && !lithe_logits(m, ids, 7, logits, &err), "%s", err.text);
    tensor_file *f = tensor_file_open(path, &err);
    const file_tensor *t = f ? tensor_file_find(f, "logits") : NULL;
    CHECK_MSG(t && t->type == DT_F32 && t->rank == 2 && t->dims[0] == 7 && t->dims[1] == VOCAB, "%s", err.text);
    CHECK(t && file_tensor_floats(t, 0, 7 * VOCAB, read) && !memcmp(read, logits, sizeof logits));
    tensor_file_close(f);
    CHECK(lithe_logits_save(m, ids, 25, path, &err) == LITHE_EINVAL);
    free(ids);
    lithe_model_close(m);
}

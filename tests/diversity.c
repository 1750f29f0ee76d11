/* Measures of feature diversity: worked examples, invariances, the lemmas of the
 * papers, collapse of attention without skips; eigenvalues against Jacobi's
 * method; and a model's own rows measured again from their definitions. */
#include "base/eigen.h"
#include "lithe_eval.h"
#include "base/random.h"
#include "infer/infer.h"
#include "eval/diversity.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

static bool close_to(double a, double b, double tolerance) { return fabs(a - b) <= tolerance * fmax(fabs(b), 1e-300); }
static double normal(uint64_t stream, size_t i) { return random_normal(key_of(stream, 5), i); }

/* ---- eigenvalues ---------------------------------------------------------------------- */

/* Jacobi's rotations (1846), slow and independent; sorted, largest first. */
static void jacobi(double *a, int n, double *values)
{
    for (int sweep = 0; sweep < 60; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double apq = a[p * n + q];
                if (fabs(apq) < 1e-300) continue;
                double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq), t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
                for (int k = 0; k < n; k++) {
                    double x = a[k * n + p], y = a[k * n + q];
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for (int k = 0; k < n; k++) {
                    double x = a[p * n + k], y = a[q * n + k];
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
            }
    for (int i = 0; i < n; i++) values[i] = a[i * n + i];
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            if (values[j] > values[i]) { double x = values[i]; values[i] = values[j]; values[j] = x; }
}

typedef struct { const double *a; int n; } dense_matrix;
static void multiply(void *context, const double *x, double *y)
{
    const dense_matrix *m = context;
    for (int i = 0; i < m->n; i++) {
        y[i] = 0;
        for (int j = 0; j < m->n; j++) y[i] += m->a[i * m->n + j] * x[j];
    }
}

/* b b' of rank r: zeros among the eigenvalues. */
static double *some_matrix(int n, int rank, uint64_t stream)
{
    double *a = calloc((size_t)(n * n), sizeof *a), *b = malloc((size_t)(n * rank) * sizeof *b);
    for (int i = 0; i < n * rank; i++) b[i] = normal(stream, (size_t)i);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < rank; k++) a[i * n + j] += b[i * rank + k] * b[j * rank + k];
    free(b);
    return a;
}

static void eigenvalues_are_jacobis(void)
{
    static const int sizes[][2] = { { 1, 1 }, { 2, 2 }, { 3, 1 }, { 7, 7 }, { 16, 5 }, { 33, 33 }, { 60, 90 } };
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        int n = sizes[c][0];
        double *a = some_matrix(n, sizes[c][1], c), *copy = some_matrix(n, sizes[c][1], c), *found = malloc((size_t)n * sizeof *found), *right = malloc((size_t)n * sizeof *right);
        double *work = malloc((size_t)(n * n + 3 * n) * sizeof *work);
        dense_matrix m = { a, n };
        double top = eigenvalue_largest(multiply, &m, n, work);
        jacobi(copy, n, right);
        eigenvalues(a, n, found, work);
        for (int i = 0; i < n; i++) CHECK_MSG(fabs(found[i] - right[i]) <= 1e-12 * right[0], "%d of %d: %.15g, not %.15g", i, n, found[i], right[i]);
        CHECK_MSG(close_to(top, right[0], 1e-9), "the largest of %d: %.15g, not %.15g", n, top, right[0]);
        free(a), free(copy), free(found), free(right), free(work);
    }
    double bad[4] = { 1, NAN, NAN, 2 }, values[2], work[6], zero[4] = { 0 };
    eigenvalues(bad, 2, values, work);
    CHECK(isnan(values[0]) && isnan(values[1]));
    eigenvalues(zero, 2, values, work);
    CHECK(fabs(values[0]) < 1e-200 && fabs(values[1]) < 1e-200);
}

/* ---- worked examples --------------------------------------------------------------------- */

static void worked_examples(void)
{
    static const float rows[] = { 3, 0, 1, 0, 3, 0, 1, 0 };
    double s[SEQUENCE_MEASURES], all[SPREAD_MEASURES];
    CHECK(!diversity_of_sequence(rows, 4, 2, s));
    CHECK_MSG(close_to(s[DIVERSITY_DM] * sqrt(4), 2, 1e-6) && close_to(s[DIVERSITY_REL], 0.4472136, 1e-6) && close_to(s[DIVERSITY_REL_COMP], 0.4082483, 1e-6) &&
              fabs(s[DIVERSITY_RANK1]) <= 1e-6 && close_to(s[DIVERSITY_COS], 1, 1e-12) && close_to(s[DIVERSITY_STABLE_RANK], 1, 1e-9),
              "dm %g, rel %g, rel_comp %g, rank1 %g", s[DIVERSITY_DM], s[DIVERSITY_REL], s[DIVERSITY_REL_COMP], s[DIVERSITY_RANK1]);

    float pairs[20 * 10] = { 0 };                            /* rows +s_k e_k and -s_k e_k */
    for (int k = 0; k < 8; k++) pairs[(2 * k) * 8 + k] = (float)pow(2, -0.5 * k), pairs[(2 * k + 1) * 8 + k] = -(float)pow(2, -0.5 * k);
    CHECK(!diversity_of_rows(pairs, 16, 8, all));
    CHECK_MSG(all[SPREAD_DEFF80] == 3, "%g components", all[SPREAD_DEFF80]);
    double sum = 0, squares = 0;
    for (int k = 0; k < 8; k++) sum += pow(2, -k), squares += pow(4, -k);
    CHECK(close_to(all[SPREAD_PR], sum * sum / squares, 1e-6) && close_to(all[SPREAD_PC3], 1.75 / sum, 1e-6));
    memset(pairs, 0, sizeof pairs);
    for (int k = 0; k < 10; k++) pairs[(2 * k) * 10 + k] = 0.5f, pairs[(2 * k + 1) * 10 + k] = -0.5f;
    CHECK(!diversity_of_rows(pairs, 20, 10, all));
    CHECK_MSG(all[SPREAD_DEFF80] == 8 && all[SPREAD_DEFF90] == 9 && close_to(all[SPREAD_PR], 10, 1e-6) && close_to(all[SPREAD_ERANK], 10, 1e-6) && close_to(all[SPREAD_PC3], 0.3, 1e-6),
              "%g %g %g %g", all[SPREAD_DEFF80], all[SPREAD_PR], all[SPREAD_ERANK], all[SPREAD_PC3]);
}

static float *random_rows(int n, int width, uint64_t stream, double shift)
{
    float *rows = malloc((size_t)(n * width) * sizeof *rows);
    for (int i = 0; i < n * width; i++) rows[i] = (float)(normal(stream, (size_t)i) + shift);
    return rows;
}

/* A common vector, a rotation of the channels, an order of the tokens, a scale; and few tokens through the other
 * matrix. */
static void invariances(void)
{
    enum { N = 24, W = 10 };
    float *rows = random_rows(N, W, 1, 0.3), moved[N * W];
    double s[SEQUENCE_MEASURES], t[SEQUENCE_MEASURES], a[SPREAD_MEASURES], b[SPREAD_MEASURES];
    diversity_of_sequence(rows, N, W, s);
    diversity_of_rows(rows, N, W, a);
    for (int i = 0; i < N * W; i++) moved[i] = rows[i] + (float)(i % W) * 0.25f;
    diversity_of_sequence(moved, N, W, t);
    diversity_of_rows(moved, N, W, b);
    CHECK(close_to(t[DIVERSITY_DM], s[DIVERSITY_DM], 1e-5) && close_to(b[SPREAD_PR], a[SPREAD_PR], 1e-5));
    for (int r = 0; r < N; r++)                         /* rotated by 0.7 in each pair of channels, tokens backwards */
        for (int c = 0; c < W; c += 2) {
            float x = rows[(N - 1 - r) * W + c], y = rows[(N - 1 - r) * W + c + 1];
            moved[r * W + c] = (float)(cos(0.7) * (double)x - sin(0.7) * (double)y);
            moved[r * W + c + 1] = (float)(sin(0.7) * (double)x + cos(0.7) * (double)y);
        }
    diversity_of_sequence(moved, N, W, t);
    diversity_of_rows(moved, N, W, b);
    for (int i = 0; i < SEQUENCE_MEASURES; i++) CHECK(i == DIVERSITY_REL_COMP || close_to(t[i], s[i], 1e-5));
    for (int i = 0; i < SPREAD_MEASURES; i++) CHECK(close_to(b[i], a[i], 1e-5));
    for (int i = 0; i < N * W; i++) moved[i] = 3 * rows[i];
    diversity_of_sequence(moved, N, W, t);
    CHECK(close_to(t[DIVERSITY_DM], 3 * s[DIVERSITY_DM], 1e-5) && close_to(t[DIVERSITY_REL], s[DIVERSITY_REL], 1e-5) && close_to(t[DIVERSITY_STABLE_RANK], s[DIVERSITY_STABLE_RANK], 1e-5));
    /* Five tokens: products of rows instead of columns; zeros in more channels change nothing, though they change the
     * method. */
    float narrow[5 * 4], wide[5 * 12] = { 0 };
    for (int i = 0; i < 20; i++) narrow[i] = wide[i / 4 * 12 + i % 4] = rows[i];
    diversity_of_rows(narrow, 5, 4, a);
    diversity_of_rows(wide, 5, 12, b);
    for (int i = 0; i < SPREAD_MEASURES; i++) CHECK_MSG(close_to(b[i], a[i], 1e-9), "%d: %g and %g", i, b[i], a[i]);
    free(rows);
}

/* rel^2 = (1 - 1/n)(1 - cos) for rows of length 1. */
static void unit_rows(void)
{
    enum { N = 30, W = 7 };
    for (uint64_t stream = 0; stream < 20; stream++) {
        float *rows = random_rows(N, W, stream, 0.4);
        double s[SEQUENCE_MEASURES];
        for (int r = 0; r < N; r++) {
            double length = 0;
            for (int c = 0; c < W; c++) length += (double)rows[r * W + c] * (double)rows[r * W + c];
            for (int c = 0; c < W; c++) rows[r * W + c] = (float)((double)rows[r * W + c] / sqrt(length));
        }
        diversity_of_sequence(rows, N, W, s);
        double right = (1 - 1.0 / N) * (1 - s[DIVERSITY_COS]);
        CHECK_MSG(close_to(s[DIVERSITY_REL] * s[DIVERSITY_REL], right, 1e-6), "%g, not %g", s[DIVERSITY_REL] * s[DIVERSITY_REL], right);
        free(rows);
    }
}

/* ---- theory -------------------------------------------------------------------------------- */

static double distance(const double *h, int n, int width)
{
    float *rows = malloc((size_t)(n * width) * sizeof *rows);
    double s[SEQUENCE_MEASURES];
    for (int i = 0; i < n * width; i++) rows[i] = (float)h[i];
    diversity_of_sequence(rows, n, width, s);
    free(rows);
    return s[DIVERSITY_DM] * sqrt(n);
}

/* c (n,w) = a (n,n) b (n,w) */
static void mix(const double *a, const double *b, double *c, int n, int w)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < w; j++) {
            c[i * w + j] = 0;
            for (int k = 0; k < n; k++) c[i * w + j] += a[i * n + k] * b[k * w + j];
        }
}

/* (1-p) I + p 11'/n shrinks the distance by 1-p each time; the uniform causal mask can stretch it. */
static void averaging(void)
{
    enum { N = 16, W = 5, M = 64 };
    double a[N * N], h[N * W], g[N * W], first;
    for (int i = 0; i < N * W; i++) h[i] = normal(3, (size_t)i);
    for (int i = 0; i < N * N; i++) a[i] = 0.3 / N + (i % (N + 1) ? 0 : 0.7);
    first = distance(h, N, W);
    for (int l = 0; l < 5; l++) { mix(a, h, g, N, W); memcpy(h, g, sizeof h); }
    CHECK_MSG(close_to(distance(h, N, W) / first, 0.16807, 1e-5), "%g", distance(h, N, W) / first);

    double *c = calloc(M * M, sizeof *c), spike[M] = { 1 }, out[M], *q = calloc(M * M, sizeof *q), values[M], work[3 * M];
    for (int i = 0; i < M; i++)
        for (int j = 0; j <= i; j++) c[i * M + j] = 1.0 / (i + 1);
    mix(c, spike, out, M, 1);
    CHECK_MSG(close_to(distance(out, M, 1) / distance(spike, M, 1), 1.1393332, 1e-4), "%g", distance(out, M, 1) / distance(spike, M, 1));
    for (int i = 0; i < M; i++)                              /* A' (I - ee') A */
        for (int j = 0; j < M; j++) {
            double si = 0, sj = 0;
            for (int k = 0; k < M; k++) q[i * M + j] += c[k * M + i] * c[k * M + j], si += c[k * M + i], sj += c[k * M + j];
            q[i * M + j] -= si * sj / M;
        }
    eigenvalues(q, M, values, work);
    CHECK_MSG(close_to(sqrt(values[0]), 1.2353576, 1e-4), "%g", sqrt(values[0]));
    free(c), free(q);
}

/* d(H W) <= s_max(W) d(H), d(sigma(H)) <= Lip d(H), d(a H + b B) <= a d(H) + b d(B). */
static void lemmas(void)
{
    enum { N = 9, W = 6 };
    static const struct { activation act; double lipschitz; } acts[] = { { ACT_RELU, 1 }, { ACT_TANH, 1 }, { ACT_SILU, 1.09984 }, { ACT_GELU_ERF, 1.12891 } };
    for (uint64_t draw = 0; draw < 1000; draw++) {
        double h[N * W], b[N * W], w[W * W], y[N * W], gram[W * W] = { 0 }, values[W], work[3 * W];
        for (int i = 0; i < N * W; i++) h[i] = 2 * normal(draw, (size_t)i), b[i] = normal(draw + 7777, (size_t)i);
        for (int i = 0; i < W * W; i++) w[i] = normal(draw + 5555, (size_t)i);
        for (int i = 0; i < W * W; i++)
            for (int k = 0; k < W; k++) gram[i] += w[k * W + i / W] * w[k * W + i % W];
        eigenvalues(gram, W, values, work);
        double before = distance(h, N, W), slack = 1e-6 * before;         /* rows are measured in float */
        for (int r = 0; r < N; r++)
            for (int c = 0; c < W; c++) {
                y[r * W + c] = 0;
                for (int k = 0; k < W; k++) y[r * W + c] += h[r * W + k] * w[k * W + c];
            }
        CHECK(distance(y, N, W) <= sqrt(values[0]) * (before + slack));
        for (int i = 0; i < N * W; i++) y[i] = (double)(real)act_value(acts[draw % 4].act, (double)(real)h[i]);
        CHECK(distance(y, N, W) <= acts[draw % 4].lipschitz * (before + slack));
        for (int i = 0; i < N * W; i++) y[i] = 0.7 * h[i] + 1.3 * b[i];
        CHECK(distance(y, N, W) <= 0.7 * before + 1.3 * distance(b, N, W) + slack);
    }
}

/* A stack of one-head attention alone, random weights of deviation 1/sqrt(d); with `skip` each layer adds to its
 * input. */
static double stack(uint64_t stream, bool causal, bool skip, int layers)
{
    enum { N = 24, D = 16 };
    double h[N * D], q[N * D], k[N * D], v[N * D], o[N * D], a[N * N];
    for (int i = 0; i < N * D; i++) h[i] = normal(stream, (size_t)i);
    for (int l = 0; l < layers; l++) {
        double *const to[] = { q, k, v };
        for (int part = 0; part < 3; part++)
            for (int r = 0; r < N; r++)
                for (int c = 0; c < D; c++) {
                    to[part][r * D + c] = 0;
                    for (int x = 0; x < D; x++) to[part][r * D + c] += h[r * D + x] * normal(stream * 1000 + (uint64_t)(3 * l + part) + 1, (size_t)(x * D + c)) / sqrt(D);
                }
        for (int r = 0; r < N; r++) {
            double total = 0, score[N], most = -INFINITY;
            for (int s = 0; s < N; s++) {
                score[s] = causal && s > r ? -INFINITY : 0;
                for (int c = 0; c < D; c++) score[s] += q[r * D + c] * k[s * D + c] / sqrt(D);
                most = fmax(most, score[s]);
            }
            for (int s = 0; s < N; s++) total += a[r * N + s] = exp(score[s] - most);
            for (int s = 0; s < N; s++) a[r * N + s] /= total;
        }
        mix(a, v, o, N, D);
        for (int i = 0; i < N * D; i++) h[i] = skip ? h[i] + o[i] : o[i];
    }
    float rows[N * D];
    double s[SEQUENCE_MEASURES], largest = 0;
    for (int i = 0; i < N * D; i++) largest = fmax(largest, fabs(h[i]));
    for (int i = 0; i < N * D; i++) rows[i] = (float)(h[i] / largest);
    diversity_of_sequence(rows, N, D, s);
    return s[DIVERSITY_REL];
}

static void attention_alone_collapses(void)
{
    double skips[10];
    for (uint64_t seed = 0; seed < 10; seed++) {
        double both = stack(seed + 1, false, false, 4), causal = stack(seed + 1, true, false, 8);
        skips[seed] = stack(seed + 1, true, true, 8);
        CHECK_MSG(both < 1e-6, "seed %d: rel %g after four layers", (int)seed, both);
        CHECK_MSG(causal > 1e-3 && causal < 0.2, "seed %d: causal, rel %g after eight", (int)seed, causal);
        CHECK_MSG(skips[seed] > 0.1, "seed %d: with skips, rel %g after eight", (int)seed, skips[seed]);
    }
    for (int i = 0; i < 10; i++)
        for (int j = i + 1; j < 10; j++)
            if (skips[j] < skips[i]) { double x = skips[i]; skips[i] = skips[j]; skips[j] = x; }
    CHECK_MSG((skips[4] + skips[5]) / 2 > 0.2, "%g", skips[5]);
}

/* ---- models ---------------------------------------------------------------------------------- */

static int32_t *some_ids(size_t n)
{
    int32_t *ids = malloc(n * sizeof *ids);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(random_u64(3, i) % 23);
    return ids;
}

/* The measures from their definitions in double: pairs of rows, Jacobi's eigenvalues. */
static void by_definition(const float *rows, int n, int width, double s[SEQUENCE_MEASURES])
{
    double whole = 0, rest = 0, pairs = 0, *gram = calloc((size_t)(n * n), sizeof *gram), *values = malloc((size_t)n * sizeof *values);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int c = 0; c < width; c++) gram[i * n + j] += (double)rows[i * width + c] * (double)rows[j * width + c];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (i != j) pairs += gram[i * n + j] / sqrt(gram[i * n + i] * gram[j * n + j]);
    for (int c = 0; c < width; c++) {
        double mean = 0;
        for (int r = 0; r < n; r++) mean += (double)rows[r * width + c] / n;
        for (int r = 0; r < n; r++) whole += pow((double)rows[r * width + c], 2), rest += pow((double)rows[r * width + c] - mean, 2);
    }
    jacobi(gram, n, values);
    s[DIVERSITY_DM] = sqrt(rest / n);
    s[DIVERSITY_REL] = sqrt(rest / whole);
    s[DIVERSITY_COS] = pairs / (n * (n - 1));
    s[DIVERSITY_RANK1] = sqrt(1 - values[0] / whole);
    s[DIVERSITY_STABLE_RANK] = whole / values[0];
    free(gram), free(values);
}

/* The last place is what WANT_HIDDEN gives: measured here again, three sequences of eleven tokens, four left out of
 * each. */
static void rows_of_a_model(void)
{
    enum { CTX = 11, SEQS = 3, KEPT = CTX - 4 };
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("llama", SMALL_LLAMA, 5, &err);
    int32_t *ids = some_ids(CTX * SEQS + 5);
    int pos[CTX], start[2] = { 0, CTX }, W = 16;
    float *all = malloc((size_t)(SEQS * KEPT * W) * sizeof *all);
    double mean[SEQUENCE_MEASURES] = { 0 }, spread[SPREAD_MEASURES];
    pass p;
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { CTX, 1, 0 } };
    CHECK(!pass_open(&p, m, &o, WANT_HIDDEN, &err));
    for (int i = 0; i < CTX; i++) pos[i] = i;
    for (int s = 0; s < SEQS; s++) {
        double one[SEQUENCE_MEASURES] = { 0 };
        graph_run(p.g, &(batch){ .rows = CTX, .seqs = 1, .ids = ids + s * CTX, .pos = pos, .start = start });
        memcpy(all + s * KEPT * W, p.r.hidden->data + 4 * W, (size_t)(KEPT * W) * sizeof *all);
        by_definition(all + s * KEPT * W, KEPT, W, one);
        for (int i = 0; i < SEQUENCE_MEASURES; i++) mean[i] += one[i] / SEQS;
    }
    diversity_of_rows(all, SEQS * KEPT, W, spread);
    lithe_diversity *d = lithe_diversity_open(m, ids, CTX * SEQS + 5, &LITHE_OPTIONS(lithe_diversity_options, .ctx = CTX), &err);
    CHECK_MSG(d, "%s", err.text);
    const lithe_diversity_row *last = lithe_diversity_at(d, lithe_diversity_count(d) - 1);
    CHECK(lithe_diversity_count(d) == 6 && !lithe_diversity_at(d, 6) && last->sequences == SEQS && last->tokens == SEQS * KEPT && last->few_tokens);
    CHECK(!strcmp(last->place, "final_norm") && last->layer == -1 && last->width == W);
    CHECK_MSG(close_to(last->dm.mean, mean[DIVERSITY_DM], 1e-6) && close_to(last->rel.mean, mean[DIVERSITY_REL], 1e-6) && close_to(last->cos.mean, mean[DIVERSITY_COS], 1e-6) &&
              close_to(last->rank1.mean, mean[DIVERSITY_RANK1], 1e-6) && close_to(last->stable_rank.mean, mean[DIVERSITY_STABLE_RANK], 1e-6), "%g %g %g %g %g, not %g %g %g %g %g",
              last->dm.mean, last->rel.mean, last->cos.mean, last->rank1.mean, last->stable_rank.mean, mean[DIVERSITY_DM], mean[DIVERSITY_REL], mean[DIVERSITY_COS],
              mean[DIVERSITY_RANK1], mean[DIVERSITY_STABLE_RANK]);
    CHECK(close_to(last->erank, spread[SPREAD_ERANK], 1e-12) && close_to(last->deff80, spread[SPREAD_DEFF80], 1e-12));
    const lithe_diversity_row *embed = lithe_diversity_at(d, 0), *mixed = lithe_diversity_at(d, 1);
    CHECK(!strcmp(embed->place, "embed") && !strcmp(mixed->place, "post_mix") && mixed->layer == 0 && mixed->dm.mean > embed->dm.mean);
    lithe_diversity_close(d);
    pass_close(&p);
    free(all), free(ids);
    lithe_model_close(m);
}

/* Every architecture of the registry that reads text names its places in build: tap(g, x, "embed", -1), ... */
static void every_architecture(void)
{
    int32_t *ids = some_ids(60);
    for (int i = 0; architectures[i]; i++) {
        const arch *a = architectures[i];
        lithe_error err = { 0 };
        json_t *config = a->config.sized(32, 2, 23, 24);
        char *text = json_dumps(config, 0);
        lithe_model *m = lithe_model_new(a->name, text, 3, &err);
        CHECK_MSG(m, "%s: %s", a->name, err.text);
        if (a->equations.image) {
            CHECK(!lithe_diversity_open(m, ids, 60, NULL, &err) && strstr(err.text, "images"));
        } else {
            lithe_diversity *d = lithe_diversity_open(m, ids, 60, &LITHE_OPTIONS(lithe_diversity_options, .ctx = 24), &err);
            CHECK_MSG(d && lithe_diversity_count(d) >= 5, "%s names %zu places, needed are embed, post_mix and post_ffn of each layer: %s", a->name, lithe_diversity_count(d), err.text);
            for (size_t p = 0; p < lithe_diversity_count(d); p++) {
                const lithe_diversity_row *r = lithe_diversity_at(d, p);
                CHECK_MSG(r->rel.mean > 0 && r->rel.mean <= 1 && r->dm.mean > 0 && r->rel_comp.mean > 0 && r->stable_rank.mean >= 1 && r->deff80 >= 1 && r->deff80 <= r->deff90 &&
                          r->pr >= 1 && r->erank >= r->pr - 1e-6 && r->pc3 > 0 && r->pc3 <= 1 + 1e-9 && r->sequences == 2, "%s, %s of layer %d", a->name, r->place, r->layer);
            }
            lithe_diversity_close(d);
        }
        lithe_model_close(m);
        json_decref(config);
        free(text);
    }
    free(ids);
}

/* Keeping rows to look at changes no bit of the logits. */
static void looking_changes_nothing(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("pangu_pi", SMALL_PANGU_PI_ALL, 5, &err);
    small_batch b;
    pass p[2];
    small_fill(&b, 23, 3);
    for (int i = 0; i < 2; i++) {
        graph_options o = { .mode = GRAPH_SCORE, .capacity = { SMALL_ROWS, SMALL_SEQS, 0 }, .taps = i, .poison = true };
        CHECK(!pass_open(&p[i], m, &o, WANT_LOGITS, &err));
        graph_run(p[i].g, &b.b);
        const tapped *taps;
        CHECK(graph_taps(p[i].g, &taps) == (i ? 6 : 0));
        for (int t = 0; i && t < 6; t++)
            for (int j = 0; j < SMALL_ROWS * 12; j++) CHECK(isfinite(taps[t].rows->data[j]));
    }
    CHECK(!memcmp(p[0].r.logits->data, p[1].r.logits->data, SMALL_ROWS * 23 * sizeof(real)));
    pass_close(&p[0]);
    pass_close(&p[1]);
    lithe_model_close(m);
}

static void refused(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("llama", SMALL_LLAMA, 5, &err);
    int32_t *ids = some_ids(60), bad[] = { 1, 2, 3, 4, 5, 6, 7, 99 };
    struct { size_t n; lithe_diversity_options o; const char *because; } cases[] = {
        { 60, { .ctx = 25 }, "25" }, { 60, { .ctx = -1 }, "-1" }, { 5, { 0 }, "at least two" }, { 0, { 0 }, "at least two" }, { 60, { .ctx = 8, .skip = 7 }, "at least two" }, { 60, { .tokens = 3 }, "at least two" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err = (lithe_error){ 0 };
        cases[i].o.size = sizeof cases[i].o;
        CHECK_MSG(!lithe_diversity_open(m, ids, cases[i].n, &cases[i].o, &err) && strstr(err.text, cases[i].because), "%zu: %s", i, err.text);
    }
    err = (lithe_error){ 0 };
    CHECK(!lithe_diversity_open(m, bad, 8, NULL, &err) && strstr(err.text, "token 99"));
    err = (lithe_error){ 0 };
    lithe_diversity *d = lithe_diversity_open(m, ids, 2, &LITHE_OPTIONS(lithe_diversity_options, .skip = -1), &err);
    CHECK_MSG(d && lithe_diversity_at(d, 0)->tokens == 2, "%s", err.text);
    lithe_diversity_close(d);
    CHECK(!lithe_diversity_open(NULL, ids, 60, NULL, NULL) && lithe_diversity_count(NULL) == 0 && !lithe_diversity_at(NULL, 0));
    lithe_diversity_close(NULL);
    free(ids);
    lithe_model_close(m);
}

const test tests_diversity[] = {
    { "diversity: eigenvalues", eigenvalues_are_jacobis },
    { "diversity: worked examples", worked_examples },
    { "diversity: invariances", invariances },
    { "diversity: rows of one length", unit_rows },
    { "diversity: averaging", averaging },
    { "diversity: lemmas", lemmas },
    { "diversity: attention alone collapses", attention_alone_collapses },
    { "diversity: a model's rows", rows_of_a_model },
    { "diversity: every architecture", every_architecture },
    { "diversity: looking changes nothing", looking_changes_nothing },
    { "diversity: refused", refused },
    { 0 }
};

/* Matrix products at every level this machine has: against sums in double, and
 * byte against byte where the law of order promises the same bytes. */
#include "kernels/half.h"
#include "kernels_check.h"
#include <math.h>
#include <stdlib.h>

static const char *const level_names[] = { KERNEL_LEVELS(KERNEL_NAME, ) };
enum { LEVELS = sizeof level_names / sizeof *level_names, GUARD = 64 };
#define CANARY 1234.5f

static const kernels *level(int i) { return kernels_level(level_names[i]); }

static uint64_t draws;
static int dice(int n) { return (int)(random_u64(7, draws++) % (uint64_t)n); }

/* n values in (-1, 1), some of them 0, at an odd offset so that nothing is aligned by luck. */
static float *values(size_t n)
{
    float *p = malloc((n + 2 * GUARD) * sizeof *p);
    if (!p) abort();
    for (size_t i = 0; i < n + 2 * GUARD; i++) p[i] = (float)(random_unit(11, draws++) * 2 - 1);
    return p + 5;
}
static void release(const float *p) { if (p) free((void *)(p - 5)); }

/* ---- one product in double ------------------------------------------------------------ */

static double operand(const gemm_args *g, float x)
{
    return (double)(g->type == COMPUTE_BF16 ? float_from_bf16(bf16_from_float(x)) : x);
}

/* b: B's numbers as floats. */
static double sum_of(const gemm_args *g, const float *b, int m, int n)
{
    double sum = 0;
    for (int k = 0; k < g->K; k++)
        sum += operand(g, g->ta ? g->a[(size_t)k * g->lda + (size_t)m] : g->a[(size_t)m * g->lda + (size_t)k])
             * operand(g, g->tb ? b[(size_t)n * g->ldb + (size_t)k] : b[(size_t)k * g->ldb + (size_t)n]);
    return sum;
}

static void in_double(const gemm_args *g, const float *b, float *y, float *pre)
{
    for (int m = 0; m < g->M; m++)
        for (int n = 0; n < g->N; n++) {
            size_t at = (size_t)m * g->ldc + (size_t)n, i = (size_t)m * (size_t)g->N + (size_t)n;
            double v = sum_of(g, b, m, n) + (g->bias ? (double)g->bias[n] : 0);
            pre[i] = (float)v;
            v = plain_act(g->act, v) + (g->residual ? (double)g->residual[(size_t)m * g->ldr + (size_t)n] : 0);
            y[i] = (float)(v + (g->add ? (double)g->c[at] : 0));
        }
}

/* ---- problems ---------------------------------------------------------------------------- */

/* b: B's numbers as floats; bytes: as they are stored. */
typedef struct { gemm_args g; float *a, *b, *c, *bias, *pre, *residual; size_t b_size, c_size; unsigned char *bytes; void *packed; } problem;

enum { PLAIN_TYPES = STORED_BF16 + 1 };                     /* blocks have tests of their own */

/* Rounds B's numbers to a stored type, and puts them at an odd address, with nothing readable after the last. */
static void store(problem *p, stored_type type)
{
    size_t size = p->b_size * (type == STORED_REAL ? sizeof(float) : sizeof(uint16_t));
    free(p->bytes);
    p->bytes = malloc(size + 1);
    if (!p->bytes) abort();
    for (size_t i = 0; i < p->b_size; i++) {
        uint16_t half = type == STORED_F16 ? f16_from_float(p->b[i]) : bf16_from_float(p->b[i]);
        if (type != STORED_REAL) p->b[i] = type == STORED_F16 ? float_from_f16(half) : float_from_bf16(half);
        if (type == STORED_REAL) memcpy(p->bytes + 1 + i * sizeof(float), &p->b[i], sizeof(float));
        else memcpy(p->bytes + 1 + i * sizeof half, &half, sizeof half);
    }
    p->g.b = (stored){ .type = type, .data = p->bytes + 1 };
}

static stored_type any_type(void) { return (stored_type)dice(PLAIN_TYPES); }

static problem new_problem(int M, int N, int K, bool ta, bool tb, int slack)
{
    problem p = {0};
    size_t s = (size_t)slack;
    p.g = (gemm_args){ .M = M, .N = N, .K = K, .ta = ta, .tb = tb, .lda = (size_t)(ta ? M : K) + s,
                       .ldb = (size_t)(tb ? K : N) + s, .ldc = (size_t)N + s, .ldr = (size_t)N + 2 * s };
    p.c_size = (size_t)M * p.g.ldc + GUARD;
    p.g.a = p.a = values((size_t)(ta ? K : M) * p.g.lda);
    p.b_size = (size_t)(tb ? N : K) * p.g.ldb;
    p.g.b.data = p.b = values(p.b_size);
    p.g.c = p.c = values(p.c_size);
    p.bias = values((size_t)N);
    p.pre = values(p.c_size);
    p.residual = values((size_t)M * p.g.ldr);
    return p;
}

static void free_problem(problem *p)
{
    release(p->a), release(p->b), release(p->c), release(p->bias), release(p->pre), release(p->residual);
    free(p->bytes);
    free(p->packed);
}

/* Canaries in the gaps between rows and after the last one. */
static void guard(const gemm_args *g, float *c, size_t size)
{
    for (size_t i = 0; i < size; i++) if (i % g->ldc >= (size_t)g->N || i / g->ldc >= (size_t)g->M) c[i] = CANARY;
}
static bool guarded(const gemm_args *g, const float *c, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((i % g->ldc >= (size_t)g->N || i / g->ldc >= (size_t)g->M) && c[i] != CANARY) return false;
    return true;
}

static void pack(problem *p, const kernels *k)
{
    size_t bytes = k->gemm_pack_bytes(p->g.type, p->g.K, p->g.N);
    if (!bytes) return;
    p->packed = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!p->packed) abort();
    memset(p->packed, 0xa5, (bytes + 63) / 64 * 64 + 64);
    k->gemm_pack(p->packed, p->g.type, p->g.b, p->g.ldb, p->g.tb, p->g.K, p->g.N);
    for (size_t i = bytes; i < bytes + 64; i++) CHECK(((unsigned char *)p->packed)[i] == 0xa5);
    p->g.packed = p->packed;
    p->g.b.data = NULL;
}

static bool compare(problem *p, const kernels *k)
{
    const gemm_args *g = &p->g;
    size_t n = (size_t)g->M * (size_t)g->N;
    float *y = malloc(4 * n * sizeof *y), *pre = y + n, *got = y + 2 * n, *got_pre = y + 3 * n;
    in_double(g, p->b, y, pre);
    if (!g->add && g->residual != g->c)
        for (int m = 0; m < g->M; m++) for (int i = 0; i < g->N; i++) g->c[(size_t)m * g->ldc + (size_t)i] = NAN;
    guard(g, p->c, p->c_size);
    guard(g, p->pre, p->c_size);
    k->gemm(g);
    for (size_t i = 0; i < n; i++) {
        size_t at = i / (size_t)g->N * g->ldc + i % (size_t)g->N;
        got[i] = p->c[at], got_pre[i] = p->pre[at];
    }
    double error = relative_error(got, y, n), error_pre = g->pre ? relative_error(got_pre, pre, n) : 0;
    bool close = error <= 1e-5 && error_pre <= 1e-5;
    CHECK_MSG(close, "%s %s B stored %s M %d N %d K %d ta %d tb %d act %d bias %d residual %d add %d packed %d: %g, pre %g", k->name,
              g->type ? "bf16" : "f32", stored_formats[g->b.type].name, g->M, g->N, g->K, g->ta, g->tb, (int)g->act, !!g->bias, !!g->residual, g->add, !!g->packed, error, error_pre);
    CHECK(guarded(g, p->c, p->c_size));
    CHECK(guarded(g, p->pre, p->c_size));
    free(y);
    return close;
}

static int random_size(void)
{
    static const int edges[] = { 1, 2, 7, 8, 13, 14, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 127 };
    return dice(3) ? edges[dice((int)(sizeof edges / sizeof *edges))] : 1 + dice(130);
}

static void test_shapes(void)
{
    for (int l = 0; l < LEVELS; l++) {
        const kernels *k = level(l);
        bool fine = k;
        for (int round = 0; fine && round < 500; round++) {
            int K = dice(6) ? random_size() : 200 + dice(1200), M = dice(3) ? random_size() : 1 + dice(9);
            problem p = new_problem(M, random_size(), K, dice(2), dice(2), dice(2) * dice(9));
            if (dice(3)) store(&p, any_type());
            p.g.type = dice(2) ? COMPUTE_BF16 : COMPUTE_F32;
            p.g.act = (activation)dice(ACT_COUNT);
            p.g.add = dice(3) == 0;
            if (dice(2)) p.g.bias = p.bias;
            if (dice(2)) p.g.pre = p.pre;
            switch (dice(4)) {
            case 0: p.g.residual = p.residual; break;
            case 1: p.g.residual = p.c, p.g.ldr = p.g.ldc; break;
            default: break;
            }
            if (dice(2)) pack(&p, k);
            fine = compare(&p, k);
            free_problem(&p);
        }
    }
}

/* More than one tile each way, more than one block of K; strides that alias. */
static void test_tiles(void)
{
    static const struct { int M, N, K, slack; } shapes[] = {
        { 1200, 70, 40, 0 }, { 30, 1300, 90, 0 }, { 40, 530, 530, 0 }, { 35, 65, 2100, 28 }, { 570, 130, 257, 1 }, { 1, 2000, 300, 0 }, { 3, 5, 0, 0 },
        { 1, 9000, 70, 0 }, { 5, 4500, 65, 2 }, { 8, 70, 5000, 0 } };
    for (int l = 1; l < LEVELS; l++)
        for (size_t s = 0; level(l) && s < sizeof shapes / sizeof *shapes; s++)
            for (int way = 0; way < 4; way++) {
                problem p = new_problem(shapes[s].M, shapes[s].N, shapes[s].K, way & 1, way >> 1, shapes[s].slack);
                p.g.type = (s + (size_t)way) % 2 ? COMPUTE_BF16 : COMPUTE_F32;
                store(&p, (stored_type)((s + (size_t)way) % PLAIN_TYPES));
                if (way == 1) p.g.bias = p.bias, p.g.add = true;
                compare(&p, level(l));
                free_problem(&p);
            }
}

/* ---- the same bytes -------------------------------------------------------------------- */

/* rows of x (stride ldx) and y (stride ldy), first `columns` columns */
static bool same(const float *x, size_t ldx, const float *y, size_t ldy, int rows, int columns)
{
    for (int r = 0; r < rows; r++)
        if (memcmp(x + (size_t)r * ldx, y + (size_t)r * ldy, (size_t)columns * sizeof *x)) return false;
    return true;
}

typedef bool property(const kernels *k, const problem *p);          /* false: what says where */
static char what[96];

/* Each stored type under every case, or in turns; the plain kernels are slow. */
static void for_each_case(property *check, bool each_type)
{
    for (int l = 0; l < LEVELS; l++)
        for (int i = 0; level(l) && i < (each_type && l ? 16 * PLAIN_TYPES : 16); i++) {
            problem p = new_problem(70, 150, i & 8 ? 600 : 67, i & 1, i & 2, 3);
            store(&p, (stored_type)((i + i / 16) % PLAIN_TYPES));
            p.g.type = i & 4 ? COMPUTE_BF16 : COMPUTE_F32;
            p.g.bias = p.bias;
            p.g.act = ACT_GELU_TANH;
            /* No activation becomes denormal. */
            for (size_t j = 0; j < (size_t)(i & 1 ? p.g.K : 70) * p.g.lda; j++) p.a[j] *= 0.25f;
            level(l)->gemm(&p.g);
            bool held = check(level(l), &p);
            CHECK_MSG(held, "%s, case %d: %s", level_names[l], i, what);
            free_problem(&p);
            if (!held) return;
        }
}

static bool rows_alone(const kernels *k, const problem *p)
{
    float *c = values(p->c_size);
    bool held = true;
    for (int M = 1; held && M <= 40; M += M < 17 ? 1 : 11)
        for (int m = 0; held && m + M <= 70; m += 23) {
            gemm_args g = p->g;
            g.M = M, g.c = c;
            g.a += (size_t)m * (g.ta ? 1 : g.lda);
            k->gemm(&g);
            held = same(c, g.ldc, p->c + (size_t)m * g.ldc, g.ldc, M, g.N);
            snprintf(what, sizeof what, "%d rows from %d", M, m);
        }
    release(c);
    return held;
}

static bool any_threads(const kernels *k, const problem *p)
{
    float *c = values(p->c_size);
    bool held = true;
    for (int threads = 1; held && threads <= 4; threads++) {
        gemm_args g = p->g;
        g.c = c;
        threads_set(threads);
        k->gemm(&g);
        held = same(c, g.ldc, p->c, g.ldc, g.M, g.N);
        snprintf(what, sizeof what, "%d threads", threads);
    }
    threads_set(0);
    release(c);
    return held;
}

/* K and N grow: zeros after the products, other columns beside ours. */
static bool grown(const kernels *k, const problem *p)
{
    const gemm_args *g = &p->g;
    problem wide = new_problem(g->M, g->N + 45, g->K + 64, g->ta, g->tb, 1);
    for (int m = 0; m < g->M; m++)
        for (int i = 0; i < wide.g.K; i++)
            wide.a[g->ta ? (size_t)i * wide.g.lda + (size_t)m : (size_t)m * wide.g.lda + (size_t)i]
                = i >= g->K ? 0 : g->a[g->ta ? (size_t)i * g->lda + (size_t)m : (size_t)m * g->lda + (size_t)i];
    for (int n = 0; n < g->N; n++)
        for (int i = 0; i < g->K; i++)
            wide.b[g->tb ? (size_t)n * wide.g.ldb + (size_t)i : (size_t)i * wide.g.ldb + (size_t)n]
                = p->b[g->tb ? (size_t)n * g->ldb + (size_t)i : (size_t)i * g->ldb + (size_t)n];
    store(&wide, g->b.type);
    memcpy(wide.bias, p->bias, (size_t)g->N * sizeof *wide.bias);
    wide.g.bias = wide.bias, wide.g.act = g->act, wide.g.type = g->type;
    k->gemm(&wide.g);
    bool held = same(wide.c, wide.g.ldc, p->c, g->ldc, g->M, g->N);
    snprintf(what, sizeof what, "K %d", g->K);
    free_problem(&wide);
    return held;
}

static bool packed_before(const kernels *k, const problem *p)
{
    problem copy = *p;
    copy.packed = NULL, copy.bytes = NULL;
    copy.g.c = values(p->c_size);
    pack(&copy, k);
    k->gemm(&copy.g);
    bool held = same(copy.g.c, copy.g.ldc, p->c, p->g.ldc, p->g.M, p->g.N);
    snprintf(what, sizeof what, "type %d", (int)p->g.type);
    release(copy.g.c);
    free(copy.packed);
    return held;
}

/* On tiles an fp32 product with weights in bf16 has A in three bf16 a number, and another order of sums. */
static bool splits(const kernels *k, const gemm_args *g)
{
    return !strcmp(k->name, "amx") && g->type == COMPUTE_F32 && g->b.type == STORED_BF16;
}

static bool near(const float *x, const float *y, const gemm_args *g, int rows)
{
    for (int r = 0; r < rows; r++)
        if (relative_error(x + (size_t)r * g->ldc, y + (size_t)r * g->ldc, (size_t)g->N) > 5e-6) return false;
    return true;
}

/* Stored numbers are what they are as floats: the same bytes, for many rows and for few. */
static bool widened_before(const kernels *k, const problem *p)
{
    float *c = values(p->c_size);
    bool held = true, split = splits(k, &p->g);
    for (int M = 1; held && M <= p->g.M; M += M < 10 ? 1 : 20) {
        gemm_args g = p->g;
        g.M = M, g.c = c, g.b = (stored){ .data = p->b };
        k->gemm(&g);
        held = split ? near(c, p->c, &g, M) : same(c, g.ldc, p->c, g.ldc, M, g.N);
        snprintf(what, sizeof what, "%d rows, stored %s", M, stored_formats[p->g.b.type].name);
    }
    release(c);
    return held;
}

static bool fused_act(const kernels *k, const problem *p)
{
    gemm_args g = p->g;
    g.c = values(p->c_size);
    g.act = ACT_NONE;
    bool held = true, one_level = (k->gemm == kernels_level("ref")->gemm) == (k->act == kernels_level("ref")->act);
    for (activation act = ACT_NONE; one_level && held && act < ACT_COUNT; act++) {
        problem fused = *p;
        fused.g.c = values(p->c_size);
        fused.g.act = act;
        k->gemm(&fused.g);
        k->gemm(&g);
        for (int m = 0; m < g.M; m++) k->act(g.c + (size_t)m * g.ldc, g.c + (size_t)m * g.ldc, act, (size_t)g.N);
        held = same(fused.g.c, g.ldc, g.c, g.ldc, g.M, g.N);
        snprintf(what, sizeof what, "activation %d", (int)act);
        release(fused.g.c);
    }
    release(g.c);
    return held;
}

/* An infinite number gives an infinite sum, NaN gives NaN, and other rows are not disturbed. */
static void test_not_finite(void)
{
    for (int l = 0; l < LEVELS; l++)
        for (int M = 1; level(l) && M <= 12; M += 11) {
            problem p = new_problem(M, 20, 40, false, true, 0);
            for (size_t i = 0; i < p.b_size; i++) p.b[i] = 0.5f;
            store(&p, STORED_BF16);
            for (int m = 0; m < M; m++) p.a[m * 40 + 3] = m % 4 == 0 ? INFINITY : m % 4 == 1 ? -INFINITY : m % 4 == 2 ? NAN : 0.25f;
            level(l)->gemm(&p.g);
            for (int i = 0; i < M * 20; i++) {
                int kind = i / 20 % 4;
                float y = p.c[(size_t)(i / 20) * p.g.ldc + (size_t)(i % 20)];
                CHECK_MSG(kind == 0 ? y == INFINITY : kind == 1 ? y == -INFINITY : kind == 2 ? isnan(y) : isfinite(y), "%s, %d rows, %d: %g", level_names[l], M, i, (double)y);
            }
            free_problem(&p);
        }
}

static void test_rows(void) { for_each_case(rows_alone, true); }
static void test_threads(void) { for_each_case(any_threads, false); }
static void test_grown(void) { for_each_case(grown, false); }
static void test_packed(void) { for_each_case(packed_before, false); }
static void test_widened(void) { for_each_case(widened_before, true); }
static void test_fused(void) { for_each_case(fused_act, false); }

/* ---- sums of columns -------------------------------------------------------------------- */

static void test_column_sum(void)
{
    for (int l = 0; l < LEVELS; l++)
        for (int round = 0; level(l) && round < 60; round++) {
            int rows = dice(70), width = random_size(), ldx = width + dice(5);
            float *x = values((size_t)(rows + 1) * (size_t)ldx), *y = values((size_t)width), *expected = values((size_t)width);
            bool add = dice(2);
            for (int c = 0; c < width; c++) {
                double sum = add ? (double)y[c] : 0;
                for (int r = 0; r < rows; r++) sum += (double)x[(size_t)r * (size_t)ldx + (size_t)c];
                expected[c] = (float)sum;
                if (!add) y[c] = NAN;
            }
            y[width] = CANARY;
            level(l)->column_sum(y, add, x, (size_t)ldx, rows, width);
            CHECK(relative_error(y, expected, (size_t)width) <= 1e-5);
            CHECK(y[width] == CANARY);
            release(x), release(y), release(expected);
        }
}

/* What LITHE_CPU may say, and what it cannot: more than the machine has. */
static void test_levels(void)
{
    unsetenv("LITHE_CPU");
    const kernels *best = kernels_default();
    CHECK(kernels_level(best->name) == best);
    CHECK(kernels_level("ref") && !kernels_level("sse") && !strcmp(kernels_level("ref")->name, "ref"));
    setenv("LITHE_CPU", "ref", 1);
    CHECK(kernels_default() == kernels_level("ref"));
    unsetenv("LITHE_CPU");
    CHECK(kernels_default() == best);
    for (int l = 0; l < LEVELS; l++) if (!level(l)) test_say("this machine has no %s", level_names[l]);
}

const test tests_gemm[] = {
    { "kernels/levels", test_levels },
    { "kernels/gemm shapes", test_shapes },
    { "kernels/gemm tiles", test_tiles },
    { "kernels/gemm rows do not depend on their neighbours", test_rows },
    { "kernels/gemm threads", test_threads },
    { "kernels/gemm appended zeros and columns", test_grown },
    { "kernels/gemm packed before", test_packed },
    { "kernels/gemm of stored types and of their floats", test_widened },
    { "kernels/gemm fused activation", test_fused },
    { "kernels/gemm not finite", test_not_finite },
    { "kernels/column_sum", test_column_sum },
    {0}
};

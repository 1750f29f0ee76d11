/* Products with weights in blocks, at every level this machine has: the bits of their definition, written here anew
 * with integers of 64 bits; the error that rounding the rows to 8 bits makes, type by type; the law of order. */
#include "base/threads.h"
#include "kernels/blocks.h"
#include "kernels/half.h"
#include "kernels_check.h"
#include <math.h>
#include <stdlib.h>

static const char *const levels[] = { KERNEL_LEVELS(KERNEL_NAME, ) };
enum { LEVELS = sizeof levels / sizeof *levels };
#define EACH_BLOCK_TYPE(type) for (stored_type type = STORED_Q4_0; type < STORED_TYPES; type++)

static uint64_t draws;
static double normal(void) { return random_normal(21, draws++); }
static int dice(int n) { return (int)(random_u64(22, draws++) % (uint64_t)n); }

/* ---- problems ---------------------------------------------------------------------------------- */

typedef struct { gemm_args g; float *a, *c, *bias, *residual, *numbers; uint8_t *bytes; } problem;

static float *normals(size_t n, double scale)
{
    float *x = malloc((n + 1) * sizeof *x);
    if (!x) abort();
    for (size_t i = 0; i < n; i++) x[i] = (float)(normal() * scale);
    return x;
}

/* Random blocks, whose scales are finite. */
static void fill_blocks(stored_type type, uint8_t *bytes, size_t blocks)
{
    static const int halves[STORED_TYPES][2] = { [STORED_Q4_1] = { 0, 2 }, [STORED_Q5_1] = { 0, 2 }, [STORED_Q2_K] = { 80, 82 }, [STORED_Q3_K] = { 108, 108 },
                                                 [STORED_Q4_K] = { 0, 2 }, [STORED_Q5_K] = { 0, 2 }, [STORED_Q6_K] = { 208, 208 } };
    size_t each = stored_formats[type].bytes;
    for (size_t i = 0; i < blocks * each; i++) bytes[i] = (uint8_t)random_u64(23, draws++);
    for (size_t b = 0; b < blocks; b++)
        for (int h = 0; h < 2; h++) {
            uint16_t x = f16_from_float((float)(normal() * 0.01));
            memcpy(bytes + b * each + halves[type][h], &x, sizeof x);
        }
}

/* B (N,K) at an odd address with nothing readable after it; ldb is `slack` blocks longer. */
static problem new_problem(stored_type type, int M, int N, int K, int slack)
{
    problem p = { 0 };
    size_t block = (size_t)stored_formats[type].block, ldb = (size_t)K + (size_t)slack * block, lda = (size_t)K + (size_t)slack * 3, ldc = (size_t)N + (size_t)slack;
    size_t count = (size_t)(N - 1) * ldb + (size_t)K, bytes = stored_bytes(type, count);
    p.a = normals((size_t)M * lda, 1);
    p.c = normals((size_t)M * ldc, 1);
    p.bias = normals((size_t)N, 1);
    p.residual = normals((size_t)M * ldc, 1);
    p.bytes = malloc(bytes + 1);
    p.numbers = malloc((count + 1) * sizeof(float));
    fill_blocks(type, p.bytes + 1, count / block);
    kernels_level("ref")->widen(p.numbers, (stored){ .type = type, .data = p.bytes + 1 }, count);
    p.g = (gemm_args){ .M = M, .N = N, .K = K, .a = p.a, .lda = lda, .b = { .type = type, .data = p.bytes + 1 }, .ldb = ldb, .tb = true,
                       .c = p.c, .ldc = ldc, .type = dice(2) ? COMPUTE_BF16 : COMPUTE_F32 };
    return p;
}

static void free_problem(problem *p)
{
    free(p->a), free(p->c), free(p->bias), free(p->residual), free(p->numbers), free(p->bytes);
}

/* ---- the definition ----------------------------------------------------------------------------- */

static void rounded(const float *x, int n, int64_t *q, float *scale)
{
    float most = 0;
    for (int i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    *scale = most < 0x1p-100f ? 0 : most / 127;
    for (int i = 0; i < n; i++) q[i] = *scale > 0 ? (int64_t)rint((double)(x[i] * (127 / most))) : 0;
}

/* The sum of one element of C by the page of gemm_blocks_ref.c, and in *exactly the product of the numbers
 * themselves in double. */
static float defined(const problem *p, int m, int n, double *exactly)
{
    const stored_format *f = &stored_formats[p->g.b.type];
    float c = 0;
    *exactly = 0;
    for (int k = 0; k < p->g.K; k += f->block) {
        const float *x = p->a + (size_t)m * p->g.lda + (size_t)k;
        size_t at = (size_t)n * p->g.ldb + (size_t)k;
        block_parts b;
        int64_t q[MOST_BLOCK], products = 0, sums = 0;
        float scale;
        rounded(x, f->block, q, &scale);
        take_apart(p->g.b.type, (const char *)p->g.b.data + stored_bytes(p->g.b.type, at), &b);
        for (int i = 0; i < f->block; i++) {
            products += (int64_t)b.factor[i / f->run] * b.q[i] * q[i];
            sums += b.share[i / f->run] * q[i];
            *exactly += (double)x[i] * (double)p->numbers[at + (size_t)i];
        }
        c = fmaf((float)products, b.scale * scale, c);
        if (f->has_base) c = fmaf((float)sums, b.base * scale, c);
    }
    return c;
}

static void check_problem(problem *p, const kernels *k)
{
    float *old = malloc((size_t)p->g.M * p->g.ldc * sizeof *old);
    memcpy(old, p->c, (size_t)p->g.M * p->g.ldc * sizeof *old);
    k->gemm(&p->g);
    int wrong = 0;
    for (int m = 0; m < p->g.M; m++)
        for (int n = 0; n < (int)p->g.ldc; n++) {
            size_t at = (size_t)m * p->g.ldc + (size_t)n;
            double unused;
            if (n >= p->g.N) { wrong += p->c[at] != old[at]; continue; }
            float y = defined(p, m, n, &unused);
            if (p->g.bias) y += p->g.bias[n];
            if (p->g.residual) y += p->g.residual[at];
            if (p->g.add) y = old[at] + y;
            wrong += memcmp(&p->c[at], &y, sizeof y) != 0;
        }
    CHECK_MSG(!wrong, "%s at %s: %d of %d x %d x %d are not what is defined", stored_formats[p->g.b.type].name, k->name, wrong, p->g.M, p->g.N, p->g.K);
    free(old);
}

static void by_definition(void)
{
    static const struct { int M, N, blocks, slack; } shapes[] = {
        { 1, 1, 1, 0 }, { 1, 16, 1, 0 }, { 1, 17, 3, 1 }, { 2, 40, 2, 0 }, { 3, 31, 5, 0 }, { 4, 8, 2, 2 }, { 5, 33, 1, 0 }, { 8, 64, 3, 0 }, { 9, 50, 2, 1 },
        { 16, 16, 4, 0 }, { 17, 7, 2, 0 }, { 40, 70, 2, 0 }, { 1, 300, 40, 0 }, { 7, 48, 70, 0 }, { 70, 35, 33, 0 } };
    for (int l = 0; l < LEVELS; l++)
        for (size_t s = 0; kernels_level(levels[l]) && s < (l ? sizeof shapes / sizeof *shapes : 8); s++)
            EACH_BLOCK_TYPE(type) {
                int block = stored_formats[type].block, K = shapes[s].blocks * block;
                if (K > 2560) K = 2560;
                problem p = new_problem(type, shapes[s].M, shapes[s].N, K, shapes[s].slack);
                if (s % 3 == 1) p.g.bias = p.bias, p.g.residual = p.residual, p.g.ldr = p.g.ldc;
                if (s % 3 == 2) p.g.add = true;
                check_problem(&p, kernels_level(levels[l]));
                free_problem(&p);
            }
}

#if defined(__x86_64__)
/* A machine with AVX-512 but without VNNI. */
void gemm_blocks_by_avx512(const gemm_args *g, void (*multiply)(void), bool sign);
void multiply_blocks_avx512(void);
static void without_vnni(const gemm_args *g) { gemm_blocks_by_avx512(g, multiply_blocks_avx512, true); }

static void by_definition_without_vnni(void)
{
    kernels k;
    if (!kernels_level("avx512")) test_skip("this machine has no AVX-512");
    k = *kernels_level("avx512");
    k.gemm = without_vnni;
    EACH_BLOCK_TYPE(type) {
        problem p = new_problem(type, 15, 35, 512, 1);
        if (type == STORED_Q8_0) p.bytes[1 + 2] = 0x80, p.bytes[1 + 3] = 0x80;
        check_problem(&p, &k);
        free_problem(&p);
    }
}
#endif

/* Rows of zeros, of tiny numbers, of one large number among small ones; weights at the ends of their range. */
static void at_the_limits(void)
{
    for (int l = 0; l < LEVELS; l++)
        EACH_BLOCK_TYPE(type) {
            if (!kernels_level(levels[l])) continue;
            problem p = new_problem(type, 6, 20, 512, 0);
            for (int i = 0; i < 512; i++) {
                p.a[i] = 0;
                p.a[512 + i] = 1e-35f * p.a[512 + i];
                p.a[1024 + i] = i == 300 ? -1e30f : 1e-3f * (float)i;
                p.a[1536 + i] = i % 2 ? 1 : -1;
                p.a[2048 + i] = 1;
            }
            memset(p.bytes + 1, 0x7b, stored_bytes(type, 512 * 5));      /* finite as scales too: 0x7b7b is 61280 */
            if (type == STORED_Q8_0) for (int i = 2; i < 34; i++) p.bytes[1 + i] = 0x80;
            check_problem(&p, kernels_level(levels[l]));
            free_problem(&p);
        }
}

/* What is no number makes its row's results none, and those of no other row. */
static void not_finite(void)
{
    for (int l = 0; l < LEVELS; l++)
        EACH_BLOCK_TYPE(type) {
            if (!kernels_level(levels[l])) continue;
            problem p = new_problem(type, 3, 20, 512, 0), q = p;
            float clean[3 * 20];
            q.g.c = clean, q.g.ldc = 20;
            kernels_level(levels[l])->gemm(&q.g);
            p.a[512 + 77] = dice(2) ? NAN : INFINITY;
            kernels_level(levels[l])->gemm(&p.g);
            for (int n = 0; n < 20; n++)
                CHECK_MSG(isnan(p.c[20 + n]) && p.c[n] == clean[n] && p.c[40 + n] == clean[40 + n], "%s at %s", stored_formats[type].name, levels[l]);
            free_problem(&p);
        }
}

/* ---- the law of order ------------------------------------------------------------------------------ */

static void rows_and_threads(void)
{
    for (int l = 1; l < LEVELS; l++)
        EACH_BLOCK_TYPE(type) {
            const kernels *k = kernels_level(levels[l]);
            if (!k) continue;
            problem p = new_problem(type, 37, 70, 512, 0);
            float row[70], *all = malloc(37 * 70 * sizeof *all);
            k->gemm(&p.g);
            memcpy(all, p.c, 37 * 70 * sizeof *all);
            for (int m = 0; m < 37; m++) {
                gemm_args one = p.g;
                one.M = 1, one.a += (size_t)m * one.lda, one.c = row;
                k->gemm(&one);
                CHECK_MSG(!memcmp(row, all + m * 70, sizeof row), "%s at %s: row %d alone", stored_formats[type].name, k->name, m);
            }
            for (int threads = 1; threads <= 4; threads++) {
                threads_set(threads);
                for (int i = 0; i < 37 * 70; i++) p.c[i] = NAN;
                k->gemm(&p.g);
                CHECK_MSG(!memcmp(p.c, all, 37 * 70 * sizeof *all), "%s at %s with %d threads", stored_formats[type].name, k->name, threads);
            }
            threads_set(0);
            free(all);
            free_problem(&p);
        }
}

/* B said as (K,N) and stored transposed is the same product; so with a type that is not in blocks. */
static void transposed(void)
{
    for (int l = 0; l < LEVELS; l++)
        for (stored_type type = STORED_REAL; type < STORED_TYPES; type++) {
            const kernels *k = kernels_level(levels[l]);
            if (!k) continue;
            problem p = new_problem(type, 5, 40, 256, 0);
            float *plain = malloc(200 * sizeof *plain);
            for (int i = 0; !in_blocks(type) && i < 40 * 256; i++) {
                float x = (float)normal();
                uint16_t half = type == STORED_F16 ? f16_from_float(x) : bf16_from_float(x);
                memcpy(p.bytes + 1 + (size_t)i * stored_formats[type].bytes, type == STORED_REAL ? (void *)&x : (void *)&half, stored_formats[type].bytes);
            }
            k->gemm(&p.g);
            memcpy(plain, p.c, 200 * sizeof *plain);
            p.g.tb = false, p.g.ldb = 40, p.g.b.rows = 256, p.g.b.columns = 40;
            k->gemm(&p.g);
            CHECK_MSG(!memcmp(p.c, plain, 200 * sizeof *plain), "%s at %s", stored_formats[type].name, k->name);
            free(plain);
            free_problem(&p);
        }
}

/* ---- errors ------------------------------------------------------------------------------------------ */

/* The relative error of products of normal rows with random blocks against the same numbers in float64: rounding to
 * 8 bits in blocks of 32 and of 256.  Bounds are a little above what was measured. */
static void errors(void)
{
    EACH_BLOCK_TYPE(type) {
        enum { M = 24, N = 64, K = 2048 };
        problem p = new_problem(type, M, N, K, 0);
        double error = 0, size = 0, exactly;
        kernels_default()->gemm(&p.g);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                defined(&p, m, n, &exactly);
                error += pow((double)p.c[m * N + n] - exactly, 2), size += exactly * exactly;
            }
        error = sqrt(error / size);
        double most = stored_formats[type].block == 32 ? 0.0060 : 0.0082;
        CHECK_MSG(error > 0.001 && error < most, "%s: relative error %.5f, at most %.5f", stored_formats[type].name, error, most);
        free_problem(&p);
    }
}

const test tests_gemm_blocks[] = {
    { "kernels/gemm in blocks: the definition", by_definition },
#if defined(__x86_64__)
    { "kernels/gemm in blocks: AVX-512 without VNNI", by_definition_without_vnni },
#endif
    { "kernels/gemm in blocks: limits", at_the_limits }, { "kernels/gemm in blocks: not finite", not_finite },
    { "kernels/gemm in blocks: rows and threads", rows_and_threads }, { "kernels/gemm in blocks: stored transposed", transposed },
    { "kernels/gemm in blocks: errors of each type", errors }, {0}
};

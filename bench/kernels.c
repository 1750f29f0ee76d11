/* Speed of every kernel but the matrix products (bench/gemm.c), with the shapes of
 * training GPT-2 small, LLaMA and TokenFormer: one CSV row per level, kernel and shape.
 *
 *     bench-kernels [LEVEL|all [THREADS [WORD]]]         only rows that hold WORD, such as attention
 *
 * bytes: what must cross the memory bus at least, flops: multiplications and additions
 * of attention's products.  The best of REPEATS, since other work only takes away;
 * share: of the machine's fused multiply-adds at the clock measured beside it. */
#include "base/arena.h"
#include "base/random.h"
#include "timing.h"
#include <math.h>

enum { REPEATS = 7, BUFFERS = 10 };

/* With one thread its own time, so that what else runs here does not count. */
static double seconds(void)
{
    struct timespec t;
    if (threads_count() > 1) return wall_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- cases: a shape and a call ------------------------------------------------------------- */

typedef struct {
    const kernels *k;
    int rows, width, extra;                     /* extra: what the case says */
    float *x[BUFFERS];                          /* (rows, width) each */
    float *stat, *stat2;
    int *index;
    uint64_t *row_key;
    attention_args attention;
} bench;

typedef struct {
    const char *name;
    void (*run)(bench *b);
    int rows, width, extra, buffers;            /* buffers: how many times the shape crosses the bus */
} bench_case;

static size_t count_of(const bench *b) { return (size_t)b->rows * (size_t)b->width; }

static void run_copy(bench *b)       { b->k->copy(b->x[1], false, b->x[0], count_of(b)); }
static void run_add(bench *b)        { b->k->copy(b->x[1], true, b->x[0], count_of(b)); }
static void run_sum(bench *b)        { b->k->sum(b->x[2], b->x[0], b->x[1], count_of(b)); }
static void run_gather(bench *b)     { b->k->gather(b->x[1], false, (stored){ .data = b->x[0] }, b->index, b->rows, b->width); }
static void run_scatter(bench *b)    { b->k->scatter(b->x[1], true, b->x[0], b->index, b->rows, b->width, b->rows); }
static void run_put_rows(bench *b)   { b->k->put_rows(b->x[1], STORED_REAL, (size_t)b->width, b->index, b->x[0], (size_t)b->width, b->rows, b->width); }
static void run_act(bench *b)        { b->k->act(b->x[1], b->x[0], (activation)b->extra, count_of(b)); }
static void run_act_back(bench *b)   { b->k->act_backward(b->x[2], false, b->x[0], b->x[1], (activation)b->extra, count_of(b)); }
static void run_glu(bench *b)        { b->k->glu(b->x[2], b->x[0], b->x[1], (size_t)b->width, ACT_SILU, b->rows, b->width); }
static void run_glu_back(bench *b)   { b->k->glu_backward(b->x[3], false, b->x[4], false, b->x[0], b->x[1], b->x[2], (size_t)b->width, ACT_SILU, b->rows, b->width); }
static void run_dropout(bench *b)    { b->k->dropout(b->x[1], false, b->x[0], 0.1f, b->row_key, 1, b->rows, b->width); }
static void run_layer_norm(bench *b) { b->k->layer_norm(b->x[1], b->stat, b->stat2, b->x[0], b->x[2], b->x[3], 1e-5f, b->rows, b->width); }
static void run_rms_norm(bench *b)   { b->k->rms_norm(b->x[1], b->stat, b->x[0], b->x[2], 1e-5f, b->rows, b->width); }
static void run_layer_norm_back(bench *b)
{
    b->k->layer_norm_backward(b->x[1], false, b->x[2], b->x[3], false, b->x[0], b->x[4], b->x[5], b->stat, b->stat2, b->rows, b->width);
}
static void run_rms_norm_back(bench *b)
{
    b->k->rms_norm_backward(b->x[1], false, b->x[2], false, b->x[0], b->x[4], b->x[5], b->stat, b->rows, b->width);
}
static void run_rope(bench *b)
{
    b->k->rope(b->x[1], false, b->x[0], b->x[2], b->index, false, b->rows, b->width / 64, b->width / 64, 64, b->extra);
}
static void run_theta(bench *b)      { b->k->theta(b->x[1], b->stat, b->x[0], (theta_kind)b->extra, 768, b->rows, b->width); }
static void run_theta_back(bench *b)
{
    b->k->theta_backward(b->x[2], b->x[0], b->x[1], b->stat, (theta_kind)b->extra, 768, b->rows, b->width);
}
static void run_loss(bench *b)       { b->k->cross_entropy(b->x[0], b->stat, b->index, NULL, b->extra, 1, b->rows, b->width); }
static void run_squares(bench *b)    { b->stat[0] = (float)b->k->sum_of_squares(b->x[0], count_of(b)); }
static void run_adamw(bench *b)
{
    adamw_args a = { .lr = 1e-9f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f, .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.05f, .scale = 1 };
    b->k->adamw(b->x[0], b->x[1], b->x[2], b->x[3], count_of(b), &a);
}

/* rows: queries in all; extra: queries of one sequence (decoding: keys in its cache); width: heads of 64. */
static void attention_of(bench *b, int kv_heads, int length, bool decoding)
{
    static int start[4096], past[4096], kv_start[4096];
    attention_args *a = &b->attention;
    int seqs = decoding ? b->rows : b->rows / length;
    *a = (attention_args){ .seqs = seqs, .heads = b->width / 64, .kv_heads = kv_heads, .head_dim = 64, .start = start, .kv_start = kv_start,
                           .past = past, .causal = true, .scale = 0.125f, .q = b->x[0], .k.data = b->x[1], .v.data = b->x[2], .o = b->x[3], .d_o = b->x[4],
                           .dq = b->x[5], .dk = b->x[6], .dv = b->x[7], .lse = b->stat, .delta = b->stat2 };
    a->q_stride = a->o_stride = (size_t)b->width;
    a->k_stride = a->v_stride = (size_t)kv_heads * 64;
    for (int s = 0; s <= seqs; s++) {
        start[s] = decoding ? s : s * length;
        kv_start[s] = decoding ? s * length % (int)(count_of(b) / a->k_stride - (size_t)length) : start[s];
        past[s] = decoding ? length - 1 : 0;
    }
}
static void run_attention(bench *b)      { attention_of(b, b->width / 64, b->extra, false); b->k->attention(&b->attention); }
static void run_attention_gqa(bench *b)  { attention_of(b, b->width / 256, b->extra, false); b->k->attention(&b->attention); }
static void run_attention_back(bench *b) { attention_of(b, b->width / 64, b->extra, false); b->k->attention_backward(&b->attention); }
static void run_attention_drop(bench *b)
{
    attention_of(b, b->width / 64, b->extra, false);
    b->attention.dropout = 0.1f, b->attention.row_key = b->row_key;
    b->k->attention(&b->attention);
}
/* An encoder's: all keys, with ALiBi's distances, or those at most 64 away. */
static void set_mask(bench *b, bool alibi, int window)
{
    static const float slopes[64];
    attention_of(b, b->width / 64, b->extra, false);
    b->attention.causal = false, b->attention.alibi = alibi ? slopes : NULL, b->attention.window = window;
}
static void run_full(bench *b)       { set_mask(b, false, 0); b->k->attention(&b->attention); }
static void run_alibi(bench *b)      { set_mask(b, true, 0); b->k->attention(&b->attention); }
static void run_window(bench *b)     { set_mask(b, false, 64); b->k->attention(&b->attention); }
static void run_full_back(bench *b)  { set_mask(b, false, 0); b->k->attention_backward(&b->attention); }
static void run_alibi_back(bench *b) { set_mask(b, true, 0); b->k->attention_backward(&b->attention); }
static void run_window_back(bench *b) { set_mask(b, false, 64); b->k->attention_backward(&b->attention); }
static void run_decoding(bench *b)
{
    bench one = *b;
    one.rows = 1;
    attention_of(&one, b->width / 64, b->extra, true);
    b->k->attention(&one.attention);
}

static const bench_case cases[] = {
    { "copy", run_copy, 1024, 3072, 0, 2 }, { "copy add", run_add, 1024, 3072, 0, 3 }, { "sum", run_sum, 1024, 768, 0, 3 },
    { "gather", run_gather, 1024, 768, 0, 2 }, { "scatter", run_scatter, 1024, 768, 0, 3 }, { "put_rows", run_put_rows, 1024, 768, 0, 2 },
    { "act gelu_tanh", run_act, 1024, 3072, ACT_GELU_TANH, 2 }, { "act gelu_erf", run_act, 1024, 3072, ACT_GELU_ERF, 2 },
    { "act silu", run_act, 1024, 3072, ACT_SILU, 2 }, { "act_backward gelu_tanh", run_act_back, 1024, 3072, ACT_GELU_TANH, 3 },
    { "act_backward gelu_erf", run_act_back, 1024, 3072, ACT_GELU_ERF, 3 }, { "glu silu", run_glu, 1024, 2048, 0, 3 },
    { "glu_backward silu", run_glu_back, 1024, 2048, 0, 5 }, { "dropout", run_dropout, 1024, 768, 0, 2 },
    { "layer_norm", run_layer_norm, 1024, 768, 0, 2 }, { "layer_norm_backward", run_layer_norm_back, 1024, 768, 0, 5 },
    { "rms_norm", run_rms_norm, 1024, 768, 0, 2 }, { "rms_norm_backward", run_rms_norm_back, 1024, 768, 0, 5 },
    { "rope", run_rope, 1024, 768, 64, 2 }, { "rope quarter", run_rope, 1024, 768, 16, 2 },
    { "theta l2_gelu", run_theta, 1024, 3072, THETA_L2_GELU, 2 }, { "theta l2_gelu", run_theta, 1024, 768, THETA_L2_GELU, 2 },
    { "theta gelu_l2", run_theta, 1024, 3072, THETA_GELU_L2, 2 }, { "theta softmax", run_theta, 1024, 3072, THETA_SOFTMAX, 2 },
    { "theta_backward l2_gelu", run_theta_back, 1024, 3072, THETA_L2_GELU, 3 }, { "theta_backward gelu_l2", run_theta_back, 1024, 3072, THETA_GELU_L2, 3 },
    { "theta_backward softmax", run_theta_back, 1024, 3072, THETA_SOFTMAX, 3 },
    { "cross_entropy", run_loss, 128, 50257, 0, 1 }, { "cross_entropy backward", run_loss, 128, 50257, 1, 2 },
    { "adamw", run_adamw, 4096, 1024, 0, 7 }, { "sum_of_squares", run_squares, 4096, 1024, 0, 1 },
    { "attention", run_attention, 1024, 768, 1024, 4 }, { "attention", run_attention, 1024, 768, 256, 4 },
    { "attention gqa4", run_attention_gqa, 1024, 1024, 1024, 4 }, { "attention dropout", run_attention_drop, 1024, 768, 1024, 4 },
    { "attention_backward", run_attention_back, 1024, 768, 1024, 8 }, { "attention_backward", run_attention_back, 1024, 768, 256, 8 },
    { "attention full", run_full, 1024, 768, 512, 4 }, { "attention full alibi", run_alibi, 1024, 768, 512, 4 },
    { "attention full window", run_window, 1024, 768, 512, 4 }, { "attention_backward full", run_full_back, 1024, 768, 512, 8 },
    { "attention_backward full alibi", run_alibi_back, 1024, 768, 512, 8 }, { "attention_backward full window", run_window_back, 1024, 768, 512, 8 },
    { "attention decoding", run_decoding, 4096, 768, 1023, 0 },
};

/* ---- rows ---------------------------------------------------------------------------------- */

static double flops_of(const bench_case *c)
{
    double products = strstr(c->name, "backward") ? 5 : 2, seen = (c->extra + 1) / 2.0;
    if (strstr(c->name, "full")) seen = c->extra;
    if (strstr(c->name, "window")) seen = 129;              /* fewer at the ends of a sequence */
    if (strncmp(c->name, "attention", 9)) return 0;
    if (strstr(c->name, "decoding")) return 4.0 * c->width * c->extra;
    return products * 2 * c->rows * c->width * seen;
}

static double bytes_of(const bench_case *c)
{
    if (strstr(c->name, "decoding")) return 8.0 * c->width * c->extra;
    return 4.0 * c->buffers * c->rows * c->width;
}

static bench *open_bench(const kernels *k, const bench_case *c)
{
    static bench b;
    b = (bench){ .k = k, .rows = c->rows, .width = c->width, .extra = c->extra };
    size_t n = count_of(&b), stats = (size_t)c->rows * 16;
    for (int i = 0; i < BUFFERS; i++) {
        b.x[i] = big_alloc(n * sizeof(float));
        if (!b.x[i]) abort();
        for (size_t j = 0; j < n; j++) b.x[i][j] = (float)random_unit((uint64_t)i, j);
    }
    b.stat = big_alloc(stats * sizeof(float)), b.stat2 = big_alloc(stats * sizeof(float));
    b.index = big_alloc((size_t)c->rows * sizeof(int)), b.row_key = big_alloc((size_t)c->rows * sizeof(uint64_t));
    if (!b.stat || !b.stat2 || !b.index || !b.row_key) abort();
    for (size_t j = 0; j < stats; j++) b.stat[j] = b.stat2[j] = 7;
    for (int r = 0; r < c->rows; r++) b.index[r] = (int)permuted((uint64_t)r, (uint64_t)c->rows, 5), b.row_key[r] = (uint64_t)r;
    return &b;
}

static void close_bench(bench *b)
{
    for (int i = 0; i < BUFFERS; i++) big_free(b->x[i], count_of(b) * sizeof(float));
    big_free(b->stat, (size_t)b->rows * 16 * sizeof(float)), big_free(b->stat2, (size_t)b->rows * 16 * sizeof(float));
    big_free(b->index, (size_t)b->rows * sizeof(int)), big_free(b->row_key, (size_t)b->rows * sizeof(uint64_t));
}

static void measure(const kernels *k, const bench_case *c, int threads)
{
    bench *b = open_bench(k, c);
    double best = INFINITY, clock = 0;
    if (!strncmp(c->name, "attention_b", 11)) run_attention(b);
    c->run(b);
    for (int r = 0; r < REPEATS; r++) {
        clock = fmax(clock, hertz(seconds));
        double start = seconds();
        c->run(b);
        best = fmin(best, seconds() - start);
    }
    printf("%s,%s,%s,%d,%s,%dx%d/%d,%.1f,%.1f,%.1f,%.3f\n", COMMIT, cpu_name(), k->name, threads, c->name, c->rows, c->width, c->extra,
           best * 1e6, bytes_of(c) / best * 1e-9, flops_of(c) / best * 1e-9, flops_of(c) / best / (flops_per_cycle(k->name, COMPUTE_F32) * clock * threads));
    fflush(stdout);
    close_bench(b);
}

int main(int argc, char **argv)
{
    static const char *const levels[] = { "ref", "avx2", "avx512" };
    const char *level = argc > 1 ? argv[1] : "all", *word = argc > 3 ? argv[3] : "";
    if (strcmp(level, "all") && !kernels_level(level)) {
        fprintf(stderr, "bench-kernels: this machine has no %s; one of all, ref, avx2, avx512\n", level);
        return 2;
    }
    if (argc > 2) threads_set(atoi(argv[2]));
    printf("commit,cpu,level,threads,kernel,shape,us,GB/s,GFLOP/s,share\n");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int i = 0; i < 3; i++) {
            const kernels *k = kernels_level(levels[i]);
            if (k && (!strcmp(level, "all") || !strcmp(level, levels[i])) && strstr(cases[c].name, word)) measure(k, &cases[c], threads_count());
        }
    return 0;
}

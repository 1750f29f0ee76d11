/* Speed of the matrix products: one CSV row per level, number of threads, operand
 * type and shape.  Built with -DWITH_DNNL and -ldnnl, oneDNN runs in the same sitting, call by
 * call beside ours, since a machine's clock and its other work change by the minute
 * (OMP_NUM_THREADS is its number of threads; OMP_WAIT_POLICY=passive keeps them off the cores while idle).
 *
 *     bench-gemm [LEVEL [THREADS [WORD]]]        only rows that hold WORD, such as fwd, bf16 or 768x3072
 *
 * Shapes M,N,K are those of C (M,N), sums over K.  Operations of a linear layer:
 * fwd Y = X W^T, dX = dY W, dW = dY^T X; "packed" has the weight packed before, once per step.
 * share: of the machine's fused multiply-adds per cycle at the clock measured beside it. */
#include "base/arena.h"
#include "base/random.h"
#include "timing.h"
#ifdef WITH_DNNL
#include "kernels/half.h"
#include <dnnl.h>
#endif

enum { REPEATS = 9 };

static const struct { int rows, in, out; } layers[] = {
    { 1024, 768, 2304 }, { 1024, 768, 768 }, { 1024, 768, 3072 }, { 1024, 3072, 768 }, { 1024, 768, 50257 },
    { 1, 768, 2304 }, { 1, 768, 50257 }, { 8, 768, 3072 }, { 8, 768, 50257 }, { 64, 768, 2304 } };
enum { LAYERS = sizeof layers / sizeof *layers };
static const char *const ops[] = { "fwd", "dX", "dW" };

static float *filled(size_t n, uint64_t key)
{
    float *p = big_alloc(n * sizeof *p);
    if (!p) abort();
    for (size_t i = 0; i < n; i++) p[i] = (float)(random_unit(key, i) - 0.5);
    return p;
}

/* ---- the peer ---------------------------------------------------------------------- */

typedef struct { gemm_args g; void *primitive; void *operands[3]; } peer;

#ifdef WITH_DNNL
static dnnl_engine_t engine;
static dnnl_stream_t stream;
static void need(dnnl_status_t s) { if (s != dnnl_success) { fprintf(stderr, "dnnl: status %d\n", (int)s); exit(1); } }

static uint16_t *narrowed(const float *x, size_t n)
{
    uint16_t *y = big_alloc(n * sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = bf16_from_float(x[i]);
    return y;
}

/* bf16 operands rounded beforehand, plain layouts: what a caller who keeps bf16 copies has. */
static void peer_open(peer *p)
{
    gemm_args *g = &p->g;
    if (g->type == COMPUTE_F32) return;
    if (!engine) need(dnnl_engine_create(&engine, dnnl_cpu, 0)), need(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    dnnl_memory_desc_t a, b, c;
    dnnl_dims_t da = { g->M, g->K }, db = { g->K, g->N }, dc = { g->M, g->N };
    need(dnnl_memory_desc_init_by_tag(&a, 2, da, dnnl_bf16, g->ta ? dnnl_ba : dnnl_ab));
    need(dnnl_memory_desc_init_by_tag(&b, 2, db, dnnl_bf16, g->tb ? dnnl_ba : dnnl_ab));
    need(dnnl_memory_desc_init_by_tag(&c, 2, dc, dnnl_f32, dnnl_ab));
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    need(dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c));
    need(dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL));
    need(dnnl_primitive_create(&primitive, pd));
    p->primitive = primitive;
    dnnl_memory_t m[3];
    need(dnnl_memory_create(&m[0], &a, engine, narrowed(g->a, (size_t)g->M * (size_t)g->K)));
    need(dnnl_memory_create(&m[1], &b, engine, narrowed(g->b.data, (size_t)g->K * (size_t)g->N)));
    need(dnnl_memory_create(&m[2], &c, engine, g->c));
    for (int i = 0; i < 3; i++) p->operands[i] = m[i];
}

static void peer_run(peer *p)
{
    gemm_args *g = &p->g;
    if (g->type == COMPUTE_F32) {
        need(dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->M, g->N, g->K, 1, g->a, (dnnl_dim_t)g->lda,
                        g->b.data, (dnnl_dim_t)g->ldb, 0, g->c, (dnnl_dim_t)g->ldc));
        return;
    }
    dnnl_exec_arg_t args[3] = { { DNNL_ARG_SRC, p->operands[0] }, { DNNL_ARG_WEIGHTS, p->operands[1] }, { DNNL_ARG_DST, p->operands[2] } };
    need(dnnl_primitive_execute(p->primitive, stream, 3, args));
    need(dnnl_stream_wait(stream));
}
enum { PEER = 1 };
#else
static void peer_open(peer *p) { (void)p; }
static void peer_run(peer *p) { (void)p; }
enum { PEER = 0 };
#endif

/* ---- rows --------------------------------------------------------------------------- */

static void print_row(const char *level, int threads, const gemm_args *g, const char *op, double time, double clock)
{
    double flops = 2.0 * g->M * g->N * g->K / time;
    printf("%s,%s,%s,%d,%s,%dx%dx%d,%s%s,%.1f,%.3f\n", COMMIT, cpu_name(), level, threads, g->type == COMPUTE_BF16 ? "bf16" : "f32",
           g->M, g->N, g->K, op, g->packed ? " packed" : "", flops * 1e-9,
           flops / (flops_per_cycle(g->type == COMPUTE_BF16 && !strcmp(level, "dnnl") ? "amx" : level, g->type) * clock * threads));
    fflush(stdout);
}

static void measure(const kernels *k, const gemm_args *g, int threads, const char *op)
{
    double ours[REPEATS], theirs[REPEATS], clock[REPEATS];
    double work = 2.0 * g->M * g->N * g->K;
    int calls = (int)(2e7 / work) + 1;
    peer p = { .g = *g };
    if (!g->packed) peer_open(&p);
    k->gemm(g);
    for (int r = 0; r < REPEATS; r++) {
        clock[r] = hertz(wall_seconds);
        double start = wall_seconds();
        for (int i = 0; i < calls; i++) k->gemm(g);
        ours[r] = (wall_seconds() - start) / calls;
        if (!PEER || g->packed) continue;
        if (r == 0) peer_run(&p);
        start = wall_seconds();
        for (int i = 0; i < calls; i++) peer_run(&p);
        theirs[r] = (wall_seconds() - start) / calls;
    }
    double hz = median(clock, REPEATS);
    print_row(k->name, threads, g, op, median(ours, REPEATS), hz);
    if (PEER && !g->packed) print_row("dnnl", threads, g, op, median(theirs, REPEATS), hz);
}

static gemm_args operation(int layer, int op, compute_type type)
{
    int rows = layers[layer].rows, in = layers[layer].in, out = layers[layer].out;
    gemm_args g = { .M = rows, .N = out, .K = in, .tb = true, .type = type };
    if (op == 1) g.N = in, g.K = out, g.tb = false;
    if (op == 2) g.M = out, g.N = in, g.K = rows, g.ta = true, g.tb = false;
    g.lda = (size_t)(g.ta ? g.M : g.K), g.ldb = (size_t)(g.tb ? g.K : g.N), g.ldc = (size_t)g.N;
    return g;
}

static void run_case(const kernels *k, int threads, int layer, int op, compute_type type, bool packed, const char *word)
{
    gemm_args g = operation(layer, op, type);
    char text[96];
    snprintf(text, sizeof text, "%s %dx%dx%d %s%s", type ? "bf16" : "f32", g.M, g.N, g.K, ops[op], packed ? " packed" : "");
    size_t bytes = packed ? k->gemm_pack_bytes(type, g.K, g.N) : 0;
    if (!strstr(text, word) || (packed && !bytes) || (op == 2 && packed)) return;
    size_t a = (size_t)g.M * (size_t)g.K, b = (size_t)g.K * (size_t)g.N, c = (size_t)g.M * (size_t)g.N;
    float *pa = filled(a, 1), *pb = filled(b, 2), *pc = filled(c, 3);
    void *pp = bytes ? big_alloc(bytes) : NULL;
    g.a = pa, g.b.data = pb, g.c = pc, g.packed = pp;
    if (pp) k->gemm_pack(pp, type, g.b, g.ldb, g.tb, g.K, g.N);
    measure(k, &g, threads, ops[op]);
    big_free(pa, a * sizeof *pa), big_free(pb, b * sizeof *pb), big_free(pc, c * sizeof *pc);
    if (pp) big_free(pp, bytes);
}

int main(int argc, char **argv)
{
    const kernels *k = argc > 1 ? kernels_level(argv[1]) : kernels_default();
    if (!k) { fprintf(stderr, "gemm: this machine has no %s; one of ref, avx2, avx512, amx\n", argv[1]); return 2; }
    if (argc > 2) threads_set(atoi(argv[2]));
    int threads = threads_count();
    printf("commit,cpu,level,threads,type,MxNxK,op,GFLOP/s,share\n");
    for (int layer = 0; layer < LAYERS; layer++)
        for (int op = 0; op < 3; op++)
            for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++)
                for (int packed = 0; packed < 2; packed++)
                    run_case(k, threads, layer, op, (compute_type)type, packed, argc > 3 ? argv[3] : "");
    return 0;
}

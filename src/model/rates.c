/* What the machine can do and what a model asks of it: the rates of the matrix product and of reading the weights, of
 * which other speeds are given as a share, and the work of a pass. */
#include "base/threads.h"
#include "model/pass.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

double lithe_clock(void)
{
    struct timespec t;
    clock_gettime(threads_count() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the matrix product ------------------------------------------------------------- */

/* Returns the best rate of several products within about a tenth of a second; 0 when memory is out. */
static double measure(compute_type type)
{
    const kernels *k = kernels_default();
    const int side = strcmp(k->name, "ref") ? 1024 : 192;    /* the plain kernels are a thousand times slower */
    size_t count = (size_t)side * (size_t)side, bytes = count * sizeof(real);
    size_t packed_bytes = k->gemm_pack_bytes ? k->gemm_pack_bytes(type, side, side) : 0;
    real *a = big_alloc(bytes), *b = big_alloc(bytes), *c = big_alloc(bytes);
    void *packed = packed_bytes ? big_alloc(packed_bytes) : NULL;
    double best = 0;
    if (a && b && c && (packed || !packed_bytes) && thread_ready()) {
        for (size_t i = 0; i < count; i++) a[i] = b[i] = (real)(i % 17) / 17;
        if (packed) k->gemm_pack(packed, type, (stored){ .data = b }, (size_t)side, false, side, side);
        gemm_args g = { .M = side, .N = side, .K = side, .a = a, .lda = (size_t)side, .b.data = b, .ldb = (size_t)side,
                        .c = c, .ldc = (size_t)side, .type = type, .packed = packed };
        double start = lithe_clock(), last = start;
        while (last - start < 0.08 || best <= 0) {
            k->gemm(&g);
            double end = lithe_clock(), rate = 2 * (double)count * side / (end - last);
            if (rate > best) best = rate;
            last = end;
        }
    }
    big_free(a, bytes);
    big_free(b, bytes);
    big_free(c, bytes);
    if (packed) big_free(packed, packed_bytes);
    return best;
}

double lithe_peak(const char *type)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct { double rate; int threads; const kernels *level; } known[2];
    int i = type && !strcmp(type, "bf16");
    pthread_mutex_lock(&lock);
    if (!(known[i].rate > 0) || known[i].threads != threads_count() || known[i].level != kernels_default()) {
        known[i].rate = measure(i ? COMPUTE_BF16 : COMPUTE_F32);
        known[i].threads = threads_count();
        known[i].level = kernels_default();
    }
    double rate = known[i].rate;
    pthread_mutex_unlock(&lock);
    return rate;
}

/* ---- a pass ---------------------------------------------------------------------------- */

/* Plans a pass over rows of seqs sequences, with the logits of the last row of each where there are any. */
static int plan_work(pass *p, const lithe_model *m, int rows, int seqs, lithe_error *err)
{
    bool language = m->task.kind == TASK_LANGUAGE || m->task.kind == TASK_PRETRAIN;
    if (rows < 1 || seqs < 1 || seqs > rows) return fail(err, LITHE_EINVAL, "a pass over %d tokens of %d sequences", rows, seqs);
    const graph_options o = { .mode = GRAPH_SCORE, .capacity = { [ROWS_TOKENS] = rows, [ROWS_SEQS] = seqs, [ROWS_SELECTED] = language ? seqs : 0 } };
    return pass_plan(p, m, &o, language ? WANT_LOGITS : WANT_HIDDEN, err);
}

/* Weight number i that a pass is multiplied by, as it is stored; false past the last. */
static bool weight_at(const pass *p, int number, stored *weight, size_t *bytes)
{
    const step *steps;
    int seen = 0;
    for (int i = 0, count = graph_steps(p->g, &steps); i < count; i++) {
        const node *n = steps[i].node;
        for (int j = 0; j < MAX_IN && steps[i].kind == STEP_FORWARD && n->op->flops; j++) {
            if (!n->in[j] || !n->in[j]->param || !(n->op->weights & IN(j)) || seen++ < number) continue;
            *weight = weight_stored(&n->in[j]->param->weight);
            *bytes = stored_bytes(weight->type, n->in[j]->param->count);
            return true;
        }
    }
    return false;
}

int lithe_pass_work(const lithe_model *m, int rows, int seqs, lithe_work *out, lithe_error *err)
{
    pass p;
    const step *steps;
    stored w;
    size_t bytes;
    *out = (lithe_work){ 0 };
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    int status = plan_work(&p, m, rows, seqs, err);
    if (status) return status;
    for (int i = 0, count = graph_steps(p.g, &steps); i < count; i++)
        if (steps[i].kind == STEP_FORWARD && steps[i].node->op->flops) out->flops += steps[i].node->op->flops(steps[i].node);
    for (int i = 0; weight_at(&p, i, &w, &bytes); i++) out->bytes += (double)bytes;
    pass_close(&p);
    return LITHE_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* AHEAD: lines are asked for so much earlier, or the next page of a mapped file is waited for. */
enum { PIECE = 1 << 20, AHEAD = 16384 };
typedef struct { const char *data; size_t bytes; } memory;

static void read_piece(void *context, int piece)
{
    const memory *m = context;
    size_t from = (size_t)piece * PIECE, end = m->bytes - from < PIECE ? m->bytes : from + PIECE;
    uint64_t sums[8] = { 0 };
    for (size_t at = from; at + sizeof sums <= end; at += sizeof sums) {
        uint64_t x[8];
        __builtin_prefetch(m->data + at + AHEAD, 0, 2);
        __builtin_memcpy(x, m->data + at, sizeof x);
        for (int j = 0; j < 8; j++) sums[j] ^= x[j];
    }
    for (int j = 0; j < 8; j++) __asm__ volatile("" : : "r"(sums[j]));
}

double lithe_read_rate(const lithe_model *m)
{
    pass p;
    stored w;
    memory x;
    double bytes = 0;
    if (!m || plan_work(&p, m, 1, 1, NULL)) return 0;
    double start = lithe_clock(), end;
    do {
        for (int i = 0; weight_at(&p, i, &w, &x.bytes); i++) {
            x.data = w.data;
            parallel_for((int)((x.bytes + PIECE - 1) / PIECE), read_piece, &x);
            bytes += (double)x.bytes;
        }
        end = lithe_clock();
    } while (bytes > 0 && end - start < 0.02);
    pass_close(&p);
    return bytes > 0 && end > start ? bytes / (end - start) : 0;
}

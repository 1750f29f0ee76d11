/* Speed of RWKV's recurrent kernels: one CSV row for each level and kernel, with
 * the time of a row of one head of 64 channels.
 *
 *     bench-rwkv [LEVEL|all [THREADS [ROWS [SEQS [WIDTH]]]]]         all 1 512 4 768
 *
 * rows: of each sequence.  The best of REPEATS. */
#include "base/arena.h"
#include "base/random.h"
#include "timing.h"
#include <math.h>

enum { REPEATS = 5, N = 64, BUFFERS = 16 };

/* With one thread its own time, so that what else runs here does not count. */
static double seconds(void)
{
    struct timespec t;
    if (threads_count() > 1) return wall_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct { const kernels *k; int rows, seqs, width, *start; float *x[BUFFERS], *channels[6], *work; } bench;

static wkv4_args four(const bench *b)
{
    float *const *x = b->x;
    return (wkv4_args){ .seqs = b->seqs, .width = b->width, .start = b->start, .k = x[0], .v = x[1], .decay = b->channels[0], .bonus = b->channels[1], .y = x[2],
                        .dy = x[3], .dk = x[4], .dv = x[5], .ddecay = b->channels[2], .dbonus = b->channels[3], .work = b->work };
}

static wkv6_args six(const bench *b)
{
    float *const *x = b->x;
    return (wkv6_args){ .seqs = b->seqs, .width = b->width, .N = N, .start = b->start, .r = x[0], .decay = x[1], .key = x[2], .v = x[3], .bonus = b->channels[0],
                        .y = x[4], .work = b->work, .dy = x[5], .dr = x[6], .ddecay = x[7], .dkey = x[8], .dv = x[9], .dbonus = b->channels[1] };
}

static wkv7_args seven(const bench *b)
{
    float *const *x = b->x;
    return (wkv7_args){ .seqs = b->seqs, .width = b->width, .N = N, .start = b->start, .r = x[0], .decay = x[1], .key = x[2], .v = x[3], .removal = x[4], .written = x[5],
                        .y = x[6], .work = b->work, .dy = x[7], .dr = x[8], .ddecay = x[9], .dkey = x[10], .dv = x[11], .dremoval = x[12], .dwritten = x[13] };
}

static token_shift_args shift(const bench *b)
{
    token_shift_args a = { .seqs = b->seqs, .width = b->width, .mixes = 6, .start = b->start, .past = true, .x = b->x[0], .dx = b->x[1] };
    for (int m = 0; m < 6; m++) a.mix[m] = b->channels[m], a.y[m] = b->x[2 + m], a.dy[m] = b->x[8 + m], a.dmix[m] = b->work + m * b->width;
    return a;
}

static wkv7_read_args reading(const bench *b)
{
    float *const *x = b->x, *const *c = b->channels;
    return (wkv7_read_args){ .rows = b->rows * b->seqs, .width = b->width, .N = N, .eps = 64e-5f, .y = x[0], .r = x[1], .key = x[2], .v = x[3], .w = c[0], .b = c[1], .bonus = c[2],
                             .out = x[4], .dout = x[5], .dy = x[6], .dr = x[7], .dkey = x[8], .dv = x[9], .dw = c[3], .db = c[4], .dbonus = c[5] };
}

static wkv7_keys_args keying(const bench *b)
{
    float *const *x = b->x, *const *c = b->channels;
    return (wkv7_keys_args){ .rows = b->rows * b->seqs, .width = b->width, .N = N, .k = x[0], .a = x[1], .k_k = c[0], .k_a = c[1], .key = x[2], .removal = x[3], .written = x[4],
                             .dkey = x[5], .dremoval = x[6], .dwritten = x[7], .dk = x[8], .da = x[9], .dk_k = c[2], .dk_a = c[3] };
}

static void run_wkv4(const bench *b)       { wkv4_args a = four(b); b->k->wkv4(&a); }
static void run_wkv4_back(const bench *b)  { wkv4_args a = four(b); b->k->wkv4_backward(&a); }
static void run_wkv6(const bench *b)       { wkv6_args a = six(b); b->k->wkv6(&a); }
static void run_wkv6_back(const bench *b)  { wkv6_args a = six(b); b->k->wkv6_backward(&a); }
static void run_wkv7(const bench *b)       { wkv7_args a = seven(b); b->k->wkv7(&a); }
static void run_wkv7_back(const bench *b)  { wkv7_args a = seven(b); b->k->wkv7_backward(&a); }
static void run_shift(const bench *b)      { token_shift_args a = shift(b); b->k->token_shift(&a); }
static void run_shift_back(const bench *b) { token_shift_args a = shift(b); b->k->token_shift_backward(&a); }
static void run_keys(const bench *b)       { wkv7_keys_args a = keying(b); b->k->wkv7_keys(&a); }
static void run_keys_back(const bench *b)  { wkv7_keys_args a = keying(b); b->k->wkv7_keys_backward(&a); }
static void run_read(const bench *b)       { wkv7_read_args a = reading(b); b->k->wkv7_read(&a); }
static void run_read_back(const bench *b)  { wkv7_read_args a = reading(b); b->k->wkv7_read_backward(&a); }

static const struct { const char *name; void (*run)(const bench *b); } cases[] = {
    { "wkv4", run_wkv4 }, { "wkv4_backward", run_wkv4_back }, { "wkv6", run_wkv6 }, { "wkv6_backward", run_wkv6_back },
    { "wkv7", run_wkv7 }, { "wkv7_backward", run_wkv7_back }, { "token_shift", run_shift }, { "token_shift_backward", run_shift_back },
    { "wkv7_keys", run_keys }, { "wkv7_keys_backward", run_keys_back }, { "wkv7_read", run_read }, { "wkv7_read_backward", run_read_back },
};

/* Small numbers, so that no state grows without end however often the kernels run over their own results. */
static void fill(const bench *b)
{
    size_t n = (size_t)b->rows * (size_t)b->seqs * (size_t)b->width;
    for (int i = 0; i < BUFFERS; i++)
        for (size_t j = 0; j < n; j++) b->x[i][j] = (float)(0.1 * (2 * random_unit((uint64_t)i, j) - 1));
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < b->width; j++) b->channels[i][j] = (float)(2 * random_unit(99 + (uint64_t)i, (uint64_t)j) - 1);
}

static void measure(bench *b, size_t c, int threads)
{
    double best = INFINITY, clock = 0;
    fill(b);
    for (int r = 0; r <= REPEATS; r++) {
        clock = fmax(clock, hertz(seconds));
        double start = seconds();
        cases[c].run(b);
        if (r) best = fmin(best, seconds() - start);
    }
    printf("%s,%s,%s,%d,%s,%dx%dx%d,%.1f,%.3f,%.0f\n", COMMIT, cpu_name(), b->k->name, threads, cases[c].name, b->seqs, b->rows, b->width, best * 1e6,
           best * 1e6 / b->rows / b->seqs / (b->width / N), best * clock / b->rows / b->seqs / (b->width / N));
    fflush(stdout);
}

static void *memory(size_t n) { void *p = big_alloc(n); if (!p) abort(); return p; }

int main(int argc, char **argv)
{
    static const char *const levels[] = { "ref", "avx2", "avx512" };
    const char *level = argc > 1 ? argv[1] : "all";
    bench b = { .rows = argc > 3 ? atoi(argv[3]) : 512, .seqs = argc > 4 ? atoi(argv[4]) : 4, .width = argc > 5 ? atoi(argv[5]) : 768 };
    threads_set(argc > 2 ? atoi(argv[2]) : 1);
    if (b.rows < 1 || b.seqs < 1 || b.width < N || b.width % N) { fprintf(stderr, "bench-rwkv: rows and sequences are at least 1, the width is a multiple of %d\n", N); return 2; }
    size_t n = (size_t)b.rows * (size_t)b.seqs * (size_t)b.width;
    b.start = memory((size_t)(b.seqs + 1) * sizeof(int));
    for (int s = 0; s <= b.seqs; s++) b.start[s] = s * b.rows;
    for (int i = 0; i < BUFFERS; i++) b.x[i] = (float *)memory((n + 4096) * sizeof(float)) + (i * 160) % 4096;
    for (int i = 0; i < 6; i++) b.channels[i] = memory((size_t)b.width * sizeof(float));
    b.work = memory(2 * n * sizeof(float) + (size_t)wkv_work_rows(b.rows * b.seqs, b.seqs, b.width / N) * N * N * sizeof(float));
    printf("commit,cpu,level,threads,kernel,shape,us,us_per_row_and_head,cycles_per_row_and_head\n");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int i = 0; i < 3; i++)
            if ((b.k = kernels_level(levels[i])) && (!strcmp(level, "all") || !strcmp(level, levels[i]))) measure(&b, c, threads_count());
    return 0;
}

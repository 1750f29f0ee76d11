/* Speed of products with weights in blocks: one CSV row per level, type and number of rows, in cycles for a weight
 * and GB/s of weights, of the calling thread's processor time with one thread.      bench-blocks [LEVEL [N K [ROWS
 * ...]]] */
#include "base/arena.h"
#include "base/random.h"
#include "kernels/blocks.h"
#include "timing.h"

enum { REPEATS = 7 };

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void measure(const kernels *k, stored_type type, int M, int N, int K)
{
    size_t weights = (size_t)N * (size_t)K, bytes = stored_bytes(type, weights);
    uint8_t *b = big_alloc(bytes);
    float *a = big_alloc((size_t)M * (size_t)K * sizeof *a), *c = big_alloc((size_t)M * (size_t)N * sizeof *c);
    double seconds[REPEATS], clock[REPEATS];
    if (!a || !b || !c) abort();
    for (size_t i = 0; i < bytes; i++) b[i] = (uint8_t)(random_u64(1, i) & 0x3b);            /* scales are finite */
    for (size_t i = 0; i < (size_t)M * (size_t)K; i++) a[i] = (float)(random_unit(2, i) - 0.5);
    gemm_args g = { .M = M, .N = N, .K = K, .a = a, .lda = (size_t)K, .b = { .type = type, .data = b }, .ldb = (size_t)K, .tb = true,
                    .c = c, .ldc = (size_t)N };
    int calls = (int)(3e7 / ((double)weights * M)) + 1;
    k->gemm(&g);
    for (int r = 0; r < REPEATS; r++) {
        clock[r] = hertz(processor_seconds);
        double start = processor_seconds();
        for (int i = 0; i < calls; i++) k->gemm(&g);
        seconds[r] = (processor_seconds() - start) / calls;
    }
    double time = median(seconds, REPEATS), hz = median(clock, REPEATS);
    printf("%s,%s,%s,%s,%dx%dx%d,%.4f,%.1f,%.1f\n", COMMIT, cpu_name(), k->name, stored_formats[type].name, M, N, K,
           time * hz / (double)weights / M, (double)bytes / time * 1e-9, 2e-9 * (double)weights * M / time);
    fflush(stdout);
    big_free(a, (size_t)M * (size_t)K * sizeof *a), big_free(b, bytes), big_free(c, (size_t)M * (size_t)N * sizeof *c);
}

int main(int argc, char **argv)
{
    static const int usual[] = { 1, 8, 64 };
    const kernels *k = argc > 1 ? kernels_level(argv[1]) : kernels_default();
    if (!k) { fprintf(stderr, "blocks: this machine has no %s; one of ref, avx2, avx512, amx\n", argv[1]); return 2; }
    int N = argc > 3 ? atoi(argv[2]) : 4096, K = argc > 3 ? atoi(argv[3]) : 2048, rows = argc > 4 ? argc - 4 : 3;
    threads_set(1);
    printf("commit,cpu,level,type,MxNxK,cycles per weight and row,GB/s of weights,GOP/s\n");
    for (stored_type type = STORED_REAL; type < STORED_TYPES; type++)
        for (int i = 0; i < rows; i++)
            measure(k, type, argc > 4 ? atoi(argv[4 + i]) : usual[i], N, K);
    return 0;
}

/* What every bench program needs: a clock, the machine's name and rate, the median. */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include "base/threads.h"
#include "kernels/kernels.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef COMMIT
#define COMMIT "-"
#endif

static inline double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline const char *cpu_name(void)
{
    static char name[128] = "unknown";
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %127[^\n]", name) == 1) break;
    if (f) fclose(f);
    for (char *p = name; *p; p++) if (*p == ',') *p = ' ';
    return name;
}

/* The clock now: a chain of multiplications, three cycles each on every x86 of the last decade, and one for the or. */
static inline double hertz(double (*seconds)(void))
{
    uint64_t x = 3;
    double start = seconds();
    for (int i = 0; i < 1000000; i++) {
        x *= x | 1;
        __asm__ volatile("" : "+r"(x));
    }
    return 4e6 / (seconds() - start);
}

static inline double flops_per_cycle(const char *level, compute_type type)
{
    if (!strcmp(level, "amx") && type == COMPUTE_BF16) return 1024;
    if (!strcmp(level, "amx") || !strcmp(level, "avx512") || !strcmp(level, "dnnl")) return 64;
    return !strcmp(level, "avx2") ? 32 : 4;
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, by_value);
    return t[n / 2];
}

#endif

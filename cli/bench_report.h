/* The figures of lithe bench, for people and machines, and the memory of this process. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include "output.h"

enum { MOST_RUNS = 100 };

/* A figure: `count` units (tokens or sentences) in each run, which made `passes` passes. */
typedef struct {
    const char *type, *work, *unit, *cache;     /* cache: how keys and values are to be kept; NULL: as the model is */
    size_t count, depth;                        /* depth: tokens that each sequence has read before */
    int parallel, passes, runs;
    lithe_work pass;                            /* of one pass */
    double seconds[MOST_RUNS], read[MOST_RUNS];         /* of each run; bytes/s of reading weights after it */
    size_t engine_bytes, resident_bytes;
} figure;

typedef struct { const char *model; bool json, begun, headed; emitter out; double peak, peak_bf16; size_t weight_bytes; } report;

void report_begin(report *r, const char *model, bool json, lithe_error *err);
void report_model(report *r, const lithe_model *m);
/* timed: the engine whose times of operations are reported too; NULL: none. */
void report_figure(report *r, figure *f, const lithe_engine *timed);
/* Ends what was begun. */
void report_end(report *r);

/* The most bytes that were resident since the last call of memory_forget_peak, where the system can tell. */
void   memory_forget_peak(void);
size_t memory_peak(void);

#endif

/* A run as its log tells it (lithe_runs.h). */
#ifndef REPORT_RUN_LOG_H
#define REPORT_RUN_LOG_H

#include "base/arena.h"
#include "base/json.h"
#include "lithe_runs.h"

/* How far a run was when a line was written. */
typedef struct { double step, tokens, seconds, flops; } run_place;
typedef struct { run_place at; double loss, grad_norm, lr, tokens, seconds, flops; } run_step;
typedef struct { run_place at; double valid_loss, bits_per_byte, accuracy, params; } run_evaluation;
typedef struct { run_place at; const char *kind, *text; } run_mark;
typedef struct { int step; const char *text; } run_sample;
typedef struct { const char *name, *hash; } named_hash;

struct lithe_run {
    arena memory;
    const char *path, *name, *arch, *command, *config, *tokenizer;
    run_step *steps; size_t step_count, step_room;
    run_evaluation *evaluations; size_t evaluation_count, evaluation_room;
    run_mark *marks; size_t mark_count, mark_room;
    run_sample *samples; size_t sample_count, sample_room;
    const char **notices; size_t notice_count, notice_room;
    named_hash *hashes; size_t hash_count, hash_room;
    run_place at;                       /* at the end */
    int planned, skipped, rolled_back, growths, checkpoints;
    double params, batch, ctx;
    bool failed;                        /* memory was out */
};

/* How far a run was by "step", "tokens", "seconds" or "flops"; NaN for another word. */
double run_place_on(const run_place *p, const char *against);
/* A curve of lithe_run_curve in memory of its own, to be freed; false when memory is out. */
typedef struct { double *x, *y; size_t n; } run_points;
bool   run_points_read(run_points *c, const lithe_run *r, const char *of, const char *against);
void   run_points_free(run_points *c);

/* Texts of the run's files: its command, configuration, tokenizer, samples, checkpoints and hashes. */
void run_read_files(lithe_run *r);
/* Makes room for one more element of a growing array, which is returned, perhaps elsewhere; NULL when memory is out. */
static inline void *run_grown(lithe_run *r, void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room) return items;
    size_t more = *room ? 2 * *room : 64;
    void *grown = xrealloc(items, more, size);
    if (grown) *room = more;
    else r->failed = true;
    return grown;
}

#endif

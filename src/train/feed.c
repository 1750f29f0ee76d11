/* A planned graph and the ragged batches it is fed: windows end to end, their
 * targets, their weights, a key for each row's dropout.  Invariant: what a row
 * holds depends on (seed, step, sample, position) and never on how a step is
 * split into parts. */
#include "base/random.h"
#include "train/train.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------------------ */

static double graph_flops(const graph *g)
{
    const step *steps;
    double total = 0;
    for (int i = graph_steps(g, &steps); i-- > 0;) {
        const node *n = steps[i].node;
        double times = steps[i].kind == STEP_FORWARD ? 1 : steps[i].kind == STEP_BACKWARD ? 2 : steps[i].kind == STEP_FORWARD_BACKWARD ? 3 : 0;
        if (times > 0 && n->op->flops) total += times * n->op->flops(n);
    }
    return total;
}

static int open_arrays(feed *f, int rows, int seqs, lithe_error *err)
{
    size_t n = (size_t)rows;
    f->ids = xalloc(n, sizeof *f->ids);
    f->pos = xalloc(n, sizeof *f->pos);
    f->target = xalloc(n, sizeof *f->target);
    f->start = xalloc((size_t)seqs + 1, sizeof *f->start);
    f->starts = xalloc((size_t)f->ctx, sizeof *f->starts);
    f->weight = xalloc(n, sizeof *f->weight);
    f->row_key = xalloc(n, sizeof *f->row_key);
    if (!f->ids || !f->pos || !f->target || !f->start || !f->starts || !f->weight || !f->row_key)
        return fail(err, LITHE_ENOMEM, "out of memory for batches of %d tokens", rows);
    f->batch = (batch){ .ids = f->ids, .pos = f->pos, .start = f->start, .target = f->target, .weight = f->weight, .row_key = f->row_key };
    return LITHE_OK;
}

int feed_open(feed *f, const lithe_model *m, const kernels *k, graph_mode mode, const settings *s, int windows, bool reset_attention, lithe_error *err)
{
    *f = (feed){ .windows = windows, .ctx = s->ctx };
    int rows;
    if (failed(err)) return err->status;
    if (__builtin_mul_overflow(windows, s->ctx, &rows) || rows > INT_MAX / 4)
        return fail(err, LITHE_EINVAL, "%d windows of %d tokens are too many at once: split the step with accumulate", windows, s->ctx);
    int seqs = reset_attention ? rows : windows, status = open_arrays(f, rows, seqs, err);
    graph_options options = {
        .mode = mode, .capacity = { [ROWS_TOKENS] = rows, [ROWS_SEQS] = seqs }, .compute = s->compute,
        .recompute = s->recompute && mode == GRAPH_TRAIN,
    };
    if (!status && !(f->graph = graph_new(k, m->params, &options))) status = fail(err, LITHE_ENOMEM, "out of memory for the graph");
    if (!status) {
        f->results = arch_build(m->arch, m->config, &m->task, f->graph, WANT_LOSS);
        status = graph_plan(f->graph, err);
    }
    if (status) feed_close(f);
    else f->flops = graph_flops(f->graph);
    return status;
}

void feed_close(feed *f)
{
    graph_close(f->graph);
    free(f->ids);
    free(f->pos);
    free(f->target);
    free(f->start);
    free(f->starts);
    free(f->weight);
    free(f->row_key);
    *f = (feed){ 0 };
}

/* ---- batches ----------------------------------------------------------------------------- */

void feed_clear(feed *f) { f->batch.rows = f->batch.seqs = 0; }

/* The window's ids and targets lie behind the rows already there: length rows in `sequences` sequences, those before
 * `scored` without weight. */
static void add_window(feed *f, int length, int sequences, int scored, uint64_t key)
{
    int first = f->batch.rows;
    for (int q = 0; q < sequences; q++) {
        int begin = f->starts[q], end = q + 1 < sequences ? f->starts[q + 1] : length;
        f->start[f->batch.seqs++] = first + begin;
        for (int i = begin; i < end; i++) {
            f->pos[first + i] = i - begin;
            f->weight[first + i] = i >= scored;
            f->row_key[first + i] = key_of(key, (uint64_t)i);
        }
    }
    f->batch.rows = first + length;
    f->start[f->batch.seqs] = f->batch.rows;
}

void feed_train(feed *f, const lithe_dataset *d, uint64_t seed, int at, uint64_t sample)
{
    int first = f->batch.rows;
    int sequences = dataset_window(d, seed, sample, f->ctx, f->ids + first, f->target + first, f->starts);
    add_window(f, f->ctx, sequences, 0, key_of(key_of(seed, (uint64_t)at), sample));
}

int feed_valid(feed *f, const lithe_dataset *d, uint64_t window)
{
    int first = f->batch.rows;
    valid_window w = dataset_valid_window(d, window, f->ctx, 0, f->ids + first, f->target + first, f->starts);
    add_window(f, w.length, w.sequences, w.scored, 0);
    return w.length - w.scored;
}

double feed_run(feed *f, double scale, bool accumulate)
{
    double sum = 0;
    f->batch.scale = (real)scale;
    f->batch.accumulate = accumulate;
    graph_run(f->graph, &f->batch);
    for (int r = 0; r < f->batch.rows; r++) sum += (double)f->results.loss->data[r];
    return sum;
}

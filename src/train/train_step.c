/* Loss and gradients of a step over `batch` samples: each rank computes a slice, in `accumulate` micro-batches, and
 * gets its shares of the gradients' sums over all ranks. */
#include "train/trainer.h"

static double one_over(double n) { return n > 0 ? 1 / n : 0; }

batch_builder *trainer_batch(lithe_trainer *t) { return t->bptt.windows ? &t->bptt.whole : &t->train.pass.batch; }

/* Builds one micro-batch of this rank's slice of a step. */
static void fill_part(lithe_trainer *t, int at, int part)
{
    const settings *s = &t->settings;
    batch_builder *b = trainer_batch(t);
    uint64_t first = (uint64_t)(at - 1) * (uint64_t)s->batch;
    int64_t slices = (int64_t)s->accumulate * ranks_count(t->ranks), slice = (int64_t)s->accumulate * ranks_rank(t->ranks) + part;
    int64_t begin = slice * s->batch / slices, end = (slice + 1) * s->batch / slices;
    batch_begin(b);
    for (int64_t i = begin; i < end; i++) objective_train(&t->objective, b, at, first + (uint64_t)i);
}

/* Sums over one micro-batch. */
typedef struct { double loss, seq_loss, flops; } part_sums;

static int run_part(lithe_trainer *t, double scale, double seq_scale, bool accumulate, part_sums *sums, lithe_error *err)
{
    *sums = (part_sums){ 0 };
    if (t->bptt.windows) return bptt_run(&t->bptt, &t->train, scale, accumulate, &sums->loss, &sums->flops, err);
    int status = feed_run(&t->train, scale, seq_scale, accumulate, err);
    if (!status) *sums = (part_sums){ feed_loss(&t->train), feed_seq_loss(&t->train), feed_flops(&t->train) };
    return status;
}

/* From here on buckets of gradients may go to the other ranks, as soon as the last micro-batch has them. */
static int open_reduction(lithe_trainer *t, lithe_error *err)
{
    const params *p = t->model->params;
    return ranks_reduce_open(t->ranks, p->grad, p->arena_count, t->settings.wire, err);
}

int trainer_step_loss(lithe_trainer *t, int at, double *loss, lithe_error *err)
{
    const int parts = t->settings.accumulate;
    const batch_builder *b = trainer_batch(t);
    double counts[2] = { 0 }, sums[4] = { 0 };
    /* The number that the loss is divided by must be known before the gradients are computed. */
    for (int part = 0; part < parts; part++) {
        fill_part(t, at, part);
        counts[0] += b->targets;
        counts[1] += b->labels;
    }
    int status = ranks_sum(t->ranks, counts, 2, err);
    for (int part = 0; part < parts && !status; part++) {
        part_sums own = { 0 };
        if (parts > 1) fill_part(t, at, part);              /* the only part is there already */
        if (part + 1 == parts && !t->bptt.windows) status = open_reduction(t, err);
        if (!status) status = run_part(t, one_over(counts[0]), one_over(counts[1]), part > 0, &own, err);
        sums[0] += own.loss;
        sums[1] += own.seq_loss;
        sums[2] += b->rows;
        sums[3] += own.flops;
    }
    if (t->bptt.windows && !status) status = open_reduction(t, err);
    if (!status) status = ranks_reduce_end(t->ranks, err);
    if (!status) status = ranks_sum(t->ranks, sums, 4, err);
    t->step_rows = sums[2];
    t->step_flops = sums[3];
    *loss = sums[0] * one_over(counts[0]) + sums[1] * one_over(counts[1]);
    return status;
}

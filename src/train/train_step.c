/* Loss and gradients of a step over `batch` samples, in `accumulate` micro-batches. */
#include "train/trainer.h"

static double one_over(double n) { return n > 0 ? 1 / n : 0; }

batch_builder *trainer_batch(lithe_trainer *t) { return t->bptt.windows ? &t->bptt.whole : &t->train.pass.batch; }

/* Builds one micro-batch of a step. */
static void fill_part(lithe_trainer *t, int at, int part)
{
    const settings *s = &t->settings;
    batch_builder *b = trainer_batch(t);
    uint64_t first = (uint64_t)(at - 1) * (uint64_t)s->batch;
    int64_t begin = (int64_t)part * s->batch / s->accumulate, end = (int64_t)(part + 1) * s->batch / s->accumulate;
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

int trainer_step_loss(lithe_trainer *t, int at, double *loss, lithe_error *err)
{
    const int parts = t->settings.accumulate;
    const batch_builder *b = trainer_batch(t);
    double targets = 0, labels = 0, sum = 0, seq_sum = 0;
    /* The number that the loss is divided by must be known before the gradients are computed. */
    for (int part = 0; part < parts && parts > 1; part++) {
        fill_part(t, at, part);
        targets += b->targets;
        labels += b->labels;
    }
    t->step_rows = t->step_flops = 0;
    for (int part = 0; part < parts; part++) {
        part_sums sums;
        fill_part(t, at, part);
        if (parts == 1) { targets = b->targets; labels = b->labels; }
        int status = run_part(t, one_over(targets), one_over(labels), part > 0, &sums, err);
        if (status) return status;
        sum += sums.loss;
        seq_sum += sums.seq_loss;
        t->step_rows += b->rows;
        t->step_flops += sums.flops;
    }
    *loss = sum * one_over(targets) + seq_sum * one_over(labels);
    return LITHE_OK;
}

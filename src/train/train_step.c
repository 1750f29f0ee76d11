/* Loss and gradients of a step: batch samples, in `accumulate` parts. */
#include "train/trainer.h"

static double share(double n) { return n > 0 ? 1 / n : 0; }

/* The samples of one part of a step. */
static void fill_part(lithe_trainer *t, int at, int part)
{
    const settings *s = &t->settings;
    uint64_t first = (uint64_t)(at - 1) * (uint64_t)s->batch;
    int64_t begin = (int64_t)part * s->batch / s->accumulate, end = (int64_t)(part + 1) * s->batch / s->accumulate;
    batch_begin(&t->train.pass.batch);
    for (int64_t i = begin; i < end; i++) objective_train(&t->objective, &t->train.pass.batch, at, first + (uint64_t)i);
}

int trainer_step_loss(lithe_trainer *t, int at, double *loss, lithe_error *err)
{
    const int parts = t->settings.accumulate;
    const batch_builder *b = &t->train.pass.batch;
    double targets = 0, labels = 0, sum = 0, seq_sum = 0;
    for (int part = 0; part < parts && parts > 1; part++) {         /* what the step divides by is known before it begins */
        fill_part(t, at, part);
        targets += b->targets;
        labels += b->labels;
    }
    t->step_rows = t->step_flops = 0;
    for (int part = 0; part < parts; part++) {
        fill_part(t, at, part);
        if (parts == 1) { targets = b->targets; labels = b->labels; }
        int status = feed_run(&t->train, share(targets), share(labels), part > 0, err);
        if (status) return status;
        sum += feed_loss(&t->train);
        seq_sum += feed_seq_loss(&t->train);
        t->step_rows += b->rows;
        t->step_flops += feed_flops(&t->train);
    }
    *loss = sum * share(targets) + seq_sum * share(labels);
    return LITHE_OK;
}

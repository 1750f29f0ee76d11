/* Passes over the batches that an objective builds (train/feed.h). */
#include "train/feed.h"
#include <limits.h>

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

int feed_open(feed *f, const lithe_model *m, graph_mode mode, const settings *s, const objective *o, int samples, const reduce_hook *reduce, lithe_error *err)
{
    int rows, windows = mode == GRAPH_TRAIN ? s->bptt : 1;
    bool logits = mode == GRAPH_SCORE && m->task.kind == TASK_SEQUENCE;
    *f = (feed){ .samples = samples };
    if (failed(err)) return err->status;
    if (__builtin_mul_overflow(samples, o->most.rows / windows, &rows) || rows > INT_MAX / 4)
        return fail(err, LITHE_EINVAL, "%d windows of %d tokens are too many at once: split the step with accumulate", samples, o->most.rows / windows);
    graph_options options = {
        .mode = mode, .capacity = { [ROWS_TOKENS] = rows, [ROWS_SEQS] = samples * o->most.seqs, [ROWS_SELECTED] = samples * o->most.selected },
        .compute = s->compute, .recompute = s->recompute && mode == GRAPH_TRAIN,
        .slots = windows > 1 ? samples : 0, .windows = windows > 1, .reduce = reduce ? *reduce : (reduce_hook){ 0 },
    };
    int status = pass_open(&f->pass, m, &options, logits ? WANT_LOGITS : WANT_LOSS, err);
    if (!status) f->flops = graph_flops(f->pass.g);
    return status;
}

void feed_close(feed *f)
{
    pass_close(&f->pass);
    *f = (feed){ 0 };
}

/* ---- running -------------------------------------------------------------------------- */

int feed_run(feed *f, double scale, double seq_scale, bool accumulate, lithe_error *err)
{
    batch_scale(&f->pass.batch, scale, seq_scale, accumulate);
    return pass_run(&f->pass, err);
}

static double sum_of(const tensor *t, int rows)
{
    double sum = 0;
    for (int r = 0; t && r < rows; r++) sum += (double)t->data[r];
    return sum;
}

static int head_rows(const feed *f) { return f->pass.batch.capacity.selected ? f->pass.batch.selected : f->pass.batch.rows; }
static bool by_sequence(const tensor *t) { return t && t->space == ROWS_SEQS; }

double feed_loss(const feed *f) { return by_sequence(f->pass.r.loss) ? 0 : sum_of(f->pass.r.loss, head_rows(f)); }

double feed_seq_loss(const feed *f)
{
    return sum_of(by_sequence(f->pass.r.loss) ? f->pass.r.loss : f->pass.r.seq_loss, f->pass.batch.seqs);
}

double feed_correct(const feed *f) { return sum_of(f->pass.r.correct, head_rows(f)); }
double feed_flops(const feed *f) { return f->flops * f->pass.batch.rows / f->pass.batch.capacity.rows; }

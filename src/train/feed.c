/* A planned graph and the ragged batches it is fed, which an objective writes
 * (data/objective.h).  Samples stand end to end; nothing is padded. */
#include "train/train.h"
#include <limits.h>
#include <stdlib.h>

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

static int open_graph(feed *f, const lithe_model *m, const kernels *k, const graph_options *options, lithe_error *err)
{
    bool logits = options->mode == GRAPH_SCORE && m->task.kind == TASK_SEQUENCE;
    f->graph = graph_new(k, m->params, options);
    if (!f->graph) return fail(err, LITHE_ENOMEM, "out of memory for the graph");
    f->results = arch_build(m->arch, m->config, &m->task, f->graph, logits ? WANT_LOGITS : WANT_LOSS);
    return graph_plan(f->graph, err);
}

int feed_open(feed *f, const lithe_model *m, const kernels *k, graph_mode mode, const settings *s, const objective *o, int samples, lithe_error *err)
{
    extent all;
    *f = (feed){ .samples = samples, .selects = o->kind->selects };
    if (failed(err)) return err->status;
    if (__builtin_mul_overflow(samples, o->most.rows, &all.rows) || all.rows > INT_MAX / 4)
        return fail(err, LITHE_EINVAL, "%d windows of %d tokens are too many at once: split the step with accumulate", samples, o->most.rows);
    all.seqs = samples * o->most.seqs;
    all.selected = samples * o->most.selected;
    all.patch_width = o->most.patch_width;
    f->rows = all.rows;
    graph_options options = {
        .mode = mode, .capacity = { [ROWS_TOKENS] = all.rows, [ROWS_SEQS] = all.seqs, [ROWS_SELECTED] = all.selected }, .compute = s->compute,
        .recompute = s->recompute && mode == GRAPH_TRAIN,
    };
    int status = sheet_open(&f->sheet, all, o->most, err);
    if (!status) status = open_graph(f, m, k, &options, err);
    if (status) feed_close(f);
    else f->flops = graph_flops(f->graph);
    return status;
}

void feed_close(feed *f)
{
    graph_close(f->graph);
    sheet_close(&f->sheet);
    *f = (feed){ 0 };
}

/* ---- running -------------------------------------------------------------------------- */

void feed_run(feed *f, double scale, double seq_scale, bool accumulate)
{
    const sheet *s = &f->sheet;
    f->batch = (batch){
        .rows = s->rows, .seqs = s->seqs, .selected = s->selected, .ids = s->ids, .pos = s->pos, .type = s->type, .start = s->start,
        .select = f->selects ? s->select : NULL, .target = s->target, .weight = s->weight, .row_key = s->row_key,
        .label = s->label, .value = s->value, .patches = s->patches, .scale = (real)scale, .seq_scale = (real)seq_scale, .accumulate = accumulate,
    };
    graph_run(f->graph, &f->batch);
}

static double sum_of(const tensor *t, int rows)
{
    double sum = 0;
    for (int r = 0; t && r < rows; r++) sum += (double)t->data[r];
    return sum;
}

static int head_rows(const feed *f) { return f->selects ? f->sheet.selected : f->sheet.rows; }
static bool by_sequence(const tensor *t) { return t && t->space == ROWS_SEQS; }

double feed_loss(const feed *f) { return by_sequence(f->results.loss) ? 0 : sum_of(f->results.loss, head_rows(f)); }

double feed_seq_loss(const feed *f)
{
    return sum_of(by_sequence(f->results.loss) ? f->results.loss : f->results.seq_loss, f->sheet.seqs);
}

double feed_hits(const feed *f) { return sum_of(f->results.hits, head_rows(f)); }
double feed_flops(const feed *f) { return f->flops * f->sheet.rows / f->rows; }

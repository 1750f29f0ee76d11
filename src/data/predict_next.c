/* The next token, at every place of a window (data/data.h). */
#include "base/random.h"
#include "data/objective.h"

static int open_windows(objective *o, lithe_error *err)
{
    int status = dataset_check(o->data, o->ctx, err);
    o->samples = dataset_windows(o->data, o->ctx);
    o->valid_samples = dataset_valid_windows(o->data, o->ctx, 0);
    o->most = (batch_capacity){ .rows = o->ctx, .seqs = o->data->reset_attention ? o->ctx : 1 };
    return status;
}

/* The window of the draft, in sequences that begin at scratch[]; targets before `scored` have no weight. */
static void add_window(const draft *d, batch_builder *b, int length, int sequences, int scored, uint64_t key)
{
    for (int q = 0; q < sequences; q++) {
        int begin = d->scratch[q], end = q + 1 < sequences ? d->scratch[q + 1] : length;
        batch_add(b, &(batch_sequence){ .n = end - begin, .ids = d->ids + begin, .key = key, .place = begin });
        for (int i = begin; i < end; i++) batch_select(b, i - begin, d->target[i], i >= scored);
    }
}

static void train(objective *o, batch_builder *b, uint64_t sample, uint64_t key)
{
    int sequences = dataset_window(o->data, o->seed, sample, o->ctx, o->draft.ids, o->draft.target, o->draft.scratch);
    add_window(&o->draft, b, o->ctx, sequences, 0, key);
}

static void valid(objective *o, batch_builder *b, uint64_t i)
{
    valid_window w = dataset_valid_window(o->data, i, o->ctx, 0, o->draft.ids, o->draft.target, o->draft.scratch);
    add_window(&o->draft, b, w.length, w.sequences, w.scored, 0);
}

const objective_kind predict_next = { .name = "next", .open = open_windows, .train = train, .valid = valid };

/* Predicts the next token at every position of a window (data/text_data.h). */
#include "base/random.h"
#include "data/objective.h"
#include "data/text_data.h"

static int open_windows(objective *o, lithe_error *err)
{
    const text_data *d = text_of(o->data);
    o->samples = text_windows(d, o->ctx);
    o->valid_samples = text_valid_windows(d, o->ctx, 0);
    o->most = (batch_capacity){ .rows = o->ctx, .seqs = d->reset_attention ? o->ctx : 1 };
    return text_check(d, o->ctx, err);
}

/* Adds the window of the draft, in sequences that begin at scratch[]; targets before `scored` have no weight. */
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
    int sequences = text_window(text_of(o->data), o->seed, sample, o->ctx, o->draft.ids, o->draft.target, o->draft.scratch);
    add_window(&o->draft, b, o->ctx, sequences, 0, key);
}

static void valid(objective *o, batch_builder *b, uint64_t i)
{
    valid_window w = text_valid_window(text_of(o->data), i, o->ctx, 0, o->draft.ids, o->draft.target, o->draft.scratch);
    add_window(&o->draft, b, w.length, w.sequences, w.scored, 0);
}

const objective_kind predict_next = { .name = "next", .open = open_windows, .train = train, .valid = valid };

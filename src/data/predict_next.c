/* The next token, at every place of a window (data/data.h). */
#include "base/random.h"
#include "data/objective.h"

static int open_windows(objective *o, lithe_error *err)
{
    int status = dataset_check(o->data, o->ctx, err);
    o->samples = dataset_windows(o->data, o->ctx);
    o->valid_samples = dataset_valid_windows(o->data, o->ctx, 0);
    o->most = (extent){ .rows = o->ctx, .seqs = o->data->reset_attention ? o->ctx : 1 };
    return status;
}

/* The window's ids and targets lie behind the rows already there, in sequences that begin at scratch[]; targets before
 * `scored` have no weight. */
static void add_window(sheet *s, int length, int sequences, int scored, uint64_t key)
{
    int first = s->rows;
    for (int q = 0; q < sequences; q++) {
        int begin = s->scratch[q], end = q + 1 < sequences ? s->scratch[q + 1] : length;
        sheet_end_sequence(s, end - begin, 0);
    }
    for (int i = 0; i < length; i++) {
        s->type[first + i] = 0;
        s->weight[first + i] = i >= scored;
        s->row_key[first + i] = key_of(key, (uint64_t)i);
    }
    s->targets += length - scored;
}

static void train(objective *o, sheet *s, uint64_t sample, uint64_t key)
{
    int sequences = dataset_window(o->data, o->seed, sample, o->ctx, s->ids + s->rows, s->target + s->rows, s->scratch);
    add_window(s, o->ctx, sequences, 0, key);
}

static void valid(objective *o, sheet *s, uint64_t i)
{
    valid_window w = dataset_valid_window(o->data, i, o->ctx, 0, s->ids + s->rows, s->target + s->rows, s->scratch);
    add_window(s, w.length, w.sequences, w.scored, 0);
}

const objective_kind predict_next = { .name = "next", .open = open_windows, .train = train, .valid = valid };

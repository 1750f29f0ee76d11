/* Predicts a class or a number for each example of a table, in an order drawn again for each epoch.  An example is one
 * sequence, which is truncated to ctx tokens and never padded. */
#include "base/random.h"
#include "data/objective.h"
#include "data/table_data.h"

static int open_examples(objective *o, lithe_error *err)
{
    const table_data *d = table_of(o->data);
    o->samples = d->train.count;
    o->valid_samples = d->valid.count;
    o->most = (batch_capacity){ .rows = o->ctx, .seqs = 1 };
    return layout_fits(&d->layout, d->base.pairs, (size_t)o->ctx, err);
}

static void add_example(objective *o, batch_builder *b, const examples *e, size_t i, uint64_t key)
{
    int n = example_write(table_of(o->data), e, i, o->ctx, o->draft.ids, o->draft.types);
    batch_add(b, &(batch_sequence){ .n = n, .ids = o->draft.ids, .types = o->draft.types, .key = key });
    batch_label(b, e->label[i], e->value[i]);
}

static void train(objective *o, batch_builder *b, uint64_t sample, uint64_t key)
{
    uint64_t order = key_of(key_of_name(o->seed, "example order"), sample / o->samples);
    add_example(o, b, &table_of(o->data)->train, permuted(sample % o->samples, o->samples, order), key);
}

static void valid(objective *o, batch_builder *b, uint64_t i) { add_example(o, b, &table_of(o->data)->valid, i, 0); }

const objective_kind predict_labels = { .name = "labels", .open = open_examples, .train = train, .valid = valid };

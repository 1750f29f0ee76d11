/* What all objectives share: opening one, and adding a sample to a batch. */
#include "data/objective.h"
#include "base/arena.h"
#include "base/random.h"
#include <stdlib.h>

static int draft_open(draft *d, int most, lithe_error *err)
{
    size_t rows = (size_t)most;
    d->text = xalloc(7 * rows, sizeof *d->text);
    if (!d->text) return fail(err, LITHE_ENOMEM, "out of memory for samples of %d tokens", most);
    d->ids = d->text + rows;
    d->types = d->ids + rows;
    d->target = d->types + rows;
    d->place = d->target + rows;
    d->scratch = d->place + rows;
    return LITHE_OK;
}

int objective_open(objective *o, const objective_kind *kind, const lithe_dataset *d, const lithe_tokenizer *t, const objective_settings *s,
                   int ctx, uint64_t seed, lithe_error *err)
{
    *o = (objective){ .kind = kind, .data = d, .tokenizer = t, .settings = *s, .ctx = ctx, .seed = seed };
    int status = failed(err) ? (int)err->status : kind->open(o, err);
    if (!status) status = draft_open(&o->draft, o->most.rows, err);
    if (status) objective_close(o);
    return status;
}

void objective_close(objective *o)
{
    if (o->kind && o->kind->close) o->kind->close(o);
    free(o->draft.text);
    *o = (objective){ 0 };
}

void objective_train(objective *o, batch_builder *b, int at, uint64_t sample)
{
    o->kind->train(o, b, sample, key_of(key_of(o->seed, (uint64_t)at), sample));
}

void objective_valid(objective *o, batch_builder *b, uint64_t i) { o->kind->valid(o, b, i); }

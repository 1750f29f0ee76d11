/* Predicts masked tokens.  A sample is a piece of one document with the special tokens
 * around it: documents are cut into pieces of ctx tokens, the last one shorter,
 * never padded and never joined.  The order of pieces is drawn again for each epoch, and so are the masks unless they
 * are fixed. */
#include "base/arena.h"
#include "base/random.h"
#include "data/objective.h"
#include "data/text_data.h"
#include <stdlib.h>

/* ---- pieces --------------------------------------------------------------------------- */

/* before[k]: pieces of the documents before k; before[documents]: all. */
static int count_pieces(const objective *o, const shard *s, uint64_t **before, uint64_t *all, lithe_error *err)
{
    uint64_t n = s->header.documents, width = (uint64_t)masked_room(o);
    *before = xalloc(n + 1, sizeof **before);
    if (!*before) return fail(err, LITHE_ENOMEM, "%s: out of memory for %llu documents", o->data->dir, (unsigned long long)n);
    for (uint64_t k = 0; k < n; k++) {
        stretch d = shard_document(s, k);
        (*before)[k + 1] = (*before)[k] + (d.end - d.first + width - 1) / width;
    }
    *all = (*before)[n];
    return LITHE_OK;
}

static stretch piece(const objective *o, const shard *s, const uint64_t *before, uint64_t i)
{
    uint64_t low = 0, high = s->header.documents, width = (uint64_t)masked_room(o);
    while (high - low > 1) {                            /* the last document with before[k] <= i that is not empty */
        uint64_t middle = low + (high - low) / 2;
        if (before[middle] <= i) low = middle; else high = middle;
    }
    stretch d = shard_document(s, low);
    d.first += (i - before[low]) * width;
    if (d.end - d.first > width) d.end = d.first + width;
    return d;
}

/* ---- the objective ---------------------------------------------------------------------- */

void masked_close(objective *o)
{
    mask_vocab_close(&o->vocab);
    free(o->pieces);
    free(o->valid_pieces);
}

static int selected_most(const objective *o)
{
    mask_settings at_evaluation = masked_at_evaluation(o);
    int train = mask_most(&o->settings.mask, o->ctx), valid = mask_most(&at_evaluation, o->ctx);
    return train > valid ? train : valid;
}

int masked_room(const objective *o) { return o->ctx - (int)layout_length(&o->layout, 0); }

int masked_open(objective *o, lithe_error *err)
{
    if (!o->tokenizer) return fail(err, LITHE_EINVAL, "masked tokens cannot be predicted without a tokenizer, which says which token is the mask");
    /* The masks need the tokenizer that made the ids. */
    int status = o->data ? text_tokenizer(text_of(o->data), o->tokenizer, err) : LITHE_OK;
    if (!status) status = mask_vocab_open(&o->vocab, o->tokenizer, err);
    if (status) return status;
    o->layout = layout_of(o->tokenizer);
    o->separator = lithe_tokenizer_special(o->tokenizer, "sep");
    if (o->separator < 0) o->separator = o->vocab.mask;
    o->most = (batch_capacity){ .rows = o->ctx, .seqs = 1, .selected = selected_most(o) };
    return layout_fits(&o->layout, false, (size_t)o->ctx, err);
}

static int open_pieces(objective *o, lithe_error *err)
{
    int status = masked_open(o, err);
    if (!status) status = count_pieces(o, &text_of(o->data)->train, &o->pieces, &o->samples, err);
    if (!status) status = count_pieces(o, &text_of(o->data)->valid, &o->valid_pieces, &o->valid_samples, err);
    if (!status && !o->samples) status = fail(err, LITHE_EINVAL, "the text to train on has no tokens to learn from");
    return status;
}

uint64_t masked_key(const objective *o, uint64_t epoch, uint64_t i)
{
    return key_of(key_of(key_of_name(o->seed, "mask"), o->settings.mask.fixed ? 0 : epoch), i);
}

uint64_t masked_valid_key(const objective *o, uint64_t i) { return key_of(key_of_name(o->seed, "mask at evaluations"), i); }

mask_settings masked_at_evaluation(const objective *o)
{
    mask_settings m = o->settings.mask;
    m.rate = o->settings.valid_rate;
    return m;
}

void masked_add(objective *o, batch_builder *b, id_text text, const id_text *second, const mask_settings *m, uint64_t mask_key, uint64_t key)
{
    draft *d = &o->draft;
    size_t limit = (size_t)o->ctx;
    int n = (int)layout_write(&o->layout, text, second, limit, d->ids, d->types, limit);
    int masked = mask_tokens(m, &o->vocab, mask_key, n, d->ids, d->place, d->target, d->scratch);
    batch_add(b, &(batch_sequence){ .n = n, .ids = d->ids, .types = d->types, .key = key });
    for (int i = 0; i < masked; i++) batch_select(b, d->place[i], d->target[i], 1);
}

static void add_piece(objective *o, batch_builder *b, const shard *from, stretch d, const mask_settings *m, uint64_t mask_key, uint64_t key)
{
    masked_add(o, b, (id_text){ o->draft.text, shard_read(from, d, o->draft.text) }, NULL, m, mask_key, key);
}

static void train(objective *o, batch_builder *b, uint64_t sample, uint64_t key)
{
    uint64_t epoch = sample / o->samples, i = permuted(sample % o->samples, o->samples, key_of(key_of_name(o->seed, "piece order"), epoch));
    add_piece(o, b, &text_of(o->data)->train, piece(o, &text_of(o->data)->train, o->pieces, i), &o->settings.mask, masked_key(o, epoch, i), key);
}

static void valid(objective *o, batch_builder *b, uint64_t i)
{
    mask_settings m = masked_at_evaluation(o);
    add_piece(o, b, &text_of(o->data)->valid, piece(o, &text_of(o->data)->valid, o->valid_pieces, i), &m, masked_valid_key(o, i), 0);
}

const objective_kind predict_masked = { .name = "masked", .open = open_pieces, .close = masked_close, .train = train, .valid = valid };

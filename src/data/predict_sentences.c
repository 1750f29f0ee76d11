/* Predicts masked tokens in blocks of whole sentences: RoBERTa's FULL-SENTENCES (Liu et al.
 * 2019; fairseq's "complete").  A block takes sentences in order while they fit
 * into ctx tokens, across documents too, with a separator where one ends.  The blocks stay the same; their order and
 * their masks are drawn again for each epoch. */
#include "base/arena.h"
#include "base/random.h"
#include "data/objective.h"
#include "data/text_data.h"
#include <stdlib.h>

/* The document of sentence i, searched from document k on. */
static uint64_t document_of(const sentences *s, uint64_t i, uint64_t k)
{
    while (s->before[k + 1] <= i) k++;
    return k;
}

/* first[b]: the first sentence of block b; first[blocks]: all. */
static int plan_blocks(const objective *o, const sentences *s, uint64_t **first, uint64_t *blocks, lithe_error *err)
{
    uint64_t room = (uint64_t)masked_room(o), used = 0, document = 0, n = 0;
    *first = xalloc(s->count + 1, sizeof **first);
    if (!*first) return fail(err, LITHE_ENOMEM, "%s: out of memory for %llu sentences", o->data->dir, (unsigned long long)s->count);
    for (uint64_t i = 0; i < s->count; i++) {
        uint64_t own = document_of(s, i, document), length = s->end[i] - s->first[i] + (own != document && used);
        if (!used || used + length > room) {
            (*first)[n++] = i;
            used = 0;
            length = s->end[i] - s->first[i];
        }
        used += length;
        document = own;
    }
    (*first)[n] = s->count;
    *blocks = n;
    return LITHE_OK;
}

static void close_blocks(objective *o)
{
    masked_close(o);
    sentences_free(&o->sentences);
    sentences_free(&o->valid_sentences);
}

static int open_blocks(objective *o, lithe_error *err)
{
    int status = masked_open(o, err), room = masked_room(o);
    if (!status) status = sentences_find(&o->sentences, &text_of(o->data)->train, o->tokenizer, room, err);
    if (!status) status = sentences_find(&o->valid_sentences, &text_of(o->data)->valid, o->tokenizer, room, err);
    if (!status) status = plan_blocks(o, &o->sentences, &o->pieces, &o->samples, err);
    if (!status) status = plan_blocks(o, &o->valid_sentences, &o->valid_pieces, &o->valid_samples, err);
    if (!status && !o->samples) status = fail(err, LITHE_EINVAL, "the text to train on has no tokens to learn from");
    return status;
}

/* Finds the document of a block's first sentence by binary search. */
static uint64_t find_document(const sentences *s, uint64_t i)
{
    uint64_t low = 0, high = s->documents;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (s->before[middle] <= i) low = middle; else high = middle;
    }
    return document_of(s, i, low);
}

static void add_block(objective *o, batch_builder *b, const sentences *from, const uint64_t *first, uint64_t block, const mask_settings *m, uint64_t mask_key, uint64_t key)
{
    int32_t *ids = o->draft.text;
    uint64_t document = find_document(from, first[block]);
    size_t n = 0;
    for (uint64_t i = first[block]; i < first[block + 1]; i++) {
        uint64_t own = document_of(from, i, document);
        if (own != document) ids[n++] = o->separator;
        document = own;
        n += shard_read(from->shard, (stretch){ from->first[i], from->end[i] }, ids + n);
    }
    masked_add(o, b, (id_text){ ids, n }, NULL, m, mask_key, key);
}

static void train(objective *o, batch_builder *b, uint64_t sample, uint64_t key)
{
    uint64_t epoch = sample / o->samples, block = permuted(sample % o->samples, o->samples, key_of(key_of_name(o->seed, "block order"), epoch));
    add_block(o, b, &o->sentences, o->pieces, block, &o->settings.mask, masked_key(o, epoch, block), key);
}

static void valid(objective *o, batch_builder *b, uint64_t block)
{
    mask_settings m = masked_at_evaluation(o);
    add_block(o, b, &o->valid_sentences, o->valid_pieces, block, &m, masked_valid_key(o, block), 0);
}

const objective_kind predict_sentences = { .name = "sentences", .open = open_blocks, .close = close_blocks, .train = train, .valid = valid };

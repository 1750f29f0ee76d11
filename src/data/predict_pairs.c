/* Predicts masked tokens, and whether the second of two stretches of sentences follows the first: BERT's pre-training
 * (Devlin et al. 2019, create_pretraining_data).
 *
 * From each document sentences are taken until they hold a target length: all
 * that fits, or one time in ten something shorter.  They are cut at a random
 * sentence into A and B.  Half of the time, and always where there is one
 * sentence, B is taken from a random place of another document instead (label 1), and the sentences that were B are
 * used again.  A pair that is too long loses tokens of its longer text, one by one, at a random end.  The pairs are
 * drawn COPIES times over the text, once for the run; their order and their masks are drawn again for each epoch. */
#include "base/arena.h"
#include "base/random.h"
#include "data/objective.h"
#include "data/text_data.h"
#include <stdlib.h>

enum { COPIES = 5, TRIES = 10 };

/* ---- drawing ----------------------------------------------------------------------------- */

typedef struct { objective_pair *pairs; uint64_t count, capacity, key, draws; int room; const sentences *s; lithe_error *err; } drawing;

static uint64_t below(drawing *d, uint64_t n) { return n ? (uint64_t)(random_unit(d->key, d->draws++) * (double)n) : 0; }

static int add_pair(drawing *d, objective_pair p)
{
    if (d->count == d->capacity) {
        uint64_t capacity = d->capacity ? 2 * d->capacity : 1024;
        objective_pair *grown = xrealloc(d->pairs, capacity, sizeof *grown);
        if (!grown) return fail(d->err, LITHE_ENOMEM, "out of memory for %llu pairs of sentences", (unsigned long long)capacity);
        d->pairs = grown;
        d->capacity = capacity;
    }
    d->pairs[d->count++] = p;
    return LITHE_OK;
}

static uint64_t length_of(const sentences *s, uint64_t first, uint64_t end) { return end > first ? s->end[end - 1] - s->first[first] : 0; }

/* Takes sentences from a random place of another document, until they hold `wanted` tokens. */
static void draw_other(drawing *d, uint64_t document, uint64_t wanted, objective_pair *p)
{
    const sentences *s = d->s;
    uint64_t other = document;
    for (int i = 0; i < TRIES && (other == document || s->before[other] == s->before[other + 1]); i++) other = below(d, s->documents);
    if (s->before[other] == s->before[other + 1]) other = document;
    uint64_t end = s->before[other + 1];
    p->b_first = p->b_end = s->before[other] + below(d, end - s->before[other]);
    while (p->b_end < end && length_of(s, p->b_first, p->b_end) < wanted) p->b_end++;
    p->random = 1;
}

static int draw_document(drawing *d, uint64_t k)
{
    const sentences *s = d->s;
    uint64_t first = s->before[k], end = s->before[k + 1], room = (uint64_t)d->room;
    uint64_t target = random_unit(d->key, d->draws++) < 0.1 && room > 2 ? 2 + below(d, room - 1) : room;
    for (uint64_t i = first; i < end;) {
        uint64_t last = i + 1;
        while (last < end && length_of(s, i, last) < target) last++;
        uint64_t cut = last - i > 1 ? i + 1 + below(d, last - i - 1) : last;
        objective_pair p = { .a_first = i, .a_end = cut, .b_first = cut, .b_end = last };
        bool other = last - i == 1 || random_unit(d->key, d->draws++) < 0.5;
        uint64_t a = length_of(s, i, cut);
        if (other) draw_other(d, k, target > a ? target - a : 1, &p);
        int status = add_pair(d, p);
        if (status) return status;
        i = other ? cut : last;
    }
    return LITHE_OK;
}

static int draw_pairs(const objective *o, const sentences *s, int copies, objective_pair **pairs, uint64_t *count, lithe_error *err)
{
    drawing d = { .s = s, .room = o->room, .err = err };
    int status = LITHE_OK;
    for (int c = 0; c < copies && !status; c++)
        for (uint64_t k = 0; k < s->documents && !status; k++) {
            d.key = key_of(key_of(key_of_name(o->seed, "pairs of sentences"), (uint64_t)c), k);
            d.draws = 0;
            status = draw_document(&d, k);
        }
    *pairs = d.pairs;
    *count = d.count;
    return status;
}

/* ---- the objective -------------------------------------------------------------------------- */

static void close_pairs(objective *o)
{
    masked_close(o);
    sentences_free(&o->sentences);
    sentences_free(&o->valid_sentences);
    free(o->pairs);
    free(o->valid_pairs);
}

static int open_pairs(objective *o, lithe_error *err)
{
    int status = masked_open(o, err);
    o->room = o->ctx - (int)layout_length_two(&o->layout, 0, 0);
    if (!status && o->room < 2) status = fail(err, LITHE_EINVAL, "a context of %d leaves no room for two sentences", o->ctx);
    if (!status) status = sentences_find(&o->sentences, &text_of(o->data)->train, o->tokenizer, o->room, err);
    if (!status) status = sentences_find(&o->valid_sentences, &text_of(o->data)->valid, o->tokenizer, o->room, err);
    if (!status) status = draw_pairs(o, &o->sentences, COPIES, &o->pairs, &o->samples, err);
    if (!status) status = draw_pairs(o, &o->valid_sentences, 1, &o->valid_pairs, &o->valid_samples, err);
    if (!status && !o->samples) status = fail(err, LITHE_EINVAL, "the text to train on has no sentences");
    return status;
}

/* Drops tokens of the longer side until both fit. */
static void shorten(stretch *a, stretch *b, uint64_t room, uint64_t key)
{
    for (uint64_t draw = 0; a->end - a->first + b->end - b->first > room; draw++) {
        stretch *longer = a->end - a->first > b->end - b->first ? a : b;
        if (random_unit(key, draw) < 0.5) longer->first++;
        else longer->end--;
    }
}

static void add_sample(objective *o, batch_builder *to, const sentences *from, const objective_pair *p, const mask_settings *m, uint64_t cut_key, uint64_t mask_key, uint64_t key)
{
    int32_t *ids = o->draft.text;
    stretch a = { from->first[p->a_first], from->end[p->a_end - 1] }, b = { from->first[p->b_first], from->end[p->b_end - 1] };
    shorten(&a, &b, (uint64_t)o->room, cut_key);
    id_text first = { ids, shard_read(from->shard, a, ids) }, second = { ids + first.n, shard_read(from->shard, b, ids + first.n) };
    masked_add(o, to, first, &second, m, mask_key, key);
    batch_label(to, p->random, 0);
}

static void train(objective *o, batch_builder *b, uint64_t sample, uint64_t key)
{
    uint64_t epoch = sample / o->samples, i = permuted(sample % o->samples, o->samples, key_of(key_of_name(o->seed, "pair order"), epoch));
    add_sample(o, b, &o->sentences, &o->pairs[i], &o->settings.mask, key_of(key_of_name(o->seed, "pair cut"), i), masked_key(o, epoch, i), key);
}

static void valid(objective *o, batch_builder *b, uint64_t i)
{
    mask_settings m = masked_at_evaluation(o);
    add_sample(o, b, &o->valid_sentences, &o->valid_pairs[i], &m, key_of(key_of_name(o->seed, "pair cut"), i), masked_valid_key(o, i), 0);
}

const objective_kind predict_pairs = { .name = "pairs", .open = open_pairs, .close = close_pairs, .train = train, .valid = valid };

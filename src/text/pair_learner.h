/* Learns byte-pair merges: repeatedly the pair with the highest count becomes one symbol;
 * of equal counts the one with the lower left id, then the lower right id.
 * Each distinct word is stored once, with its count, in one long array of symbols.
 * Counts and places of pairs are kept up to date, so the cost of a merge is the number of
 * its occurrences.  The same words give the same merges, whatever their order. */
#ifndef TEXT_PAIR_LEARNER_H
#define TEXT_PAIR_LEARNER_H

#include "text/word_counts.h"

enum { SYMBOL_END = -1, SYMBOL_GONE = -2 };

typedef struct {
    int32_t left, right;
    int64_t count;                         /* the sum over its occurrences of the counts of their words */
    uint32_t *places;                      /* [n]; some may have another pair by now */
    uint32_t n, room;
    bool unsorted, changed;                /* changed: it is in the learner's list of changed pairs */
} symbol_pair;

typedef struct { int64_t count; uint32_t pair; } turn;          /* the pair's count when it was queued */

typedef struct {
    int32_t *symbols;          /* [length]; SYMBOL_END between words, SYMBOL_GONE where merged into the symbol before */
    uint32_t *previous, *next; /* links that skip SYMBOL_GONE; SYMBOL_END separates words */
    uint32_t *word_of;         /* [length] */
    uint32_t length;
    const counted_word *words;
    symbol_pair *pairs;
    size_t n_pairs, pairs_room;
    uint32_t *slots, mask;                 /* pair -> index + 1 */
    turn *queue;                           /* heap */
    size_t n_queue, queue_room;
    uint32_t *changed;                     /* pairs with new places since the last merge */
    size_t n_changed, changed_room;
    bool failed;                           /* out of memory */
} pair_learner;

#define NO_PAIR UINT32_MAX

/* Writes the symbols of a word, at most one a byte, and returns their number; SYMBOL_END is a boundary inside the
 * word. */
typedef size_t (*symbols_of)(void *context, const counted_word *word, int32_t *symbols);

/* false: out of memory, or more symbols than can be numbered. */
bool pair_learner_begin(pair_learner *l, const word_counts *w, symbols_of symbols, void *context);
/* The index of the most frequent pair, NO_PAIR if none occurs twice or memory is out (failed). */
uint32_t pair_learner_best(pair_learner *l);
/* The first merges all occurrences of the pair into `id`; the second excludes the pair from now on. */
void pair_learner_merge(pair_learner *l, uint32_t pair, int32_t id);
static inline void pair_learner_refuse(pair_learner *l, uint32_t pair) { l->pairs[pair].count = 0; }
void pair_learner_free(pair_learner *l);

/* The array with room for one more than `used`; NULL if memory is out, then the caller still owns the array. */
void *grown(void *array, size_t *room, size_t used, size_t size);

#endif

/* Which adjacent symbols become one: again and again the pair with the highest
 * count; of equal counts the one with the lower left id, then the lower right id.
 * Each distinct word stands once, with its count, in one long array of symbols.
 * Counts and places of pairs are kept up to date, so a merge costs its own
 * occurrences.  The same words give the same pairs, whatever their order. */
#ifndef TEXT_PAIR_LEARNER_H
#define TEXT_PAIR_LEARNER_H

#include "text/word_counts.h"

enum { SYMBOL_END = -1, SYMBOL_GONE = -2 };

typedef struct {
    int32_t left, right;
    int64_t count;                         /* occurrences, each times the count of its word */
    uint32_t *places;                      /* [n]; some may hold another pair by now */
    uint32_t n, room;
    bool unsorted, changed;                /* changed: among the learner's changed ones */
} symbol_pair;

typedef struct { int64_t count; uint32_t pair; } turn;          /* the pair's count when it was queued */

typedef struct {
    int32_t *symbols;                      /* [length]; SYMBOL_END between words, SYMBOL_GONE where merged into what is before */
    uint32_t *previous, *next;             /* over what is GONE; words are apart by ends */
    uint32_t *word_of;                     /* [length] */
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

/* Writes the symbols of a word, at most one a byte, and returns how many; SYMBOL_END is a border in the word. */
typedef size_t (*symbols_of)(void *context, const counted_word *word, int32_t *symbols);

/* false: out of memory, or more symbols than can be numbered. */
bool pair_learner_begin(pair_learner *l, const word_counts *w, symbols_of symbols, void *context);
/* Index of the most frequent pair, NO_PAIR when none is there twice or memory is out (failed). */
uint32_t pair_learner_best(pair_learner *l);
/* Its occurrences become `id`; or it is never asked for again. */
void pair_learner_merge(pair_learner *l, uint32_t pair, int32_t id);
static inline void pair_learner_refuse(pair_learner *l, uint32_t pair) { l->pairs[pair].count = 0; }
void pair_learner_free(pair_learner *l);

/* array with room for one more than `used`; NULL when memory is out, the array still the caller's. */
void *grown(void *array, size_t *room, size_t used, size_t size);

#endif

/* Byte-pair encoding of one word (Sennrich et al. 2016, arXiv 1508.07909): the word
 * begins as its smallest symbols, then the adjacent pair whose merge has the lowest
 * rank, the leftmost of equals, becomes one symbol, until no pair merges. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "text/pieces.h"

typedef struct { uint64_t pair; int32_t rank, id; } merge;      /* pair: left << 32 | right; rank -1: empty slot */

enum { BPE_AFFIX_LIMIT = 32 };

typedef struct bpe {
    const pieces *vocabulary;
    merge *merges;                         /* [mask + 1], open addressing */
    uint32_t mask, filled;
    int32_t byte_id[256];                  /* the token of a byte, -1: none */
    int32_t unknown;                       /* for symbols without a token; -1: they are dropped */
    bool characters;            /* the smallest symbols are characters, with bytes as a fallback; else they are bytes */
    bool fuse_unknown;                     /* a run of unknown symbols is one */
    bool whole_words;                      /* a word that is a token is that token, whatever the merges say */
    const char *prefix;                    /* of all its characters but the first, as in "##e", or NULL; borrowed */
    const char *suffix;                    /* of the last character of a word, as in "e</w>"; NULL: none; borrowed */
    struct word_cache *cache;              /* words seen before */
    struct word_scratch *scratch;          /* for long words */
} bpe;

/* Prepares b for merges; `vocabulary` must outlive it. */
bool bpe_init(bpe *b, const pieces *vocabulary);
void bpe_free(bpe *b);

/* Adds the merge left right -> id.  A pair that is added again gets the later rank.  false: out of memory. */
bool bpe_add_merge(bpe *b, int32_t left, int32_t right, int32_t rank, int32_t id);
const merge *bpe_find_merge(const bpe *b, int32_t left, int32_t right);         /* NULL: none */

/* Where each of the n ids of a word, as bpe_encode gives them, ends in it. */
void bpe_ends(const bpe *b, const char *word, size_t len, const int32_t *ids, size_t n, size_t *ends);

/* Appends the ids of the word; it tells no ends.  If there is no memory to merge a long word, its ids are
 * those of the smallest symbols, which decode to the same text. */
void bpe_encode(bpe *b, const char *word, size_t len, id_sink *out);

#endif

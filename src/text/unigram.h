/* Unigram (Kudo 2018, arXiv 1804.10959): of all ways to split a text into pieces, the
 * one with the largest sum of scores.  A character that is not a piece is unknown, with
 * the lowest score minus 10; consecutive unknown characters are one token.
 * SentencePiece keeps sums as floats, Hugging Face's library as doubles: which of two ways
 * is better may depend on it. */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H

#include "text/trie.h"

typedef struct {
    const trie *tree;
    const trie *defined;       /* pieces that a user has defined; NULL: none */
    double *scores;            /* [ids] */
    double lowest;             /* the lowest score of the tree's pieces */
    bool floats;               /* sums are kept as floats */
    int32_t unknown;
    const int32_t *byte_id;    /* [256]: unknown characters as bytes; NULL: they are unknown */
} unigram;

/* Appends the ids of text.  If there is no memory for a long text, each of its characters is unknown. */
void unigram_encode(const unigram *u, const char *text, size_t len, id_sink *out);

#endif

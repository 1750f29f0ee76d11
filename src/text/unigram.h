/* Unigram (Kudo 2018, arXiv 1804.10959): of all ways to cut a text into pieces the
 * one with the largest sum of scores.  A character that is no piece may stand for
 * itself, as unknown, at the lowest score less 10; unknown ones in a row are one. */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H

#include "text/trie.h"

typedef struct {
    const trie *tree;
    float *scores;             /* [ids] */
    float lowest;              /* of the scores of the tree's pieces */
    int32_t unknown;
    const int32_t *byte_id;    /* [256]: unknown characters as bytes; NULL: they are unknown */
} unigram;

/* Appends the ids of text.  When memory for a long one is out, every character of it is unknown. */
void unigram_encode(const unigram *u, const char *text, size_t len, id_sink *out);

#endif

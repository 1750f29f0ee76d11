/* The pieces of a vocabulary as a tree of their bytes, which finds the longest piece
 * that a text begins with.  Nodes are numbered level by level, so the children of
 * a node are adjacent, in the order of their bytes. */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include "text/pieces.h"
#include <string.h>

typedef struct trie {
    uint32_t *first;           /* [n + 1]: the children of node i are first[i] .. first[i + 1) */
    uint8_t *label;            /* [n]: the byte that leads to node i */
    int32_t *id;               /* [n]: the piece that ends at node i, -1: none */
    uint32_t n;                /* node 0 is the root */
} trie;

#define TRIE_NONE UINT32_MAX

/* Makes the tree of the findable pieces of p.  false: out of memory. */
bool trie_build(trie *t, const pieces *p);
void trie_free(trie *t);

static inline uint32_t trie_step(const trie *t, uint32_t from, unsigned char byte)
{
    uint32_t first = t->first[from], n = t->first[from + 1] - first;
    if (n == 256) return first + byte;
    const uint8_t *found = memchr(t->label + first, byte, n);
    return found ? (uint32_t)(found - t->label) : TRIE_NONE;
}

/* The node that len bytes lead to, TRIE_NONE if no piece begins with them. */
uint32_t trie_walk(const trie *t, const char *bytes, size_t len);

/* The longest piece, not empty, that text begins with when read from node `from` on;
 * its length (from there) in *matched.  -1: none. */
int32_t trie_longest(const trie *t, uint32_t from, const char *text, size_t len, size_t *matched);

#endif

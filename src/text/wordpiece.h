/* WordPiece (Schuster and Nakajima 2012; as in BERT, Devlin et al. 2018): a word
 * is split into its longest piece, then the longest piece that continues it, written with
 * a prefix such as ##, and so on to its end.  If no piece fits, the whole word is unknown. */
#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include "text/trie.h"

#define WORDPIECE_LONGEST 100           /* characters of a word, unless a file says otherwise; Google's code has 200 */

typedef struct {
    const trie *tree;
    uint32_t inside;           /* the node after the prefix; TRIE_NONE: no piece continues a word */
    int32_t unknown;
    int longest;               /* characters; a longer word is unknown */
} wordpiece;

/* Appends the ids of the word, which is valid UTF-8; there is at least one. */
void wordpiece_encode(const wordpiece *w, const char *word, size_t len, id_sink *out);

#endif

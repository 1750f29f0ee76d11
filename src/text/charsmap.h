/* SentencePiece's normalization (Kudo and Richardson 2018): a compiled map of characters,
 * and the treatment of spaces.  The map is a little-endian uint32 with the bytes of a
 * double-array tree, the tree, and replacements that end with NUL.  At each position the
 * longest entry is replaced, and text without an entry stays. */
#ifndef TEXT_CHARSMAP_H
#define TEXT_CHARSMAP_H

#include "base/error.h"
#include "text/text_buffer.h"
#include "text/trie.h"
#include <stdint.h>

#define SPACE_MARK "\u2581"                /* the space in pieces */

typedef struct charsmap {
    uint32_t *units;                       /* [n]; NULL: no map */
    size_t n;
    char *strings;                         /* [bytes], the last one ended by NUL */
    size_t bytes;
    const trie *kept;                      /* pieces that stay as they are wherever they stand; borrowed, NULL: none */
    bool trim;                             /* remove spaces at the ends and keep one between words */
    bool add_space;                            /* put a space before a text that is not empty */
} charsmap;

/* Copies the parts of blob; its sizes and every offset into strings are checked when they are used. */
int  charsmap_open(charsmap *m, const char *blob, size_t len, const char *what, lithe_error *err);
void charsmap_close(charsmap *m);

void charsmap_apply(const charsmap *m, text_buffer *out, const char *text, size_t len);

/* The map alone, as Hugging Face's library applies it (Precompiled): a grapheme cluster of less than 6 bytes becomes
 * the replacement of the shortest entry that it begins with; of others, each character does. */
void charsmap_apply_precompiled(const charsmap *m, text_buffer *out, const char *text, size_t len);

#endif

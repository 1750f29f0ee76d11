/* Finds the sentences of a shard in its tokens, for the objectives that pack whole
 * sentences or ask whether one follows another.
 *
 * A sentence ends after . ! or ? (of Chinese too) and the quotes and brackets
 * that close there, after an empty line, and with its document; not after a
 * full stop between digits or after a single letter. */
#ifndef DATA_SENTENCES_H
#define DATA_SENTENCES_H

#include "data/shard.h"

typedef struct {
    const shard *shard;
    uint64_t count, documents;
    uint64_t *first, *end;          /* (count) tokens of each, without what the shard puts around documents */
    uint64_t *before;               /* (documents + 1) sentences of the documents before each */
} sentences;

/* No sentence is longer than `most`: longer ones are cut. */
int  sentences_find(sentences *s, const shard *from, const lithe_tokenizer *t, int most, lithe_error *err);
void sentences_free(sentences *s);

#endif

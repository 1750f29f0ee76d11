/* The distinct words of a text, each with how often it is there. */
#ifndef TEXT_WORD_COUNTS_H
#define TEXT_WORD_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { const char *text; size_t len; int64_t count; } counted_word;      /* text: where it was seen first */

typedef struct {               /* zero is empty */
    counted_word *words;       /* [n], in the order in which they were seen first */
    size_t n, room, bytes;     /* bytes: of the distinct words together */
    uint32_t *slots, mask;
    bool failed;               /* out of memory, or more words than can be numbered */
} word_counts;

/* One more word; the text must stay where it is.  counts: a word_counts. */
void count_word(void *counts, const char *text, size_t len);
void word_counts_free(word_counts *w);

#endif

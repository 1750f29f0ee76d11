/* The distinct words of a text, each with its number of occurrences. */
#ifndef TEXT_WORD_COUNTS_H
#define TEXT_WORD_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { const char *text; size_t len; int64_t count; } counted_word;      /* text: its first occurrence */

typedef struct {               /* all zero: empty */
    counted_word *words;       /* [n], in the order of first occurrence */
    size_t n, room, bytes;     /* bytes: of all distinct words together */
    uint32_t *slots, mask;
    bool failed;               /* out of memory, or more words than can be numbered */
} word_counts;

/* Counts a word, whose text must stay where it is.  counts: a word_counts. */
void count_word(void *counts, const char *text, size_t len);
void word_counts_free(word_counts *w);

#endif

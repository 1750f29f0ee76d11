/* The characters that a WordPiece vocabulary is built from: all characters of the words or,
 * if they and their continuing forms do not fit, the most frequent. */
#ifndef TEXT_ALPHABET_CHOICE_H
#define TEXT_ALPHABET_CHOICE_H

#include "text/word_counts.h"

/* inside: it occurs after the first character of a word */
typedef struct { int64_t count; int32_t id, inside_id; bool inside; } letter;

typedef struct {
    letter *letters;           /* by code point; ids are SYMBOL_END until they are given */
    int32_t *chosen;           /* [n], code points, ascending */
    int n;
} alphabet_choice;

/* Chooses at most `room` characters and continuing forms together.  false: out of memory. */
bool alphabet_choose(alphabet_choice *a, const word_counts *w, int room);
void alphabet_free(alphabet_choice *a);

/* The symbols of a word; a character that was not chosen is a boundary. */
size_t alphabet_symbols(const alphabet_choice *a, const char *word, size_t len, int32_t *symbols);

/* The i-th chosen character, in at most 4 bytes; whether it occurs inside words; its ids, to be set. */
size_t alphabet_text(const alphabet_choice *a, int i, char *text);
static inline bool     alphabet_inside(const alphabet_choice *a, int i)    { return a->letters[a->chosen[i]].inside; }
static inline int32_t *alphabet_id(const alphabet_choice *a, int i)        { return &a->letters[a->chosen[i]].id; }
static inline int32_t *alphabet_inside_id(const alphabet_choice *a, int i) { return &a->letters[a->chosen[i]].inside_id; }

#endif

/* "did you mean": of several names the one nearest to the typed word. */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

/* Feed names one by one; best is NULL while none is near enough. */
typedef struct { const char *word, *best; int distance; } suggestion;

void suggest_begin(suggestion *s, const char *word);
void suggest_offer(suggestion *s, const char *name);
/* Offers `name` for each of the comma-separated words in `also`. */
void suggest_also(suggestion *s, const char *name, const char *also);

#endif

/* Names by patterns: '*' stands for a number, '@' for any text, also none; each at most once in a pattern, and what
 * follows '@' is plain text. */
#ifndef BASE_NAME_PATTERN_H
#define BASE_NAME_PATTERN_H

#include <stdbool.h>

enum { PATTERN_BYTES = 320 };

/* One name in two vocabularies. */
typedef struct { const char *theirs, *ours; } name_pair;

bool pattern_fits(const char *pattern, const char *name);
/* name, which `from` describes, as `to` says it; false when it does not describe it, or the result is too long. */
bool pattern_rewrite(const char *from, const char *to, const char *name, char out[PATTERN_BYTES]);

#endif

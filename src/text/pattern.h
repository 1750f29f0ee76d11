/* Regular expressions of tokenizer files, run by PCRE2 with limits.  They were
 * written for Oniguruma: text/oniguruma.h translates them. */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include "base/error.h"
#include <stddef.h>

typedef struct pattern pattern;

/* literal: the text itself is searched for.  what names the source in messages. */
pattern *pattern_new(const char *text, size_t len, bool literal, const char *what, lithe_error *err);
void     pattern_free(pattern *p);

/* For a text of len bytes, of valid UTF-8: pattern_begin, then pattern_find for
 * the first match at or after `from`.  It returns false if there is none, or if the work
 * exceeds what pattern_begin allotted: the time is linear in len, whatever the pattern. */
void pattern_begin(pattern *p, size_t len);
bool pattern_find(pattern *p, const char *text, size_t len, size_t from, size_t *start, size_t *end);

#endif

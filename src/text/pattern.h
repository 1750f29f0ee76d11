/* Regular expressions of tokenizer files, by PCRE2 with limits.  They were
 * written for Oniguruma; where the two read the same text differently it is
 * translated (\s, \w) or refused (&& and nested brackets in a class). */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include "base/error.h"
#include <stddef.h>

typedef struct pattern pattern;

/* literal: the text itself is searched for.  what: names the source in messages. */
pattern *pattern_new(const char *text, size_t len, bool literal, const char *what, lithe_error *err);
void     pattern_free(pattern *p);

/* For a text of len bytes, of valid UTF-8: pattern_begin, then pattern_find for
 * the first match at or behind `from`.  false when there is none, or when the work
 * exceeds what begin allotted: time is linear in len, whatever the pattern. */
void pattern_begin(pattern *p, size_t len);
bool pattern_find(pattern *p, const char *text, size_t len, size_t from, size_t *start, size_t *end);

#endif

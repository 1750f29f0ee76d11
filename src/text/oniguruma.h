/* Regular expressions of tokenizer files were written for Oniguruma in Ruby's syntax.  What PCRE2 reads otherwise is
 * translated, or refused. */
#ifndef TEXT_ONIGURUMA_H
#define TEXT_ONIGURUMA_H

#include "base/error.h"
#include <stddef.h>

/* The same expression for PCRE2, malloc'd; NULL, with an error.  what names the source in messages. */
char *oniguruma_to_pcre2(const char *text, size_t len, size_t *out_len, const char *what, lithe_error *err);

#endif

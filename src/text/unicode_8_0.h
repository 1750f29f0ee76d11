/* Classes of characters in Unicode 8.0 (2015).  BERT's tokenizer in Hugging Face's
 * library uses tables of that version, so vocabularies and their models depend on it: a
 * newer mark or sign counts as a letter. */
#ifndef TEXT_UNICODE_8_0_H
#define TEXT_UNICODE_8_0_H

#include <stddef.h>
#include <stdint.h>

enum { UNICODE_OTHER, UNICODE_PUNCTUATION, UNICODE_MARK, UNICODE_CONTROL };

int unicode_8_0_class(int32_t c);          /* c is any number; UNICODE_OTHER if it is not a character */

#endif

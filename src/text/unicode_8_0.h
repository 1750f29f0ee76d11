/* Classes of characters as Unicode 8.0 (2015) has them.  BERT's tokenizer in
 * Hugging Face's library asks tables of that version, so vocabularies and their
 * models are true to it: a mark or a sign that is younger is a letter to them. */
#ifndef TEXT_UNICODE_8_0_H
#define TEXT_UNICODE_8_0_H

#include <stddef.h>
#include <stdint.h>

enum { UNICODE_OTHER, UNICODE_PUNCTUATION, UNICODE_MARK, UNICODE_CONTROL };

int unicode_8_0_class(int32_t c);          /* c: any number; what is no character is UNICODE_OTHER */

#endif

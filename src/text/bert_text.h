/* The steps that BERT applies to a text before it is split into pieces, as in
 * Hugging Face's tokenizers (BertNormalizer, BertPreTokenizer).  Each byte that is
 * not UTF-8 becomes U+FFFD.
 *
 *   clean    drops NUL, U+FFFD and controls (Cc, Cf, Co); white space becomes U+0020
 *   spaced   puts a space on either side of each Chinese character
 *   marks    drops nonspacing marks (Mn), into which decomposition has turned accents
 *   lower    lowers each character by itself
 *
 * The classes are those of Unicode 8.0; white space and lower case are utf8proc's. */
#ifndef TEXT_BERT_TEXT_H
#define TEXT_BERT_TEXT_H

#include "text/text_buffer.h"
#include <stdint.h>

void bert_clean(text_buffer *out, const char *text, size_t len);
void bert_spaced(text_buffer *out, const char *text, size_t len);
void bert_drop_marks(text_buffer *out, const char *text, size_t len);
void bert_lower(text_buffer *out, const char *text, size_t len);

bool bert_is_punctuation(int32_t c);

#endif

/* What BERT does to a text before it is cut into pieces, step by step, as
 * Hugging Face's tokenizers do it (BertNormalizer, BertPreTokenizer).  Of bytes
 * that are no UTF-8 each is a U+FFFD.
 *
 *   clean    drops NUL, U+FFFD and controls (Cc, Cf, Co); white space becomes U+0020
 *   spaced   a space on either side of each Chinese character
 *   marks    drops nonspacing marks (Mn), which decomposition has made of accents
 *   lower    lower case, each character for itself
 *
 * Classes are Unicode 8.0's; white space and lower case are the library's. */
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

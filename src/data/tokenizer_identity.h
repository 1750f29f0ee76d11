/* An identity by which data recognise the tokenizer that they were made with. */
#ifndef DATA_TOKENIZER_IDENTITY_H
#define DATA_TOKENIZER_IDENTITY_H

#include "lithe_tools.h"
#include <stdbool.h>

/* The identity is 128 bits of what a tokenizer makes of every id and of a trial text; _hex gives it as 32 digits. */
void tokenizer_identity(const lithe_tokenizer *t, uint8_t hash[16]);
void tokenizer_hex(const lithe_tokenizer *t, char hex[33]);
/* Says whether every byte string survives encoding. */
bool tokenizer_takes_bytes(const lithe_tokenizer *t);

#endif

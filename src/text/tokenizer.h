/* What a tokenizer file format provides to the room's front (tokenizer.c):
 * a table of functions over its own state.  One file per kind. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/error.h"

#endif

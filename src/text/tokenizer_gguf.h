/* How GGUF says what its tokenizer is: for the reader and the writer. */
#ifndef TEXT_TOKENIZER_GGUF_H
#define TEXT_TOKENIZER_GGUF_H

#include "text/tokenizer.h"

/* tokenizer.ggml.token_type: what a token is.  SentencePiece has the same numbers. */
enum { GGUF_NORMAL = 1, GGUF_UNKNOWN, GGUF_CONTROL, GGUF_USER_DEFINED, GGUF_UNUSED, GGUF_BYTE };

const char *tokenizer_gguf_key(role of);         /* "tokenizer.ggml.bos_token_id" */

#endif

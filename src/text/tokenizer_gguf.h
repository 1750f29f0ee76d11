/* How GGUF says what its tokenizer is: for the reader and the writer. */
#ifndef TEXT_TOKENIZER_GGUF_H
#define TEXT_TOKENIZER_GGUF_H

#include "base/gguf_keys.h"

/* tokenizer.ggml.token_type: what a token is.  SentencePiece has the same numbers. */
enum { GGUF_NORMAL = 1, GGUF_UNKNOWN, GGUF_CONTROL, GGUF_USER_DEFINED, GGUF_UNUSED, GGUF_BYTE };

/* Ours: false where control pieces are not found in texts, as SentencePiece does not; absent: as llama.cpp does. */
#define GGUF_FINDS_SPECIAL "lithe.tokenizer.finds_special"

const char *tokenizer_gguf_key(int role);         /* "tokenizer.ggml.bos_token_id" */

/* The keys of t, for a model of so many ids: those that t does not have are unused tokens. */
int tokenizer_put_gguf(const lithe_tokenizer *t, int vocab, gguf_head *h, lithe_error *err);

#endif

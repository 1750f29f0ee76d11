/* The components of a tokenizer.json around its model. */
#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H

#include "text/tokenizer.h"

/* Every key of every part is used, changes nothing here, or is refused (tokenizer_keys.c). */
int tokenizer_check_keys(const json_t *root, model_kind kind, const char *what, lithe_error *err);

/* Reads normalizer, pre_tokenizer and decoder.  They come before the model because they decide
 * whether its tokens are bytes or characters. */
int tokenizer_read_steps(lithe_tokenizer *t, const json_t *root, const char *what, lithe_error *err);

/* Reads post_processor, which defines what `special` adds; it comes after the added tokens. */
int tokenizer_read_template(lithe_tokenizer *t, const json_t *post, const char *what, lithe_error *err);

/* Adds one merge by the names of its parts; rank counts from 0. */
int tokenizer_add_pair(lithe_tokenizer *t, const pieces *names, size_t rank, const char *left, size_t left_len,
                       const char *right, size_t right_len, const char *what, lithe_error *err);

/* An entry of this id as Hugging Face describes added tokens: "content", "special" and the other flags.  Its text is
 * borrowed; NULL when there is no content. */
added_entry tokenizer_described(const json_t *description, int32_t id);

#endif

/* The components of a tokenizer.json around its model. */
#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H

#include "text/tokenizer.h"

/* Reads normalizer, pre_tokenizer and decoder.  They come before the model because they decide
 * whether its tokens are bytes or characters. */
int tokenizer_read_steps(lithe_tokenizer *t, const json_t *root, const char *what, lithe_error *err);

/* Reads post_processor, which defines what `special` adds; it comes after the added tokens. */
int tokenizer_read_template(lithe_tokenizer *t, const json_t *post, const char *what, lithe_error *err);

/* Adds one merge by the names of its parts; rank counts from 0. */
int tokenizer_add_pair(lithe_tokenizer *t, const pieces *names, size_t rank, const char *left, size_t left_len,
                       const char *right, size_t right_len, const char *what, lithe_error *err);

static inline bool json_flag(const json_t *object, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(object, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

#endif

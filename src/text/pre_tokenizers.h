/* The ways in which published byte-level vocabularies split a text into words, under
 * the names that GGUF files have for them (tokenizer.ggml.pre). */
#ifndef TEXT_PRE_TOKENIZERS_H
#define TEXT_PRE_TOKENIZERS_H

#include <stdbool.h>
#include <stddef.h>

enum { PRE_PATTERNS = 6 };

typedef struct {
    const char *names;                         /* "|gpt-2|mpt|" */
    const char *patterns[PRE_PATTERNS];        /* each splits the pieces of the one before it at its matches */
    bool whole_words;                          /* a word that is a token is that token, whatever the merges say */
    bool begin;                                /* texts begin with the begin-of-text token, unless a file denies it */
    bool surrounded;                           /* a text lies between RoBERTa's special tokens */
} pre_tokenizer;

const pre_tokenizer *pre_tokenizer_named(const char *name, size_t len);        /* NULL: not known */
/* The name for these patterns, the first of its names; NULL: none.  n may be 0. */
const pre_tokenizer *pre_tokenizer_of(const char *const *patterns, size_t n, bool whole_words);
size_t pre_tokenizer_name(const pre_tokenizer *p, char name[64]);              /* the first; its length */

#endif

/* Tokens that are found in a text before anything else is done with it: the
 * leftmost match first, and of several the longest, as in Hugging Face's library. */
#ifndef TEXT_ADDED_TOKENS_H
#define TEXT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDED_TOKEN_LIMIT 512           /* bytes of a token, which bounds the time that a position in the text takes */

typedef struct {
    const char *text;                      /* the text to find; borrowed */
    size_t len;
    int32_t id;
    bool single_word;                      /* it does not match inside a word */
    bool lstrip, rstrip;                   /* the match includes the white space on that side */
    bool special;
} added_token;

typedef struct {                           /* sorted by text; all zero: there are no tokens */
    added_token *tokens;                   /* [n] */
    size_t n;
    size_t first[257];                     /* tokens that begin with byte c: first[c] .. first[c + 1) */
} added_tokens;

/* Sorts the tokens, which the caller still owns.  Of two with the same text one is kept. */
void added_tokens_init(added_tokens *a, added_token *tokens, size_t n);

/* Splits text and calls, in order, piece(context, text, len, -1) for the text between tokens
 * and piece(context, ..., id) for a token.  A special token is not found where one of its bytes
 * has a mark (marks [len]; NULL: no byte has). */
typedef void (*added_piece)(void *context, const char *text, size_t len, int32_t id);
void added_tokens_cut(const added_tokens *a, const char *text, const unsigned char *marks, size_t len, added_piece piece, void *context);

#endif

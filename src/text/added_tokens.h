/* Tokens that are found in text before anything else happens to it, the
 * leftmost first and of those the longest, as Hugging Face does. */
#ifndef TEXT_ADDED_TOKENS_H
#define TEXT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDED_TOKEN_LIMIT 512              /* bytes of one, which bounds the time a place in the text can take */

typedef struct {
    const char *text;                      /* what is looked for; borrowed */
    size_t len;
    int32_t id;
    bool single_word;                      /* not within a word */
    bool lstrip, rstrip;                   /* takes the white space beside it along */
} added_token;

typedef struct {                           /* sorted by text; zero finds nothing */
    added_token *tokens;                   /* [n] */
    size_t n;
    size_t first[257];                     /* tokens that begin with byte c: first[c] .. first[c + 1) */
} added_tokens;

/* Sorts the tokens, which stay the caller's.  Of two with the same text one is kept. */
void added_tokens_init(added_tokens *a, added_token *tokens, size_t n);

/* Cuts text: piece(context, text, len, -1) for what is between tokens,
 * piece(context, ..., id) for a token, in order. */
typedef void (*added_piece)(void *context, const char *text, size_t len, int32_t id);
void added_tokens_cut(const added_tokens *a, const char *text, size_t len, added_piece piece, void *context);

#endif

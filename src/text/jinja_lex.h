/* The tokens of a template: text between tags as it is to be written, and what is inside the tags.
 * White space is cut as transformers sets it (trim_blocks and lstrip_blocks): the line feed after a block and the
 * blanks before it on its line are gone; a minus sign removes all white space on its side, a plus sign keeps it. */
#ifndef TEXT_JINJA_LEX_H
#define TEXT_JINJA_LEX_H

#include "base/arena.h"
#include "base/error.h"

typedef enum { T_END, T_DATA, T_BLOCK, T_BLOCK_END, T_PRINT, T_PRINT_END, T_NAME, T_TEXT, T_INT, T_REAL, T_OPERATOR } token_kind;

typedef struct {
    token_kind kind;
    int line;
    const char *text;                        /* n bytes and a NUL; strings without their escapes */
    size_t n;
} token;

/* The tokens, the last of kind T_END, in the arena; NULL: refused, with the name of the source and the line. */
token *jinja_lex(arena *memory, const char *source, size_t n, const char *name, lithe_error *err);

#endif

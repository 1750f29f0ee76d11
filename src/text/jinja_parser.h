/* The parser of templates: what jinja_parse.c (statements) and jinja_expressions.c share. */
#ifndef TEXT_JINJA_PARSER_H
#define TEXT_JINJA_PARSER_H

#include "text/jinja_lex.h"
#include "text/jinja_tree.h"
#include <string.h>

enum { PARSE_DEPTH = 60 };

/* A name that is called or assigned. */
typedef struct mention { const char *name; int line; struct mention *next; } mention;

typedef struct {
    jinja *tree;
    const token *at;
    int depth, loops;
    mention *called, *assigned;
    lithe_error *err;
} parser;

/* Says what is wrong in a line, and gives NULL.  format has one %s for what. */
node *parser_refuse(parser *p, int line, const char *format, const char *what);
node *parser_node(parser *p, node_kind kind, int line);
void  parser_mention(parser *p, mention **list, const char *name, int line);

/* Whether the next token is of this kind and (text not NULL) this text. */
static inline bool is(const parser *p, token_kind kind, const char *text) { return p->at->kind == kind && (!text || !strcmp(p->at->text, text)); }
static inline bool is_operator(const parser *p, const char *text) { return is(p, T_OPERATOR, text); }
static inline bool is_word(const parser *p, const char *text) { return is(p, T_NAME, text); }
/* Goes past it if it is. */
bool        parser_skip(parser *p, token_kind kind, const char *text);
/* Goes past it, or refuses what is there. */
bool        parser_expect(parser *p, token_kind kind, const char *text);
const char *parser_name(parser *p);
const char *parser_here(const parser *p);                       /* the next token as messages call it */

/* jinja_expressions.c */
node *parse_expression(parser *p);
/* One expression, or several with commas between, which are a tuple; choice: they may be `a if b else c`. */
node *parse_tuple(parser *p, bool choice);
/* `|name(...)` after a; NULL and an error if it is none. */
node *parse_filter(parser *p, node *a);

#endif

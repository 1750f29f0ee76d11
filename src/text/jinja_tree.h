/* The tree of a parsed template, and what its parts call. */
#ifndef TEXT_JINJA_TREE_H
#define TEXT_JINJA_TREE_H

#include "text/jinja.h"

typedef enum {
    /* expressions */
    N_LITERAL, N_NAME, N_LIST, N_DICT, N_FIELD, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_MINUS, N_PLUS, N_NOT, N_AND, N_OR,
    N_BINARY, N_JOIN, N_COMPARE, N_CHOICE,
    /* statements */
    N_DATA, N_PRINT, N_IF, N_FOR, N_SET, N_MACRO, N_BREAK, N_CONTINUE, N_GENERATION
} node_kind;

/* Children by kind; a list of nodes is linked by `next`.
 *   N_LIST     first: elements; tuple
 *   N_DICT     first: key, value, key, value ...
 *   N_FIELD    a.name              N_ITEM     a[b]
 *   N_SLICE    a[b:c:first]
 *   N_CALL     a(first ...)        N_FILTER   a | name(first ...)      N_TEST   a is name(first ...); not: `negated`
 *              an argument with a keyword has `key`
 *   N_BINARY   a name b            N_JOIN     first ~ ...
 *   N_COMPARE  a, then first: each with the operator that stands before it in `key`
 *   N_CHOICE   b if a else c (NULL: nothing)
 *   N_IF       if a: first; else: other
 *   N_FOR      for b in a if c: first; else: other
 *   N_SET      set b = a, or with a NULL the text of first; c: the filters of a block, whose innermost operand is NULL
 *   N_MACRO    name; b: parameters, each an N_NAME with its default in a; first: body */
typedef struct node {
    node_kind kind;
    int line;
    const char *name, *key;
    value literal;
    bool tuple, negated;
    struct node *a, *b, *c, *first, *other, *next;
} node;

struct jinja {
    arena memory;
    const char *name;
    node *body;
    bool reads_parts;
};

typedef struct binding { const char *name; value value; struct binding *next; } binding;
typedef struct frame { struct frame *outer; binding *first; } frame;

/* A macro with the frame that it was defined in, a method with what it is called on, or a function of Jinja. */
typedef struct function {
    const char *name;
    const node *macro;
    frame *frame;
    value self;
} function;

typedef struct loop { value_list *items; size_t i; value last_changed; bool asked; } loop;

/* The place of a name in a table of structs that begin with it; count if it is none of them. */
static inline size_t index_of_name(const void *table, size_t size, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(*(const char *const *)((const char *)table + i * size), name)) i++;
    return i;
}

/* jinja_filters.c; apply_filter and apply_test are called for names that are known. */
bool  known_filter(const char *name);
bool  known_test(const char *name);
value apply_filter(machine *m, const char *name, value v, const arguments *a);
bool  apply_test(machine *m, const char *name, value v, const arguments *a);

/* jinja_methods.c */
bool  known_method(const char *name);
bool  known_function(const char *name);
bool  has_method(value v, const char *name);
value call_method(machine *m, value self, const char *name, const arguments *a);
value call_function(machine *m, const char *name, const arguments *a);
value loop_field(machine *m, const loop *l, const char *name);

/* jinja_operators.c: a o b of numbers, texts and lists; +v or -v; the comparisons of Python with `in` and `not in`. */
value operator_arithmetic(machine *m, const char *o, value a, value b);
value operator_sign(machine *m, value v, bool minus);
bool  operator_compare(machine *m, const char *o, value a, value b);

/* What an argument is, by position or by name; `otherwise` where it is absent. */
value argument(const arguments *a, size_t i, const char *name, value otherwise);
bool  argument_int(machine *m, const arguments *a, size_t i, const char *name, int64_t otherwise, int64_t *out);
marked_text argument_text(machine *m, const arguments *a, size_t i, const char *name, const char *otherwise);

/* v.name and v[key] of Python, undefined where there is none. */
value get_field(machine *m, value v, const char *name);
value get_item(machine *m, value v, value key);

#endif

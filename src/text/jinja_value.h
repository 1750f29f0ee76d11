/* The values of a template: Python's, as far as templates use them.
 *
 * A text knows for each byte where it comes from.  What is cut, joined or rewritten keeps the marks of its parts, so
 * that at the end of a rendering the bytes that users wrote are known.
 *
 * A machine renders one template once.  All values live in its arena, and its two budgets bound the memory and the
 * time of any template; the first failure sticks, and what follows it does nothing. */
#ifndef TEXT_JINJA_VALUE_H
#define TEXT_JINJA_VALUE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include <stdint.h>
#include <string.h>

/* It comes from a message or another variable of the caller; it stands between generation tags. */
enum { MARK_USER = 1, MARK_REPLY = 2 };

typedef struct { const char *bytes; const unsigned char *marks; size_t n; } marked_text;    /* marks NULL: all 0 */

typedef enum { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_REAL, V_TEXT, V_LIST, V_DICT, V_LOOP, V_FUNCTION } value_kind;

typedef struct value {
    value_kind kind;
    union {
        const char *name;                    /* of what is undefined */
        bool yes;
        int64_t whole;
        double real;
        marked_text text;
        struct value_list *list;
        struct value_dict *dict;
        struct loop *loop;
        struct function *function;
    };
} value;

typedef struct value_list { value *at; size_t n, room; bool tuple; } value_list;
typedef struct { value key, value; } dict_entry;
typedef struct value_dict { dict_entry *at; size_t n, room; bool namespace; } value_dict;  /* in order of insertion */

/* The arguments of a call, a filter or a test. */
typedef struct { const char *name; value value; } named_value;
typedef struct { value *at; size_t n; named_value *named; size_t n_named; } arguments;

typedef struct machine {
    arena memory;
    size_t bytes_left, work_left;            /* budgets */
    int depth;
    const char *name;                        /* of the template, and the line that is being rendered, for messages */
    int line;
    int64_t now;                             /* seconds since 1970 */
    lithe_error *err;
} machine;

enum { DEPTH_LIMIT = 500 };

/* The first says "NAME: line N: ..."; the second gives zeroed memory; the third spends time that is proportional to n
 * bytes.  All end the rendering where a budget is spent: NULL, false. */
value machine_fail(machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *machine_take(machine *m, size_t count, size_t bytes);
bool  machine_spend(machine *m, size_t n);
/* A step into, and out of, a nested value or expression. */
bool  machine_enter(machine *m);
static inline void machine_leave(machine *m) { m->depth--; }
static inline bool machine_failed(const machine *m) { return failed(m->err); }

/* ---- making values ----------------------------------------------------------------------- */

static inline value value_bool(bool yes) { return (value){ V_BOOL, .yes = yes }; }
static inline value value_int(int64_t n) { return (value){ V_INT, .whole = n }; }
static inline value value_real(double x) { return (value){ V_REAL, .real = x }; }
static inline value value_none(void) { return (value){ .kind = V_NONE }; }
static inline value value_undefined(const char *name) { return (value){ V_UNDEFINED, .name = name }; }
static inline value value_text(marked_text t) { return (value){ V_TEXT, .text = t }; }
static inline marked_text plain_text(const char *text) { return (marked_text){ text, NULL, strlen(text) }; }
value value_list_new(machine *m, size_t room);
value value_dict_new(machine *m);
bool  list_add(machine *m, value_list *l, value v);
bool  dict_put(machine *m, value_dict *d, value key, value v);
const value *dict_get(machine *m, const value_dict *d, value key);           /* NULL: it has no such key */
const value *dict_find(machine *m, const value_dict *d, const char *key);
/* Strings and keys get these marks. */
value value_from_json(machine *m, const json_t *json, int marks);

/* ---- asking values ----------------------------------------------------------------------- */

bool value_true(value v);
bool value_equal(machine *m, value a, value b);
int  value_order(machine *m, value a, value b);           /* <0, 0, >0; values that have no order end the rendering */
bool value_contains(machine *m, value all, value one);
bool value_is_number(value v);                            /* as in Python, True and False are numbers */
bool value_whole(value v, int64_t *n);                    /* of a bool or an int */
double value_number(value v);
const char *value_kind_name(value v);
int64_t value_length(machine *m, value v);                /* -1, and the rendering ends, where there is none */
/* The elements of a list, characters of a text, keys of a dictionary; nothing of what is undefined. */
value_list *value_elements(machine *m, value v);

/* str() and json.dumps() of Python; the spacing of JSON is that of transformers. */
typedef struct { int indent; const char *item, *key; bool sorted, ascii; } json_style;      /* indent -1: on one line */
marked_text value_string(machine *m, value v);
marked_text value_json(machine *m, value v, json_style style);

/* ---- texts --------------------------------------------------------------------------------- */

/* A text that grows; the first byte with a mark makes the marks. */
typedef struct { char *bytes; unsigned char *marks; size_t n, room; } text_builder;
void builder_add(machine *m, text_builder *b, marked_text t);
static inline void builder_put(machine *m, text_builder *b, const char *text) { builder_add(m, b, plain_text(text)); }
/* Bytes that stand in the place of one byte, and have its marks. */
void builder_put_as(machine *m, text_builder *b, const char *bytes, size_t n, int marks);
static inline marked_text builder_text(const text_builder *b) { return (marked_text){ b->bytes ? b->bytes : "", b->marks, b->n }; }

static inline marked_text text_part(marked_text t, size_t from, size_t to)
{
    return (marked_text){ t.bytes + from, t.marks ? t.marks + from : NULL, to - from };
}
static inline int text_mark(marked_text t, size_t i) { return t.marks ? t.marks[i] : 0; }
static inline bool text_is(marked_text t, const char *word) { return strlen(word) == t.n && !memcmp(t.bytes, word, t.n); }
/* The first place of `what` from byte `from` on; SIZE_MAX: none. */
size_t text_find(machine *m, marked_text t, marked_text what, size_t from);
bool   space_of_python(int32_t c);
size_t text_spaces(marked_text t);                        /* bytes of white space at the start */
size_t text_end(marked_text t);                           /* bytes without the white space at the end */

#endif

/* Reads a pickle as data.  The interpreter knows containers and plain values; the
 * meaning of a global, a persistent id or a call is decided by three functions
 * of its owner, which know a fixed list.  Nothing is imported or executed. */
#ifndef FILES_PICKLE_H
#define FILES_PICKLE_H

#include "base/arena.h"
#include "base/error.h"

typedef enum { V_NONE, V_OTHER, V_BOOL, V_INT, V_STRING, V_TUPLE, V_LIST, V_DICT, V_GLOBAL, V_STORAGE, V_TENSOR } value_kind;

typedef struct {
    value_kind kind;
    int count;                          /* V_STRING: bytes; V_TUPLE, V_LIST: items; V_DICT: keys and values together */
    int first, last;                    /* cells of a container; -1 when empty */
    union {
        int64_t integer;                /* V_INT, V_BOOL; the owner's number for V_GLOBAL, V_STORAGE, V_TENSOR */
        const char *text;               /* V_STRING, inside the pickle, not NUL-terminated */
    };
} value;

typedef struct { int value, next; } cell;

typedef struct pickle pickle;
struct pickle {
    const char *what;                                               /* the file, for messages */
    const uint8_t *data; size_t size;
    lithe_error *err;
    void *owner;
    /* Each returns the index of a value, or a negative status. */
    int (*global)(pickle *p, const char *module, const char *name);
    int (*persistent)(pickle *p, int id);
    int (*call)(pickle *p, int function, int arguments);            /* arguments: a V_TUPLE */

    size_t at, steps;
    value *values; size_t count, capacity;
    cell *cells; size_t cell_count, cell_capacity;
    int *stack; size_t depth, stack_capacity;
    int *memo; size_t memo_size, memo_used;                         /* -1: not set */
};

/* Runs p->data to its end and returns the index of the value that it describes, or a negative
 * status.  Call pickle_free in both cases. */
int  pickle_run(pickle *p);
void pickle_free(pickle *p);

int pickle_value(pickle *p, value v);                               /* a new value */
int pickle_item(const pickle *p, int container, int i);             /* the i-th item; -1 if there is none */
bool pickle_is(const pickle *p, int index, value_kind kind);        /* false for index < 0 */

#endif

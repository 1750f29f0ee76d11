/* The head of a GGUF file (version 3): its keys, each with a value that has a type.
 * Rooms that need values of such a file share this: tensors, configurations,
 * tokenizers.  Values lie where the file has them; numbers are little-endian, at
 * any address. */
#ifndef BASE_GGUF_KEYS_H
#define BASE_GGUF_KEYS_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY,
               GGUF_U64, GGUF_I64, GGUF_F64, GGUF_TYPES } gguf_type;
const char *gguf_type_name(gguf_type type);               /* "u32", "string" */
size_t      gguf_type_bytes(gguf_type type);              /* 0: of no constant size */

enum { GGUF_MAX_KEYS = 65536, GGUF_MAX_KEY = 65535, GGUF_MAX_STRING = 16 << 20, GGUF_MAX_DEPTH = 4 };

typedef struct { const char *bytes; size_t len; } gguf_text;         /* of any bytes, without a NUL at its end */
typedef struct {
    char *key;
    gguf_type type, of;                /* of: of the elements of an array */
    uint64_t count;                    /* elements of an array; else 1 */
    const uint8_t *data;               /* of the value, or of the first element */
} gguf_value;

/* Sorted by key; no key twice.  The data outlive it. */
typedef struct gguf_keys {
    gguf_value *values; size_t count;
    uint64_t tensors;                  /* as many as the file says, and as fit in it */
    size_t end;                        /* where the descriptions of tensors begin */
    uint32_t alignment;                /* of the data of tensors: a power of two from 8 up */
} gguf_keys;

int  gguf_keys_read(gguf_keys *k, const uint8_t *data, size_t size, const char *what, lithe_error *err);
void gguf_keys_free(gguf_keys *k);

/* A value; NULL: no such key.  The others are false, or an empty text, where v is NULL or of another type: any whole
 * number in range, any number, a bool, a string. */
const gguf_value *gguf_find(const gguf_keys *k, const char *key);
bool      gguf_integer(const gguf_value *v, int64_t *out);
bool      gguf_number(const gguf_value *v, double *out);    /* of an f32 the shortest decimal that is rounded to it */
bool      gguf_bool(const gguf_value *v, bool *out);
gguf_text gguf_string(const gguf_value *v);
bool      gguf_is(gguf_text text, const char *name);
bool      gguf_same(const gguf_value *a, const gguf_value *b);       /* of one type and count, the same bytes */
/* Whether every key that begins with `prefix` is one that is known, or fails with the key's name and value.  The list
 * ends with a NULL; a name that ends in * stands for all that begin so; `only`: the values that it may have, as
 * gguf_show writes them, with | between them. */
typedef struct { const char *key, *only; } gguf_known;
int gguf_check(const gguf_keys *k, const char *prefix, const gguf_known *known, const char *what, lithe_error *err);
void gguf_show(const gguf_value *v, char *text, size_t size);       /* of an array its size: "[3]" */
/* Element i of an array of numbers as those above read it. */
gguf_value gguf_element(const gguf_value *v, uint64_t i);
/* The strings of an array, one after the other: for (gguf_strings s = gguf_texts(v); gguf_next(&s, &text);) */
typedef struct { const uint8_t *at; uint64_t left; } gguf_strings;
gguf_strings gguf_texts(const gguf_value *v);
bool      gguf_next(gguf_strings *s, gguf_text *out);

/* A string of the file at p, of which `left` bytes remain; false: it is longer than allowed or than those. */
bool gguf_read_text(const uint8_t *p, size_t left, gguf_text *out);

/* ---- writing ---- */

/* Keys in the order in which they are put.  A failure to take memory is kept in out_of_memory. */
typedef struct gguf_head { uint8_t *bytes; size_t size, room; uint64_t count; bool out_of_memory; } gguf_head;

void gguf_put_integer(gguf_head *h, const char *key, gguf_type type, int64_t value);
void gguf_put_number(gguf_head *h, const char *key, double value);   /* f32 */
void gguf_put_bool(gguf_head *h, const char *key, bool value);
void gguf_put_string(gguf_head *h, const char *key, const char *text, size_t len);
/* An array of `count` elements, which follow by gguf_put_bytes or gguf_put_text. */
void gguf_put_array(gguf_head *h, const char *key, gguf_type of, uint64_t count);
void gguf_put_bytes(gguf_head *h, const void *bytes, size_t size);
void gguf_put_text(gguf_head *h, const char *text, size_t len);
void gguf_head_free(gguf_head *h);

#endif

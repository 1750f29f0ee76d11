/* JSON by jansson, with the limits that a hostile file requires: duplicate keys
 * are refused, depth and size are bounded, the text is UTF-8.  A string value
 * may hold NUL, so its length is json_string_length; a key may not. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/error.h"
#include <jansson.h>
#include <stdbool.h>

/* what names the source in messages.  depth: deepest nesting allowed.  The
 * caller owns the result (json_decref). */
json_t *json_parse(const char *text, size_t size, int depth, const char *what, lithe_error *err);
/* The same of JSON by the letter, as programs send it: NaN, Infinity and integers above 64 bits are refused. */
json_t *json_parse_strict(const char *text, size_t size, int depth, const char *what, lithe_error *err);
/* The same of JSON whose keys are pieces of text: in them JSON_NUL, two noncharacters, stands for NUL. */
#define JSON_NUL "\uFDD0\uFDD1"
json_t *json_parse_pieces(const char *text, size_t size, int depth, const char *what, lithe_error *err);
json_t *json_read(const char *path, size_t limit, int depth, lithe_error *err);

/* object[key] as a whole number from least to most; false, and *out as it was, where it is anything else.  Every count
 * that a file holds is read by this or by text_int, so none reaches arithmetic that it could overflow. */
bool json_int(const json_t *object, const char *key, int least, int most, int *out);
/* The same of a number that stands as text: decimal digits alone. */
bool text_int(const char *text, int least, int most, int *out);

/* object[key], or `otherwise` where it is neither true nor false. */
bool json_flag(const json_t *object, const char *key, bool otherwise);

/* The text of a value, to be freed: indented, keys in insertion order, the shortest numbers that read back the same, a
 * newline at the end.  NULL when memory is out or it is not UTF-8. */
char *json_text(const json_t *value);
/* Writes it atomically. */
int json_write(const json_t *value, const char *path, lithe_error *err);

#endif

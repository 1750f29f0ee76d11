/* For make coverage, before every source: jansson's questions of what kind a value is are macros, each of which asks
 * first whether there is a value.  Here they are functions, so that a line that asks has the two answers that it
 * looks for, and not a third where it knows that there is a value. */
#ifndef LINT_COUNTED_H
#define LINT_COUNTED_H

#include <jansson.h>
#include <stdbool.h>

__attribute__((noinline, unused)) static bool counted_is(const json_t *value, json_type type) { return value && json_typeof(value) == type; }

#undef json_is_object
#undef json_is_array
#undef json_is_string
#undef json_is_integer
#undef json_is_real
#undef json_is_number
#undef json_is_true
#undef json_is_false
#undef json_is_boolean
#undef json_is_null
#define json_is_object(value)  counted_is(value, JSON_OBJECT)
#define json_is_array(value)   counted_is(value, JSON_ARRAY)
#define json_is_string(value)  counted_is(value, JSON_STRING)
#define json_is_integer(value) counted_is(value, JSON_INTEGER)
#define json_is_real(value)    counted_is(value, JSON_REAL)
#define json_is_number(value)  (counted_is(value, JSON_INTEGER) | counted_is(value, JSON_REAL))
#define json_is_true(value)    counted_is(value, JSON_TRUE)
#define json_is_false(value)   counted_is(value, JSON_FALSE)
#define json_is_boolean(value) (counted_is(value, JSON_TRUE) | counted_is(value, JSON_FALSE))
#define json_is_null(value)    counted_is(value, JSON_NULL)

#endif

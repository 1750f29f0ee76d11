/* For make coverage, before every source: what is asked in a thousand places, of what kind a JSON value is and whether
 * an error holds a failure, asks first whether there is a value or an error.  jansson asks by macros, and a function of
 * a header is part of each place that calls it.  Here both are functions of their own, so that a line that asks has the
 * two answers that it looks for, and not a third where it knows that there is one. */
#ifndef LINT_COUNTED_H
#define LINT_COUNTED_H

#include "base/error.h"
#include <jansson.h>

#define COUNTED __attribute__((noinline, unused)) static bool

COUNTED counted_failed(const lithe_error *err) { return failed(err); }
COUNTED counted_is(const json_t *value, json_type type) { return value && json_typeof(value) == type; }

#define failed counted_failed

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

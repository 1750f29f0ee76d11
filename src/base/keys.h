/* Settings files are read whole or refused.  Their reader lists the keys it knows; a key that it does
 * not know, or a value that it cannot honour, could change results and is refused by name and value. */
#ifndef BASE_KEYS_H
#define BASE_KEYS_H

#include "base/json.h"

/* A key of a file, and the values of it that change nothing here: JSON texts between bars ("null|false"), "*" for all
 * values; NULL if its reader uses it and checks it. */
typedef struct { const char *key, *harmless; } known_key;

/* Checks every key of the object against `known`, which ends with a NULL key.  An unknown key passes only with a value
 * that says nothing: null, an empty text, list or object.  what names the file in the message. */
int keys_check(const json_t *object, const known_key *known, const char *what, lithe_error *err);

#endif

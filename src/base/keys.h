/* Settings files are read whole or refused.  Their reader lists the keys it knows; a key that it does
 * not know, or a value that it cannot honour, could change results and is refused by name and value. */
#ifndef BASE_KEYS_H
#define BASE_KEYS_H

#include "base/json.h"

/* A key of a file, and the values of it that change nothing here: JSON texts between bars ("null|false"), "*" for all
 * values; NULL if its reader uses it and checks it. */
typedef struct { const char *key, *harmless; } known_key;

/* Checks every key of the object against `known`, which ends with a NULL key.  what names the file in the message. */
int keys_check(const json_t *object, const known_key *known, const char *what, lithe_error *err);

/* The entry of a key in such a list (or in none), NULL if it is not there. */
const known_key *key_find(const known_key *known, const char *key);
/* Checks one key, of which k is the entry.  Without one (k NULL) it passes only with a value that says nothing: null,
 * false, an empty text, list or object. */
int key_check(const char *key, const json_t *value, const known_key *k, const char *what, lithe_error *err);

#endif

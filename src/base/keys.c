#include "base/keys.h"
#include <stdlib.h>
#include <string.h>

static bool says_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) || (json_is_string(value) && !json_string_length(value)) || (json_is_array(value) && !json_array_size(value))
        || (json_is_object(value) && !json_object_size(value));
}

/* Whether a text stands between the bars of a list. */
static bool is_among(const char *list, const char *text)
{
    size_t n = strlen(text);
    for (const char *at = list; at; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (!strncmp(at, text, n) && (at[n] == '|' || !at[n])) return true;
    }
    return false;
}

const known_key *key_find(const known_key *known, const char *key)
{
    while (known && known->key && strcmp(known->key, key)) known++;
    return known && known->key ? known : NULL;
}

int key_check(const char *key, const json_t *value, const known_key *k, const char *what, lithe_error *err)
{
    if (k ? !k->harmless || !strcmp(k->harmless, "*") : says_nothing(value)) return LITHE_OK;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    int status = LITHE_OK;
    if (!text) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to read \"%.80s\"", what, key);
    else if (!k) status = fail(err, LITHE_ECONFIG, "%s: \"%.80s\": %.80s is not known and could change the results; remove the key if it does not", what, key, text);
    else if (!is_among(k->harmless, text)) status = fail(err, LITHE_ECONFIG, "%s: \"%.80s\": %.80s is not supported, only %s", what, key, text, k->harmless);
    free(text);
    return status;
}

int keys_check(const json_t *object, const known_key *known, const char *what, lithe_error *err)
{
    json_t *o = (json_t *)(uintptr_t)object;                               /* jansson's iterators are not const */
    if (failed(err)) return err->status;
    if (object && !json_is_object(object)) return fail(err, LITHE_EFORMAT, "%s is not a JSON object", what);
    for (void *i = json_object_iter(o); i; i = json_object_iter_next(o, i)) {
        const char *key = json_object_iter_key(i);
        int status = key_check(key, json_object_iter_value(i), key_find(known, key), what, err);
        if (status) return status;
    }
    return LITHE_OK;
}

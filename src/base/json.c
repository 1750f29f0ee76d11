/* The parser is jansson's; nesting is measured before it runs, because it recurses. */
#include "base/json.h"
#include "base/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Deepest nesting of brackets outside strings. */
static int nesting(const char *text, size_t size)
{
    int depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\') i++;
            else if (c == '"') quoted = false;
        }
        else if (c == '"') quoted = true;
        else if (c == '[' || c == '{') { if (++depth > deepest) deepest = depth; }
        else if (c == ']' || c == '}') depth--;
    }
    return deepest;
}

json_t *json_parse(const char *text, size_t size, int depth, const char *what, lithe_error *err)
{
    if (failed(err)) return NULL;
    int deepest = nesting(text, size);
    if (deepest > depth) {
        fail(err, LITHE_EFORMAT, "%s: JSON nested %d deep, at most %d is accepted", what, deepest, depth);
        return NULL;
    }
    json_error_t at;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &at);
    if (!value) {
        bool memory = json_error_code(&at) == json_error_out_of_memory;
        fail(err, memory ? LITHE_ENOMEM : LITHE_EFORMAT, "%s: line %d, column %d: %s", what, at.line, at.column, at.text);
    }
    return value;
}

json_t *json_read(const char *path, size_t limit, int depth, lithe_error *err)
{
    size_t size;
    char *text = file_read(path, limit, &size, err);
    if (!text) return NULL;
    json_t *value = json_parse(text, size, depth, path, err);
    free(text);
    return value;
}

bool json_int(const json_t *object, const char *key, int least, int most, int *out)
{
    const json_t *value = json_object_get(object, key);
    json_int_t n = json_integer_value(value);
    bool inside = json_is_integer(value) && n >= least && n <= most;
    if (inside) *out = (int)n;
    return inside;
}

bool text_int(const char *text, int least, int most, int *out)
{
    long long n = 0;
    const char *c = text;
    for (; c && *c >= '0' && *c <= '9' && n <= most; c++) n = 10 * n + (*c - '0');
    bool inside = c && c > text && !*c && n >= least && n <= most;
    if (inside) *out = (int)n;
    return inside;
}

/* The fewest digits from which every number in value is read back exactly:
 * configurations say 1e-5 and not 1.0000000000000001e-05. */
static int digits_of(const json_t *value)
{
    int digits = 1;
    if (json_is_real(value)) {
        char text[40];
        double x = json_real_value(value);
        for (; digits < 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, x);
            if (fabs(strtod(text, NULL) - x) <= 0) break;
        }
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            int d = digits_of(json_array_get(value, i));
            if (d > digits) digits = d;
        }
    } else if (json_is_object(value)) {
        json_t *object = (json_t *)(uintptr_t)value;        /* jansson's iterators are not const */
        for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
            int d = digits_of(json_object_iter_value(i));
            if (d > digits) digits = d;
        }
    }
    return digits;
}

int json_write(const json_t *value, const char *path, lithe_error *err)
{
    if (failed(err)) return err->status;
    size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION((size_t)digits_of(value));
    char *text = json_dumps(value, flags);
    if (!text) return fail(err, LITHE_ENOMEM, "%s: cannot write as JSON, out of memory or not UTF-8", path);
    size_t size = strlen(text);
    text[size] = '\n';                                      /* in place of the NUL */
    int status = file_write(path, text, size + 1, err);
    free(text);
    return status;
}

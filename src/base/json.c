/* The parser is jansson's; nesting is measured before it runs, because it recurses.
 * Python writes numbers that JSON or jansson does not have: NaN, Infinity, integers of any
 * size.  A key that nobody reads may hold them, so they are replaced: a large integer by
 * the nearest real, what is no finite number by its own text as a string, which a reader of
 * numbers refuses. */
#include "base/json.h"
#include "base/arena.h"
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

/* The end of the number, or of NaN or Infinity, that begins at text[i]; i where none does. */
static size_t number_end(const char *text, size_t size, size_t i)
{
    static const char *const words[] = { "NaN", "Infinity", "-Infinity" };
    for (int w = 0; w < 3; w++) {
        size_t length = strlen(words[w]);
        if (length <= size - i && !memcmp(text + i, words[w], length)) return i + length;
    }
    if (text[i] != '-' && (text[i] < '0' || text[i] > '9')) return i;
    while (i < size && text[i] && strchr("+-.eE0123456789", text[i])) i++;
    return i;
}

/* What has to stand before and after a number so that jansson reads it. */
typedef struct { const char *before, *after; } frame;

static frame frame_of(const char *number, size_t length)
{
    const frame string = { "\"", "\"" }, real = { "", ".0" }, as_it_is = { "", "" };
    char copy[320], *end;
    if (length >= sizeof copy) return string;
    snprintf(copy, sizeof copy, "%.*s", (int)length, number);
    double x = strtod(copy, &end);
    if (*end) return as_it_is;
    if (!isfinite(x)) return string;
    return strpbrk(copy, ".eE") || length < 19 ? as_it_is : real;
}

/* The text in which jansson can read every number, to be freed; NULL when memory is out. */
static char *with_plain_numbers(const char *text, size_t size, size_t *length)
{
    char *out = xalloc(2 * size + 4, 1);
    bool quoted = false;
    size_t n = 0, end;
    for (size_t i = 0; out && i < size; i = end) {
        end = quoted ? i : number_end(text, size, i);
        frame f = { "", "" };
        if (end > i) f = frame_of(text + i, end - i);
        else {
            if (text[i] == '"') quoted = !quoted;
            end = i + (quoted && text[i] == '\\' && i + 1 < size ? 2 : 1);
        }
        for (const char *c = f.before; *c; c++) out[n++] = *c;
        memcpy(out + n, text + i, end - i);
        n += end - i;
        for (const char *c = f.after; *c; c++) out[n++] = *c;
    }
    *length = n;
    return out;
}

static json_t *parse(const char *text, size_t size, int depth, bool strict, const char *what, lithe_error *err)
{
    if (failed(err)) return NULL;
    int deepest = nesting(text, size);
    if (deepest > depth) {
        fail(err, LITHE_EFORMAT, "%s: JSON nested %d deep, at most %d is accepted", what, deepest, depth);
        return NULL;
    }
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_error_t at;
    json_t *value = json_loadb(text, size, flags, &at);
    bool memory = !value && json_error_code(&at) == json_error_out_of_memory;
    if (!value && !memory && !strict) {
        size_t length;
        char *plain = with_plain_numbers(text, size, &length);
        memory = !plain;
        if (plain) value = json_loadb(plain, length, flags, NULL);
        free(plain);
    }
    if (!value) fail(err, memory ? LITHE_ENOMEM : LITHE_EFORMAT, "%s: line %d, column %d: %s", what, at.line, at.column, at.text);
    return value;
}

json_t *json_parse(const char *text, size_t size, int depth, const char *what, lithe_error *err) { return parse(text, size, depth, false, what, err); }

json_t *json_parse_strict(const char *text, size_t size, int depth, const char *what, lithe_error *err) { return parse(text, size, depth, true, what, err); }

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

char *json_text(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)digits_of(value)));
    size_t size = text ? strlen(text) : 0;
    char *line = text ? realloc(text, size + 2) : NULL;
    if (line) memcpy(line + size, "\n", 2);
    else free(text);
    return line;
}

int json_write(const json_t *value, const char *path, lithe_error *err)
{
    if (failed(err)) return err->status;
    char *text = json_text(value);
    if (!text) return fail(err, LITHE_ENOMEM, "%s: cannot write as JSON, out of memory or not UTF-8", path);
    int status = file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

bool json_flag(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

/* The parser is jansson's; nesting is measured before it runs, because it recurses.
 * Python writes numbers that JSON or jansson does not have: NaN, Infinity, integers of any
 * size.  A key that nobody reads may hold them, so they are replaced: a large integer by
 * the nearest real, what is no finite number by its own text as a string, which a reader of
 * numbers refuses. */
#include "base/json.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/writer.h"
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ------------------------------------------------------------------------ */

/* jansson 2.14 does not look whether the buffer of a token could grow: it leaves letters out and reads past its end.
 * So a parse never sees an allocation fail: it is left at once, and all that it has made is released. */
static _Thread_local struct { bool running; jmp_buf leave; void **made; size_t count, room; } parser;

static bool note_made(void *p)
{
    if (parser.count == parser.room) {
        size_t room = parser.room ? 2 * parser.room : 256;
        void **more = xrealloc(parser.made, room, sizeof *more);
        if (!more) return false;
        parser.made = more;
        parser.room = room;
    }
    parser.made[parser.count++] = p;
    return true;
}

static void *json_allocate(size_t size)
{
    void *p = malloc(size);
    if (!p) fail_later(LITHE_ENOMEM, "out of memory");
    if (!parser.running || (p && note_made(p))) return p;
    free(p);
    longjmp(parser.leave, 1);
}

static void json_release(void *p)
{
    size_t i = parser.running && p ? parser.count : 0;
    while (i && parser.made[i - 1] != p) i--;
    if (i) parser.made[i - 1] = parser.made[--parser.count];
    free(p);
}

/* A program that gave jansson functions of its own keeps them. */
__attribute__((constructor)) static void take_memory(void)
{
    json_malloc_t allocate;
    json_free_t release;
    json_get_alloc_funcs(&allocate, &release);
    if (allocate == malloc && release == free) json_set_alloc_funcs(json_allocate, json_release);
}

static json_t *load(const char *text, size_t size, json_error_t *at)
{
    json_t *volatile value = NULL;
    parser.count = 0;
    parser.running = true;
    if (!setjmp(parser.leave)) value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, at);
    else while (parser.count) free(parser.made[--parser.count]);
    parser.running = false;
    free(parser.made);
    parser.made = NULL;
    parser.room = 0;
    return value;
}

/* ---- reading ----------------------------------------------------------------------- */

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

/* Whether the string whose characters begin at text[i] is a key that holds U+0000; its end. */
static bool is_nul_key(const char *text, size_t size, size_t i, size_t *end)
{
    bool nul = false;
    for (; i < size && text[i] != '"'; i += text[i] == '\\' ? 2 : 1) nul |= size - i > 6 && !memcmp(text + i, "\\u0000", 6);
    *end = i < size ? i + 1 : size;
    for (i = *end; i < size && text[i] && strchr(" \t\r\n", text[i]); i++) { }
    return nul && i < size && text[i] == ':';
}

/* The text with JSON_NUL in keys, which jansson allows no NUL, to be freed; NULL when memory is out. */
static char *with_nul_keys(const char *text, size_t size, size_t *length)
{
    char *out = xalloc(2 * size + 4, 1);
    size_t n = 0, end;
    for (size_t i = 0; out && i < size; i = end) {
        const bool key = text[i] == '"' && is_nul_key(text, size, i + 1, &end);
        if (text[i] != '"') end = i + 1;
        for (size_t k = i; k < end; ) {
            const bool nul = key && end - k > 6 && !memcmp(text + k, "\\u0000", 6);
            const size_t step = nul ? 6 : key && text[k] == '\\' ? 2 : 1;
            memcpy(out + n, nul ? JSON_NUL : text + k, step);
            n += step;
            k += step;
        }
    }
    *length = n;
    return out;
}

typedef enum { AS_SENT, AS_PYTHON_WRITES, WITH_NUL_KEYS } json_form;

/* Reads again what is no JSON by the letter but has the form. */
static json_t *load_form(const char *text, size_t size, json_form form)
{
    json_error_t unused;
    size_t length, more;
    char *plain = with_plain_numbers(text, size, &length), *keys = plain && form == WITH_NUL_KEYS ? with_nul_keys(plain, length, &more) : NULL;
    json_t *value = keys ? load(keys, more, &unused) : plain ? load(plain, length, &unused) : NULL;
    free(plain);
    free(keys);
    return value;
}

static json_t *parse(const char *text, size_t size, int depth, json_form form, const char *what, lithe_error *err)
{
    if (failed(err)) return NULL;
    /* Editors of Windows begin a file so. */
    if (form != AS_SENT && size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        size -= 3;
    }
    int deepest = nesting(text, size);
    if (deepest > depth) {
        fail(err, LITHE_EFORMAT, "%s: JSON nested %d deep, at most %d is accepted", what, deepest, depth);
        return NULL;
    }
    json_error_t at = { .line = -1 };
    json_t *value = load(text, size, &at);
    if (!value && form != AS_SENT && !check_pending(err)) value = load_form(text, size, form);
    if (!value) fail(err, LITHE_EFORMAT, "%s: line %d, column %d: %s", what, at.line, at.column, at.text);
    if (!check_pending(err)) return value;
    json_decref(value);
    return NULL;
}

json_t *json_parse(const char *text, size_t size, int depth, const char *what, lithe_error *err) { return parse(text, size, depth, AS_PYTHON_WRITES, what, err); }

json_t *json_parse_pieces(const char *text, size_t size, int depth, const char *what, lithe_error *err) { return parse(text, size, depth, WITH_NUL_KEYS, what, err); }

json_t *json_parse_strict(const char *text, size_t size, int depth, const char *what, lithe_error *err) { return parse(text, size, depth, AS_SENT, what, err); }

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
    char *line = text && !check_pending(NULL) ? xalloc(size + 2, 1) : NULL;
    if (line) {
        memcpy(line, text, size);
        line[size] = '\n';
    }
    free(text);
    return line;
}

int json_write(const json_t *value, const char *path, lithe_error *err)
{
    if (failed(err)) return err->status;
    char *text = json_text(value);
    if (!text) return fail(err, LITHE_EINVAL, "%s: cannot write as JSON, it is not UTF-8", path);
    int status = file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

bool json_flag(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

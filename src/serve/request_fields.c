#include "serve/request_fields.h"
#include "base/arena.h"
#include "base/utf8.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- problems --------------------------------------------------------------------- */

void refuse(problem *p, int status, const char *param, const char *format, ...)
{
    va_list args;
    if (p->status) return;
    p->status = status;
    snprintf(p->param, sizeof p->param, "%s", param ? param : "");
    va_start(args, format);
    vsnprintf(p->message, sizeof p->message, format, args);
    va_end(args);
}

void refuse_error(problem *p, const char *param, const lithe_error *err)
{
    refuse(p, err->status == LITHE_ENOMEM ? 503 : 400, param, "%s", err->text);
}

static const struct { int status; const char *type, *code; } KINDS[] = {
    { 400, "invalid_request_error", NULL }, { 401, "authentication_error", "invalid_api_key" }, { 404, "invalid_request_error", "not_found" },
    { 405, "invalid_request_error", "method_not_allowed" }, { 413, "invalid_request_error", "body_too_large" }, { 415, "invalid_request_error", "not_json" },
    { 431, "invalid_request_error", "head_too_large" },
    { 429, "rate_limit_error", "queue_full" }, { 501, "invalid_request_error", "not_supported" }, { 503, "unavailable_error", NULL },
};

char *problem_text(const problem *p)
{
    const char *type = "server_error", *code = p->code;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (KINDS[i].status != p->status) continue;
        type = KINDS[i].type;
        if (!code) code = KINDS[i].code;
    }
    json_t *param = p->param[0] ? json_string(p->param) : json_null(), *name = code ? json_string(code) : p->status == 503 ? json_integer(503) : json_null();
    return json_line(json_pack("{s:{s:o, s:s, s:o, s:o}}", "error", "message", json_shown(p->message, strlen(p->message)), "type", type, "param", param, "code", name));
}

/* ---- fields ------------------------------------------------------------------------ */

const json_t *given(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

bool field_flag(const json_t *object, const char *key, bool otherwise, problem *p)
{
    const json_t *value = given(object, key);
    if (value && !json_is_boolean(value)) refuse(p, 400, key, "%s must be true or false", key);
    return value ? json_is_true(value) : otherwise;
}

double field_number(const json_t *object, const char *key, double least, double most, double otherwise, problem *p)
{
    const json_t *value = given(object, key);
    if (!value) return otherwise;
    double x = json_number_value(value);
    if (json_is_number(value) && x >= least && x <= most) return x;
    refuse(p, 400, key, "%s must be a number from %g to %g", key, least, most);
    return otherwise;
}

int field_int(const json_t *object, const char *key, int least, int most, int otherwise, problem *p)
{
    const json_t *value = given(object, key);
    if (value && !json_int(object, key, least, most, &otherwise)) refuse(p, 400, key, "%s must be a whole number from %d to %d", key, least, most);
    return otherwise;
}

const char *field_text(const json_t *object, const char *key, const char *otherwise, problem *p)
{
    const json_t *value = given(object, key);
    if (value && !json_is_string(value)) refuse(p, 400, key, "%s must be a string", key);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

int32_t *field_ids(const json_t *list, const char *key, int vocab, size_t *n, problem *p)
{
    *n = json_array_size(list);
    int32_t *ids = *n ? malloc(*n * sizeof *ids) : NULL;
    if (*n && !ids) refuse(p, 503, NULL, "not enough memory for %zu tokens", *n);
    for (size_t i = 0; ids && i < *n; i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value)) refuse(p, 400, key, "%s must be a list of token ids: entry %zu is none", key, i);
        else if (id < 0 || id >= vocab) refuse(p, 400, key, "%s has the token id %lld, and the vocabulary has %d tokens", key, (long long)id, vocab);
        if (p->status) { free(ids); return NULL; }
        ids[i] = (int32_t)id;
    }
    return ids;
}

char *unknown_keys(const json_t *object, const char *const *known)
{
    enum { MOST = 8, LONGEST = 40 };
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    text_buffer b = { 0 };
    const char *key;
    json_t *value;
    int count = 0;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {              /* jansson's iterators are not const */
        int i = 0;
        while (known[i] && strcmp(known[i], key)) i++;
        if (known[i] || count++ >= MOST) continue;
        if (b.n) text_append(&b, ", ", 2);
        for (const char *c = key; *c && c < key + LONGEST; c++) if (strchr(letters, *c)) text_append(&b, c, 1);
    }
    text_append(&b, "", 1);
    if (b.n > 1 && !b.failed) return b.bytes;
    free(b.bytes);
    return NULL;
}

/* ---- JSON ----------------------------------------------------------------------------- */

char *json_line(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(value);
    return text;
}

json_t *json_shown(const char *text, size_t n)
{
    int32_t c;
    text_buffer b = { 0 };
    if (utf8_valid(text, n) == n) return json_stringn(text, n);
    for (size_t i = 0; i < n; ) {
        size_t length = (size_t)utf8_next(text + i, n - i, &c);
        if (c < 0) text_append(&b, "\xef\xbf\xbd", 3);
        else text_append(&b, text + i, length);
        i += c < 0 ? utf8_broken(text + i, n - i) : length;
    }
    json_t *shown = b.failed ? NULL : json_stringn(b.bytes, b.n);
    free(b.bytes);
    return shown;
}

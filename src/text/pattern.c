/* PCRE2: UTF with Unicode properties, ^ and $ at lines as in Oniguruma's Ruby
 * syntax, compiled to machine code where the library can.
 *
 * A pattern such as a.*?x|a reads to the end of the text at every position, which is
 * quadratic in all and yet below any limit on a single match.  So a search gets a window of
 * the text first.  PCRE2's hard partial matching reports that the match reached the end of
 * the window; then, and only then, the window is doubled, and its size is charged to an
 * allotment linear in the text.  Words shorter than the window cost nothing. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"
#include "base/arena.h"
#include "text/oniguruma.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_LIMIT 4096                 /* bytes */
#define WINDOW 256                         /* bytes beyond the start, at first */
#define STEPS 1000                         /* match limit, at first */
#define STEPS_LIMIT 64000000

struct pattern {
    size_t allotment;                      /* bytes looked at, or steps */
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

void pattern_free(pattern *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_match_data_free(p->data);
    pcre2_match_context_free(p->context);
    pcre2_jit_stack_free(p->stack);
    free(p);
}

static pcre2_code *compile(const char *text, size_t len, bool literal, const char *what, lithe_error *err)
{
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_USE_OFFSET_LIMIT;
    if (literal) options |= PCRE2_LITERAL;
    else options |= PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) { fail(err, LITHE_ENOMEM, "%s: out of memory", what); return NULL; }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 100);
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, len, options, &error, &at, context);
    pcre2_compile_context_free(context);
    if (!code) {
        char reason[200] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
        fail(err, LITHE_EFORMAT, "%s: pattern is not a regular expression, at its byte %zu: %s", what, (size_t)at, reason);
    }
    return code;
}

static bool prepare(pattern *p)
{
    p->data = pcre2_match_data_create(1, NULL);
    p->context = pcre2_match_context_create(NULL);
    if (!p->data || !p->context) return false;
    pcre2_set_heap_limit(p->context, 1 << 16);              /* KiB */
    if (pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) == 0) {
        p->stack = pcre2_jit_stack_create(32 << 10, 4 << 20, NULL);
        if (p->stack) pcre2_jit_stack_assign(p->context, NULL, p->stack);
    }
    return true;
}

pattern *pattern_new(const char *text, size_t len, bool literal, const char *what, lithe_error *err)
{
    if (failed(err)) return NULL;
    if (!len || len > PATTERN_LIMIT) {
        fail(err, LITHE_EFORMAT, "%s: a pattern of %zu bytes, expected 1 to %d", what, len, PATTERN_LIMIT);
        return NULL;
    }
    size_t n = len;
    char *translated = literal ? NULL : oniguruma_to_pcre2(text, len, &n, what, err);
    pattern *p = xalloc(1, sizeof *p);
    if (!p) fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    if (p && !failed(err)) p->code = compile(literal ? text : translated, n, literal, what, err);
    if (p && !failed(err) && !prepare(p)) fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    free(translated);
    if (!failed(err)) return p;
    pattern_free(p);
    return NULL;
}

void pattern_begin(pattern *p, size_t len) { p->allotment = len < SIZE_MAX / 2048 ? len * 256 + 65536 : SIZE_MAX; }

static bool pay(pattern *p, size_t price)
{
    bool enough = price <= p->allotment;
    p->allotment -= enough ? price : p->allotment;
    return enough;
}

/* One search for matches that begin in text[from .. from + starts) and end before text[stop]. */
static int look(pattern *p, const char *text, size_t len, size_t from, size_t starts, size_t stop, uint32_t steps)
{
    pcre2_set_match_limit(p->context, steps);
    pcre2_set_offset_limit(p->context, from + starts - 1);
    return pcre2_match(p->code, (PCRE2_SPTR)text, stop, from, PCRE2_NO_UTF_CHECK | (stop < len ? PCRE2_PARTIAL_HARD : 0), p->data, p->context);
}

static size_t character_end(const char *text, size_t at, size_t len)
{
    while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80) at++;
    return at;
}

bool pattern_find(pattern *p, const char *text, size_t len, size_t from, size_t *start, size_t *end)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->data);
    size_t window = WINDOW;
    uint32_t steps = STEPS;
    while (from <= len) {
        size_t stop = len - from <= window ? len : character_end(text, from + window, len);
        size_t starts = window == WINDOW ? WINDOW : 1 + WINDOW * WINDOW / window, tried = starts;
        int n = look(p, text, len, from, starts, stop, steps);
        if (n >= 0 || n == PCRE2_ERROR_PARTIAL) tried = at[0] - from + 1;
        if (window > WINDOW && !pay(p, tried * window)) return false;
        if (n >= 0) {
            *start = at[0];
            *end = at[1];
            return from <= at[0] && at[0] <= at[1] && at[1] <= len;
        }
        if (n == PCRE2_ERROR_PARTIAL) {                     /* no match begins before it */
            from = at[0];
            window *= 2;
        } else if (n == PCRE2_ERROR_NOMATCH) {
            if (stop == len && from + starts > len) return false;
            from = from + starts < stop ? character_end(text, from + starts, len) : stop;
            window = WINDOW;
        } else {                                            /* too many steps, mostly */
            if (n != PCRE2_ERROR_MATCHLIMIT || steps > STEPS_LIMIT || !pay(p, steps)) return false;
            steps *= 8;
        }
    }
    return false;
}

/* PCRE2 with UTF and Unicode properties; $ is the end of the text only. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "eval/task_pattern.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_LIMIT = 4000000, HEAP_LIMIT = 1 << 16 /* KiB */ };

struct task_pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    const char *what, *subject;              /* borrowed; the subject of the last search */
};

void task_pattern_free(task_pattern *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_match_data_free(p->data);
    pcre2_match_context_free(p->context);
    free(p);
}

task_pattern *task_pattern_new(const char *text, const char *what, lithe_error *err)
{
    int error;
    PCRE2_SIZE at;
    task_pattern *p = xalloc(1, sizeof *p);
    if (!p) { fail(err, LITHE_ENOMEM, "%s: out of memory", what); return NULL; }
    p->what = what;
    p->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL);
    if (!p->code) {
        char reason[160] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
        fail(err, LITHE_EFORMAT, "%s: \"%.60s\" is not a regular expression, at its byte %zu: %s", what, text, (size_t)at, reason);
        task_pattern_free(p);
        return NULL;
    }
    p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
    p->context = pcre2_match_context_create(NULL);
    if (!p->data || !p->context) {
        fail(err, LITHE_ENOMEM, "%s: out of memory", what);
        task_pattern_free(p);
        return NULL;
    }
    pcre2_set_match_limit(p->context, MATCH_LIMIT);
    pcre2_set_heap_limit(p->context, HEAP_LIMIT);
    return p;
}

static int refused(const task_pattern *p, int code, lithe_error *err)
{
    char reason[160] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    return fail(err, LITHE_EFORMAT, "%s: a regular expression cannot be searched for in a text: %s", p->what, reason);
}

int task_pattern_search(task_pattern *p, const char *text, lithe_error *err)
{
    p->subject = text;
    int n = pcre2_match(p->code, (PCRE2_SPTR)text, strlen(text), 0, 0, p->data, p->context);
    return n > 0 ? 1 : n == PCRE2_ERROR_NOMATCH ? 0 : refused(p, n, err);
}

bool task_pattern_group(const task_pattern *p, int i, const char **name, const char **start, size_t *length)
{
    uint32_t count, size;
    PCRE2_SPTR table;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->data);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMETABLE, &table);
    if (i < 0 || (uint32_t)i >= count) return false;
    const unsigned char *entry = table + (size_t)i * size;
    size_t group = (size_t)entry[0] << 8 | entry[1];
    *name = (const char *)entry + 2;
    *start = at[2 * group] == PCRE2_UNSET ? NULL : p->subject + at[2 * group];
    *length = *start ? at[2 * group + 1] - at[2 * group] : 0;
    return true;
}

char *task_pattern_replace(task_pattern *p, const char *text, const char *by, arena *memory, lithe_error *err)
{
    PCRE2_SIZE size = 2 * strlen(text) + 64;
    const uint32_t options = PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH;
    for (int tries = 0; tries < 2; tries++) {
        char *to = arena_alloc(memory, size + 1);
        if (!to) { fail(err, LITHE_ENOMEM, "%s: out of memory", p->what); return NULL; }
        int n = pcre2_substitute(p->code, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, options, p->data, p->context, (PCRE2_SPTR)by, PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)to, &size);
        if (n >= 0) return to;
        if (n != PCRE2_ERROR_NOMEMORY) { refused(p, n, err); return NULL; }
    }
    fail(err, LITHE_ENOMEM, "%s: out of memory", p->what);
    return NULL;
}

/* Where the bytes of a text_buffer come from. */
#include "text/text_buffer.h"
#include "base/utf8.h"

static bool is_of_source(const text_trace *t, const char *text, size_t len)
{
    const uintptr_t begin = (uintptr_t)t->from.text, at = (uintptr_t)text;
    return at >= begin && at + len <= begin + t->bytes;
}

void text_note(text_buffer *b, const char *text, size_t len)
{
    text_trace *t = b->trace;
    if (t->room < b->room) {
        text_range *range = xrealloc(t->range, b->room, sizeof *range);
        if (!range) { b->failed = true; return; }
        t->range = range;
        t->room = b->room;
    }
    const bool own = is_of_source(t, text, len);
    for (size_t i = 0; i < len; i++) t->range[b->n + i] = own ? text_came_from(&t->from, text + i, 1) : t->now;
}

void text_append_form(text_buffer *b, const char *form, size_t n, const char *at, size_t len)
{
    const char *const end = at + len;
    if (!b->trace) { text_append(b, form, n); return; }
    for (size_t i = 0, k; i < n; i += k) {
        int32_t c;
        const size_t old = len ? (size_t)utf8_next(at, (size_t)(end - at), &c) : 0;
        k = (size_t)utf8_next(form + i, n - i, &c);
        text_stands_for(b, at, old);
        text_append(b, form + i, k);
        if (at + old < end) at += old;
    }
}

/* A text that grows.  The first failure to grow sticks: what is appended after it is lost.
 *
 * A buffer with a trace also notes where in a source each of its bytes comes from.  A byte appended from the source
 * itself comes from there; any other comes from the characters that text_stands_for has named last. */
#ifndef TEXT_TEXT_BUFFER_H
#define TEXT_TEXT_BUFFER_H

#include "base/arena.h"
#include <stdint.h>
#include <string.h>

typedef struct { size_t begin, end; } text_range;

/* Where the bytes of `text` come from: byte i from range[i], or, range NULL, from byte begin + i. */
typedef struct { const char *text; size_t begin; text_range *range; } text_origin;

static inline text_range text_came_from(const text_origin *o, const char *at, size_t n)
{
    const size_t i = (size_t)(at - o->text);
    if (!o->range) return (text_range){ o->begin + i, o->begin + i + n };
    if (n) return (text_range){ o->range[i].begin, o->range[i + n - 1].end };
    const size_t edge = i ? o->range[i - 1].end : o->range[0].begin;
    return (text_range){ edge, edge };
}

/* from: the origin of the source's bytes; range: of the buffer's. */
typedef struct { text_origin from; size_t bytes; text_range now, *range; size_t room; } text_trace;

/* Zero is empty; free(bytes). */
typedef struct { char *bytes; size_t n, room; bool failed; text_trace *trace; } text_buffer;

static inline bool text_reserve(text_buffer *b, size_t more)
{
    if (b->failed || more <= b->room - b->n) return !b->failed;
    size_t room = b->room ? b->room : 64;
    while (room - b->n < more) room *= 2;
    char *bytes = xrealloc(b->bytes, room, 1);
    if (!bytes) { b->failed = true; return false; }
    b->bytes = bytes;
    b->room = room;
    return true;
}

/* Notes where the len bytes come from that are appended next (text_trace.c). */
void text_note(text_buffer *b, const char *text, size_t len);

static inline void text_append(text_buffer *b, const char *text, size_t len)
{
    if (!len || !text_reserve(b, len)) return;
    if (b->trace) text_note(b, text, len);
    memcpy(b->bytes + b->n, text, len);
    b->n += len;
}

/* What is appended next stands for the len bytes at `at` of the source. */
static inline void text_stands_for(text_buffer *b, const char *at, size_t len)
{
    if (b->trace) b->trace->now = text_came_from(&b->trace->from, at, len);
}

/* Appends the form of the source's len bytes at `at`: its characters come from theirs, one from one, and those that are
 * left over from the last. */
void text_append_form(text_buffer *b, const char *form, size_t n, const char *at, size_t len);

#endif

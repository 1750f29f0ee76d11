/* A text that grows.  The first failure to grow sticks: what is appended after it is lost. */
#ifndef TEXT_TEXT_BUFFER_H
#define TEXT_TEXT_BUFFER_H

#include "base/arena.h"
#include <string.h>

typedef struct { char *bytes; size_t n, room; bool failed; } text_buffer;      /* zero is empty; free(bytes) */

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

static inline void text_append(text_buffer *b, const char *text, size_t len)
{
    if (!len || !text_reserve(b, len)) return;
    memcpy(b->bytes + b->n, text, len);
    b->n += len;
}

#endif

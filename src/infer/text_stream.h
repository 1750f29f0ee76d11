/* Token ids in, text out that may be shown at once: whole UTF-8 sequences only,
 * and never the beginning of what may become a stop string. */
#ifndef INFER_TEXT_STREAM_H
#define INFER_TEXT_STREAM_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* Bytes, as many as n; borrowed until the next call on their stream. */
typedef struct { const char *bytes; size_t n; } shown_text;

typedef struct {
    const lithe_tokenizer *tokenizer;
    const char *const *stop; int stops;
    int32_t before;                  /* the latest id, whose text may decide how the next one's begins; -1: none */
    bool stopped;                    /* a stop string was completed: nothing follows */
    char *held, *shown;              /* text that may not be shown yet; what was shown last */
    size_t held_count, held_room, shown_room;
} text_stream;

/* before: the id that stands before the text, -1 when there is none.  Tokenizer and stop strings are borrowed. */
void text_stream_open(text_stream *t, const lithe_tokenizer *tokenizer, int32_t before, const char *const *stop, int stops);
void text_stream_close(text_stream *t);

/* Adds an id: what may be shown now.  Bytes that are no UTF-8, which a model of bytes may well choose, become U+FFFD. */
int  text_stream_add(text_stream *t, int32_t id, shown_text *out, lithe_error *err);
/* The text ends: what was held back, unless a stop string took it. */
int  text_stream_end(text_stream *t, shown_text *out, lithe_error *err);

/* Bytes of text that may be shown now: no unfinished UTF-8 sequence at the end,
 * no suffix that a stop string begins with.  *stopped: where a whole stop string begins, or SIZE_MAX. */
size_t showable(const char *text, size_t n, const char *const *stop, int stops, size_t *stopped);

#endif

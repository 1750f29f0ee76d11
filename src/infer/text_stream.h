/* Token ids go in, and text comes out that may be shown at once: whole UTF-8 sequences only,
 * and never the beginning of what may become a stop string. */
#ifndef INFER_TEXT_STREAM_H
#define INFER_TEXT_STREAM_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* n bytes, borrowed until the next call on their stream. */
typedef struct { const char *bytes; size_t n; } shown_text;

typedef struct {
    const lithe_tokenizer *tokenizer;
    const char *const *stop; int stops;
    int32_t before;             /* the latest id, whose text may decide how the text of the next one begins; -1: none */
    bool stopped;               /* a stop string was completed, so nothing follows */
    char *held, *shown;         /* text that may not be shown yet; what was shown last */
    size_t held_count, held_room, shown_room;
} text_stream;

/* before is the id before the text, -1 if there is none.  The tokenizer and the stop strings are borrowed. */
void text_stream_open(text_stream *t, const lithe_tokenizer *tokenizer, int32_t before, const char *const *stop, int stops);
void text_stream_close(text_stream *t);

/* Adds an id and returns the text that may be shown now.  Bytes that are not UTF-8, which a model of bytes may
 * choose, become U+FFFD. */
int  text_stream_add(text_stream *t, int32_t id, shown_text *out, lithe_error *err);
/* Ends the text and returns what was held back, unless it is a stop string. */
int  text_stream_end(text_stream *t, shown_text *out, lithe_error *err);

/* The number of bytes of text that may be shown now, without an unfinished UTF-8 sequence at the end
 * or a suffix that a stop string begins with.  *stopped is the start of a whole stop string, or SIZE_MAX. */
size_t showable(const char *text, size_t n, const char *const *stop, int stops, size_t *stopped);

#endif

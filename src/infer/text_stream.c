#include "infer/text_stream.h"
#include "base/arena.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

/* ---- what may be shown ------------------------------------------------------------ */

/* The number of bytes of an unfinished UTF-8 sequence at the end of text. */
static size_t unfinished(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)text[n - back];
        if (c < 0x80) return 0;
        size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
        if (length) return length > back ? back : 0;
    }
    return 0;
}

size_t showable(const char *text, size_t n, const char *const *stop, int stops, size_t *stopped)
{
    *stopped = SIZE_MAX;
    size_t safe = n - unfinished(text, n);
    for (int i = 0; i < stops; i++) {
        size_t length = strlen(stop[i]);
        const char *found = length ? memmem(text, n, stop[i], length) : NULL;
        if (found && (size_t)(found - text) < *stopped) *stopped = (size_t)(found - text);
        for (size_t k = length ? length - 1 : 0; k > 0; k--)    /* the longest suffix that may become the stop string */
            if (k <= n && !memcmp(text + n - k, stop[i], k)) {
                if (n - k < safe) safe = n - k;
                break;
            }
    }
    return *stopped != SIZE_MAX ? *stopped : safe;
}

/* Writes text as UTF-8 to out, which has three times its size; returns the number of bytes. */
static size_t replace_damaged(const char *text, size_t n, char *out)
{
    size_t used = 0;
    for (size_t at = 0, length; at < n; at += length) {
        int32_t c;
        length = (size_t)utf8_next(text + at, n - at, &c);
        const size_t put = c < 0 ? 3 : length;
        memcpy(out + used, c < 0 ? "\xef\xbf\xbd" : text + at, put);
        used += put;
        if (c < 0) length = utf8_broken(text + at, n - at);
    }
    return used;
}

/* ---- the stream ---------------------------------------------------------------------- */

void text_stream_open(text_stream *t, const lithe_tokenizer *tokenizer, int32_t before, const char *const *stop, int stops)
{
    *t = (text_stream){ .tokenizer = tokenizer, .stop = stop, .stops = stops, .before = before };
}

void text_stream_close(text_stream *t)
{
    free(t->held);
    free(t->shown);
    *t = (text_stream){ 0 };
}

static int make_room(char **memory, size_t *room, size_t wanted, lithe_error *err)
{
    if (wanted <= *room) return LITHE_OK;
    char *grown = xrealloc(*memory, 2 * wanted, 1);
    if (!grown) return fail(err, LITHE_ENOMEM, "not enough memory for a text of %zu bytes", wanted);
    *memory = grown;
    *room = 2 * wanted;
    return LITHE_OK;
}

/* The text that id adds; the token before it is decoded too, since some vocabularies write a leading space. */
static int hold(text_stream *t, int32_t id, lithe_error *err)
{
    int32_t pair[2] = { t->before, id };
    const int32_t *ids = t->before < 0 ? pair + 1 : pair;
    size_t count = t->before < 0 ? 1 : 2, skip = t->before < 0 ? 0 : lithe_decode(t->tokenizer, pair, 1, NULL, 0), whole = lithe_decode(t->tokenizer, ids, count, NULL, 0);
    if (make_room(&t->held, &t->held_room, t->held_count + whole + 1, err)) return LITHE_ENOMEM;
    char *end = t->held + t->held_count;
    lithe_decode(t->tokenizer, ids, count, end, whole);
    if (skip > whole) skip = whole;
    memmove(end, end + skip, whole - skip);
    t->held_count += whole - skip;
    t->before = id;
    return LITHE_OK;
}

/* Shows the first n of the bytes that are held back. */
static int show(text_stream *t, size_t n, shown_text *out, lithe_error *err)
{
    if (!n) return LITHE_OK;
    if (make_room(&t->shown, &t->shown_room, 3 * n + 1, err)) return LITHE_ENOMEM;
    *out = (shown_text){ t->shown, replace_damaged(t->held, n, t->shown) };
    memmove(t->held, t->held + n, t->held_count - n);
    t->held_count -= n;
    return LITHE_OK;
}

int text_stream_add(text_stream *t, int32_t id, shown_text *out, lithe_error *err)
{
    size_t stopped;
    *out = (shown_text){ 0 };
    if (failed(err)) return err->status;
    int status = t->stopped ? LITHE_OK : hold(t, id, err);
    if (status || t->stopped) return status;
    status = show(t, showable(t->held, t->held_count, t->stop, t->stops, &stopped), out, err);
    t->stopped = stopped != SIZE_MAX;
    if (t->stopped) t->held_count = 0;
    return status;
}

int text_stream_end(text_stream *t, shown_text *out, lithe_error *err)
{
    *out = (shown_text){ 0 };
    return failed(err) ? (int)err->status : show(t, t->held_count, out, err);
}

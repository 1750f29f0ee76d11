/* Text that streams.  A listener gets whole UTF-8 sequences only, and never the
 * beginning of what may become a stop string. */
#include "infer/session.h"
#include "base/sized.h"
#include <stdlib.h>
#include <string.h>

/* Bytes at the end of text that an unfinished UTF-8 sequence takes. */
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
        for (size_t k = length ? length - 1 : 0; k > 0; k--)          /* the longest suffix that may become it */
            if (k <= n && !memcmp(text + n - k, stop[i], k)) {
                if (n - k < safe) safe = n - k;
                break;
            }
    }
    return *stopped != SIZE_MAX ? *stopped : safe;
}

/* Bytes of the well-formed UTF-8 sequence at the beginning of text (Unicode, table 3-7), 0 when there is none. */
static size_t well_formed(const unsigned char *text, size_t n)
{
    unsigned char c = text[0], low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (length > n) return 0;
    for (size_t i = 1; i < length; i++) {
        if (text[i] < low || text[i] > high) return 0;
        low = 0x80, high = 0xbf;
    }
    return length;
}

typedef int listener(void *context, const char *text, size_t n);

/* Bytes that are no UTF-8, which a model of bytes may well choose, become U+FFFD. */
static int hand_over(listener *give, void *context, const char *text, size_t n)
{
    for (size_t first = 0, at = 0; give && first < n; first = at) {
        size_t length;
        while (at < n && (length = well_formed((const unsigned char *)text + at, n - at))) at += length;
        if (at > first && give(context, text + first, at - first)) return 1;
        if (at < n && (at++, give(context, "\xef\xbf\xbd", 3))) return 1;
    }
    return 0;
}

typedef struct { char *text; size_t count, capacity; } held;

/* What id adds to the text: with the token before it, since some vocabularies write a leading space. */
static int add_piece(held *h, const lithe_tokenizer *t, int32_t before, int32_t id)
{
    int32_t pair[2] = { before, id };
    const int32_t *ids = before < 0 ? pair + 1 : pair;
    size_t count = before < 0 ? 1 : 2, skip = before < 0 ? 0 : lithe_decode(t, pair, 1, NULL, 0), whole = lithe_decode(t, ids, count, NULL, 0);
    size_t need = h->count + whole + 1;
    if (need > h->capacity) {
        char *text = realloc(h->text, 2 * need);
        if (!text) return LITHE_ENOMEM;
        h->text = text;
        h->capacity = 2 * need;
    }
    lithe_decode(t, ids, count, h->text + h->count, whole);
    if (skip > whole) skip = whole;
    memmove(h->text + h->count, h->text + h->count + skip, whole - skip);
    h->count += whole - skip;
    return 0;
}

int lithe_generate(lithe_session *s, const lithe_tokenizer *t, const int32_t *prompt, size_t n, const lithe_generation *o,
                   int (*give)(void *context, const char *text, size_t n), void *context, const char **reason, lithe_error *err)
{
    const char *unused;
    if (!reason) reason = &unused;
    *reason = "length";
    lithe_generation options;
    if (!s || !t) return LITHE_EINVAL;
    if (options_read(&options, sizeof options, o, "lithe_generation", err)) return LITHE_EINVAL;
    o = &options;
    if (!n && !(o->go_on && s->ready)) return fail(err, LITHE_EINVAL, "nothing to continue: give at least one token of text");
    int status = o->go_on ? lithe_session_extend(s, prompt, n, err) : lithe_session_sync(s, prompt, n, err);
    if (status) return status;
    held h = { 0 };
    int32_t before = session_last(s), eos = lithe_tokenizer_eos(t), bos = lithe_tokenizer_bos(t);
    bool told = false, ended = false;
    for (int i = 0; (o->max_tokens <= 0 || i < o->max_tokens) && !ended; i++) {
        int32_t id = lithe_session_sample(s, o->sampling);
        if (!o->ignore_eos && (id == eos || id == bos) && id >= 0) { *reason = "eos"; break; }
        if ((status = add_piece(&h, t, before, id))) { fail(err, status, "not enough memory for the text"); break; }
        before = id;
        size_t stopped, show = showable(h.text, h.count, o->stop, o->stops, &stopped);
        if (hand_over(give, context, h.text, show)) { told = true; h.count = 0; *reason = "told"; break; }
        memmove(h.text, h.text + show, h.count - show);
        h.count -= show;
        if (stopped != SIZE_MAX) { *reason = "stop"; h.count = 0; break; }
        lithe_error full = { 0 };
        if (lithe_session_push(s, id, &full) == LITHE_EFULL) { *reason = "full"; ended = true; }
    }
    if (!status && !told) hand_over(give, context, h.text, h.count);         /* what was held back for a stop string that did not come */
    free(h.text);
    return status;
}

/* Pieces and words consist of whole characters, so matching bytes matches characters. */
#include "text/wordpiece.h"
#include "base/utf8.h"

static bool too_long(const wordpiece *w, const char *word, size_t len)
{
    size_t characters = 0, limit = (size_t)w->longest;
    if (len <= limit) return false;
    for (size_t i = 0; i < len && characters <= limit; i++) characters += !utf8_tail((unsigned char)word[i]);
    return characters > limit;
}

void wordpiece_encode(const wordpiece *w, const char *word, size_t len, id_sink *out)
{
    size_t before = out->n, k = 0;
    bool known = !too_long(w, word, len);
    for (size_t at = 0; at < len && known; at += k) {
        int32_t id = trie_longest(w->tree, at ? w->inside : 0, word + at, len - at, &k);
        known = id >= 0;
        if (known) id_put_to(out, id, at + k);
    }
    if (known) return;
    out->n = before;
    id_put_to(out, w->unknown, len);
}

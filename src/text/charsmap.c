/* A unit of the tree has its label in bits 0..7 and 31, a flag for a value in bit 8, and the
 * position of its children in the bits above; the unit of a value has the value in its low
 * 31 bits. */
#include "text/charsmap.h"
#include "base/utf8.h"
#include <stdlib.h>

static uint32_t u32_at(const char *data)
{
    const unsigned char *d = (const unsigned char *)data;
    return (uint32_t)d[0] | (uint32_t)d[1] << 8 | (uint32_t)d[2] << 16 | (uint32_t)d[3] << 24;
}

int charsmap_open(charsmap *m, const char *blob, size_t len, const char *what, lithe_error *err)
{
    if (!len) return LITHE_OK;
    size_t bytes = len >= 4 ? u32_at(blob) : 0;
    if (len < 4 || !bytes || bytes % 4 || bytes > len - 4)
        return fail(err, LITHE_EFORMAT, "%s: its map of characters says %zu bytes of tree, %zu are there", what, bytes, len < 4 ? len : len - 4);
    m->n = bytes / 4;
    m->bytes = len - 4 - bytes;
    m->units = xrealloc(NULL, m->n, sizeof *m->units);
    m->strings = xalloc(m->bytes + 1, 1);
    if (!m->units || !m->strings) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    for (size_t i = 0; i < m->n; i++) m->units[i] = u32_at(blob + 4 + 4 * i);
    memcpy(m->strings, blob + 4 + bytes, m->bytes);
    return LITHE_OK;
}

void charsmap_close(charsmap *m)
{
    free(m->units);
    free(m->strings);
    *m = (charsmap){ 0 };
}

static size_t children(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 512) >> 6); }

/* The replacement of the longest, or else the shortest entry that text begins with, and the length of the entry; NULL:
 * none. */
static const char *entry(const charsmap *m, bool shortest, const char *text, size_t len, size_t *k)
{
    const char *found = NULL;
    size_t at = m->n ? children(m->units[0]) : 0;
    for (size_t i = 0; i < len && m->n; ) {
        unsigned char c = (unsigned char)text[i++];
        at ^= c;
        if (at >= m->n || (m->units[at] & 0x800000ff) != c) break;
        uint32_t unit = m->units[at];
        at ^= children(unit);
        if (!(unit & 256)) continue;
        size_t value = at < m->n ? m->units[at] & 0x7fffffff : SIZE_MAX;
        if (value > m->bytes) break;
        found = m->strings + value;
        *k = i;
        if (shortest) break;
    }
    return found;
}

/* The beginning of the text is replaced by [form, form + n); returns the number of bytes it replaces. */
static size_t next(const charsmap *m, const char *text, size_t len, const char **form, size_t *n)
{
    size_t k = 0;
    int32_t c;
    if (m->kept && trie_longest(m->kept, 0, text, len, &k) >= 0) {
        *form = text;
        return *n = k;
    }
    if ((*form = entry(m, false, text, len, &k))) {
        *n = strlen(*form);
        return k;
    }
    k = (size_t)utf8_next(text, len, &c);
    *form = c < 0 ? "\uFFFD" : text;
    *n = c < 0 ? 3 : k;
    return k;
}

static void put_marked(text_buffer *out, const char *form, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (form[i] == ' ') text_append(out, SPACE_MARK, 3);
        else text_append(out, form + i, 1);
    }
}

static void drop_spaces(text_buffer *out)
{
    while (out->n >= 3 && !memcmp(out->bytes + out->n - 3, SPACE_MARK, 3)) out->n -= 3;
}

void charsmap_apply(const charsmap *m, text_buffer *out, const char *text, size_t len)
{
    const char *form;
    size_t at = 0, n, k;
    while (m->trim && at < len && (k = next(m, text + at, len - at, &form, &n), n == 1 && form[0] == ' ')) at += k;
    if (at == len) return;
    text_stands_for(out, text + at, 1);
    if (m->add_space) text_append(out, SPACE_MARK, 3);
    for (bool space = m->trim; at < len; at += k) {
        k = next(m, text + at, len - at, &form, &n);
        while (space && n && form[0] == ' ') { form++; n--; }
        if (!n) continue;
        text_stands_for(out, text + at, k);
        put_marked(out, form, n);
        space = m->trim && form[n - 1] == ' ';
    }
    if (m->trim) drop_spaces(out);
}

/* ---- as Hugging Face's library --------------------------------------------------------- */

/* The end of the grapheme cluster that begins at text[i]. */
static size_t cluster_end(const char *text, size_t i, size_t len)
{
    int32_t before, c;
    utf8proc_int32_t state = 0;
    i += (size_t)utf8_next(text + i, len - i, &before);
    while (i < len && before >= 0) {
        const size_t k = (size_t)utf8_next(text + i, len - i, &c);
        if (c < 0 || utf8proc_grapheme_break_stateful(before, c, &state)) break;
        before = c;
        i += k;
    }
    return i;
}

static bool put_entry(const charsmap *m, text_buffer *out, const char *text, size_t len)
{
    size_t k;
    const char *form = entry(m, true, text, len, &k);
    if (form) text_append_form(out, form, strlen(form), text, len);
    return form;
}

void charsmap_apply_precompiled(const charsmap *m, text_buffer *out, const char *text, size_t len)
{
    for (size_t i = 0, end; i < len; i = end) {
        int32_t c;
        end = cluster_end(text, i, len);
        if (end - i < 6 && put_entry(m, out, text + i, end - i)) continue;
        for (size_t at = i, k; at < end; at += k) {
            k = (size_t)utf8_next(text + at, end - at, &c);
            if (!put_entry(m, out, text + at, k)) text_append(out, text + at, k);
        }
    }
}

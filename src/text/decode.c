/* Ids become text: concatenated bytes, characters with marks for spaces, or words.  For text of characters the begin-
 * and end-of-text tokens are nothing. */
#include "text/tokenizer.h"
#include <ctype.h>
#include <stdlib.h>

typedef struct { char *text; size_t n, cap; } text_sink;

static void text_put(text_sink *s, const char *bytes, size_t len)
{
    if (s->n < s->cap && len) memcpy(s->text + s->n, bytes, len < s->cap - s->n ? len : s->cap - s->n);
    s->n += len;
}

/* The byte that a token <0xNN> means, or -1. */
static int fallback_byte(const lithe_tokenizer *t, int32_t id, const char *bytes, size_t len)
{
    if (len != 6 || memcmp(bytes, "<0x", 3) || !isxdigit((unsigned char)bytes[3]) || !isxdigit((unsigned char)bytes[4]) || bytes[5] != '>') return -1;
    int byte = (int)strtol((char[]){ bytes[3], bytes[4], 0 }, NULL, 16);
    return t->byte_names || t->bpe.byte_id[byte] == id ? byte : -1;
}

/* The bytes of an added token or one of the vocabulary; NULL: no token has this id. */
static const char *bytes_of(const lithe_tokenizer *t, int32_t id, size_t *len)
{
    if (pieces_has(&t->added, id)) return pieces_bytes(&t->added, id, len);
    return pieces_has(&t->vocabulary, id) ? pieces_bytes(&t->vocabulary, id, len) : NULL;
}

/* first: nothing has been written; after_bos: the token before is the begin-of-text token. */
static void put_characters(const lithe_tokenizer *t, const char *bytes, size_t len, bool first, bool after_bos, text_sink *out)
{
    const size_t m = t->mark ? strlen(t->mark) : 0;
    const bool one = (t->lead == LEAD_SPACE && first) || (t->lead == LEAD_AFTER_BOS && after_bos), all = t->lead == LEAD_MARKS && first;
    for (size_t i = 0, k; i < len; i += k) {
        bool mark = m && len - i >= m && !memcmp(bytes + i, t->mark, m), space = mark || bytes[i] == ' ';
        k = mark ? m : 1;
        if (!(one && i == 0 && space) && !(all && mark)) text_put(out, mark ? " " : bytes + i, 1);
    }
}

/* With `space` for the ending of a word. */
static void put_word(const char *bytes, size_t len, const char *ending, bool space, text_sink *out)
{
    const size_t n = strlen(ending);
    for (const char *end = bytes + len, *p; bytes < end; bytes = p + n) {
        p = memmem(bytes, (size_t)(end - bytes), ending, n);
        text_put(out, bytes, (size_t)((p ? p : end) - bytes));
        if (!p) break;
        if (space) text_put(out, " ", 1);
    }
}

/* A token of bytes. */
static void decode_bytes(const lithe_tokenizer *t, const int32_t *ids, size_t n, text_sink *out)
{
    for (size_t i = 0, len; i < n; i++) {
        const char *bytes = bytes_of(t, ids[i], &len);
        if (bytes && t->ending) put_word(bytes, len, t->ending, i + 1 < n, out);
        else if (bytes) text_put(out, bytes, len);
    }
}

/* Whether a text of characters shows the token. */
static const char *shown_bytes(const lithe_tokenizer *t, int32_t id, size_t *len)
{
    return id == t->role[ROLE_BOS] || id == t->role[ROLE_EOS] ? NULL : bytes_of(t, id, len);
}

static void decode_characters(const lithe_tokenizer *t, const int32_t *ids, size_t n, text_sink *out)
{
    bool first = true;
    size_t len, end = n;
    while (t->ending && end > 0 && !shown_bytes(t, ids[end - 1], &len)) end--;
    for (size_t i = 0; i < n; i++) {
        const char *bytes = shown_bytes(t, ids[i], &len);
        if (!bytes) continue;
        const int byte = fallback_byte(t, ids[i], bytes, len);
        if (t->joined && !first) text_put(out, " ", 1);
        if (byte >= 0) text_put(out, &(char){ (char)byte }, 1);
        else if (t->ending) put_word(bytes, len, t->ending, i + 1 < end, out);
        else put_characters(t, bytes, len, first, i > 0 && ids[i - 1] == t->role[ROLE_BOS], out);
        first = false;
    }
}

/* ---- words ------------------------------------------------------------------------------ */

static size_t replace_all(char *text, size_t n, const char *from, const char *to)
{
    size_t f = strlen(from), k = strlen(to), kept = 0;      /* k < f */
    for (size_t i = 0; i < n; ) {
        bool here = n - i >= f && !memcmp(text + i, from, f);
        if (here) memcpy(text + kept, to, k);
        else text[kept] = text[i];
        kept += here ? k : 1;
        i += here ? f : 1;
    }
    return kept;
}

/* Cleans a text up as transformers does, or one token as the WordPiece decoder of Hugging Face's library does. */
static size_t clean_up(char *text, size_t n, bool token)
{
    static const char *const pairs[][2] = {
        { " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" }, { " n't", "n't" }, { " 'm", "'m" },
        { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" }, { " do not", " don't" } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs - !token; i++) n = replace_all(text, n, pairs[i][0], pairs[i][1]);
    return n;
}

/* The bytes with a space before them, cleaned up. */
static void put_clean(const char *bytes, size_t len, bool space, text_sink *out)
{
    char small[256], *text = len < sizeof small ? small : xrealloc(NULL, len + 1, 1);
    if (text) {
        text[0] = ' ';
        memcpy(text + space, bytes, len);
        text_put(out, text, clean_up(text, len + space, true));
    }
    if (text != small) free(text);
}

static void decode_words(const lithe_tokenizer *t, const int32_t *ids, size_t n, text_sink *out)
{
    size_t p = t->glue ? strlen(t->glue) : 0;
    for (size_t i = 0, seen = 0; i < n; i++) {
        size_t len;
        bool own = pieces_has(&t->added, ids[i]);
        if (!own && !pieces_has(&t->vocabulary, ids[i])) continue;
        const char *bytes = pieces_bytes(own ? &t->added : &t->vocabulary, ids[i], &len);
        bool first = seen++ == 0, inside = !first && p && len >= p && !memcmp(bytes, t->glue, p), space = !first && !inside;
        if (inside) { bytes += p; len -= p; }
        if (t->cleanup) { put_clean(bytes, len, space, out); continue; }
        if (space) text_put(out, " ", 1);
        text_put(out, bytes, len);
    }
}

/* ---- SentencePiece ----------------------------------------------------------------------- */

static void put_unmarked(const char *bytes, size_t len, const char *mark, text_sink *out)
{
    size_t m = strlen(mark);
    for (const char *end = bytes + len, *p; bytes < end; bytes = p + m) {
        p = memmem(bytes, (size_t)(end - bytes), mark, m);
        text_put(out, bytes, (size_t)((p ? p : end) - bytes));
        if (!p) break;
        text_put(out, " ", 1);
    }
}

/* The space before the first word is not part of the text: it is one space in all, or one of each piece if the model
 * trims. */
static void decode_sentencepiece(const lithe_tokenizer *t, const int32_t *ids, size_t n, text_sink *out)
{
    const charsmap *map = &t->charsmap;
    bool taken = false;
    for (size_t i = 0; i < n; i++) {
        size_t len, m = strlen(t->mark);
        if (!pieces_has(&t->vocabulary, ids[i])) continue;
        const char *bytes = pieces_bytes(&t->vocabulary, ids[i], &len);
        int byte = fallback_byte(t, ids[i], bytes, len);
        if (byte >= 0) { text_put(out, &(char){ (char)byte }, 1); continue; }
        if (ids[i] == t->role[ROLE_UNK]) { text_put(out, t->unknown_text, strlen(t->unknown_text)); continue; }
        if (pieces_has(&t->added, ids[i]) && !lithe_tokenizer_is_special(t, ids[i])) { text_put(out, bytes, len); continue; }
        const bool control = pieces_find(&t->vocabulary, bytes, len) != ids[i] && !pieces_has(&t->defined, ids[i]);
        if (control) continue;
        bool first = !taken && !out->n && (map->add_space || map->trim) && len >= m && !memcmp(bytes, t->mark, m);
        taken = taken || (first && !map->trim);
        if (first) { bytes += m; len -= m; }
        put_unmarked(bytes, len, t->mark, out);
    }
}

static void decode(const lithe_tokenizer *t, const int32_t *ids, size_t n, text_sink *out)
{
    if (t->worded) decode_words(t, ids, n, out);
    else if (t->sentencepiece) decode_sentencepiece(t, ids, n, out);
    else if (t->bpe.characters) decode_characters(t, ids, n, out);
    else decode_bytes(t, ids, n, out);
}

/* The whole text cleaned up, as clean_up_tokenization_spaces asks; as it is where memory is out. */
static void decode_clean(const lithe_tokenizer *t, const int32_t *ids, size_t n, text_sink *out)
{
    text_sink all = { NULL, 0, 0 };
    decode(t, ids, n, &all);
    text_sink again = { xrealloc(NULL, all.n + 1, 1), 0, all.n };
    if (!again.text) { decode(t, ids, n, out); return; }
    decode(t, ids, n, &again);
    text_put(out, again.text, clean_up(again.text, again.n, false));
    free(again.text);
}

size_t lithe_decode(const lithe_tokenizer *t, const int32_t *ids, size_t n, char *text, size_t cap)
{
    text_sink out = { text, 0, text ? cap : 0 };
    if (t) (t->clean ? decode_clean : decode)(t, ids, n, &out);
    return out.n;
}

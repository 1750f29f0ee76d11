/* A sorted array is used as a trie: each byte of the text narrows the range of tokens
 * that still match.  White space that one token stripped may contain the next match;
 * as in Hugging Face's code that match counts as well, unless it strips to its
 * left itself and so begins where the other ended. */
#include "text/added_tokens.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

static int by_text(const void *x, const void *y)
{
    const added_token *a = x, *b = y;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

void added_tokens_init(added_tokens *a, added_token *tokens, size_t n)
{
    if (n) qsort(tokens, n, sizeof *tokens, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (tokens[i].len && (!kept || by_text(&tokens[kept - 1], &tokens[i]))) tokens[kept++] = tokens[i];
    *a = (added_tokens){ .tokens = tokens, .n = kept };
    for (size_t i = 0, c = 0; c < 257; c++) {
        while (i < kept && (unsigned char)tokens[i].text[0] < c) i++;
        a->first[c] = i;
    }
}

/* Of the tokens [lo, hi), which share `depth` bytes, the first whose next byte is
 * at least c; a token that ends there sorts before all others. */
static size_t lower(const added_tokens *a, size_t lo, size_t hi, size_t depth, int c)
{
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        const added_token *t = &a->tokens[middle];
        if (t->len <= depth || (unsigned char)t->text[depth] < c) lo = middle + 1;
        else hi = middle;
    }
    return lo;
}

/* The longest token that text begins with, or NULL; the first `plain` bytes have no mark. */
static const added_token *longest(const added_tokens *a, const char *text, size_t len, size_t plain)
{
    unsigned char c = (unsigned char)text[0];
    size_t lo = a->first[c], hi = a->first[c + 1];
    const added_token *found = NULL;
    for (size_t depth = 1; lo < hi; depth++) {
        if (a->tokens[lo].len == depth) {
            if (depth <= plain || !a->tokens[lo].special) found = &a->tokens[lo];
            lo++;
        }
        if (depth == len) break;
        c = (unsigned char)text[depth];
        lo = lower(a, lo, hi, depth, c);
        hi = lower(a, lo, hi, depth, c + 1);
    }
    return found;
}

static bool is_word(int32_t c)
{
    if (c < 0) return false;
    if (c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9)) return true;        /* joiners, circled letters */
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_PC: return true;
    default: return utf8_class(c) == CLASS_LETTER;
    }
}

/* The character that ends at text[i] (i > 0); its length in *k. */
static int32_t character_before(const char *text, size_t i, size_t *k)
{
    int32_t c = -1;
    for (*k = 1; *k < 4 && *k < i && utf8_tail((unsigned char)text[i - *k]); ) ++*k;
    if ((size_t)utf8_next(text + i - *k, *k, &c) == *k) return c;
    *k = 1;
    return -1;
}

static bool within_word(const char *text, size_t len, size_t start, size_t end)
{
    size_t k;
    int32_t c;
    if (start > 0 && is_word(character_before(text, start, &k))) return true;
    if (end == len) return false;
    utf8_next(text + end, len - end, &c);
    return is_word(c);
}

/* The start of the white space before `start`, at least `floor`. */
static size_t spaces_before(const char *text, size_t start, size_t floor)
{
    for (size_t k; start > floor && utf8_is_space(character_before(text, start, &k)); ) start -= k;
    return start < floor ? floor : start;
}

static size_t spaces_after(const char *text, size_t end, size_t len)
{
    for (int32_t c; end < len; ) {
        size_t k = (size_t)utf8_next(text + end, len - end, &c);
        if (!utf8_is_space(c)) break;
        end += k;
    }
    return end;
}

/* The number of bytes without marks at the start, at most ADDED_TOKEN_LIMIT. */
static size_t plain_bytes(const unsigned char *marks, size_t len)
{
    size_t n = 0, most = len < ADDED_TOKEN_LIMIT ? len : ADDED_TOKEN_LIMIT;
    if (!marks) return most;
    while (n < most && !marks[n]) n++;
    return n;
}

void added_tokens_cut(const added_tokens *a, const char *text, const unsigned char *marks, size_t len, added_piece piece, void *context)
{
    size_t done = 0, stripped = 0;         /* after `stripped` there is no white space that was looked at */
    for (size_t i = 0; a->n && i < len; ) {
        const added_token *t = longest(a, text + i, len - i, plain_bytes(marks ? marks + i : NULL, len - i));
        if (!t) { i++; continue; }
        size_t start = i, end = i + t->len;
        i = end;
        if (t->single_word && within_word(text, len, start, end)) continue;
        if (t->lstrip) start = spaces_before(text, start, done);
        if (t->rstrip) end = stripped = stripped > end ? stripped : spaces_after(text, end, len);
        if (start >= end) continue;
        if (start > done) piece(context, text + done, start - done, -1);
        piece(context, text + start, end - start, t->id);
        done = end;
    }
    if (len > done) piece(context, text + done, len - done, -1);
}

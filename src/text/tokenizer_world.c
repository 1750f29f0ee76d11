/* Reads the World vocabulary of RWKV: lines `id literal length`, with the literal as Python
 * writes a str ('..', "..") or bytes (b'..') between the first and the last space of the
 * line.  A text is split by the longest piece at each position; all 256 bytes are
 * pieces, so any bytes can be encoded and decoded.  Id 0, which is not in the
 * file, separates documents. */
#include "text/tokenizer.h"
#include "base/utf8.h"
#include <stdlib.h>

/* The value of n hexadecimal digits, -1 if they are not. */
static int32_t hexadecimal(const char *text, size_t len, size_t n)
{
    int32_t value = 0;
    if (n > len) return -1;
    for (size_t i = 0; i < n; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *d = memchr(digits, text[i], 32);
        if (!d) return -1;
        value = value * 16 + (int32_t)((d - digits) & 15);
    }
    return value;
}

/* The code of the escape that begins at text[0], a backslash; its length goes to *k.  -1: it is not known. */
static int32_t escape(const char *text, size_t len, size_t *k)
{
    static const char names[] = "nrt\\'\"", codes[] = "\n\r\t\\'\"";
    const char *name = len > 1 ? memchr(names, text[1], sizeof names - 1) : NULL;
    size_t digits = len > 1 && text[1] == 'x' ? 2 : len > 1 && text[1] == 'u' ? 4 : 0;
    *k = 2 + digits;
    if (name) return codes[name - names];
    return digits ? hexadecimal(text + 2, len - 2, digits) : -1;
}

/* Writes the bytes of a literal to out, which has room for len; false if it is not a literal. */
static bool read_literal(const char *text, size_t len, char *out, size_t *n)
{
    bool bytes = len && text[0] == 'b';
    size_t i = bytes ? 2 : 1;
    char quote = len >= i + 1 ? text[i - 1] : 0;
    if ((quote != '\'' && quote != '"') || text[len - 1] != quote) return false;
    for (*n = 0, len--; i < len; ) {
        size_t k = 1;
        int32_t c = (unsigned char)text[i];
        if (c == '\\') c = escape(text + i, len - i, &k);
        else if (c == (unsigned char)quote) return false;
        else if (c >= 128) { k = (size_t)utf8_next(text + i, len - i, &c); if (bytes) return false; }
        if (c < 0 || i + k > len || (c >= 0xd800 && c < 0xe000)) return false;
        if (bytes || c < 128) out[(*n)++] = (char)c;
        else *n += (size_t)utf8_put(c, out + *n);
        i += k;
    }
    return true;
}

/* The number before a space or the end; -1 if there are no digits or too many. */
static int64_t read_number(const char *text, size_t len)
{
    int64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || i == 9) return -1;
        value = value * 10 + (text[i] - '0');
    }
    return len ? value : -1;
}

static int read_line(lithe_tokenizer *t, const char *line, size_t len, size_t number, char *room, const char *what, lithe_error *err)
{
    const char *first = memchr(line, ' ', len), *last = memrchr(line, ' ', len);
    size_t n = 0;
    if (!first || last <= first + 1 || !read_literal(first + 1, (size_t)(last - first - 1), room, &n))
        return fail(err, LITHE_EFORMAT, "%s: line %zu is not `id 'literal' length`, as in an RWKV vocabulary", what, number);
    int64_t id = read_number(line, (size_t)(first - line)), length = read_number(last + 1, (size_t)(line + len - last - 1));
    if (id < 1) return fail(err, LITHE_EFORMAT, "%s: line %zu has no id from 1 up", what, number);
    if (length != (int64_t)n || !n)
        return fail(err, LITHE_EFORMAT, "%s: line %zu says %lld bytes, its literal has %zu", what, number, (long long)length, n);
    return tokenizer_add(&t->vocabulary, id, room, n, true, what, err);
}

static int read_lines(lithe_tokenizer *t, const char *text, size_t len, char *room, const char *what, lithe_error *err)
{
    size_t number = 0;
    for (size_t at = 0; at < len; ) {
        const char *line = text + at, *end = memchr(line, '\n', len - at);
        size_t n = end ? (size_t)(end - line) : len - at;
        at += n + (end != NULL);
        number++;
        if (n && line[n - 1] == '\r') n--;
        if (n && read_line(t, line, n, number, room, what, err)) return err->status;
    }
    tokenizer_find_bytes(t);
    for (int i = 0; i < 256; i++)
        if (t->bpe.byte_id[i] < 0) return fail(err, LITHE_EFORMAT, "%s: has no token for byte %d; an RWKV vocabulary has all 256", what, i);
    return LITHE_OK;
}

lithe_tokenizer *tokenizer_from_world(const char *text, size_t len, const char *what, lithe_error *err)
{
    lithe_tokenizer *t = tokenizer_new(err);
    char *room = t ? xrealloc(NULL, len + 4, 1) : NULL;     /* a literal is never shorter than its bytes */
    if (t) t->model = MODEL_LONGEST;
    if (t && !room) fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    if (room && !read_lines(t, text, len, room, what, err) && !tokenizer_finish(t, what, err)) tokenizer_keep_source(t, text, len, what, err);
    free(room);
    if (t && !failed(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}

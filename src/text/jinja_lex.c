#include "text/jinja_lex.h"
#include "text/jinja_value.h"
#include "text/text_buffer.h"
#include "base/utf8.h"
#include <ctype.h>

enum { SOURCE_LIMIT = 1 << 20, NESTING_LIMIT = 100 };

typedef struct {
    arena *memory;
    const char *at, *end;                    /* what is left of the source */
    int line;
    bool fresh;                              /* a line begins here */
    token *tokens;
    size_t n, room;
    const char *name;
    lithe_error *err;
} lexer;

static bool out_of_memory(lexer *x) { fail(x->err, LITHE_ENOMEM, "%s: out of memory", x->name); return false; }

static bool put(lexer *x, token_kind kind, const char *text, size_t n)
{
    if (x->n == x->room) {
        size_t room = x->room ? 2 * x->room : 256;
        token *larger = arena_alloc(x->memory, room * sizeof *larger);
        if (!larger) return out_of_memory(x);
        if (x->n) memcpy(larger, x->tokens, x->n * sizeof *larger);
        x->tokens = larger;
        x->room = room;
    }
    char *copy = arena_alloc(x->memory, n + 1);
    if (!copy) return out_of_memory(x);
    if (n) memcpy(copy, text, n);
    x->tokens[x->n++] = (token){ kind, x->line, copy, n };
    return true;
}

static void advance(lexer *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x->line += x->at[i] == '\n';
    if (n) x->fresh = x->at[n - 1] == '\n';
    x->at += n;
}

static bool starts(const lexer *x, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(x->end - x->at) >= n && !memcmp(x->at, word, n);
}

static void skip_spaces(lexer *x) { advance(x, text_spaces((marked_text){ x->at, NULL, (size_t)(x->end - x->at) })); }

/* ---- inside a tag ----------------------------------------------------------------------------- */

static size_t put_code(const char *digits, int most, char *out)
{
    char code[12] = "";
    memcpy(code, digits, (size_t)most);
    long c = strtol(code, NULL, 16);
    return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? (size_t)utf8_put((int32_t)c, out) : (size_t)utf8_put(0xfffd, out);
}

/* The escape after a backslash at text[0]; n bytes are left.  Returns how many it takes; *out receives `written`. */
static size_t unescape(const char *text, size_t n, char *out, size_t *written)
{
    static const char letters[] = "n\nt\tr\r\\\\'\'\"\"a\ab\bf\fv\v";
    int digits = text[0] == 'x' ? 2 : text[0] == 'u' ? 4 : text[0] == 'U' ? 8 : 0, have = 0;
    *written = 1;
    if (text[0] == '\n') { *written = 0; return 1; }
    for (int i = 0; letters[i]; i += 2)
        if (text[0] == letters[i]) { *out = letters[i + 1]; return 1; }
    while (digits && have < digits && (size_t)have + 1 < n && isxdigit((unsigned char)text[have + 1])) have++;
    if (digits && have == digits) { *written = put_code(text + 1, digits, out); return (size_t)digits + 1; }
    if (text[0] >= '0' && text[0] <= '7') {
        int code = 0, k = 0;
        for (; k < 3 && (size_t)k < n && text[k] >= '0' && text[k] <= '7'; k++) code = 8 * code + text[k] - '0';
        *written = (size_t)utf8_put(code, out);
        return (size_t)k;
    }
    *out = '\\';
    return 0;
}

static bool take_string(lexer *x)
{
    const char quote = *x->at, *c = x->at + 1;
    while (c < x->end && *c != quote) c += *c == '\\' && x->end - c > 1 ? 2 : 1;
    if (c >= x->end) { fail(x->err, LITHE_EFORMAT, "%s: line %d: a string is not closed", x->name, x->line); return false; }
    size_t n = 0, written;
    char *text = arena_alloc(x->memory, (size_t)(c - x->at) + 4);
    if (!text) return out_of_memory(x);
    for (const char *s = x->at + 1; s < c; ) {
        if (*s != '\\') { text[n++] = *s++; continue; }
        s += 1 + unescape(s + 1, (size_t)(c - s) - 1, text + n, &written);
        n += written;
    }
    bool done = put(x, T_TEXT, text, n);
    advance(x, (size_t)(c - x->at) + 1);
    return done;
}

static bool take_number(lexer *x)
{
    const char *c = x->at;
    token_kind kind = T_INT;
    char digits[64];
    size_t n = 0;
    while (c < x->end && (isdigit((unsigned char)*c) || *c == '_')) c++;
    if (x->end - c > 1 && *c == '.' && isdigit((unsigned char)c[1])) {
        kind = T_REAL;
        for (c++; c < x->end && isdigit((unsigned char)*c); ) c++;
    }
    if (x->end - c > 1 && (*c == 'e' || *c == 'E')) {
        const char *e = c + 1 + (x->end - c > 2 && (c[1] == '+' || c[1] == '-'));
        if (e < x->end && isdigit((unsigned char)*e)) {
            kind = T_REAL;
            for (c = e; c < x->end && isdigit((unsigned char)*c); ) c++;
        }
    }
    for (const char *d = x->at; d < c; d++)
        if (*d != '_') { if (n < sizeof digits - 1) digits[n] = *d; n++; }
    if (n >= (kind == T_INT ? 19 : sizeof digits)) {
        fail(x->err, LITHE_EFORMAT, "%s: line %d: a number of %zu digits is too long", x->name, x->line, n);
        return false;
    }
    bool done = put(x, kind, digits, n);
    advance(x, (size_t)(c - x->at));
    return done;
}

static bool take_operator(lexer *x)
{
    static const char *const operators[] = { "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<", ">", "=",
                                             "(", ")", "[", "]", "{", "}", ",", ".", ":", "|" };
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (starts(x, operators[i])) {
            bool done = put(x, T_OPERATOR, operators[i], strlen(operators[i]));
            advance(x, strlen(operators[i]));
            return done;
        }
    fail(x->err, LITHE_EFORMAT, "%s: line %d: unexpected character '%.1s'", x->name, x->line, (unsigned char)*x->at < 0x7f && (unsigned char)*x->at >= ' ' ? x->at : "?");
    return false;
}

/* The end of a tag, `close`, if it is here: it takes the white space after it that its sign says. */
static bool take_close(lexer *x, const char *close, bool block)
{
    char sign = *x->at;
    bool signed_end = (sign == '-' || (sign == '+' && block)) && x->end - x->at > 2 && !memcmp(x->at + 1, close, 2);
    if (!signed_end && !starts(x, close)) return false;
    put(x, block ? T_BLOCK_END : T_PRINT_END, close, 2);
    x->fresh = false;
    advance(x, signed_end ? 3 : 2);
    if (signed_end && sign == '-') skip_spaces(x);
    else if (!signed_end && block && x->at < x->end && *x->at == '\n') advance(x, 1);
    return true;
}

static bool take_inside(lexer *x, bool block)
{
    int open = 0;
    for (;;) {
        skip_spaces(x);
        if (x->at >= x->end) { fail(x->err, LITHE_EFORMAT, "%s: line %d: a tag is not closed", x->name, x->line); return false; }
        if (!open && take_close(x, block ? "%}" : "}}", block)) return !failed(x->err);
        if (isalpha((unsigned char)*x->at) || *x->at == '_') {
            const char *c = x->at;
            while (c < x->end && (isalnum((unsigned char)*c) || *c == '_')) c++;
            put(x, T_NAME, x->at, (size_t)(c - x->at));
            advance(x, (size_t)(c - x->at));
        }
        else if (isdigit((unsigned char)*x->at)) take_number(x);
        else if (*x->at == '\'' || *x->at == '"') take_string(x);
        else {
            open += memchr("([{", *x->at, 3) ? 1 : memchr(")]}", *x->at, 3) ? -1 : 0;
            if (open < 0 || open > NESTING_LIMIT) { fail(x->err, LITHE_EFORMAT, "%s: line %d: brackets are not balanced", x->name, x->line); return false; }
            take_operator(x);
        }
        if (failed(x->err)) return false;
    }
}

/* ---- between tags -------------------------------------------------------------------------------- */

/* How much of the text before a tag is written. */
static size_t kept(const lexer *x, size_t n, char sign, bool print)
{
    if (sign == '-') return text_end((marked_text){ x->at, NULL, n });
    if (sign == '+' || print) return n;
    const char *feed = memrchr(x->at, '\n', n);
    size_t line = feed ? (size_t)(feed - x->at) + 1 : 0;
    return (feed || x->fresh) && text_spaces((marked_text){ x->at + line, NULL, n - line }) == n - line ? line : n;
}

/* A comment, after its begin: `{#`. */
static bool skip_comment(lexer *x)
{
    const char *close = memmem(x->at, (size_t)(x->end - x->at), "#}", 2);
    if (!close) { fail(x->err, LITHE_EFORMAT, "%s: line %d: a comment is not closed", x->name, x->line); return false; }
    char sign = close > x->at ? close[-1] : 0;
    advance(x, (size_t)(close - x->at) + 2);
    if (sign == '-') skip_spaces(x);
    else if (sign != '+' && x->at < x->end && *x->at == '\n') advance(x, 1);
    return true;
}

/* Whether a block with this one word begins at `at`, after its sign; *after: where the source goes on. */
static bool word_block(const lexer *x, const char *at, const char *word, bool trim, const char **after)
{
    size_t n = strlen(word);
    at += text_spaces((marked_text){ at, NULL, (size_t)(x->end - at) });
    if ((size_t)(x->end - at) < n || memcmp(at, word, n)) return false;
    at += n;
    at += text_spaces((marked_text){ at, NULL, (size_t)(x->end - at) });
    char sign = at < x->end && (*at == '-' || *at == '+') ? *at++ : 0;
    if (x->end - at < 2 || memcmp(at, "%}", 2)) return false;
    at += 2;
    if (sign == '-') at += text_spaces((marked_text){ at, NULL, (size_t)(x->end - at) });
    else if (!sign && trim && at < x->end && *at == '\n') at++;
    *after = at;
    return true;
}

/* The text of {% raw %} up to {% endraw %}, as it is. */
static bool take_raw(lexer *x, const char *after)
{
    advance(x, (size_t)(after - x->at));
    for (const char *tag = x->at; (tag = memmem(tag, (size_t)(x->end - tag), "{%", 2)); tag += 2) {
        char sign = x->end - tag > 2 && (tag[2] == '-' || tag[2] == '+') ? tag[2] : 0;
        if (!word_block(x, tag + 2 + (sign != 0), "endraw", true, &after)) continue;
        put(x, T_DATA, x->at, kept(x, (size_t)(tag - x->at), sign, false));
        advance(x, (size_t)(after - x->at));
        return !failed(x->err);
    }
    fail(x->err, LITHE_EFORMAT, "%s: line %d: {%% raw %%} is not closed", x->name, x->line);
    return false;
}

static const char *next_tag(const lexer *x)
{
    const char *c = x->at;
    while ((c = memchr(c, '{', (size_t)(x->end - c))) && x->end - c > 1 && !memchr("{%#", c[1], 3)) c++;
    return c && x->end - c > 1 ? c : NULL;
}

static bool take_tag(lexer *x, const char *tag)
{
    char sign = x->end - tag > 2 && (tag[2] == '-' || tag[2] == '+') ? tag[2] : 0;
    size_t n = kept(x, (size_t)(tag - x->at), sign, tag[1] == '{');
    const char *after;
    if (n && !put(x, T_DATA, x->at, n)) return false;
    advance(x, (size_t)(tag - x->at) + 2 + (sign != 0));
    x->fresh = false;
    if (tag[1] == '#') return skip_comment(x);
    if (tag[1] == '%' && word_block(x, x->at, "raw", false, &after)) return take_raw(x, after);
    return put(x, tag[1] == '%' ? T_BLOCK : T_PRINT, tag, 2) && take_inside(x, tag[1] == '%');
}

/* The source with line feeds alone between lines, and without the last one. */
static char *normal_lines(arena *memory, const char *source, size_t *n)
{
    char *copy = arena_alloc(memory, *n + 1);
    size_t m = 0;
    for (size_t i = 0; copy && i < *n; i++) {
        bool feed = source[i] == '\r';
        copy[m++] = feed ? '\n' : source[i];
        if (feed && i + 1 < *n && source[i + 1] == '\n') i++;
    }
    *n = m && copy && copy[m - 1] == '\n' ? m - 1 : m;
    return copy;
}

token *jinja_lex(arena *memory, const char *source, size_t n, const char *name, lithe_error *err)
{
    lexer x = { .memory = memory, .line = 1, .fresh = true, .name = name, .err = err };
    if (n > SOURCE_LIMIT) { fail(err, LITHE_EFORMAT, "%s: the template is %zu bytes long, at most %d are accepted", name, n, SOURCE_LIMIT); return NULL; }
    char *copy = normal_lines(memory, source, &n);
    if (!copy) { out_of_memory(&x); return NULL; }
    x.at = copy;
    x.end = copy + n;
    for (const char *tag; !failed(err) && (tag = next_tag(&x)); )
        if (!take_tag(&x, tag)) return NULL;
    if (x.at < x.end) put(&x, T_DATA, x.at, (size_t)(x.end - x.at));
    put(&x, T_END, "", 0);
    return failed(err) ? NULL : x.tokens;
}

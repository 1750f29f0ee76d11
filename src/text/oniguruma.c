/* Translates Oniguruma's syntax (its Ruby flavour) to PCRE2's.  They differ in
 *   \s, \w, \b and their opposites   other characters are blanks and letters
 *   \p{Han}                          PCRE2 adds the script extensions
 *   a{2}+, a{2}?                     repeated once more, not possessive and not lazy
 *   a{,2}                            from none on
 *   (?m)                             . matches line breaks
 *   \u3042, \x80                     a code point; a byte of UTF-8, which is refused
 * Invariant: what is put out has the meaning that the input has there. */
#include "text/oniguruma.h"
#include "base/arena.h"
#include "text/text_buffer.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 100 };

typedef struct {
    const char *text; size_t len, at;
    text_buffer out;
    size_t atom;                     /* where the last atom begins in out; NONE: nothing that could be repeated */
    size_t opened[DEPTH]; int depth; /* where the open groups begin in out */
    const char *what;
    lithe_error *err;
} translation;
static const size_t NONE = (size_t)-1;

/* PCRE2's \s has U+180E too, and its \w has no marks and no letters in circles and squares.  Outside of brackets
 * Oniguruma's has superscripts and fractions, too. */
#define SPACE "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define MEMBERS "\\p{L}\\p{M}\\p{Nl}\\p{Nd}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
#define WORD MEMBERS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define BEFORE "(?<=[" WORD "])"
#define NOT_BEFORE "(?<![" WORD "])"
#define NEXT "(?=[" WORD "])"
#define NOT_NEXT "(?![" WORD "])"

static void put(translation *t, const char *text, size_t n) { text_append(&t->out, text, n); }
static void put_text(translation *t, const char *text) { put(t, text, strlen(text)); }

static char peek(const translation *t, size_t ahead) { return t->at + ahead < t->len ? t->text[t->at + ahead] : 0; }

static int unsupported(translation *t, size_t n)
{
    return fail(t->err, LITHE_EFORMAT, "%s: %.*s is not supported in a pattern", t->what, (int)(n < 20 ? n : 20), t->text + t->at);
}

/* ---- escapes ------------------------------------------------------------------------------ */

/* \p{NAME}, \P{NAME}: general categories have names of one or two letters, and some properties are called alike;
 * anything else is a script. */
static int property(translation *t)
{
    static const char *const alike[] = { "Any", "Alphabetic", "Lowercase", "Uppercase", "White_Space", "Emoji", "Extended_Pictographic", "Emoji_Presentation", "Ideographic" };
    const char *end = memchr(t->text + t->at, '}', t->len - t->at), *name = t->text + t->at + 3;
    if (peek(t, 2) != '{' || !end) return unsupported(t, 3);
    const bool negated = *name == '^';
    name += negated;
    const size_t n = (size_t)(end - name);
    bool known = n <= 2;
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++) known |= n == strlen(alike[i]) && !memcmp(name, alike[i], n);
    put(t, t->text + t->at, 3);
    put_text(t, negated ? "^" : "");
    put_text(t, known ? "" : "sc:");
    put(t, name, n + 1);
    t->at = (size_t)(end + 1 - t->text);
    return LITHE_OK;
}

/* \uHHHH */
static int code_point(translation *t)
{
    for (size_t i = 2; i < 6; i++) if (!isxdigit((unsigned char)peek(t, i))) return unsupported(t, 6);
    put_text(t, "\\x{");
    put(t, t->text + t->at + 2, 4);
    put_text(t, "}");
    t->at += 6;
    return LITHE_OK;
}

/* One escape; inside: it is in a class. */
static int escape(translation *t, bool inside)
{
    const char c = peek(t, 1), *to = NULL;
    switch (c) {
    case 'p': case 'P': return property(t);
    case 'u': return code_point(t);
    case 's': to = inside ? SPACE : "[" SPACE "]"; break;
    case 'S': to = inside ? "\\S\\x{180e}" : "[^" SPACE "]"; break;
    case 'w': to = inside ? MEMBERS : "[" WORD "]"; break;
    case 'W': if (inside) return unsupported(t, 2); to = "[^" WORD "]"; break;
    case 'b': if (!inside) to = "(?:" BEFORE NOT_NEXT "|" NOT_BEFORE NEXT ")"; break;
    case 'B': if (inside) return unsupported(t, 2); to = "(?:" BEFORE NEXT "|" NOT_BEFORE NOT_NEXT ")"; break;
    case 'x': if (peek(t, 2) > '7' && peek(t, 2) != '{') return unsupported(t, 4); break;
    case 'h': case 'H': case 'X': case 'C': case 'Q': case 'E': case 'G': case 'g': case 'y': case 'Y': case 'O': case 'M': case 'c': return unsupported(t, 2);
    }
    if (to) put_text(t, to);
    else put(t, t->text + t->at, t->at + 1 < t->len ? 2 : 1);
    t->at += 2;
    return LITHE_OK;
}

/* ---- classes ------------------------------------------------------------------------------- */

/* From [ to ]; a ] that comes first is a member. */
static int class(translation *t)
{
    size_t first = t->at + (peek(t, 1) == '^' ? 2 : 1);
    put(t, t->text + t->at, first - t->at);
    t->at = first;
    while (t->at < t->len) {
        const char c = peek(t, 0);
        if (c == '\\') { if (escape(t, true)) return LITHE_EFORMAT; continue; }
        if (c == '[') return fail(t->err, LITHE_EFORMAT, "%s: a pattern with [ inside brackets is not supported", t->what);
        if (c == '&' && peek(t, 1) == '&') return fail(t->err, LITHE_EFORMAT, "%s: a pattern with && inside brackets is not supported", t->what);
        put(t, &c, 1);
        t->at++;
        if (c == ']' && t->at - 1 > first) return LITHE_OK;
    }
    return LITHE_OK;                 /* it is not closed, as PCRE2 will say */
}

/* ---- groups and repetition ------------------------------------------------------------------ */

/* ( and what follows: options are i, m and x, and m means PCRE2's s. */
static int group(translation *t)
{
    size_t n = 1;
    if (t->depth == DEPTH) return fail(t->err, LITHE_EFORMAT, "%s: a pattern with groups nested more than %d deep", t->what, DEPTH);
    t->opened[t->depth++] = t->out.n;
    t->atom = NONE;
    if (peek(t, 1) != '?') { put_text(t, "("); t->at++; return LITHE_OK; }
    put_text(t, "(?");
    for (n = 2; peek(t, n) && strchr("imx-", peek(t, n)); n++) put(t, peek(t, n) == 'm' ? "s" : t->text + t->at + n, 1);
    if (n > 2 && peek(t, n) != ':' && peek(t, n) != ')') return unsupported(t, n + 1);
    if (n == 2 && isalpha((unsigned char)peek(t, 2))) return unsupported(t, 3);
    if (n == 2 && peek(t, 2) == '~') return unsupported(t, 3);
    t->at += n;
    return LITHE_OK;
}

static void end_group(translation *t)
{
    put_text(t, ")");
    t->at++;
    t->atom = t->depth ? t->opened[--t->depth] : NONE;
}

/* Puts (?: before the last atom and ) after it. */
static void enclose(translation *t)
{
    static const char begin[] = "(?:";
    const size_t n = t->out.n - t->atom;
    put_text(t, "(?:)");
    if (t->out.failed) return;
    memmove(t->out.bytes + t->atom + 3, t->out.bytes + t->atom, n);
    memcpy(t->out.bytes + t->atom, begin, 3);
    t->out.bytes[t->out.n - 1] = ')';
}

/* The length of {n}, {n,}, {n,m} or {,m} that stands here; 0: { is a character. */
static size_t interval(const translation *t)
{
    size_t n = 1, low = 0, high = 0;
    while (isdigit((unsigned char)peek(t, n))) n++, low++;
    const bool comma = peek(t, n) == ',';
    n += comma;
    while (comma && isdigit((unsigned char)peek(t, n))) n++, high++;
    return (low || high) && peek(t, n) == '}' ? n + 1 : 0;
}

/* + and ? after an interval repeat all of it, and are not part of it. */
static void repeat_interval(translation *t, size_t n)
{
    const bool from_none = peek(t, 1) == ',';
    put_text(t, from_none ? "{0" : "{");
    put(t, t->text + t->at + 1, n - 1);
    t->at += n;
    const bool single = !memchr(t->text + t->at - n, ',', n);
    if (t->atom != NONE && (peek(t, 0) == '+' || (peek(t, 0) == '?' && single))) enclose(t);
}

static int item(translation *t)
{
    const char c = peek(t, 0);
    const size_t begin = t->out.n, n = c == '{' && t->atom != NONE ? interval(t) : 0;
    if (n) { repeat_interval(t, n); return LITHE_OK; }
    if (c == ')') { end_group(t); return LITHE_OK; }
    if (c == '(') return group(t);
    if (c == '|') t->atom = NONE;
    else if (!strchr("*+?", c)) t->atom = begin;
    if (c == '\\') return escape(t, false);
    if (c == '[') return class(t);
    put(t, &c, 1);
    t->at++;
    /* The bytes of one character are one atom. */
    while (((unsigned char)peek(t, 0) & 0xc0) == 0x80 && ((unsigned char)c & 0x80)) put(t, t->text + t->at++, 1);
    return LITHE_OK;
}

char *oniguruma_to_pcre2(const char *text, size_t len, size_t *out_len, const char *what, lithe_error *err)
{
    translation t = { .text = text, .len = len, .atom = NONE, .what = what, .err = err };
    int status = failed(err) ? (int)err->status : LITHE_OK;
    while (!status && t.at < len) status = item(&t);
    if (!status && t.out.failed) status = fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    *out_len = t.out.n;
    if (!status) return t.out.bytes;
    free(t.out.bytes);
    return NULL;
}

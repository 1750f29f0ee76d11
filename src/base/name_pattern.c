#include "base/name_pattern.h"
#include <stddef.h>
#include <string.h>

typedef struct { const char *text; size_t length; } piece;
typedef struct { piece number, rest; } captured;

/* '@' and the plain text after it stand for the whole end of a name. */
static bool capture_rest(const char *pattern, const char *name, captured *c)
{
    size_t length = strlen(name), ending = strlen(pattern + 1);
    if (ending > length || strcmp(name + length - ending, pattern + 1)) return false;
    c->rest = (piece){ name, length - ending };
    return true;
}

static bool capture(const char *pattern, const char *name, captured *c)
{
    *c = (captured){ 0 };
    for (; *pattern; pattern++) {
        if (*pattern == '@') return capture_rest(pattern, name, c);
        if (*pattern == '*') {
            c->number = (piece){ name, strspn(name, "0123456789") };
            if (!c->number.length) return false;
            name += c->number.length;
        } else if (*pattern != *name++) return false;
    }
    return !*name;
}

static bool fill_in(const char *pattern, const captured *c, char out[PATTERN_BYTES])
{
    size_t n = 0;
    for (; *pattern; pattern++) {
        piece p = *pattern == '*' ? c->number : *pattern == '@' ? c->rest : (piece){ pattern, 1 };
        if (p.length >= PATTERN_BYTES - n) return false;
        if (p.length) memcpy(out + n, p.text, p.length);
        n += p.length;
    }
    out[n] = 0;
    return true;
}

bool pattern_fits(const char *pattern, const char *name)
{
    captured c;
    return capture(pattern, name, &c);
}

bool pattern_rewrite(const char *from, const char *to, const char *name, char out[PATTERN_BYTES])
{
    captured c;
    return capture(from, name, &c) && fill_in(to, &c, out);
}

/* GPT-2's pattern (Radford et al. 2019), written by hand.  Its alternatives differ in
 * their first one or two characters, which decide between them.  Only white space is
 * special: a run before other text gives its last character back, and if that is
 * U+0020, it begins the next word. */
#include "text/split.h"
#include "base/utf8.h"
#include <string.h>

static const uint8_t ascii[128] = {
    ['\t' ... '\r'] = CLASS_SPACE, [' '] = CLASS_SPACE, ['0' ... '9'] = CLASS_NUMBER,
    ['A' ... 'Z'] = CLASS_LETTER, ['a' ... 'z'] = CLASS_LETTER,
};

/* The class of the character at text[i]; its length goes to *k. */
static inline int class_at(const char *text, size_t i, size_t len, size_t *k)
{
    unsigned char first = (unsigned char)text[i];
    *k = 1;
    if (first < 128) return ascii[first];
    int32_t c;
    *k = (size_t)utf8_next(text + i, len - i, &c);
    return utf8_class(c);
}

/* The length of the contraction at the start of text, which starts with an apostrophe; 0: none. */
static size_t contraction(const char *text, size_t len)
{
    if (len > 1 && strchr("stmd", text[1]) && text[1]) return 2;
    if (len > 2 && (!memcmp(text + 1, "re", 2) || !memcmp(text + 1, "ve", 2) || !memcmp(text + 1, "ll", 2))) return 3;
    return 0;
}

/* The end of the run of characters of `class` that covers text[0 .. i). */
static size_t run_end(const char *text, size_t i, size_t len, int class)
{
    for (size_t k; i < len && class_at(text, i, len, &k) == class; ) i += k;
    return i;
}

size_t split_gpt2(const char *text, size_t len)
{
    size_t k, n = text[0] == '\'' ? contraction(text, len) : 0;
    if (n) return n;
    int class = class_at(text, 0, len, &k);
    if (class != CLASS_SPACE) return run_end(text, k, len, class);

    size_t last = 0, end = k;              /* the run of spaces: start of its last character, end */
    while (end < len && class_at(text, end, len, &k) == CLASS_SPACE) { last = end; end += k; }
    if (end == len) return end;
    if (last) return last;
    if (text[0] != ' ') return end;
    class = class_at(text, 1, len, &k);
    return run_end(text, 1 + k, len, class);
}

/* UTF-8, one character at a time, and the classes of characters that the
 * published patterns name: \p{L}, \p{N}, \s.  Bytes that are not UTF-8 (stray,
 * overlong, surrogate, cut off, above U+10FFFF) are characters of length 1 with
 * code point -1, so every text can be walked. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <utf8proc.h>

enum { CLASS_OTHER, CLASS_LETTER, CLASS_NUMBER, CLASS_SPACE };

static inline bool utf8_tail(unsigned char c) { return (c & 0xc0) == 0x80; }

/* The length in bytes of the first character of text (len > 0); its code point goes to *c. */
static inline int utf8_next(const char *text, size_t len, int32_t *c)
{
    const unsigned char *s = (const unsigned char *)text;
    *c = s[0];
    if (s[0] < 0x80) return 1;
    if (s[0] >= 0xc2 && s[0] < 0xe0 && len > 1 && utf8_tail(s[1])) {
        *c = (s[0] & 0x1f) << 6 | (s[1] & 0x3f);
        return 2;
    }
    if (s[0] >= 0xe0 && s[0] < 0xf0 && len > 2 && utf8_tail(s[1]) && utf8_tail(s[2])) {
        *c = (s[0] & 0x0f) << 12 | (s[1] & 0x3f) << 6 | (s[2] & 0x3f);
        if (*c >= 0x800 && (*c < 0xd800 || *c > 0xdfff)) return 3;
    }
    if (s[0] >= 0xf0 && s[0] < 0xf5 && len > 3 && utf8_tail(s[1]) && utf8_tail(s[2]) && utf8_tail(s[3])) {
        *c = (s[0] & 0x07) << 18 | (s[1] & 0x3f) << 12 | (s[2] & 0x3f) << 6 | (s[3] & 0x3f);
        if (*c >= 0x10000 && *c <= 0x10ffff) return 4;
    }
    *c = -1;
    return 1;
}

/* Of text that does not begin with a character: how many bytes one U+FFFD stands for, as in Python and Rust.  They are
 * the longest beginning of a character, or one byte (Unicode 3.9, maximal subparts). */
size_t utf8_broken(const char *text, size_t len);

/* Writes c in at most 4 bytes and returns their number. */
static inline int utf8_put(int32_t c, char *text) { return (int)utf8proc_encode_char(c, (utf8proc_uint8_t *)text); }

/* The characters with the property White_Space. */
static inline bool utf8_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static inline int utf8_class(int32_t c)
{
    if (c < 0) return CLASS_OTHER;
    if (utf8_is_space(c)) return CLASS_SPACE;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: return CLASS_LETTER;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: return CLASS_NUMBER;
    default: return CLASS_OTHER;
    }
}

/* The number of bytes before the first one that is not valid UTF-8; size if all are valid. */
size_t utf8_valid(const char *text, size_t size);

#endif

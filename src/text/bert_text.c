/* The ranges of Chinese characters are Hugging Face's: they do not have U+2B820..U+2B91F,
 * which Google's code has. */
#include "text/bert_text.h"
#include "base/utf8.h"
#include "text/unicode_8_0.h"

enum { REPLACEMENT = 0xfffd };

/* The next character and its length *k in bytes; U+FFFD for a byte that is not UTF-8. */
static int32_t next(const char *text, size_t len, size_t *k)
{
    int32_t c;
    *k = (size_t)utf8_next(text, len, &c);
    return c < 0 ? REPLACEMENT : c;
}

static void append(text_buffer *out, int32_t c)
{
    char bytes[4];
    text_append(out, bytes, (size_t)utf8_put(c, bytes));
}

void bert_clean(text_buffer *out, const char *text, size_t len)
{
    if (!text_reserve(out, len)) return;
    for (size_t i = 0, k; i < len; i += k) {
        unsigned char first = (unsigned char)text[i];
        k = 1;
        if (first >= 32 && first < 127) { text_append(out, text + i, 1); continue; }
        int32_t c = next(text + i, len - i, &k);
        text_stands_for(out, text + i, k);
        if (c == '\t' || c == '\n' || c == '\r') { text_append(out, " ", 1); continue; }
        if (c == REPLACEMENT || unicode_8_0_class(c) == UNICODE_CONTROL) continue;
        if (utf8_is_space(c)) text_append(out, " ", 1);
        else text_append(out, text + i, k);
    }
}

static bool is_chinese(int32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

void bert_spaced(text_buffer *out, const char *text, size_t len)
{
    for (size_t i = 0, k; i < len; i += k) {
        int32_t c = next(text + i, len - i, &k);
        bool chinese = c >= 0x3400 && is_chinese(c);
        text_stands_for(out, text + i, k);
        if (chinese) text_append(out, " ", 1);
        append(out, c);
        if (chinese) text_append(out, " ", 1);
    }
}

void bert_drop_marks(text_buffer *out, const char *text, size_t len)
{
    for (size_t i = 0, k; i < len; i += k) {
        int32_t c = next(text + i, len - i, &k);
        text_stands_for(out, text + i, k);
        if (c < 0x300 || unicode_8_0_class(c) != UNICODE_MARK) append(out, c);
    }
}

void bert_lower(text_buffer *out, const char *text, size_t len)
{
    for (size_t i = 0, k; i < len; i += k) {
        int32_t c = next(text + i, len - i, &k);
        text_stands_for(out, text + i, k);
        if (c == 0x130) text_append(out, "i\u0307", 3);     /* the only character whose lower case is two characters */
        else append(out, c < 128 ? c + 32 * (c >= 'A' && c <= 'Z') : utf8proc_tolower(c));
    }
}

bool bert_is_punctuation(int32_t c)
{
    if (c < 128) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    return unicode_8_0_class(c) == UNICODE_PUNCTUATION;
}

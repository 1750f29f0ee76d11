/* The 256 characters follow from a rule. */
#include "text/byte_alphabet.h"
#include "base/utf8.h"

static bool stands_for_itself(int32_t c) { return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255); }

int32_t alphabet_character(unsigned char byte)
{
    if (stands_for_itself(byte)) return byte;
    if (byte <= 32) return 256 + byte;
    return byte <= 160 ? 256 + 33 + (byte - 127) : 256 + 67;           /* 127..160, then 173 */
}

int alphabet_byte(int32_t c)
{
    if (c < 256) return stands_for_itself(c) ? (int)c : -1;
    if (c <= 256 + 32) return (int)c - 256;
    if (c <= 256 + 66) return (int)c - 256 - 33 + 127;
    return c == 256 + 67 ? 173 : -1;
}

bool alphabet_to_bytes(const char *text, size_t len, char *bytes, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < len; ) {
        int32_t c;
        i += (size_t)utf8_next(text + i, len - i, &c);
        int byte = alphabet_byte(c);
        if (byte < 0) return false;
        bytes[(*n)++] = (char)byte;
    }
    return true;
}

size_t alphabet_from_bytes(const char *bytes, size_t len, char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += (size_t)utf8_put(alphabet_character((unsigned char)bytes[i]), text + n);
    return n;
}

#include "base/utf8.h"
#include <string.h>

/* Eight ASCII bytes at a time, else one character. */
size_t utf8_valid(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size) {
        uint64_t word;
        int32_t c;
        if (size - i >= 8 && (memcpy(&word, text + i, 8), !(word & 0x8080808080808080u))) { i += 8; continue; }
        int length = utf8_next(text + i, size - i, &c);
        if (c < 0) return i;
        i += (size_t)length;
    }
    return size;
}

/* A beginning of two or three bytes can be completed by bytes 0x80. */
size_t utf8_broken(const char *text, size_t len)
{
    for (size_t k = len < 3 ? len : 3; k > 1; k--) {
        char whole[4] = { '\x80', '\x80', '\x80', '\x80' };
        int32_t c;
        memcpy(whole, text, k);
        if ((size_t)utf8_next(whole, sizeof whole, &c) > k) return k;
    }
    return 1;
}

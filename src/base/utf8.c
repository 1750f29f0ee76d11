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

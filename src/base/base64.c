#include "base/base64.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *from, size_t n)
{
    const unsigned char *bytes = from;
    char *text = malloc((n + 2) / 3 * 4 + 1), *to = text;
    for (size_t i = 0; text && i < n; i += 3) {
        uint32_t x = (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) | (i + 2 < n ? bytes[i + 2] : 0);
        for (int k = 0; k < 4; k++) *to++ = i + (size_t)k > n ? '=' : LETTERS[x >> (18 - 6 * k) & 63];
    }
    if (text) *to = 0;
    return text;
}

/* The value of each letter; -1 of any other byte. */
static void values_of(signed char *value)
{
    memset(value, -1, 256);
    for (int i = 0; i < 64; i++) value[(unsigned char)LETTERS[i]] = (signed char)i;
}

char *base64_decode(const char *text, size_t length, size_t *n)
{
    signed char value[256];
    size_t padding = 0, at = 0;
    *n = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=') padding++;
    if (length % 4) return NULL;
    bool bad = false;
    values_of(value);
    char *bytes = malloc(length / 4 * 3 + 1);
    if (!bytes) { *n = 1; return NULL; }
    for (size_t i = 0; i < length; i += 4) {
        uint32_t x = 0;
        for (size_t k = i; k < i + 4; k++) {
            signed char v = k < length - padding ? value[(unsigned char)text[k]] : 0;
            bad |= v < 0;
            x = x << 6 | ((uint32_t)v & 63);
        }
        for (int k = 16; k >= 0; k -= 8) bytes[at++] = (char)(x >> k & 255);
    }
    if (bad) { free(bytes); return NULL; }
    *n = at - padding;
    return bytes;
}

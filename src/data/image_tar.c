/* Images inside a tar archive (POSIX ustar, with GNU's and pax's long names):
 * headers of 512 bytes, each before its file's bytes, padded to 512.
 * Invariant: nothing outside the archive's bytes is read, whatever a header says. */
#include "data/image_set.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, NAME_MOST = 4096 };
enum { AT_NAME = 0, AT_SIZE = 124, AT_SUM = 148, AT_TYPE = 156, AT_MAGIC = 257, AT_PREFIX = 345 };

/* Digits of base 8 up to a space or NUL, or GNU's base 256; SIZE_MAX for anything else. */
static size_t number(const uint8_t *p, int n)
{
    size_t value = 0;
    if (p[0] & 0x80) {
        for (int i = 0; i < n; i++) {
            if (value >> 48) return SIZE_MAX;
            value = value << 8 | (i ? p[i] : p[i] & 0x7f);
        }
        return value;
    }
    while (n > 0 && *p == ' ') p++, n--;
    for (; n > 0 && *p >= '0' && *p <= '7'; p++, n--) value = value << 3 | (size_t)(*p - '0');
    return n == 0 || !*p || *p == ' ' ? value : SIZE_MAX;
}

/* The sum of a header's bytes, where its own field counts as spaces. */
static bool sum_agrees(const uint8_t *h)
{
    size_t sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : h[i];
    return sum == number(h + AT_SUM, 8);
}

static void header_name(const uint8_t *h, char name[NAME_MOST])
{
    bool ustar = !memcmp(h + AT_MAGIC, "ustar", 5) && h[AT_MAGIC + 5] == 0 && h[AT_PREFIX];
    snprintf(name, NAME_MOST, "%.155s%s%.100s", ustar ? (const char *)h + AT_PREFIX : "", ustar ? "/" : "", (const char *)h + AT_NAME);
}

static void copy_name(const uint8_t *bytes, size_t size, char name[NAME_MOST])
{
    size_t n = strnlen((const char *)bytes, size < NAME_MOST - 1 ? size : NAME_MOST - 1);
    memcpy(name, bytes, n);
    name[n] = 0;
}

/* The value of "path" among pax's records "LENGTH KEY=VALUE\n". */
static void pax_name(const uint8_t *bytes, size_t size, char name[NAME_MOST])
{
    for (size_t at = 0; at < size; ) {
        size_t length = 0, key = at;
        while (key < size && isdigit(bytes[key]) && length < size) length = 10 * length + (size_t)(bytes[key++] - '0');
        if (length <= key - at || length > size - at) return;
        if (length > key - at + 7 && !memcmp(bytes + key, " path=", 6)) copy_name(bytes + key + 6, length - (key - at) - 7, name);
        at += length;
    }
}

int tar_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err)
{
    char name[NAME_MOST], longer[NAME_MOST] = "";
    for (size_t at = 0; at < size && bytes[at]; ) {
        const uint8_t *h = bytes + at;
        if (size - at < BLOCK) return fail(err, LITHE_EFORMAT, "%s: ends after %zu bytes in the middle of a header", path, size);
        size_t length = number(h + AT_SIZE, 12);
        if (!sum_agrees(h)) return fail(err, LITHE_EFORMAT, "%s: is damaged at byte %zu: the sum of a header is wrong", path, at);
        at += BLOCK;
        if (length > size - at) return fail(err, LITHE_EFORMAT, "%s: ends after %zu bytes in the middle of a file", path, size);
        char type = (char)h[AT_TYPE];
        header_name(h, name);
        if (type == 'L') copy_name(bytes + at, length, longer);
        else if (type == 'x') pax_name(bytes + at, length, longer);
        else {
            const char *full = *longer ? longer : name;
            const bool file = type == '0' || type == 0, link = type == '1' || type == '2';
            int status = file ? image_file_add(s, path, full, bytes + at, length, part, err) : link ? set_leave(s, LEFT_LINK, path, full, err) : LITHE_OK;
            if (status) return status;
            *longer = 0;
        }
        size_t padded = (length + BLOCK - 1) / BLOCK * BLOCK;
        at = padded > size - at ? size : at + padded;
    }
    return LITHE_OK;
}

/* The orientation of a photo (Exif 2.3, tag 274): how a camera says that it was held on its side.  Images are turned
 * upright when they are read, as PIL's exif_transpose does. */
#include "data/image.h"
#include <string.h>

enum { ORIENTATION = 0x0112, SHORT = 3, ENTRY_BYTES = 12, UPRIGHT = 1, TURNS = 8 };

static unsigned number(const uint8_t *p, int bytes, bool big)
{
    unsigned n = 0;
    for (int i = 0; i < bytes; i++) n |= (unsigned)p[i] << (8 * (big ? bytes - 1 - i : i));
    return n;
}

int exif_orientation(const uint8_t *tiff, size_t size)
{
    if (size < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4))) return UPRIGHT;
    const bool big = *tiff == 'M';
    const size_t at = number(tiff + 4, 4, big);
    if (at > size - 2) return UPRIGHT;
    const size_t entries = number(tiff + at, 2, big), room = (size - at - 2) / ENTRY_BYTES;
    for (size_t i = 0; i < entries && i < room; i++) {
        const uint8_t *e = tiff + at + 2 + i * ENTRY_BYTES;
        if (number(e, 2, big) != ORIENTATION || number(e + 2, 2, big) != SHORT) continue;
        const unsigned turn = number(e + 8, 2, big);
        return turn >= 1 && turn <= TURNS ? (int)turn : UPRIGHT;
    }
    return UPRIGHT;
}

/* Orientations 5 to 8 exchange rows and columns; what is on the right, or below, of the stored image comes first in
 * some. */
int image_upright(image *i, int orientation, const char *name, lithe_error *err)
{
    static const struct { bool swap, from_right, from_below; } turns[TURNS + 1] = {
        [2] = { false, true, false }, [3] = { false, true, true }, [4] = { false, false, true }, [5] = { true, false, false },
        [6] = { true, false, true },  [7] = { true, true, true },  [8] = { true, true, false },
    };
    if (orientation <= UPRIGHT || orientation > TURNS) return LITHE_OK;
    const bool swap = turns[orientation].swap, right = turns[orientation].from_right, below = turns[orientation].from_below;
    image out;
    int status = image_new(&out, swap ? i->height : i->width, swap ? i->width : i->height, i->channels, name, err);
    if (status) return status;
    const size_t c = (size_t)i->channels;
    uint8_t *to = out.pixels;
    for (int y = 0; y < out.height; y++)
        for (int x = 0; x < out.width; x++, to += c) {
            int column = swap ? y : x, row = swap ? x : y;
            if (right) column = i->width - 1 - column;
            if (below) row = i->height - 1 - row;
            memcpy(to, i->pixels + ((size_t)row * (size_t)i->width + (size_t)column) * c, c);
        }
    image_free(i);
    *i = out;
    return LITHE_OK;
}

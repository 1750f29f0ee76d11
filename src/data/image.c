/* What is common to all image formats: limits, channels, and the choice of a reader. */
#include "data/image.h"
#include "base/arena.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

int image_new(image *out, int64_t width, int64_t height, int channels, const char *name, lithe_error *err)
{
    *out = (image){ 0 };
    if (failed(err)) return err->status;
    if (width < 1 || height < 1 || width > IMAGE_SIDE || height > IMAGE_SIDE || width * height > IMAGE_PIXELS)
        return fail(err, LITHE_EFORMAT, "%s: an image of %lld x %lld pixels, at most %d a side and %d in all are read", name,
                    (long long)width, (long long)height, IMAGE_SIDE, IMAGE_PIXELS);
    image i = { (int)width, (int)height, channels, NULL };
    if (!(i.pixels = xalloc(image_bytes(&i), 1))) return fail(err, LITHE_ENOMEM, "%s: not enough memory for %d x %d pixels", name, i.width, i.height);
    *out = i;
    return LITHE_OK;
}

void image_free(image *i)
{
    free(i->pixels);
    *i = (image){ 0 };
}

/* ---- files ---------------------------------------------------------------------- */

#ifdef LITHE_PNG
#define PNG_READER png_decode
#else
#define PNG_READER NULL
#endif
#ifdef LITHE_JPEG
#define JPEG_READER jpeg_decode
#else
#define JPEG_READER NULL
#endif

typedef int reader(image *out, int *orientation, const uint8_t *bytes, size_t size, const char *name, lithe_error *err);
static const struct { const char *name, *package, *magic; size_t length; reader *read; } formats[] = {
    { "PNG",  "libpng-dev",  "\x89PNG\r\n\x1a\n", 8, PNG_READER },
    { "JPEG", "libjpeg-dev", "\xff\xd8\xff",      3, JPEG_READER },
};
enum { FORMATS = sizeof formats / sizeof *formats };

static int format_of(const uint8_t *bytes, size_t size)
{
    for (int i = 0; i < FORMATS; i++)
        if (size >= formats[i].length && !memcmp(bytes, formats[i].magic, formats[i].length)) return i;
    return -1;
}

bool image_known(const uint8_t *bytes, size_t size) { return format_of(bytes, size) >= 0; }

const char *image_formats(void)
{
    bool png = formats[0].read != NULL, jpeg = formats[1].read != NULL;
    return png && jpeg ? "PNG, JPEG" : png ? "PNG" : jpeg ? "JPEG" : "";
}

int image_decode(image *out, const uint8_t *bytes, size_t size, const char *name, lithe_error *err)
{
    *out = (image){ 0 };
    if (failed(err)) return err->status;
    int i = format_of(bytes, size);
    if (i < 0) return fail(err, LITHE_EFORMAT, "%s: is neither a PNG nor a JPEG file", name);
    if (!formats[i].read)
        return fail(err, LITHE_EDEVICE, "%s: this build reads no %s: install %s and build again", name, formats[i].name, formats[i].package);
    int orientation = 1, status = formats[i].read(out, &orientation, bytes, size, name, err);
    if (!status) status = image_upright(out, orientation, name, err);
    if (status) image_free(out);
    return status;
}

int image_read(image *out, const char *path, lithe_error *err)
{
    mapping m;
    *out = (image){ 0 };
    int status = failed(err) ? (int)err->status : file_map(&m, path, err);
    if (status) return status;
    status = mapping_finish(&m, image_decode(out, m.data, m.size, path, err), err);
    if (status) image_free(out);
    return status;
}

/* ---- channels -------------------------------------------------------------------- */

static void to_grey(image *i, const image *from)
{
    const uint8_t *p = from->pixels;
    for (size_t n = image_bytes(i), k = 0; k < n; k++, p += 3)
        i->pixels[k] = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

static void to_colour(image *i, const image *from)
{
    for (size_t n = image_bytes(i), k = 0; k < n; k++) i->pixels[k] = from->pixels[k / 3];
}

int image_channels(image *i, int channels, const char *name, lithe_error *err)
{
    image other;
    if (i->channels == channels) return LITHE_OK;
    int status = image_new(&other, i->width, i->height, channels, name, err);
    if (status) return status;
    if (channels == 1) to_grey(&other, i);
    else to_colour(&other, i);
    image_free(i);
    *i = other;
    return LITHE_OK;
}

/* PNG (ISO 15948) through libpng: any colour type and depth to 8-bit grey or
 * RGB, alpha dropped, gamma as it is stored.
 * Invariant: libpng's longjmp ends in `decode`, whose only state is what its
 * argument points to, so nothing is lost or read after the jump. */
#include "data/image.h"
#include <png.h>
#include <string.h>

enum { CHUNK_BYTES = 8 << 20, CHUNKS = 1000 };

typedef struct {
    png_structp png;
    png_infop info;
    image *out;
    int *orientation;
    const uint8_t *bytes;
    size_t left;
    const char *name;
    lithe_error *err;
    lithe_status status;             /* of the failure that err holds; else libpng's line: */
    char text[160];
} reading;

static void on_error(png_structp png, png_const_charp message)
{
    reading *r = png_get_error_ptr(png);
    snprintf(r->text, sizeof r->text, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void take_bytes(png_structp png, png_bytep to, size_t n)
{
    reading *r = png_get_io_ptr(png);
    if (n > r->left) png_error(png, "the file ends early");
    memcpy(to, r->bytes, n);
    r->bytes += n;
    r->left -= n;
}

/* Everything becomes 8-bit grey or RGB. */
static void ask_for_plain_samples(png_structp png)
{
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
}

/* Exif data are a chunk that may come after the samples. */
static void read_orientation(reading *r)
{
#ifdef PNG_eXIf_SUPPORTED
    png_bytep data;
    png_uint_32 size;
    if (png_get_eXIf_1(r->png, r->info, &size, &data)) *r->orientation = exif_orientation(data, size);
#else
    (void)r;
#endif
}

static bool decode(reading *r)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_set_read_fn(r->png, r, take_bytes);
    png_set_user_limits(r->png, IMAGE_SIDE, IMAGE_SIDE);
    png_set_chunk_malloc_max(r->png, CHUNK_BYTES);
    png_set_chunk_cache_max(r->png, CHUNKS);
    png_read_info(r->png, r->info);
    ask_for_plain_samples(r->png);
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    int channels = png_get_channels(r->png, r->info);
    r->status = (lithe_status)image_new(r->out, png_get_image_width(r->png, r->info), png_get_image_height(r->png, r->info), channels, r->name, r->err);
    if (r->status) return false;
    size_t stride = (size_t)r->out->width * (size_t)channels;
    if (png_get_rowbytes(r->png, r->info) != stride) png_error(r->png, "rows of an unexpected length");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < r->out->height; y++) png_read_row(r->png, r->out->pixels + (size_t)y * stride, NULL);
    png_read_end(r->png, r->info);
    read_orientation(r);
    return true;
}

int png_decode(image *out, int *orientation, const uint8_t *bytes, size_t size, const char *name, lithe_error *err)
{
    reading r = { .out = out, .orientation = orientation, .bytes = bytes, .left = size, .name = name, .err = err };
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    bool good = r.info && decode(&r);
    bool memory = !r.info;
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (good) return LITHE_OK;
    if (memory) return fail(err, LITHE_ENOMEM, "%s: not enough memory to read it", name);
    return r.status ? (int)r.status : fail(err, LITHE_EFORMAT, "%s: a damaged PNG file: %s", name, r.text);
}

/* An image in memory has 8 bits a sample, its rows from the top, and the channels of
 * a pixel side by side: one channel is grey, three are red, green and blue. */
#ifndef DATA_IMAGE_H
#define DATA_IMAGE_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file may claim any size; what is larger is refused before memory is taken. */
enum { IMAGE_SIDE = 1 << 15, IMAGE_PIXELS = 1 << 26 };

typedef struct { int width, height, channels; uint8_t *pixels; } image;
static inline size_t image_bytes(const image *i) { return (size_t)i->width * (size_t)i->height * (size_t)i->channels; }

/* Makes an image of zeros.  Messages name it by `name`, here and below. */
int  image_new(image *out, int64_t width, int64_t height, int channels, const char *name, lithe_error *err);
void image_free(image *i);

/* Decodes a PNG or JPEG file, which its first bytes identify.  Alpha is dropped, palettes
 * and 16 bits become 8 bits (rounded), and it is turned as its Exif orientation says; a damaged or cut file is
 * refused. */
int  image_decode(image *out, const uint8_t *bytes, size_t size, const char *name, lithe_error *err);
int  image_read(image *out, const char *path, lithe_error *err);
bool image_known(const uint8_t *bytes, size_t size);            /* it begins like a PNG or JPEG file */
/* Names the formats that this build reads, as in "PNG, JPEG"; "" when it reads none. */
const char *image_formats(void);

/* Converts to one or three channels in place; grey is the luma of ITU-R 601 (PIL's "L"). */
int  image_channels(image *i, int channels, const char *name, lithe_error *err);

/* Resamples as PIL does: the filter's support widens with the reduction, so that nothing is
 * skipped; columns come before rows, and weights have 22 fractional bits. */
/* PIL's numbers */
typedef enum { RESIZE_NEAREST, RESIZE_LANCZOS, RESIZE_BILINEAR, RESIZE_BICUBIC, RESIZE_BOX, RESIZE_HAMMING, RESIZE_FILTERS } resize_filter;
int  image_resize(image *i, int width, int height, resize_filter filter, const char *name, lithe_error *err);

/* How images become squares of one size: the channels are converted; the image is resized to `resize` a side (0: to
 * `side`), or with `shortest` so that its shorter side has that; the middle of `side` pixels is cut out, on black
 * where there is less. */
typedef struct { int side, channels; resize_filter filter; int resize; bool shortest; } image_fitting;
int  image_fit(image *i, const image_fitting *f, const char *name, lithe_error *err);

/* The orientation, 1 to 8, that Exif data say, from their TIFF header on; 1: upright, as where they say nothing. */
int  exif_orientation(const uint8_t *tiff, size_t size);
/* Turns an image that lies in this orientation upright. */
int  image_upright(image *i, int orientation, const char *name, lithe_error *err);

/* ---- one format each; it is absent where its library was absent from the build ---- */

/* *orientation: what its Exif data say; it stays as it is where there are none. */
int png_decode(image *out, int *orientation, const uint8_t *bytes, size_t size, const char *name, lithe_error *err);
int jpeg_decode(image *out, int *orientation, const uint8_t *bytes, size_t size, const char *name, lithe_error *err);

#endif

/* How an image is varied each time it is seen, and cut into a model's patches. */
#ifndef DATA_IMAGE_AUGMENT_H
#define DATA_IMAGE_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

/* One of a few ways, by name:
 *   none      as it is
 *   photos    what CIFAR is usually trained with: moved by up to 1/8 of the side (whole pixels, black beyond), mirrored every second time
 *   digits    what must not be mirrored: moved by up to 1/14, turned by up to 12 degrees, scaled by 0.88 to 1.14, sheared by up to 0.12 */
typedef struct {
    const char *name;
    double move;                     /* share of the side */
    bool   mirror;
    double turn, scale, shear;       /* degrees; largest factor, smallest its inverse (0: none); of the height */
} augmentation;

const augmentation *augmentation_find(const char *name);         /* NULL when there is none */
/* The name that suits images of this kind: digits for small grey ones, else photos. */
const char         *augmentation_usual(int side, int channels);

/* pixels (side, side, channels) varied as key says: the same key, the same image. */
void augment(const uint8_t *pixels, int side, int channels, const augmentation *a, uint64_t key, float *out);

/* What a model does to samples 0..255: (v * factor - mean) / deviation by channel. */
typedef struct { double factor, mean[3], deviation[3]; } normalization;

/* Rows of patches, row by row over the image; within one (channels, patch, patch), as a convolution's weight lies. */
void cut_patches(const float *samples, int side, int channels, int patch, const normalization *n, float *rows);

#endif

/* Says how an image is varied each time it is trained on, and cuts it into a model's patches. */
#ifndef DATA_IMAGE_AUGMENT_H
#define DATA_IMAGE_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

/* An augmentation has a name:
 *   none      leaves the image as it is
 *   photos    is what CIFAR is usually trained with: a shift by up to 1/8 of the side (whole pixels, black beyond it),
 *             and a mirror image every second time
 *   digits    is for what must not be mirrored: a shift by up to 1/14, a rotation by up to 12 degrees,
 *             a scale of 0.88 to 1.14, a shear of up to 0.12 */
typedef struct {
    const char *name;
    double move;                     /* share of the side */
    bool   mirror;
    double turn, scale, shear;       /* degrees; largest factor, smallest its inverse (0: none); of the height */
} augmentation;

const augmentation *augmentation_find(const char *name);         /* NULL when there is none */
/* Gives the name that suits images of this kind: digits for small grey ones, else photos. */
const char         *augmentation_usual(int side, int channels);

/* Varies pixels (side, side, channels) as the key says; the same key gives the same image. */
void augment(const uint8_t *pixels, int side, int channels, const augmentation *a, uint64_t key, float *out);

/* A model normalizes samples v of 0..255 to (v * factor - mean) / deviation, by channel. */
typedef struct { double factor, mean[3], deviation[3]; } normalization;

/* Writes the patches row by row over the image, each as (channels, patch, patch), which is a convolution's order. */
void cut_patches(const float *samples, int side, int channels, int patch, const normalization *n, float *rows);

#endif

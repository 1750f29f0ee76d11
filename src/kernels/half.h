/* Converts the 16-bit types of checkpoints to float and back: exactly where the type can hold
 * the value, rounded to nearest even where it cannot.  bfloat16 is the upper half
 * of a float; binary16 has 5 bits of exponent biased by 15, and 10 of fraction.
 * The conversions are branch-free selections, so that the loops over a tensor
 * become vector code; they do not depend on FTZ or DAZ, since no intermediate
 * value that is chosen is a float32 denormal. */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of_float(float x)    { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
static inline float    float_of_bits(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }
/* yes: 0 or 1 */
static inline uint32_t bits_chosen(uint32_t yes, uint32_t a, uint32_t b) { return (a & (0 - yes)) | (b & (yes - 1)); }

static inline float float_from_bf16(uint16_t x) { return float_of_bits((uint32_t)x << 16); }

/* A NaN stays one. */
static inline uint16_t bf16_from_float(float x)
{
    uint32_t u = bits_of_float(x);
    uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16, quiet = (u >> 16) | 0x40;
    return (uint16_t)bits_chosen((u & 0x7fffffff) > 0x7f800000, quiet, rounded);
}

static inline float float_from_f16(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000) << 16, magnitude = (uint32_t)(x & 0x7fff) << 13;
    uint32_t normal = magnitude + ((127 - 15) << 23);
    uint32_t special = magnitude + ((255 - 31) << 23);                                /* infinity, NaN */
    uint32_t small = bits_of_float(float_of_bits(magnitude + (113 << 23)) - 0x1p-14f);        /* fraction * 2^-24 */
    uint32_t finite = bits_chosen(magnitude < 0x00800000, small, normal);
    return float_of_bits(sign | bits_chosen(magnitude >= 0x0f800000, special, finite));
}

/* The one at p, which may be any address. */
static inline float float_from_f16_at(const void *p) { uint16_t x; memcpy(&x, p, sizeof x); return float_from_f16(x); }

static inline uint16_t f16_from_float(float x)
{
    uint32_t u = bits_of_float(x), sign = (u >> 16) & 0x8000, magnitude = u & 0x7fffffff;
    uint32_t normal = (magnitude - ((127 - 15) << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    uint32_t small = bits_of_float(float_of_bits(magnitude) + 0.5f) - bits_of_float(0.5f); /* the ulp of 0.5 is 2^-24 */
    uint32_t special = bits_chosen(magnitude > 0x7f800000, 0x7e00 | ((magnitude >> 13) & 0x3ff), 0x7c00);
    uint32_t finite = bits_chosen(magnitude < 0x38800000, small, normal);             /* below 2^-14 */
    /* From 2^16 on; 65520.. round up to 0x7c00. */
    return (uint16_t)(sign | bits_chosen(magnitude >= 0x47800000, special, finite));
}

#endif

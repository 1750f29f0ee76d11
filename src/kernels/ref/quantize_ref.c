/* Numbers into blocks of 32, with the roundings of ggml's reference quantizer, so that the bytes are the same.
 * One scale: the number furthest from 0 becomes the lowest step.  A scale and a base: the least number is the
 * base, the greatest the highest step.  Both are stored as float16, while the integers come of the float32. */
#include "kernels/blocks.h"
#include "kernels/half.h"
#include <math.h>

enum { NUMBERS = 32, HALF = NUMBERS / 2 };

static void put_f16(uint8_t *p, float x) { uint16_t h = f16_from_float(x); memcpy(p, &h, sizeof h); }
static float inverse(float d) { return d != 0 ? 1 / d : 0; }

/* x is not negative; `most` is taken for a NaN, which has no integer. */
static int whole(float x, int most) { return x < (float)most ? (int)x : most; }

/* Two numbers in a byte, and their fifth bits where there are any. */
static void put_numbers(const int q[NUMBERS], uint8_t *halves, uint8_t *fifth)
{
    uint32_t bits = 0;
    for (int j = 0; j < NUMBERS; j++) bits |= (uint32_t)(q[j] >> 4 & 1) << j;
    if (fifth) memcpy(fifth, &bits, sizeof bits);
    for (int j = 0; j < HALF; j++) halves[j] = (uint8_t)((q[j] & 15) | (q[j + HALF] & 15) << 4);
}

/* The steps -middle .. middle - 1, stored from 0 on. */
static void one_scale(const float *x, int middle, uint8_t *scale, uint8_t *halves, uint8_t *fifth)
{
    float furthest = 0;
    int q[NUMBERS];
    for (int j = 0; j < NUMBERS; j++)
        if (fabsf(x[j]) > fabsf(furthest)) furthest = x[j];
    float d = furthest / (float)-middle, steps = inverse(d);
    for (int j = 0; j < NUMBERS; j++) q[j] = whole(x[j] * steps + (float)middle + 0.5f, 2 * middle - 1);
    put_f16(scale, d);
    put_numbers(q, halves, fifth);
}

static void scale_and_base(const float *x, int most, uint8_t *scales, uint8_t *halves, uint8_t *fifth)
{
    float least = x[0], greatest = x[0];
    int q[NUMBERS];
    for (int j = 1; j < NUMBERS; j++) {
        least = x[j] < least ? x[j] : least;
        greatest = x[j] > greatest ? x[j] : greatest;
    }
    float d = (greatest - least) / (float)most, steps = inverse(d);
    for (int j = 0; j < NUMBERS; j++) q[j] = whole((x[j] - least) * steps + 0.5f, most);
    put_f16(scales, d);
    put_f16(scales + 2, least);
    put_numbers(q, halves, fifth);
}

void quantize_q4_0(const float *x, uint8_t *block) { one_scale(x, 8, block, block + 2, NULL); }
void quantize_q5_0(const float *x, uint8_t *block) { one_scale(x, 16, block, block + 6, block + 2); }
void quantize_q4_1(const float *x, uint8_t *block) { scale_and_base(x, 15, block, block + 4, NULL); }
void quantize_q5_1(const float *x, uint8_t *block) { scale_and_base(x, 31, block, block + 8, block + 4); }

void quantize_q8_0(const float *x, uint8_t *block)
{
    float furthest = 0;
    for (int j = 0; j < NUMBERS; j++) furthest = fmaxf(furthest, fabsf(x[j]));
    float d = furthest / 127, steps = inverse(d);
    put_f16(block, d);
    for (int j = 0; j < NUMBERS; j++) block[2 + j] = (uint8_t)(int8_t)fmaxf(-127, fminf(127, roundf(x[j] * steps)));
}

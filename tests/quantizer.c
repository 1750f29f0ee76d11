#include "quantizer.h"
#include "files/tensor_file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_half(uint8_t *p, float x) { uint16_t h = f16_from_float(x); memcpy(p, &h, 2); }
static uint32_t word_at(const uint8_t *p) { uint32_t x; memcpy(&x, p, 4); return x; }

static int clip(float x, int most) { int q = (int)x; return q < most ? q : most; }

/* Low halves, high halves, and the fifth bits where there are any. */
static void put_bits(const int q[32], uint8_t *halves, uint8_t *fifth)
{
    uint32_t high = 0;
    for (int j = 0; j < 32; j++) high |= (uint32_t)(q[j] >> 4 & 1) << j;
    if (fifth) memcpy(fifth, &high, 4);
    for (int j = 0; j < 16; j++) halves[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
}

/* One scale: the number furthest from 0 becomes the lowest step. */
static size_t one_scale(const float *x, int most, uint8_t *out)
{
    float furthest = 0, size = 0;
    int q[32], middle = (most + 1) / 2;
    for (int j = 0; j < 32; j++)
        if (fabsf(x[j]) > size) { size = fabsf(x[j]); furthest = x[j]; }
    float d = furthest / (float)-middle, inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < 32; j++) q[j] = clip(x[j] * inverse + (float)middle + 0.5f, most);
    put_half(out, d);
    put_bits(q, out + (most > 15 ? 6 : 2), most > 15 ? out + 2 : NULL);
    return most > 15 ? 22 : 18;
}

/* A scale and the least number. */
static size_t two_scales(const float *x, int most, uint8_t *out)
{
    float least = x[0], greatest = x[0];
    int q[32];
    for (int j = 1; j < 32; j++) { least = x[j] < least ? x[j] : least; greatest = x[j] > greatest ? x[j] : greatest; }
    float d = (greatest - least) / (float)most, inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < 32; j++) q[j] = clip((x[j] - least) * inverse + 0.5f, most);
    put_half(out, d);
    put_half(out + 2, least);
    put_bits(q, out + (most > 15 ? 8 : 4), most > 15 ? out + 4 : NULL);
    return most > 15 ? 24 : 20;
}

static size_t bytes_of_numbers(const float *x, uint8_t *out)
{
    float size = 0;
    for (int j = 0; j < 32; j++) size = fmaxf(size, fabsf(x[j]));
    float d = size / 127, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    for (int j = 0; j < 32; j++) out[2 + j] = (uint8_t)(int8_t)roundf(x[j] * inverse);
    return 34;
}

size_t quantize_block(const char *type, const float x[32], uint8_t *out)
{
    if (type[1] == '8') return bytes_of_numbers(x, out);
    int most = type[1] == '4' ? 15 : 31;
    return type[3] == '0' ? one_scale(x, most, out) : two_scales(x, most, out);
}

uint32_t quantized_type(const char *type)
{
    static const char *const names[] = { [2] = "Q4_0", [3] = "Q4_1", [7] = "Q5_0", [8] = "Q5_1", [9] = "Q8_0" };
    uint32_t i = 0;
    while (!names[i] || strcmp(names[i], type)) i++;
    return i;
}

/* Matrices other than the embedding, the head and version 7's of low rank. */
static int is_quantized(uint32_t rank, const char *name, size_t length)
{
    static const char *const kept[] = { "emb.weight", "head.weight", "att.v1", "att.v2", "att.g1", "att.g2", "att.a1", "att.a2", "att.w1", "att.w2", "att.r_k" };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (memmem(name, length, kept[i], strlen(kept[i]))) return 0;
    return rank == 2;
}

uint8_t *quantize_file(const char *type, const uint8_t *data, size_t size, size_t *out_size)
{
    uint8_t *out = malloc(size), *to = out;
    const uint8_t *p = data + 24;
    memcpy(to, data, 24);
    memcpy(to + 4, &(uint32_t){ 101 }, 4);                   /* the version it writes, whichever it read */
    memcpy(to + 20, &(uint32_t){ quantized_type(type) }, 4);
    for (to += 24; out && p < data + size;) {
        uint32_t rank = word_at(p), length = word_at(p + 4);
        size_t head = 12 + 4 * rank + length, count = 1;
        int quantized = is_quantized(rank, (const char *)p + 12 + 4 * rank, length);
        for (uint32_t i = 0; i < rank; i++) count *= word_at(p + 12 + 4 * i);
        memcpy(to, p, head);
        if (quantized) memcpy(to + 8, &(uint32_t){ quantized_type(type) }, 4);
        to += head;
        for (size_t i = 0; quantized && i < count; i += 32) {
            float x[32];
            memcpy(x, p + head + 4 * i, sizeof x);
            to += quantize_block(type, x, to);
        }
        if (!quantized) { memcpy(to, p + head, 4 * count); to += 4 * count; }
        p += head + 4 * count;
    }
    *out_size = (size_t)(to - out);
    return out;
}

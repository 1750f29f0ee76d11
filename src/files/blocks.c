/* ggml's blocks (ggml-quants): for 32 numbers of a row a scale d and, in the *_1
 * types, a minimum m in float16, then the bits of the numbers.
 *   Q4_0  d, 16 bytes                     x = d (q - 8)
 *   Q4_1  d, m, 16 bytes                  x = d q + m
 *   Q5_0  d, u32 of fifth bits, 16 bytes  x = d (q - 16)
 *   Q5_1  d, m, u32, 16 bytes             x = d q + m
 *   Q8_0  d, 32 signed bytes              x = d q
 * The low half of byte j is number j, the high half number j + 16. */
#include "files/blocks.h"
#include "files/tensor_formats.h"

enum { HALF = BLOCK_NUMBERS / 2 };

static float half_at(const uint8_t *p) { return float_from_f16(read_u16(p)); }

static void unpack_q4_0(const uint8_t *p, float *out)
{
    float d = half_at(p);
    for (int j = 0; j < HALF; j++) {
        out[j] = d * (float)((p[2 + j] & 15) - 8);
        out[j + HALF] = d * (float)((p[2 + j] >> 4) - 8);
    }
}

static void unpack_q4_1(const uint8_t *p, float *out)
{
    float d = half_at(p), m = half_at(p + 2);
    for (int j = 0; j < HALF; j++) {
        out[j] = d * (float)(p[4 + j] & 15) + m;
        out[j + HALF] = d * (float)(p[4 + j] >> 4) + m;
    }
}

/* The five bits of number j, whose parts are in `fifth` and `rest`. */
static int five_bits(uint32_t fifth, const uint8_t *rest, int j)
{
    int low = j < HALF ? rest[j] & 15 : rest[j - HALF] >> 4;
    return low | (int)(fifth >> j & 1) << 4;
}

static void unpack_q5_0(const uint8_t *p, float *out)
{
    float d = half_at(p);
    for (int j = 0; j < BLOCK_NUMBERS; j++) out[j] = d * (float)(five_bits(read_u32(p + 2), p + 6, j) - 16);
}

static void unpack_q5_1(const uint8_t *p, float *out)
{
    float d = half_at(p), m = half_at(p + 2);
    for (int j = 0; j < BLOCK_NUMBERS; j++) out[j] = d * (float)five_bits(read_u32(p + 4), p + 8, j) + m;
}

static void unpack_q8_0(const uint8_t *p, float *out)
{
    float d = half_at(p);
    for (int j = 0; j < BLOCK_NUMBERS; j++) out[j] = d * (float)(int8_t)p[2 + j];
}

static const block_type TYPES[] = {
    { "Q4_0", 18, unpack_q4_0 }, { "Q4_1", 20, unpack_q4_1 }, { "Q5_0", 22, unpack_q5_0 }, { "Q5_1", 24, unpack_q5_1 }, { "Q8_0", 34, unpack_q8_0 },
};

const block_type *block_type_named(const char *name)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (!strcmp(TYPES[i].name, name)) return &TYPES[i];
    return NULL;
}

void blocks_unpack(const block_type *t, const uint8_t *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += BLOCK_NUMBERS, data += t->bytes) t->unpack(data, out + i);
}

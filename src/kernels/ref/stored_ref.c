/* The stored types, plainly. */
#include "kernels/blocks.h"
#include "kernels/half.h"
#include "kernels/ref/ref.h"
#include <assert.h>
#include <string.h>

static void widen_real(const void *data, size_t n, real *out) { memcpy(out, data, n * sizeof *out); }

static uint16_t half_at(const void *data, size_t i)
{
    uint16_t x;
    memcpy(&x, (const char *)data + i * sizeof x, sizeof x);
    return x;
}

static void widen_f16(const void *data, size_t n, real *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (real)float_from_f16(half_at(data, i));
}

static void widen_bf16(const void *data, size_t n, real *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (real)float_from_bf16(half_at(data, i));
}

const stored_format stored_formats[STORED_TYPES] = {
    [STORED_REAL] = { "f32",  1, sizeof(real),     0, false, widen_real, NULL, NULL },
    [STORED_F16]  = { "f16",  1, sizeof(uint16_t), 0, false, widen_f16,  NULL, NULL },
    [STORED_BF16] = { "bf16", 1, sizeof(uint16_t), 0, false, widen_bf16, NULL, NULL },
    [STORED_Q4_0] = { "q4_0", 32, 18, 32, false, NULL, parts_q4_0, quantize_q4_0 },
    [STORED_Q4_1] = { "q4_1", 32, 20, 32, true, NULL, parts_q4_1, quantize_q4_1 },
    [STORED_Q5_0] = { "q5_0", 32, 22, 32, false, NULL, parts_q5_0, quantize_q5_0 },
    [STORED_Q5_1] = { "q5_1", 32, 24, 32, true, NULL, parts_q5_1, quantize_q5_1 },
    [STORED_Q8_0] = { "q8_0", 32, 34, 32, false, NULL, parts_q8_0, quantize_q8_0 },
    [STORED_Q2_K] = { "q2_K", 256, 84,  16, true, NULL, parts_q2_k, NULL },
    [STORED_Q3_K] = { "q3_K", 256, 110, 16, false, NULL, parts_q3_k, NULL },
    [STORED_Q4_K] = { "q4_K", 256, 144, 32, true, NULL, parts_q4_k, quantize_q4_k },
    [STORED_Q5_K] = { "q5_K", 256, 176, 32, true, NULL, parts_q5_k, quantize_q5_k },
    [STORED_Q6_K] = { "q6_K", 256, 210, 16, false, NULL, parts_q6_k, quantize_q6_k },
};

static void widen_block(const stored_format *f, const uint8_t *block, real *out)
{
    block_parts b;
    f->parts(block, &b);
    for (int i = 0; i < f->block; i++) {
        int r = i / f->run;
        out[i] = (real)(b.scale * (float)b.factor[r] * (float)b.q[i] + b.base * (float)b.share[r]);
    }
}

void ref_widen(real *y, stored x, size_t n)
{
    const stored_format *f = &stored_formats[x.type];
    if (f->widen) { f->widen(x.data, n, y); return; }
    const uint8_t *block = x.data;
    for (size_t i = 0; i < n; i += (size_t)f->block, block += f->bytes) widen_block(f, block, y + i);
}

void ref_narrow(void *y, stored_type type, const real *x, size_t n)
{
    const stored_format *f = &stored_formats[type];
    float block[MOST_BLOCK];
    assert(type == STORED_REAL || type == STORED_F16 || f->quantize);
    if (type == STORED_REAL) memcpy(y, x, n * sizeof *x);
    for (size_t i = 0; i < n && type == STORED_F16; i++) {
        uint16_t half = f16_from_float((float)x[i]);
        memcpy((char *)y + i * sizeof half, &half, sizeof half);
    }
    for (size_t i = 0; i < n && f->quantize; i += (size_t)f->block) {
        for (size_t k = 0; k < (size_t)f->block; k++) block[k] = (float)x[i + k];
        f->quantize(block, (uint8_t *)y + stored_bytes(type, i));
    }
}

real ref_number(stored x, size_t i)
{
    real block[MOST_BLOCK];
    size_t in_block = i % (size_t)stored_formats[x.type].block;
    ref_widen(block, stored_from(x, i - in_block), (size_t)stored_formats[x.type].block);
    return block[in_block];
}

/* The stored types, plainly. */
#include "kernels/half.h"
#include "kernels/ref/ref.h"
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
    [STORED_REAL] = { "f32",  1, sizeof(real),     widen_real },
    [STORED_F16]  = { "f16",  1, sizeof(uint16_t), widen_f16  },
    [STORED_BF16] = { "bf16", 1, sizeof(uint16_t), widen_bf16 },
};

real ref_number(stored x, size_t i)
{
    real number;
    if (x.type == STORED_REAL) memcpy(&number, (const char *)x.data + i * sizeof number, sizeof number);
    else ref_widen(&number, stored_from(x, i), 1);
    return number;
}

void ref_widen(real *y, stored x, size_t n) { stored_formats[x.type].widen(x.data, n, y); }

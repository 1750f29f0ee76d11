/* Stored numbers to float and back: the 16-bit types exhaustively against
 * their definition, rounding against the neighbours, every type, every range. */
#include "tensor_file.h"
#include "base/random.h"
#include <math.h>

static double half_value(uint16_t h)                        /* by the definition of binary16 */
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double x = exponent == 31 ? (fraction ? NAN : INFINITY) : exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return h & 0x8000 ? -x : x;
}

/* The nearest of the 16-bit values, ties to the even pattern: by search among the neighbours of `guess`. */
static bool nearest(uint16_t got, double x, double (*value)(uint16_t))
{
    uint16_t magnitude = got & 0x7fff;
    double error = fabs(value(got) - x);
    for (int step = -1; step <= 1; step += 2) {
        int other = magnitude + step;
        if (other < 0 || other > 0x7fff) continue;
        double v = value((uint16_t)((got & 0x8000) | other));
        if (isnan(v)) continue;
        /* Where the next finite value would be. */
        if (isinf(v)) v = copysign(2 * fabs(value(got)) - fabs(value((uint16_t)(got - 1))), v);
        double e = fabs(v - x);
        if (e < error || (e == error && magnitude & 1)) return false;
    }
    return true;
}

static double brain_value(uint16_t b)
{
    int exponent = b >> 7 & 255, fraction = b & 127;
    double x = exponent == 255 ? (fraction ? NAN : INFINITY) : exponent ? ldexp(128 + fraction, exponent - 134) : ldexp(fraction, -133);
    return b & 0x8000 ? -x : x;
}

void sixteen_bits_to_float(void)
{
    for (int i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i, back;
        double f16 = half_value(h), bf16 = brain_value(h);
        float a = float_from_f16(h), b = float_from_bf16(h);
        CHECK_MSG(isnan(f16) ? isnan(a) : (double)a == f16 && !signbit(a) == !signbit(f16), "f16 %04x is %g, expected %g", h, (double)a, f16);
        CHECK_MSG(isnan(bf16) ? isnan(b) : (double)b == bf16 && !signbit(b) == !signbit(bf16), "bf16 %04x is %g, expected %g", h, (double)b, bf16);
        back = f16_from_float(a);
        CHECK_MSG(isnan(f16) ? isnan(half_value(back)) && !((back ^ h) & 0x8000) : back == h, "f16 %04x comes back as %04x", h, back);
        back = bf16_from_float(b);
        CHECK_MSG(isnan(bf16) ? isnan(brain_value(back)) && !((back ^ h) & 0x8000) : back == h, "bf16 %04x comes back as %04x", h, back);
    }
}

static void check_rounding(float x)
{
    uint16_t h = f16_from_float(x), b = bf16_from_float(x);
    double y = (double)x;
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (fabs(y) >= 65520) CHECK_MSG(h == (sign | 0x7c00), "%a becomes f16 %04x", y, h);
    else CHECK_MSG((h & 0x8000) == sign && !isinf(half_value(h)) && nearest(h, y, half_value), "%a becomes f16 %04x", y, h);
    if (fabs(y) >= 0x1.ffp127) CHECK_MSG(b == (sign | 0x7f80), "%a becomes bf16 %04x", y, b);
    else CHECK_MSG((b & 0x8000) == sign && nearest(b, y, brain_value), "%a becomes bf16 %04x", y, b);
}

/* Around every 16-bit value, every half-way point, and at random. */
void float_to_sixteen_bits(void)
{
    for (int i = 0; i < 65536; i++) {
        float next, values[2] = { float_from_f16((uint16_t)i), float_from_bf16((uint16_t)i) };
        for (int k = 0; k < 2; k++) {
            if (!isfinite(values[k])) continue;
            next = k ? float_from_bf16((uint16_t)(i + 1)) : float_from_f16((uint16_t)(i + 1));
            float middle = isfinite(next) ? values[k] / 2 + next / 2 : values[k];
            const float near[] = { values[k], nextafterf(values[k], INFINITY), nextafterf(values[k], -INFINITY),
                                   middle, nextafterf(middle, INFINITY), nextafterf(middle, -INFINITY) };
            for (int n = 0; n < 6; n++) if (isfinite(near[n])) check_rounding(near[n]);
        }
    }
    for (uint64_t i = 0; i < 1000000; i++) {
        uint32_t bits = (uint32_t)random_u64(7, i);
        float x;
        memcpy(&x, &bits, 4);
        if (isfinite(x)) check_rounding(x);
        else if (isnan(x)) CHECK(isnan(half_value(f16_from_float(x))) && isnan(brain_value(bf16_from_float(x))));
    }
    CHECK(f16_from_float(65519.996f) == 0x7bff && f16_from_float(65520) == 0x7c00 && f16_from_float(INFINITY) == 0x7c00 && f16_from_float(-INFINITY) == 0xfc00);
    CHECK(bf16_from_float(INFINITY) == 0x7f80 && bf16_from_float(-INFINITY) == 0xff80 && f16_from_float(0x1p-25f) == 0 && f16_from_float(0x1.8p-25f) == 1);
}

#define BIG 0x7fffffffffffffff
void every_type_to_float(void)
{
    const struct { dtype type; uint64_t bits; float expected; } CASES[] = {
        { DT_U8, 255, 255 }, { DT_I8, 0x80, -128 }, { DT_I16, 0x8000, -32768 }, { DT_U16, 0x8000, 32768 },
        { DT_I32, 0x80000000, -2147483648.0f }, { DT_U32, 0xffffffff, 4294967296.0f }, { DT_I64, BIG, 0x1p63f }, { DT_I64, UINT64_MAX, -1 },
        { DT_U64, UINT64_MAX, 0x1p64f }, { DT_F16, 0x3c01, 1 + 0x1p-10f }, { DT_BF16, 0x3f81, 1 + 0x1p-7f }, { DT_F32, 0x00000001, 0x1p-149f },
        { DT_F64, 0x3ff0000010000000, 1 }, { DT_F64, 0x3ff0000010000001, 1 + 0x1p-23f }, { DT_F64, 0x7fefffffffffffff, INFINITY },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint8_t data[9 * 40 + 1];
        float x[40];
        size_t bytes = dtype_bytes(CASES[i].type);
        for (size_t k = 0; k < 40; k++) memcpy(data + 1 + k * bytes, &CASES[i].bits, bytes);
        const file_tensor t = { .type = CASES[i].type, .rank = 2, .dims = { 8, 5 }, .count = 40, .bytes = 40 * bytes, .data = data + 1 };
        CHECK(file_tensor_floats(&t, 0, 40, x));
        for (int k = 0; k < 40; k++) CHECK_MSG(x[k] == CASES[i].expected, "%s: %a, expected %a", dtype_name(t.type), (double)x[k], (double)CASES[i].expected);
    }
    float x;
    const file_tensor odd[] = { { .type = DT_BOOL, .count = 1, .data = "" }, { .type = DT_OTHER, .count = 1, .data = "" } };
    CHECK(!file_tensor_floats(&odd[0], 0, 1, &x) && !file_tensor_floats(&odd[1], 0, 1, &x));
    CHECK(!strcmp(dtype_name(DT_BF16), "BF16") && !strcmp(dtype_name(DT_F64), "F64") && dtype_bytes(DT_OTHER) == 0 && dtype_bytes(DT_BOOL) == 1);
}

void transposed_floats(void)
{
    enum { ROWS = 3, COLUMNS = 5 };
    int16_t stored[ROWS * COLUMNS], elements[ROWS * COLUMNS];
    float x[ROWS * COLUMNS];
    for (int r = 0; r < ROWS; r++) for (int c = 0; c < COLUMNS; c++) stored[c * ROWS + r] = (int16_t)(10 * r + c);
    const file_tensor t = { .type = DT_I16, .rank = 2, .dims = { ROWS, COLUMNS }, .count = ROWS * COLUMNS, .data = stored, .order = { 2, { ROWS, COLUMNS }, { 1, ROWS } } };
    for (size_t first = 0; first <= ROWS * COLUMNS; first++)
        for (size_t n = 0; first + n <= ROWS * COLUMNS; n++) {
            CHECK(file_tensor_floats(&t, first, n, x));
            for (size_t k = 0; k < n; k++) CHECK(x[k] == (float)(10 * ((first + k) / COLUMNS) + (first + k) % COLUMNS));
            CHECK(file_tensor_elements(&t, first, n, elements));
            for (size_t k = 0; k < n; k++) CHECK((float)elements[k] == x[k]);
        }
    CHECK(!file_tensor_elements(&t, 1, ROWS * COLUMNS, elements) && !file_tensor_as_is(&t));
}

/* Numbers into ggml's K types.  The scale of a run, and its base where the type has one, are those of the least
 * squared error among several roundings: for each, integers are taken, and then the scale (and base) that fit them
 * best.  Larger numbers weigh more, since products grow with them.  The runs' scales and bases become integers over a
 * common one, the integers are taken again, and the common ones are fitted to them once more. */
#include "kernels/blocks.h"
#include "kernels/half.h"
#include <math.h>

enum { NUMBERS = 256 };

static void put_f16(uint8_t *p, float x) { uint16_t h = f16_from_float(x); memcpy(p, &h, sizeof h); }
static float as_f16(float x) { return float_from_f16(f16_from_float(x)); }

/* Adding and taking off 3 * 2^22 rounds a float below 2^22 to the nearest even integer, without a call. */
static int nearest(float x, int least, int most)
{
    return x < (float)least ? least : x < (float)most ? (int)((x + 12582912.0f) - 12582912.0f) : most;
}

/* Weights of n numbers: their size, and the size of all together. */
static void weigh(const float *x, int n, float *w)
{
    float squares = 0;
    for (int i = 0; i < n; i++) squares += x[i] * x[i];
    float size = sqrtf(squares / (float)n);
    for (int i = 0; i < n; i++) w[i] = size + fabsf(x[i]);
}

static float furthest(const float *x, int n)
{
    float y = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(y)) y = x[i];
    return y;
}

/* ---- a scale and a base: x = scale q - base, base >= 0 ---------------------------------------- */

typedef struct { float scale, base; } line;

static float weighted_error(const float *x, const float *w, int n, int most, line l)
{
    float error = 0, steps = l.scale > 0 ? 1 / l.scale : 0;
    for (int i = 0; i < n; i++) {
        float d = l.scale * (float)nearest((x[i] + l.base) * steps, 0, most) - l.base - x[i];
        error += w[i] * d * d;
    }
    return error;
}

/* The line through integers that were taken by `at`. */
static line fitted(const float *x, const float *w, int n, int most, line at)
{
    double sw = 0, sq = 0, sqq = 0, sx = 0, sqx = 0;
    float steps = at.scale > 0 ? 1 / at.scale : 0;
    for (int i = 0; i < n; i++) {
        double q = nearest((x[i] + at.base) * steps, 0, most), weight = (double)w[i];
        sw += weight, sq += weight * q, sqq += weight * q * q, sx += weight * (double)x[i], sqx += weight * q * (double)x[i];
    }
    double det = sw * sqq - sq * sq;
    if (!(det > 0) || !(sqq > 0)) return at;
    line l = { (float)((sw * sqx - sq * sx) / det), (float)(-(sqq * sx - sq * sqx) / det) };
    return l.base >= 0 ? l : (line){ (float)(sqx / sqq), 0 };
}

static line best_line(const float *x, const float *w, int n, int most)
{
    enum { TRIES = 24 };
    float least = 0, greatest = x[0];
    for (int i = 0; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        greatest = x[i] > greatest ? x[i] : greatest;
    }
    line best = { (greatest - least) / (float)most, -least };
    if (!(best.scale > 0)) return (line){ 0, best.base };
    float error = weighted_error(x, w, n, most, best);
    for (int t = 0; t < TRIES; t++) {
        line l = fitted(x, w, n, most, (line){ (greatest - least) / ((float)most - 1 + 0.1f * (float)t), -least });
        float e = l.scale > 0 ? weighted_error(x, w, n, most, l) : error;
        if (e < error) error = e, best = l;
    }
    return best;
}

/* scale and base of the block for its integers, of which neither is left to chance. */
static void refit_lines(const float *x, const float *w, block_parts *b, int run)
{
    double ff = 0, fs = 0, ss = 0, fx = 0, sx = 0;
    for (int i = 0; i < NUMBERS; i++) {
        double f = b->factor[i / run] * b->q[i], s = -b->share[i / run], weight = (double)w[i], y = (double)x[i];
        ff += weight * f * f, fs += weight * f * s, ss += weight * s * s, fx += weight * f * y, sx += weight * s * y;
    }
    double det = ff * ss - fs * fs;
    if (!(det > 1e-9 * ff * ss)) return;
    double scale = (ss * fx - fs * sx) / det, base = (ff * sx - fs * fx) / det;
    if (scale > 0 && base >= 0) b->scale = as_f16((float)scale), b->base = as_f16((float)base);
}

static void take_integers(const float *x, block_parts *b, int run, int most)
{
    for (int i = 0; i < NUMBERS; i++) {
        float d = b->scale * (float)b->factor[i / run];
        b->q[i] = (int8_t)(d > 0 ? nearest((x[i] + b->base * (float)b->share[i / run]) / d, 0, most) : 0);
    }
}

/* The factor and the share of a run, each at most one off the nearest, that have the least error. */
static void choose_shares(const float *x, const float *w, block_parts *b, int r, int run, int most, int limit)
{
    int factor = b->factor[r], share = b->share[r];
    float least = INFINITY;
    for (int f = factor > 0 ? factor - 1 : 0; f <= factor + 1 && f <= limit; f++)
        for (int s = share > 0 ? share - 1 : 0; s <= share + 1 && s <= limit; s++) {
            float error = weighted_error(x, w, run, most, (line){ b->scale * (float)f, b->base * (float)s });
            if (error < least) least = error, b->factor[r] = f, b->share[r] = s;
        }
}

/* Eight runs, factors and shares of six bits. */
static void quantize_lines(const float *x, int most, block_parts *b)
{
    enum { RUN = 32, RUNS = 8, SIX_BITS = 63 };
    float w[NUMBERS], scale = 0, base = 0;
    line lines[RUNS];
    for (int r = 0; r < RUNS; r++) {
        weigh(x + r * RUN, RUN, w + r * RUN);
        lines[r] = best_line(x + r * RUN, w + r * RUN, RUN, most);
        scale = fmaxf(scale, lines[r].scale), base = fmaxf(base, lines[r].base);
    }
    b->scale = as_f16(scale / SIX_BITS), b->base = as_f16(base / SIX_BITS);
    for (int r = 0; r < RUNS; r++) {
        b->factor[r] = b->scale > 0 ? nearest(lines[r].scale / b->scale, 0, SIX_BITS) : 0;
        b->share[r] = b->base > 0 ? nearest(lines[r].base / b->base, 0, SIX_BITS) : 0;
        choose_shares(x + r * RUN, w + r * RUN, b, r, RUN, most, SIX_BITS);
    }
    take_integers(x, b, RUN, most);
    refit_lines(x, w, b, RUN);
    take_integers(x, b, RUN, most);
}

/* The order of bits that set_six_bits of blocks_k_ref.c reads. */
static void put_lines(const block_parts *b, uint8_t *p)
{
    put_f16(p, b->scale);
    put_f16(p + 2, b->base);
    for (int r = 0; r < 4; r++) {
        p[4 + r] = (uint8_t)(b->factor[r] | b->factor[r + 4] >> 4 << 6);
        p[8 + r] = (uint8_t)(b->share[r] | b->share[r + 4] >> 4 << 6);
        p[12 + r] = (uint8_t)((b->factor[r + 4] & 15) | (b->share[r + 4] & 15) << 4);
    }
}

static void put_four_bits(const int8_t *q, uint8_t *p)
{
    for (int i = 0; i < NUMBERS; i += 64)
        for (int j = 0; j < 32; j++) *p++ = (uint8_t)((q[i + j] & 15) | (q[i + 32 + j] & 15) << 4);
}

void quantize_q4_k(const float *x, uint8_t *block)
{
    block_parts b;
    quantize_lines(x, 15, &b);
    put_lines(&b, block);
    put_four_bits(b.q, block + 16);
}

void quantize_q5_k(const float *x, uint8_t *block)
{
    block_parts b;
    quantize_lines(x, 31, &b);
    put_lines(&b, block);
    put_four_bits(b.q, block + 48);
    for (int j = 0; j < 32; j++) {
        int bits = 0;
        for (int r = 0; r < 8; r++) bits |= (b.q[32 * r + j] >> 4) << r;
        block[16 + j] = (uint8_t)bits;
    }
}

/* ---- a scale alone: x = scale q, q from -32 to 31 ------------------------------------------------ */

static float fitted_scale(const float *x, const float *w, int n, float steps, float *gain)
{
    double qq = 0, qx = 0;
    for (int i = 0; i < n; i++) {
        double q = nearest(x[i] * steps, -32, 31), weight = (double)w[i];
        qq += weight * q * q, qx += weight * q * (double)x[i];
    }
    *gain = qq > 0 ? (float)(qx * qx / qq) : 0;              /* by which the squared error falls */
    return qq > 0 ? (float)(qx / qq) : 0;
}

static float best_scale(const float *x, const float *w, int n)
{
    enum { TRIES = 12 };
    float most = furthest(x, n), best = 0, best_gain = 0, gain;
    if (most == 0) return 0;
    for (int t = -TRIES; t <= TRIES; t++) {
        float scale = fitted_scale(x, w, n, (-32 + 0.1f * (float)t) / most, &gain);
        if (gain > best_gain) best_gain = gain, best = scale;
    }
    return best;
}

void quantize_q6_k(const float *x, uint8_t *block)
{
    enum { RUN = 16, RUNS = 16 };
    float w[NUMBERS], scales[RUNS];
    int q[NUMBERS], factor[RUNS];
    double ff = 0, fx = 0;
    for (int r = 0; r < RUNS; r++) {
        weigh(x + r * RUN, RUN, w + r * RUN);
        scales[r] = best_scale(x + r * RUN, w + r * RUN, RUN);
    }
    float d = as_f16(furthest(scales, RUNS) / -128);
    for (int pass = 0; pass < 2; pass++) {
        for (int r = 0; r < RUNS && !pass; r++) factor[r] = d != 0 ? nearest(scales[r] / d, -128, 127) : 0;
        for (int i = 0; i < NUMBERS; i++) {
            float step = d * (float)factor[i / RUN];
            q[i] = step != 0 ? nearest(x[i] / step, -32, 31) : 0;
            double f = factor[i / RUN] * q[i];
            ff += (double)w[i] * f * f, fx += (double)w[i] * f * (double)x[i];
        }
        if (!pass && ff > 0) d = as_f16((float)(fx / ff));
    }
    for (int i = 0; i < NUMBERS; i++) q[i] += 32;
    for (int i = 0; i < 128; i++) {
        const int *low = q + i / 64 * 128 + i % 64;
        block[i] = (uint8_t)((low[0] & 15) | (low[64] & 15) << 4);
    }
    for (int i = 0; i < 64; i++) {
        const int *high = q + i / 32 * 128 + i % 32;
        block[128 + i] = (uint8_t)(high[0] >> 4 | high[32] >> 4 << 2 | high[64] >> 4 << 4 | high[96] >> 4 << 6);
    }
    for (int r = 0; r < RUNS; r++) block[192 + r] = (uint8_t)(int8_t)factor[r];
    put_f16(block + 208, d);
}

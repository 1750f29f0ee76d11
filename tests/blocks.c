/* Weights in ggml's blocks: what numbers they hold, by the gguf package's own arithmetic, bit for bit
 * (tests/golden/blocks), as rows, as runs, and in files. */
#include "base/random.h"
#include "files/dtypes.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "quantizer.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

typedef struct { dtype type; const uint8_t *data; size_t bytes, count; const float *numbers; } sample;

static tensor_file *samples_open(void)
{
    lithe_error err = { 0 };
    tensor_file *f = tensor_file_open(test_file("tests/golden/blocks/blocks.safetensors"), &err);
    CHECK_MSG(f, "%s", err.text);
    return f;
}

static sample sample_of(const tensor_file *f, dtype type)
{
    char name[40];
    snprintf(name, sizeof name, "%s.blocks", dtype_name(type));
    const file_tensor *blocks = tensor_file_find(f, name);
    snprintf(name, sizeof name, "%s.numbers", dtype_name(type));
    const file_tensor *numbers = tensor_file_find(f, name);
    CHECK_MSG(blocks && numbers, "%s", name);
    return (sample){ type, blocks->data, blocks->bytes, numbers->count, numbers->data };
}

#define EACH_BLOCK_TYPE(type) for (dtype type = DT_Q4_0; type < DT_COUNT; type++)

/* Equal as bits, but for the sign of a zero. */
static bool equal(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(a[i] == b[i])) return false;
    return true;
}

static void sizes(void)
{
    const struct { dtype type; stored_type stored; const char *name; int block; size_t bytes; } ROWS[] = {
        { DT_Q4_0, STORED_Q4_0, "q4_0", 32, 18 }, { DT_Q4_1, STORED_Q4_1, "q4_1", 32, 20 }, { DT_Q5_0, STORED_Q5_0, "q5_0", 32, 22 },
        { DT_Q5_1, STORED_Q5_1, "q5_1", 32, 24 }, { DT_Q8_0, STORED_Q8_0, "q8_0", 32, 34 }, { DT_Q2_K, STORED_Q2_K, "q2_K", 256, 84 },
        { DT_Q3_K, STORED_Q3_K, "q3_K", 256, 110 }, { DT_Q4_K, STORED_Q4_K, "q4_K", 256, 144 }, { DT_Q5_K, STORED_Q5_K, "q5_K", 256, 176 },
        { DT_Q6_K, STORED_Q6_K, "q6_K", 256, 210 }, { DT_F16, STORED_F16, "f16", 1, 2 }, { DT_BF16, STORED_BF16, "bf16", 1, 2 } };
    size_t bytes;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        stored_type type;
        CHECK_MSG(dtype_stored(ROWS[i].type, &type) && type == ROWS[i].stored && dtype_of(type) == ROWS[i].type, "%s", ROWS[i].name);
        CHECK(!strcmp(stored_formats[type].name, ROWS[i].name) && dtype_block(ROWS[i].type) == ROWS[i].block);
        CHECK(dtype_size(ROWS[i].type, 512, &bytes) && bytes == stored_bytes(type, 512) && bytes == 512 / (size_t)ROWS[i].block * ROWS[i].bytes);
        CHECK(dtype_size(ROWS[i].type, 16, &bytes) == (ROWS[i].block == 1));
    }
    CHECK(!dtype_size(DT_F64, SIZE_MAX / 4, &bytes));
    stored_type none;
    CHECK(!dtype_size(DT_OTHER, 1, &bytes) && !dtype_stored(DT_I8, &none) && dtype_bytes(DT_Q4_K) == 0 && dtype_size(DT_I64, 3, &bytes) && bytes == 24);
}

static void widened(void)
{
    tensor_file *f = samples_open();
    EACH_BLOCK_TYPE(type) {
        static const char *const levels[] = { KERNEL_WIDTHS(KERNEL_NAME, ) };
        sample s = sample_of(f, type);
        stored_type kind;
        dtype_stored(type, &kind);
        float *x = malloc(s.count * sizeof *x);
        uint8_t *odd = malloc(s.bytes + 1);                  /* any address, and nothing readable after the last byte */
        memcpy(odd + 1, s.data, s.bytes);
        for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
            const kernels *k = kernels_level(levels[l]);
            if (!k) continue;
            k->widen(x, (stored){ .type = kind, .data = odd + 1 }, s.count);
            CHECK_MSG(equal(x, s.numbers, s.count), "%s at %s", dtype_name(type), levels[l]);
            const int width = (int)s.count / 4, index[] = { 3, 0, 3 };
            for (int add = 0; add < 2; add++) {
                for (int i = 0; i < 3 * width; i++) x[i] = add ? (float)i : NAN;
                k->gather(x, add, (stored){ .type = kind, .data = odd + 1 }, index, 3, width);
                for (int i = 0; i < 3 * width; i++) {
                    float y = s.numbers[index[i / width] * width + i % width];
                    CHECK_MSG(x[i] == (add ? (float)i + y : y), "%s at %s, %d", dtype_name(type), levels[l], i);
                }
            }
        }
        free(odd);
        free(x);
    }
    tensor_file_close(f);
}

/* As a file's tensor: any range, transposed, and with its rows in another order, which keeps the blocks whole. */
static void in_files(void)
{
    tensor_file *f = samples_open();
    EACH_BLOCK_TYPE(type) {
        sample s = sample_of(f, type);
        int64_t width = dtype_block(type), rows = (int64_t)s.count / width;
        float *x = malloc(s.count * sizeof *x);
        uint8_t *blocks = malloc(s.bytes);
        file_tensor t = { .type = type, .rank = 2, .dims = { rows, width }, .count = s.count, .bytes = s.bytes, .data = s.data };
        for (size_t first = 0; first < s.count; first += 23) {
            size_t n = s.count - first < 77 ? s.count - first : 77;
            CHECK_MSG(file_tensor_floats(&t, first, n, x) && equal(x, s.numbers + first, n), "%s from %zu", dtype_name(type), first);
        }
        CHECK(file_tensor_as_is(&t) && file_tensor_elements(&t, 0, s.count, blocks) && !memcmp(blocks, s.data, s.bytes));
        CHECK(!file_tensor_elements(&t, 1, (size_t)width, blocks) && !file_tensor_elements(&t, 0, 31, blocks) && !file_tensor_floats(&t, 1, s.count, x));
        t.order = (element_order){ 2, { width, rows }, { 1, width } };
        CHECK(file_tensor_floats(&t, 0, s.count, x) && !file_tensor_as_is(&t) && !file_tensor_elements(&t, 0, s.count, blocks));
        for (int64_t i = 0; i < (int64_t)s.count; i++) CHECK(x[i] == s.numbers[i % rows * width + i / rows]);
        t.order = (element_order){ 3, { rows / 2, 2, width }, { width, rows / 2 * width, 1 } };
        CHECK(file_tensor_elements(&t, 0, s.count, blocks) && file_tensor_floats(&t, 0, s.count, x));
        size_t bytes = s.bytes / (size_t)rows;
        for (int64_t r = 0; r < rows; r++) {
            int64_t from = r / 2 + r % 2 * (rows / 2);
            CHECK(!memcmp(blocks + (size_t)r * bytes, s.data + (size_t)from * bytes, bytes) && equal(x + r * width, s.numbers + from * width, (size_t)width));
        }
        free(blocks);
        free(x);
    }
    tensor_file_close(f);
}

/* ---- quantizing ------------------------------------------------------------------------------- */

/* Numbers as weights are: normal, a few of them far out. */
static float *weights(size_t n, double outliers)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(random_normal(3, i) * (random_unit(4, i) < outliers ? 0.2 : 0.02));
    return x;
}

static double error_of(stored_type type, const float *x, size_t n)
{
    uint8_t *blocks = malloc(stored_bytes(type, n));
    float *y = malloc(n * sizeof *y);
    quantize(type, x, n, blocks);
    kernels_level("ref")->widen(y, (stored){ .type = type, .data = blocks }, n);
    double error = relative_error(y, x, n);
    free(blocks);
    free(y);
    return error;
}

/* The relative error of numbers in each type, of normal ones and with one in fifty ten times as large.  The bounds
 * are what ggml's reference quantizer has on the same numbers (llama.cpp of October 2026), to five places. */
static void errors(void)
{
    static const struct { stored_type type; double normal, outliers; } ROWS[] = {
        { STORED_Q8_0, 0.00532, 0.00992 }, { STORED_Q5_1, 0.03777, 0.05085 }, { STORED_Q5_0, 0.04246, 0.07909 }, { STORED_Q4_1, 0.07802, 0.10474 },
        { STORED_Q4_0, 0.08553, 0.15528 }, { STORED_Q6_K, 0.01765, 0.02932 }, { STORED_Q5_K, 0.03607, 0.04911 }, { STORED_Q4_K, 0.07140, 0.09732 } };
    enum { N = 1 << 16 };
    float *normal = weights(N, 0), *outliers = weights(N, 0.02);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        double a = error_of(ROWS[i].type, normal, N), b = error_of(ROWS[i].type, outliers, N);
        CHECK_MSG(a > 0 && a < ROWS[i].normal + 5e-6 && b > 0 && b < ROWS[i].outliers + 5e-6, "%s: %.5f, %.5f", stored_formats[ROWS[i].type].name, a, b);
    }
    free(normal);
    free(outliers);
}

/* ggml's bytes, by the quantizer that reproduces rwkv.cpp's published files; odd numbers too. */
static void bytes_of_blocks(void)
{
    enum { BLOCKS = 4000 };
    float *x = weights(BLOCKS * 32, 0.02);
    for (int i = 0; i < 32; i++) x[i] = 0, x[32 + i] = -1.5f, x[64 + i] = (float)(i - 16), x[96 + i] = i ? 0 : 1e-12f, x[128 + i] = (float)i * 0.5f;
    for (stored_type type = STORED_Q4_0; type <= STORED_Q8_0; type++) {
        char name[8] = "Q";
        uint8_t ours[34] = { 0 }, theirs[34] = { 0 };
        memcpy(name + 1, stored_formats[type].name + 1, 4);
        for (int b = 0; b < BLOCKS; b++) {
            quantize(type, x + 32 * b, 32, ours);
            size_t bytes = quantize_block(name, x + 32 * b, theirs);
            CHECK_MSG(bytes == stored_formats[type].bytes && !memcmp(ours, theirs, bytes), "%s, block %d", name, b);
        }
    }
    free(x);
}

/* Zeros stay zeros and equal numbers nearly equal; whatever the numbers are, nothing is written outside a block. */
static void strange_numbers(void)
{
    const float odd[] = { 0, -0.0f, INFINITY, -INFINITY, NAN, 1e38f, -1e38f, 1e-40f, 3 };
    for (stored_type type = STORED_Q4_0; type < STORED_TYPES; type++) {
        const stored_format *f = &stored_formats[type];
        if (!f->quantize) continue;
        float x[MOST_BLOCK], y[MOST_BLOCK];
        uint8_t block[256];
        for (int t = 0; t < 200; t++) {
            for (int i = 0; i < f->block; i++) x[i] = t < 9 ? odd[t] : odd[random_u64((uint64_t)t, (uint64_t)i) % 9];
            memset(block, 0xa5, sizeof block);
            quantize(type, x, (size_t)f->block, block);
            for (size_t i = f->bytes; i < sizeof block; i++) CHECK(block[i] == 0xa5);
            kernels_level("ref")->widen(y, (stored){ .type = type, .data = block }, (size_t)f->block);
            for (int i = 0; t < 2 && i < f->block; i++) CHECK_MSG(y[i] == 0, "%s makes %g of 0", f->name, (double)y[i]);
            for (int i = 0; t == 8 && i < f->block; i++) CHECK_MSG(fabsf(y[i] - 3) < 0.02f, "%s makes %g of 3", f->name, (double)y[i]);
        }
    }
}

const test tests_blocks[] = {
    { "blocks: sizes", sizes }, { "blocks: the numbers in them", widened }, { "blocks: in files", in_files },
    { "blocks: errors of each type", errors }, { "blocks: ggml's bytes", bytes_of_blocks }, { "blocks: strange numbers", strange_numbers }, {0}
};

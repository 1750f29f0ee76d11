/* Numbers that are stored in blocks: small integers, with scales that many of them
 * share.  A block taken apart says what each number is:
 *
 *   number i = scale * factor[i / run] * q[i] + base * share[i / run]
 *
 * with products of floats taken from the left, one for each run of numbers.  Types of 32
 * numbers have one run, whose factor and share are 1; types without a base have 0.  Products
 * with such a block sum integers, so their order means nothing (gemm_blocks_ref.c). */
#ifndef KERNELS_BLOCKS_H
#define KERNELS_BLOCKS_H

#include "kernels/stored.h"
#include <stdbool.h>
#include <stdint.h>

enum { MOST_BLOCK = 256, MOST_RUNS = 16,
       LONGEST_IN_BLOCKS = 1 << 19 };           /* most K of a product, whose rounded row fits a thread's scratch */

typedef struct block_parts {
    float scale, base;
    int factor[MOST_RUNS], share[MOST_RUNS];
    int8_t q[MOST_BLOCK];
} block_parts;

static inline bool in_blocks(stored_type type) { return stored_formats[type].block > 1; }
/* The block whose first byte is at data. */
static inline void take_apart(stored_type type, const void *data, block_parts *out) { stored_formats[type].parts(data, out); }

/* n numbers, whole blocks, into a type that has `quantize`; not finite: what comes of them is not said. */
static inline void quantize(stored_type type, const float *x, size_t n, void *out)
{
    const stored_format *f = &stored_formats[type];
    uint8_t *block = (uint8_t *)out;
    for (size_t i = 0; i < n; i += (size_t)f->block, block += f->bytes) f->quantize(x + i, block);
}

/* The rows of the table (stored_ref.c). */
void parts_q4_0(const uint8_t *block, block_parts *out);
void parts_q4_1(const uint8_t *block, block_parts *out);
void parts_q5_0(const uint8_t *block, block_parts *out);
void parts_q5_1(const uint8_t *block, block_parts *out);
void parts_q8_0(const uint8_t *block, block_parts *out);
void parts_q2_k(const uint8_t *block, block_parts *out);
void parts_q3_k(const uint8_t *block, block_parts *out);
void parts_q4_k(const uint8_t *block, block_parts *out);
void parts_q5_k(const uint8_t *block, block_parts *out);
void parts_q6_k(const uint8_t *block, block_parts *out);

void quantize_q4_0(const float *x, uint8_t *block);
void quantize_q4_1(const float *x, uint8_t *block);
void quantize_q5_0(const float *x, uint8_t *block);
void quantize_q5_1(const float *x, uint8_t *block);
void quantize_q8_0(const float *x, uint8_t *block);
void quantize_q4_k(const float *x, uint8_t *block);
void quantize_q5_k(const float *x, uint8_t *block);
void quantize_q6_k(const float *x, uint8_t *block);

#endif

/* Makes quantized rwkv.cpp files out of FP32 ones, as rwkv.cpp's own tool does:
 * which tensors, and each rounding, so that the bytes are the same. */
#ifndef QUANTIZER_H
#define QUANTIZER_H

#include <stddef.h>
#include <stdint.h>

/* A block of 32 numbers at x, written at out; returns its bytes.  type: "Q4_0" ... "Q8_0". */
size_t quantize_block(const char *type, const float x[32], uint8_t *out);
/* The number of block type `type` as rwkv.cpp counts them. */
uint32_t quantized_type(const char *type);
/* A whole file; malloc'd. */
uint8_t *quantize_file(const char *type, const uint8_t *data, size_t size, size_t *out_size);

#endif

/* The numbers that kernels read.  Activations are reals.  Weights are given as they
 * are stored, by a type and bytes: the kernels that gather or multiply them widen
 * them on the way, and nothing above reads the bytes.  There is one row of the table
 * for each type. */
#ifndef KERNELS_STORED_H
#define KERNELS_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The type of an activation's elements, and of values that are always exact (statistics,
 * log-sum-exp, recurrent states, losses).  The double build is the test build
 * that checks gradients; it has the ref level only. */
#ifdef LITHE_DOUBLE
typedef double real;
typedef double exact;
#else
typedef float real;
typedef float exact;
#endif

/* From STORED_Q4_0 on in ggml's blocks (kernels/blocks.h). */
typedef enum { STORED_REAL, STORED_F16, STORED_BF16,
               STORED_Q4_0, STORED_Q4_1, STORED_Q5_0, STORED_Q5_1, STORED_Q8_0,
               STORED_Q2_K, STORED_Q3_K, STORED_Q4_K, STORED_Q5_K, STORED_Q6_K, STORED_TYPES } stored_type;

/* Numbers in row-major order, at any address.  A matrix that is multiplied as B (K,N) may be stored transposed: then
 * rows and columns are its own, K and N, and data holds (columns, rows).  In blocks it always is, since blocks lie
 * along K. */
typedef struct { stored_type type; const void *data; int rows, columns; } stored;

struct block_parts;
typedef struct {
    const char *name;                           /* "f32", "q4_K" */
    int block;                                  /* numbers that are stored together; a row is whole blocks */
    size_t bytes;                               /* of a block */
    int run;                                    /* numbers of a block that share a factor; 0: a block is one number */
    bool has_base;                              /* else a block's base is 0 */
    void (*widen)(const void *data, size_t n, real *out);                    /* n numbers, where a block is one */
    void (*parts)(const uint8_t *block, struct block_parts *out);            /* elsewhere */
    void (*quantize)(const float *x, uint8_t *block);                        /* NULL: this type is only read */
} stored_format;
extern const stored_format stored_formats[STORED_TYPES];

static inline size_t stored_bytes(stored_type type, size_t n) { return n / (size_t)stored_formats[type].block * stored_formats[type].bytes; }

/* The numbers from number `first` on, which is the first of a block, of what is not transposed. */
static inline stored stored_from(stored x, size_t first) { return (stored){ .type = x.type, .data = (const char *)x.data + stored_bytes(x.type, first) }; }

#endif

/* The numbers that kernels read.  Activations are reals.  Weights are given as they
 * are stored, by a type and bytes: the kernels that gather or multiply them widen
 * them on the way, and nothing above reads the bytes.  There is one row of the table
 * for each type. */
#ifndef KERNELS_STORED_H
#define KERNELS_STORED_H

#include <stddef.h>

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

typedef enum { STORED_REAL, STORED_F16, STORED_BF16, STORED_TYPES } stored_type;

/* Numbers in row-major order, at any address. */
typedef struct { stored_type type; const void *data; } stored;

typedef struct {
    const char *name;                           /* "f32" */
    int block;                                  /* numbers that are stored together; a row is whole blocks */
    size_t bytes;                               /* of a block */
    void (*widen)(const void *data, size_t n, real *out);       /* n numbers, whole blocks */
} stored_format;
extern const stored_format stored_formats[STORED_TYPES];

static inline size_t stored_bytes(stored_type type, size_t n) { return n / (size_t)stored_formats[type].block * stored_formats[type].bytes; }

/* The numbers from number `first` on, which is the first of a block. */
static inline stored stored_from(stored x, size_t first) { return (stored){ x.type, (const char *)x.data + stored_bytes(x.type, first) }; }

#endif

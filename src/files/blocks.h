/* Numbers stored in blocks of 32 with one scale: ggml's Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. */
#ifndef FILES_BLOCKS_H
#define FILES_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCK_NUMBERS = 32 };

typedef struct {
    const char *name;
    size_t bytes;                                            /* of a block */
    void (*unpack)(const uint8_t *block, float out[BLOCK_NUMBERS]);
} block_type;

const block_type *block_type_named(const char *name);        /* NULL if there is none */

/* Unpacks count numbers, which are whole blocks, from any address. */
void blocks_unpack(const block_type *t, const uint8_t *data, size_t count, float *out);

#endif

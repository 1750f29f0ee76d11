/* What all code for Intel's tiles needs. */
#ifndef AMX_AMX_H
#define AMX_AMX_H

#include <immintrin.h>
#include <stdint.h>

/* The shapes of the tiles, as _tile_loadconfig reads them: of each one `rows` rows of `row_bytes`. */
typedef struct { uint8_t palette, start_row, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } tile_config;
_Static_assert(sizeof(tile_config) == 64, "as the processor reads it");

/* The compilers' tile intrinsics do not say that they read and write memory. */
#define MEMORY_BARRIER() __asm__ volatile("" : : : "memory")

#endif

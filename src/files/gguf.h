/* GGUF files (version 3): typed keys, then tensors in ggml's types (docs/checkpoints.md). */
#ifndef FILES_GGUF_H
#define FILES_GGUF_H

#include "base/gguf_keys.h"
#include "files/tensor_file.h"

/* The types of ggml by number, with their blocks; data stay as they are stored. */
typedef struct {
    const char *name;                  /* "Q4_K"; NULL: no type has this number (any more) */
    int block; size_t bytes;           /* numbers that are stored together, and the bytes of them */
    dtype type;                        /* DT_OTHER: it can only be listed */
} gguf_format;
const gguf_format *gguf_format_of(uint32_t number);       /* NULL: no such type */
int gguf_number_of(dtype type);                           /* the reverse; negative: none */

/* A whole file: head holds the keys.  Types are those that ggml has. */
int gguf_write(const char *path, const gguf_head *head, const out_tensor *tensors, int count, lithe_error *err);

/* A value as JSON (a new reference); NULL where JSON has none, such as bytes that are not UTF-8. */
json_t *gguf_json(const gguf_value *v);

#endif

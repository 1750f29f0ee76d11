/* A running digest of ids in their order: whether a text continues one whose ids are not kept. */
#ifndef INFER_CHAIN_H
#define INFER_CHAIN_H

#include <stddef.h>
#include <stdint.h>

typedef struct { uint64_t a, b; } chain;        /* zeros: of no ids */
chain chain_add(chain c, int32_t id);
chain chain_of(const int32_t *ids, size_t n);

#endif

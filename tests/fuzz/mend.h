/* Hashes of a shard made right: a hash stops a fuzzer long before it stops an enemy. */
#ifndef FUZZ_MEND_H
#define FUZZ_MEND_H

#include "data/image_shard.h"
#include "data/shard.h"
#include <string.h>
#include <xxhash.h>

static inline void hash_to(uint8_t *out, const uint8_t *bytes, size_t size)
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(bytes, size));
    memcpy(out, c.digest, 16);
}

static inline void header_hash(uint8_t *bytes, size_t at)
{
    uint64_t hash = hash_bytes(bytes, at, 0);
    memcpy(bytes + at, &hash, 8);
}

/* A shard of tokens of at least SHARD_HEADER_BYTES. */
static inline void mend_shard(uint8_t *bytes, size_t size)
{
    shard_header h;
    uint64_t n = size, hash;
    memcpy(bytes, "LITHESHD\1\0\0\0", 12);
    memcpy(bytes + 96, &n, 8);
    header_hash(bytes, 120);
    if (shard_header_read(&h, bytes, size, size, "fuzz", NULL)) return;
    size_t ends = (size_t)h.documents * 8;
    hash = hash_bytes(bytes + SHARD_HEADER_BYTES, ends, 0);
    memcpy(bytes + 56, &hash, 8);
    hash_to(bytes + 64, bytes + SHARD_HEADER_BYTES + ends, size - SHARD_HEADER_BYTES - ends);
    header_hash(bytes, 120);
}

/* A shard of images of at least IMAGE_SHARD_HEADER. */
static inline void mend_images(uint8_t *bytes, size_t size)
{
    memcpy(bytes, "LITHEIMG\1\0\0\0", 12);
    hash_to(bytes + 32, bytes + IMAGE_SHARD_HEADER, size - IMAGE_SHARD_HEADER);
    header_hash(bytes, 56);
}

#endif

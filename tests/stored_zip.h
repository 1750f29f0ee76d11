/* A zip of stored members in memory, for tests and fuzzing: the archive
 * around a pickle, laid out as torch.save does. */
#ifndef STORED_ZIP_H
#define STORED_ZIP_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { const char *name; const void *data; size_t size; } zip_part;
typedef struct { uint8_t *data; size_t size, capacity; } bytes;

static inline void put_bytes(bytes *b, const void *data, size_t n)
{
    if (b->size + n > b->capacity) {
        b->capacity = 2 * (b->size + n);
        b->data = realloc(b->data, b->capacity);
        if (!b->data) abort();
    }
    if (n) memcpy(b->data + b->size, data, n);
    b->size += n;
}

static inline void put_u16(bytes *b, unsigned x) { uint16_t v = (uint16_t)x; put_bytes(b, &v, sizeof v); }
static inline void put_u32(bytes *b, size_t x)   { uint32_t v = (uint32_t)x; put_bytes(b, &v, sizeof v); }
static inline void put_u64(bytes *b, size_t x)   { uint64_t v = (uint64_t)x; put_bytes(b, &v, sizeof v); }

static inline void put_local(bytes *b, const zip_part *p)
{
    put_bytes(b, "PK\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);          /* signature to CRC-32 */
    put_u32(b, p->size);
    put_u32(b, p->size);
    put_u16(b, (unsigned)strlen(p->name));
    put_u16(b, 0);
    put_bytes(b, p->name, strlen(p->name));
    put_bytes(b, p->data, p->size);
}

static inline void put_central(bytes *b, const zip_part *p, size_t offset, int zip64)
{
    put_bytes(b, "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    put_u32(b, zip64 ? UINT32_MAX : p->size);
    put_u32(b, zip64 ? UINT32_MAX : p->size);
    put_u16(b, (unsigned)strlen(p->name));
    put_u16(b, zip64 ? 28 : 0);
    put_bytes(b, "\0\0\0\0\0\0\0\0\0\0", 10);
    put_u32(b, zip64 ? UINT32_MAX : offset);
    put_bytes(b, p->name, strlen(p->name));
    if (!zip64) return;
    put_bytes(b, "\1\0\30\0", 4);
    put_u64(b, p->size);
    put_u64(b, p->size);
    put_u64(b, offset);
}

static inline void put_end(bytes *b, size_t count, size_t directory, int zip64)
{
    size_t length = b->size - directory, end = b->size;
    if (zip64) {
        put_bytes(b, "PK\6\6\54\0\0\0\0\0\0\0\36\3\55\0\0\0\0\0\0\0\0\0", 24);
        put_u64(b, count);
        put_u64(b, count);
        put_u64(b, length);
        put_u64(b, directory);
        put_bytes(b, "PK\6\7\0\0\0\0", 8);
        put_u64(b, end);
        put_u32(b, 1);
    }
    put_bytes(b, "PK\5\6\0\0\0\0", 8);
    put_u16(b, (unsigned)(zip64 ? UINT16_MAX : count));
    put_u16(b, (unsigned)(zip64 ? UINT16_MAX : count));
    put_u32(b, zip64 ? UINT32_MAX : length);
    put_u32(b, zip64 ? UINT32_MAX : directory);
    put_u16(b, 0);
}

/* At most 16 parts; free(result.data). */
static inline bytes stored_zip(const zip_part *parts, size_t count, int zip64)
{
    bytes b = { 0 };
    size_t offset[16];
    for (size_t i = 0; i < count; i++) {
        offset[i] = b.size;
        put_local(&b, &parts[i]);
    }
    size_t directory = b.size;
    for (size_t i = 0; i < count; i++) put_central(&b, &parts[i], offset[i], zip64);
    put_end(&b, count, directory, zip64);
    return b;
}

#endif

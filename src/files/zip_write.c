/* Writes zip archives (PKWARE APPNOTE 6.3) with members stored as torch.save lays them out: data on
 * 64-byte boundaries, by padding in an extra field "FB"; sizes and
 * places beyond 32 bits in zip64 records, and only there.
 * Invariant: what is written, zip.c reads; the same members give the same bytes. */
#include "files/zip.h"
#include "base/arena.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ALIGNMENT = 64, LOCAL_BYTES = 30, NO_LIMIT = 45, UTF8 = 1 << 11 };

static void put(FILE *out, const void *data, size_t n) { if (n) fwrite(data, 1, n, out); }
static void put_u16(FILE *out, unsigned x) { put(out, (uint8_t[]){ (uint8_t)x, (uint8_t)(x >> 8) }, 2); }
static void put_u32(FILE *out, uint64_t x) { put_u16(out, (unsigned)x & 0xffff), put_u16(out, (unsigned)(x >> 16) & 0xffff); }
static void put_u64(FILE *out, uint64_t x) { put_u32(out, x & UINT32_MAX), put_u32(out, x >> 32); }
static bool large(uint64_t x) { return x >= UINT32_MAX; }
static uint64_t capped(uint64_t x) { return large(x) ? UINT32_MAX : x; }

/* Version, flags, method, time and date, checksum, both sizes. */
static void put_kind(FILE *out, const zip_entry *e)
{
    put_u16(out, large(e->size) || large(e->offset) ? NO_LIMIT : 0);
    put_u16(out, UTF8);
    put_u16(out, 0);
    put_u32(out, 0);
    put_u32(out, e->checksum);
    put_u32(out, capped(e->size));
    put_u32(out, capped(e->size));
    put_u16(out, (unsigned)strlen(e->name));
}

void zip_put(zip_writer *z, const char *name, const void *data, size_t size)
{
    if (z->count == z->capacity) { z->failed = true; return; }
    zip_entry *e = &z->entries[z->count++];
    *e = (zip_entry){ .name = name, .size = size, .offset = z->at, .checksum = (uint32_t)crc32_z(0, data, size) };
    size_t wide = large(size) ? 20 : 0, head = LOCAL_BYTES + strlen(name) + wide + 4;
    size_t padding = (ALIGNMENT - (z->at + head) % ALIGNMENT) % ALIGNMENT;
    put(z->out, "PK\3\4", 4);
    put_kind(z->out, e);
    put_u16(z->out, (unsigned)(wide + 4 + padding));
    put(z->out, name, strlen(name));
    if (wide) put_u16(z->out, 1), put_u16(z->out, 16), put_u64(z->out, size), put_u64(z->out, size);
    put(z->out, "FB", 2);
    put_u16(z->out, (unsigned)padding);
    for (size_t i = 0; i < padding; i++) put(z->out, "Z", 1);
    put(z->out, data, size);
    z->at += head + padding + size;
}

/* In the directory the extra field has only the values that do not fit, in this order. */
static size_t put_central(FILE *out, const zip_entry *e)
{
    unsigned wide = (large(e->size) ? 16u : 0u) + (large(e->offset) ? 8u : 0u), extra = wide ? wide + 4 : 0;
    put(out, "PK\1\2\0", 6);
    put_kind(out, e);
    put_u16(out, extra);
    put(out, (const char[10]){ 0 }, 10);
    put_u32(out, capped(e->offset));
    put(out, e->name, strlen(e->name));
    if (extra) put_u16(out, 1), put_u16(out, wide);
    if (large(e->size)) put_u64(out, e->size), put_u64(out, e->size);
    if (large(e->offset)) put_u64(out, e->offset);
    return 46 + strlen(e->name) + extra;
}

static void put_end64(FILE *out, size_t count, uint64_t bytes, uint64_t offset)
{
    put(out, "PK\6\6", 4);
    put_u64(out, 44);
    put_u16(out, NO_LIMIT), put_u16(out, NO_LIMIT);
    put_u32(out, 0), put_u32(out, 0);
    put_u64(out, count), put_u64(out, count);
    put_u64(out, bytes), put_u64(out, offset);
    put(out, "PK\6\7", 4);
    put_u32(out, 0);
    put_u64(out, offset + bytes);
    put_u32(out, 1);
}

int zip_finish(zip_writer *z, const char *what, lithe_error *err)
{
    uint64_t offset = z->at, bytes = 0;
    for (size_t i = 0; i < z->count; i++) bytes += put_central(z->out, &z->entries[i]);
    bool wide = z->count >= UINT16_MAX || large(offset) || large(bytes);
    if (wide) put_end64(z->out, z->count, bytes, offset);
    unsigned count = z->count >= UINT16_MAX ? UINT16_MAX : (unsigned)z->count;
    put(z->out, "PK\5\6\0\0\0", 8);
    put_u16(z->out, count), put_u16(z->out, count);
    put_u32(z->out, capped(bytes)), put_u32(z->out, capped(offset));
    put_u16(z->out, 0);
    return z->failed ? fail(err, LITHE_EINVAL, "%s: more members than the zip was made for, %zu", what, z->capacity) : LITHE_OK;
}

/* Reads zip archives (PKWARE APPNOTE 6.3, with zip64) with stored members only, so that a member
 * is a range of the file and nothing can unpack to more than the size of the file.
 *   local header, name, extra, data  ...  central directory  [zip64 end, locator]  end
 * The local headers must agree with the central directory.
 * Invariant: after zip_open, members lie inside the file in front of the
 * directory, none overlaps another, and no name occurs twice. */
#include "files/zip.h"
#include "base/arena.h"
#include "files/tensor_formats.h"
#include <stdlib.h>

enum { LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, END64_BYTES = 56, LOCATOR_BYTES = 20, MAX_COMMENT = 65535 };
enum { LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50, LOCATOR = 0x07064b50 };
enum { ENCRYPTED = 1 | 1 << 6 | 1 << 13, SIZES_FOLLOW = 1 << 3 };

typedef struct { const char *what; const uint8_t *data; size_t size; lithe_error *err; } source;
typedef struct { uint64_t count, bytes, offset; size_t end; } directory;         /* end: no later than here */

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_names(const void *a, const void *b)
{
    const zip_member *x = a, *y = b;
    return compare_bytes(x->name, x->length, y->name, y->length);
}

static int compare_places(const void *a, const void *b)
{
    const zip_member *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* ---- the end of the file ----------------------------------------------------------- */

static int find_end(const source *s, size_t *end)
{
    size_t last = s->size < END_BYTES ? 0 : s->size - END_BYTES;
    size_t first = last > MAX_COMMENT ? last - MAX_COMMENT : 0;
    for (size_t at = last + 1; s->size >= END_BYTES && at-- > first;)
        if (read_u32(s->data + at) == END && at + END_BYTES + read_u16(s->data + at + 20) == s->size) {
            *end = at;
            return LITHE_OK;
        }
    return fail(s->err, LITHE_EFORMAT, "%s: a zip without its end record in %zu bytes: the file is cut off", s->what, s->size);
}

static int read_end64(const source *s, size_t end, directory *d)
{
    uint64_t at = read_u64(s->data + end - LOCATOR_BYTES + 8);
    if (at > end - LOCATOR_BYTES || end - LOCATOR_BYTES - at < END64_BYTES || read_u32(s->data + at) != END64)
        return fail(s->err, LITHE_EFORMAT, "%s: the zip64 end record is not at byte %llu of %zu", s->what, (unsigned long long)at, s->size);
    const uint8_t *p = s->data + at;
    if (read_u32(p + 16) || read_u32(p + 20) || read_u64(p + 24) != read_u64(p + 32))
        return fail(s->err, LITHE_EFORMAT, "%s: is one part of a zip split over several files", s->what);
    *d = (directory){ .count = read_u64(p + 32), .bytes = read_u64(p + 40), .offset = read_u64(p + 48), .end = (size_t)at };
    p = s->data + end;
    if ((read_u16(p + 10) != UINT16_MAX && read_u16(p + 10) != d->count) || (read_u32(p + 12) != UINT32_MAX && read_u32(p + 12) != d->bytes) ||
        (read_u32(p + 16) != UINT32_MAX && read_u32(p + 16) != d->offset))
        return fail(s->err, LITHE_EFORMAT, "%s: the zip's two end records, at %llu and %zu, disagree", s->what, (unsigned long long)at, end);
    return LITHE_OK;
}

static int find_directory(const source *s, directory *d)
{
    size_t end = 0;
    int status = find_end(s, &end);
    if (status) return status;
    const uint8_t *p = s->data + end;
    if (end >= LOCATOR_BYTES && read_u32(p - LOCATOR_BYTES) == LOCATOR) status = read_end64(s, end, d);
    else if (read_u16(p + 4) || read_u16(p + 6) || read_u16(p + 8) != read_u16(p + 10))
        status = fail(s->err, LITHE_EFORMAT, "%s: is one part of a zip split over several files", s->what);
    else *d = (directory){ .count = read_u16(p + 10), .bytes = read_u32(p + 12), .offset = read_u32(p + 16), .end = end };
    if (status) return status;
    if (d->offset > d->end || d->bytes > d->end - d->offset)
        return fail(s->err, LITHE_EFORMAT, "%s: the zip directory of %llu bytes at %llu does not fit in front of its end record at %zu",
                    s->what, (unsigned long long)d->bytes, (unsigned long long)d->offset, d->end);
    if (d->count > MAX_TENSORS || d->count > d->bytes / CENTRAL_BYTES)
        return fail(s->err, LITHE_EFORMAT, "%s: %llu members in a zip directory of %llu bytes", s->what, (unsigned long long)d->count, (unsigned long long)d->bytes);
    return LITHE_OK;
}

/* ---- one member ---------------------------------------------------------------------- */

/* 32-bit fields that hold all ones are in the extra field 1, in this order. */
static bool read_extra64(const uint8_t *extra, size_t length, uint64_t *const field[3])
{
    while (length >= 4) {
        size_t id = read_u16(extra), bytes = read_u16(extra + 2);
        extra += 4;
        length -= 4;
        if (bytes > length) return false;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*field[i] != UINT32_MAX) continue;
            if (bytes < 8) return false;
            *field[i] = read_u64(extra);
            extra += 8;
            length -= 8;
            bytes -= 8;
        }
        extra += bytes;
        length -= bytes;
    }
    return true;
}

static int check_kind(const source *s, const zip_member *m, unsigned flags, unsigned method)
{
    int length = (int)(m->length < 100 ? m->length : 100);
    if (flags & ENCRYPTED) return fail(s->err, LITHE_EFORMAT, "%s: the member %.*s is encrypted", s->what, length, m->name);
    if (method) return fail(s->err, LITHE_EFORMAT, "%s: the member %.*s is compressed (method %u); torch.save stores: unzip it and pack it again with zip -0 -r",
                            s->what, length, m->name, method);
    return LITHE_OK;
}

/* The local header must agree with the directory, and its data come before the directory. */
static int place_member(const source *s, const directory *d, zip_member *m)
{
    int shown = (int)(m->length < 100 ? m->length : 100);
    if (m->offset > d->offset || d->offset - m->offset < LOCAL_BYTES || read_u32(s->data + m->offset) != LOCAL)
        return fail(s->err, LITHE_EFORMAT, "%s: the member %.*s has no header at byte %zu", s->what, shown, m->name, m->offset);
    const uint8_t *p = s->data + m->offset;
    size_t room = d->offset - m->offset - LOCAL_BYTES, length = read_u16(p + 26), skip = length + read_u16(p + 28);
    if (skip > room || m->size > room - skip)
        return fail(s->err, LITHE_EFORMAT, "%s: the member %.*s of %zu bytes at %zu reaches into the directory at %llu",
                    s->what, shown, m->name, m->size, m->offset, (unsigned long long)d->offset);
    if (length != m->length || memcmp(p + LOCAL_BYTES, m->name, length))
        return fail(s->err, LITHE_EFORMAT, "%s: the member %.*s has another name in its header", s->what, shown, m->name);
    unsigned flags = read_u16(p + 6);
    if (!(flags & SIZES_FOLLOW) && read_u32(p + 22) != UINT32_MAX && read_u32(p + 22) != m->size)
        return fail(s->err, LITHE_EFORMAT, "%s: the member %.*s has %zu bytes in the directory, %u in its header",
                    s->what, shown, m->name, m->size, (unsigned)read_u32(p + 22));
    m->data = p + LOCAL_BYTES + skip;
    return check_kind(s, m, flags, read_u16(p + 8));
}

static int read_member(const source *s, const directory *d, size_t *at, zip_member *m)
{
    const uint8_t *p = s->data + *at;
    size_t room = (size_t)(d->offset + d->bytes) - *at;
    size_t name = room < CENTRAL_BYTES ? 0 : read_u16(p + 28), extra = room < CENTRAL_BYTES ? 0 : read_u16(p + 30);
    size_t total = CENTRAL_BYTES + name + extra + (room < CENTRAL_BYTES ? 0 : read_u16(p + 32));
    if (total > room || read_u32(p) != CENTRAL)
        return fail(s->err, LITHE_EFORMAT, "%s: the zip directory is damaged at byte %zu", s->what, *at);
    uint64_t packed = read_u32(p + 20), size = read_u32(p + 24), offset = read_u32(p + 42);
    *m = (zip_member){ .name = (const char *)p + CENTRAL_BYTES, .length = name };
    int status = check_kind(s, m, read_u16(p + 8), read_u16(p + 10));
    if (status) return status;
    if (!read_extra64(p + CENTRAL_BYTES + name, extra, (uint64_t *const[]){ &size, &packed, &offset }) || packed != size)
        return fail(s->err, LITHE_EFORMAT, "%s: the zip directory has sizes %llu and %llu for a stored member at byte %zu",
                    s->what, (unsigned long long)packed, (unsigned long long)size, *at);
    m->size = size;
    m->offset = offset;
    *at += total;
    return place_member(s, d, m);
}

/* ---- all members --------------------------------------------------------------------- */

static int check_members(const source *s, zip *z)
{
    qsort(z->members, z->count, sizeof *z->members, compare_places);
    for (size_t i = 1; i < z->count; i++) {
        const zip_member *m = &z->members[i - 1], *next = m + 1;
        if ((size_t)(m->data - s->data) + m->size > next->offset)
            return fail(s->err, LITHE_EFORMAT, "%s: zip members overlap: %.*s at %zu reaches into %.*s at %zu", s->what,
                        (int)(m->length < 100 ? m->length : 100), m->name, m->offset,
                        (int)(next->length < 100 ? next->length : 100), next->name, next->offset);
    }
    qsort(z->members, z->count, sizeof *z->members, compare_names);
    for (size_t i = 1; i < z->count; i++)
        if (!compare_names(&z->members[i - 1], &z->members[i]))
            return fail(s->err, LITHE_EFORMAT, "%s: two zip members are named %.*s", s->what,
                        (int)(z->members[i].length < 100 ? z->members[i].length : 100), z->members[i].name);
    return LITHE_OK;
}

int zip_open(zip *z, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    const source s = { .what = what, .data = data, .size = size, .err = err };
    directory d = { 0 };
    *z = (zip){ 0 };
    int status = find_directory(&s, &d);
    if (status) return status;
    z->count = (size_t)d.count;
    z->members = xalloc(z->count, sizeof *z->members);
    if (!z->members) return fail(err, LITHE_ENOMEM, "%s: no memory for %zu zip members", what, z->count);
    size_t at = (size_t)d.offset;
    for (size_t i = 0; i < z->count && !status; i++) status = read_member(&s, &d, &at, &z->members[i]);
    if (!status && at != d.offset + d.bytes)
        status = fail(err, LITHE_EFORMAT, "%s: the zip directory has %llu bytes, its %zu members take %zu", what,
                      (unsigned long long)d.bytes, z->count, at - (size_t)d.offset);
    if (!status) status = check_members(&s, z);
    if (status) zip_close(z);
    return status;
}

void zip_close(zip *z)
{
    free(z->members);
    *z = (zip){ 0 };
}

const zip_member *zip_find(const zip *z, const char *name, size_t length)
{
    const zip_member key = { .name = name, .length = length };
    return z->count ? bsearch(&key, z->members, z->count, sizeof *z->members, compare_names) : NULL;
}

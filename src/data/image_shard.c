/* Reading and writing image shards (docs/image-shards.md).  Invariant: an open
 * shard holds what its header says, and its every label is below its classes,
 * so nobody after image_shard_open checks. */
#include "data/image_shard.h"
#include "base/writer.h"
#include "base/arena.h"
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char MAGIC[8] = "LITHEIMG";
enum { AT_VERSION = 8, AT_SIDE = 12, AT_CHANNELS = 16, AT_CLASSES = 20, AT_COUNT = 24, AT_HASH = 32, AT_ZERO = 48, AT_HEADER_HASH = 56 };
enum { LABEL_BYTES = 4, SIDE_MOST = 4096, CLASSES_MOST = 1 << 16 };

/* ---- reading ------------------------------------------------------------------------ */

static int read_header(image_shard *s, const char *path, lithe_error *err)
{
    const uint8_t *h = s->map.data;
    size_t size = s->map.size, each;
    if (size < IMAGE_SHARD_HEADER || memcmp(h, MAGIC, sizeof MAGIC)) return fail(err, LITHE_EFORMAT, "%s: is not an image shard", path);
    if (load_bytes(h + AT_VERSION, 4) != IMAGE_SHARD_VERSION)
        return fail(err, LITHE_EFORMAT, "%s: image shard version %llu, this program reads %d", path, (unsigned long long)load_bytes(h + AT_VERSION, 4), IMAGE_SHARD_VERSION);
    if (load_bytes(h + AT_HEADER_HASH, 8) != hash_bytes(h, AT_HEADER_HASH, 0)) return fail(err, LITHE_EFORMAT, "%s: damaged header", path);
    uint64_t side = load_bytes(h + AT_SIDE, 4), channels = load_bytes(h + AT_CHANNELS, 4), classes = load_bytes(h + AT_CLASSES, 4);
    if (side < 1 || side > SIDE_MOST || (channels != 1 && channels != 3) || classes < 1 || classes > CLASSES_MOST)
        return fail(err, LITHE_EFORMAT, "%s: images of %llu pixels a side, %llu channels, %llu classes", path, (unsigned long long)side,
                    (unsigned long long)channels, (unsigned long long)classes);
    s->count = load_bytes(h + AT_COUNT, 8);
    s->side = (int)side;
    s->channels = (int)channels;
    s->classes = (int)classes;
    each = image_shard_samples(s) + LABEL_BYTES;
    if (s->count > (size - IMAGE_SHARD_HEADER) / each || s->count * each != size - IMAGE_SHARD_HEADER)
        return fail(err, LITHE_EFORMAT, "%s: is %zu bytes, its header speaks of %llu images of %zu", path, size, (unsigned long long)s->count, each);
    return LITHE_OK;
}

static int check_contents(image_shard *s, const char *path, lithe_error *err)
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(s->map.data + IMAGE_SHARD_HEADER, s->map.size - IMAGE_SHARD_HEADER));
    if (memcmp(c.digest, s->map.data + AT_HASH, 16)) return fail(err, LITHE_EFORMAT, "%s: damaged: its contents are not what was written", path);
    for (int i = 0; i < 16; i++) snprintf(s->hash + 2 * i, 3, "%02x", c.digest[i]);
    for (uint64_t i = 0; i < s->count; i++)
        if (load_bytes(s->map.data + IMAGE_SHARD_HEADER + i * LABEL_BYTES, LABEL_BYTES) >= (uint64_t)s->classes)
            return fail(err, LITHE_EFORMAT, "%s: image %llu has a label beyond the %d classes", path, (unsigned long long)i, s->classes);
    return LITHE_OK;
}

int image_shard_open(image_shard *s, const char *path, lithe_error *err)
{
    *s = (image_shard){ 0 };
    int status = failed(err) ? (int)err->status : file_map(&s->map, path, err);
    if (status) return status;
    status = read_header(s, path, err);
    if (!status) status = check_contents(s, path, err);
    if (status) image_shard_close(s);
    return status;
}

void image_shard_close(image_shard *s)
{
    if (s->map.data) file_unmap(&s->map);
    *s = (image_shard){ 0 };
}

/* The file may have been overwritten since it was checked (base/mapped_file.h). */
int image_shard_label(const image_shard *s, uint64_t i)
{
    uint64_t label = load_bytes(s->map.data + IMAGE_SHARD_HEADER + i * LABEL_BYTES, LABEL_BYTES);
    return label < (uint64_t)s->classes ? (int)label : 0;
}

const uint8_t *image_shard_pixels(const image_shard *s, uint64_t i)
{
    return s->map.data + IMAGE_SHARD_HEADER + s->count * LABEL_BYTES + i * image_shard_samples(s);
}

/* ---- writing ------------------------------------------------------------------------- */

static int put(image_shard_writer *w, const uint8_t *bytes, size_t n, lithe_error *err)
{
    XXH3_128bits_update(w->hash, bytes, n);
    return fwrite(bytes, 1, n, w->file.stream) == n ? LITHE_OK : fail_errno(err, w->file.path, "write");
}

int image_shard_create(image_shard_writer *w, const char *path, uint64_t count, int side, int channels, int classes, const uint32_t *labels, lithe_error *err)
{
    static const uint8_t empty[IMAGE_SHARD_HEADER];
    *w = (image_shard_writer){ .shard = { .count = count, .side = side, .channels = channels, .classes = classes } };
    if (failed(err)) return err->status;
    int status = writer_open(&w->file, path, err);
    if (status) return status;
    w->hash = XXH3_createState();
    if (!w->hash) status = fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    else XXH3_128bits_reset(w->hash);
    if (!status && fwrite(empty, 1, sizeof empty, w->file.stream) != sizeof empty) status = fail_errno(err, path, "write");
    for (uint64_t i = 0; i < count && !status; i++) {
        uint8_t label[LABEL_BYTES];
        store_bytes(label, LABEL_BYTES, labels[i]);
        status = put(w, label, sizeof label, err);
    }
    if (status) image_shard_abandon(w);
    return status;
}

int image_shard_put(image_shard_writer *w, const uint8_t *pixels, lithe_error *err)
{
    w->written++;
    return put(w, pixels, image_shard_samples(&w->shard), err);
}

int image_shard_commit(image_shard_writer *w, lithe_error *err)
{
    uint8_t h[IMAGE_SHARD_HEADER] = { 0 };
    XXH128_canonical_t c;
    int status = LITHE_OK;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(w->hash));
    memcpy(h, MAGIC, sizeof MAGIC);
    store_bytes(h + AT_VERSION, 4, IMAGE_SHARD_VERSION);
    store_bytes(h + AT_SIDE, 4, (uint64_t)w->shard.side);
    store_bytes(h + AT_CHANNELS, 4, (uint64_t)w->shard.channels);
    store_bytes(h + AT_CLASSES, 4, (uint64_t)w->shard.classes);
    store_bytes(h + AT_COUNT, 8, w->shard.count);
    memcpy(h + AT_HASH, c.digest, 16);
    store_bytes(h + AT_HEADER_HASH, 8, hash_bytes(h, AT_HEADER_HASH, 0));
    if (w->written != w->shard.count) status = fail(err, LITHE_EINVAL, "%s: %llu images of %llu", w->file.path, (unsigned long long)w->written, (unsigned long long)w->shard.count);
    else if (fseek(w->file.stream, 0, SEEK_SET) || fwrite(h, 1, sizeof h, w->file.stream) != sizeof h) status = fail_errno(err, w->file.path, "write");
    if (status) {
        image_shard_abandon(w);
        return status;
    }
    XXH3_freeState(w->hash);
    w->hash = NULL;
    return writer_commit(&w->file, err);
}

void image_shard_abandon(image_shard_writer *w)
{
    if (w->hash) XXH3_freeState(w->hash);
    w->hash = NULL;
    writer_abandon(&w->file);
}

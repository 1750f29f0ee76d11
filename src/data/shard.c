/* Reading and writing shards (docs/shards.md).  Invariant: an open shard's every
 * id is below vocab and its ends ascend, so nobody after shard_open checks. */
#include "data/shard.h"
#include "base/writer.h"
#include "base/arena.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char MAGIC[8] = "LITHESHD";
enum { AT_VERSION = 8, AT_WIDTH = 12, AT_TOKENS = 16, AT_DOCUMENTS = 24, AT_TEXT_BYTES = 32, AT_VOCAB = 40, AT_OPEN = 44, AT_CLOSE = 48,
       AT_ZERO = 52, AT_ENDS_HASH = 56, AT_IDS_HASH = 64, AT_TOKENIZER = 80, AT_FILE_BYTES = 96, AT_MORE_ZERO = 104, AT_HEADER_HASH = 120 };
enum { BLOCK_BYTES = 1 << 16 };

static int32_t load_id(const uint8_t *p) { return (int32_t)(uint32_t)load_bytes(p, 4); }

/* ---- header --------------------------------------------------------------------- */

/* Bytes of a file with this header; false on overflow. */
static bool file_bytes_of(const shard_header *h, uint64_t *bytes)
{
    uint64_t ends, ids;
    return !__builtin_mul_overflow(h->documents, (uint64_t)8, &ends) && !__builtin_mul_overflow(h->tokens, (uint64_t)h->width, &ids)
        && !__builtin_add_overflow(ends, ids, &ids) && !__builtin_add_overflow(ids, (uint64_t)SHARD_HEADER_BYTES, bytes);
}

static bool is_delimiter(int32_t id, int32_t vocab) { return id >= -1 && id < vocab; }

int shard_header_read(shard_header *h, const uint8_t *bytes, size_t available, uint64_t file_bytes, const char *name, lithe_error *err)
{
    uint64_t expected, version = available < 12 ? 0 : load_bytes(bytes + AT_VERSION, 4);
    *h = (shard_header){ 0 };
    if (failed(err)) return err->status;
    if (available < sizeof MAGIC || memcmp(bytes, MAGIC, sizeof MAGIC)) return fail(err, LITHE_EFORMAT, "%s: is not a token shard", name);
    if (available < SHARD_HEADER_BYTES) return fail(err, LITHE_EFORMAT, "%s: is cut off, %zu bytes of a header of %d", name, available, SHARD_HEADER_BYTES);
    if (version != SHARD_VERSION) return fail(err, LITHE_EFORMAT, "%s: shard version %llu, this program reads %d", name, (unsigned long long)version, SHARD_VERSION);
    if (load_bytes(bytes + AT_HEADER_HASH, 8) != hash_bytes(bytes, AT_HEADER_HASH, 0)) return fail(err, LITHE_EFORMAT, "%s: damaged shard header", name);
    uint64_t width = load_bytes(bytes + AT_WIDTH, 4), vocab = load_bytes(bytes + AT_VOCAB, 4);
    h->tokens = load_bytes(bytes + AT_TOKENS, 8);
    h->documents = load_bytes(bytes + AT_DOCUMENTS, 8);
    h->text_bytes = load_bytes(bytes + AT_TEXT_BYTES, 8);
    h->open_id = load_id(bytes + AT_OPEN);
    h->close_id = load_id(bytes + AT_CLOSE);
    h->ends_hash = load_bytes(bytes + AT_ENDS_HASH, 8);
    memcpy(h->ids_hash, bytes + AT_IDS_HASH, 16);
    memcpy(h->tokenizer, bytes + AT_TOKENIZER, 16);
    if ((width != 2 && width != 4) || vocab < 1 || vocab > INT32_MAX || (width == 2 && vocab > 65536))
        return fail(err, LITHE_EFORMAT, "%s: ids of %llu bytes for a vocabulary of %llu", name, (unsigned long long)width, (unsigned long long)vocab);
    h->width = (int)width;
    h->vocab = (int32_t)vocab;
    if (!is_delimiter(h->open_id, h->vocab) || !is_delimiter(h->close_id, h->vocab) || (h->open_id < 0 && h->close_id >= 0))
        return fail(err, LITHE_EFORMAT, "%s: documents delimited by ids %d and %d in a vocabulary of %d", name, h->open_id, h->close_id, h->vocab);
    if (!file_bytes_of(h, &expected) || expected != load_bytes(bytes + AT_FILE_BYTES, 8) || expected != file_bytes)
        return fail(err, LITHE_EFORMAT, "%s: is %llu bytes, its header speaks of %llu (%llu tokens, %llu documents)", name,
                    (unsigned long long)file_bytes, (unsigned long long)load_bytes(bytes + AT_FILE_BYTES, 8),
                    (unsigned long long)h->tokens, (unsigned long long)h->documents);
    return LITHE_OK;
}

static void header_write(const shard_header *h, uint8_t bytes[SHARD_HEADER_BYTES])
{
    uint64_t file_bytes = 0;
    file_bytes_of(h, &file_bytes);
    memset(bytes, 0, SHARD_HEADER_BYTES);
    memcpy(bytes, MAGIC, sizeof MAGIC);
    store_bytes(bytes + AT_VERSION, 4, SHARD_VERSION);
    store_bytes(bytes + AT_WIDTH, 4, (uint64_t)h->width);
    store_bytes(bytes + AT_TOKENS, 8, h->tokens);
    store_bytes(bytes + AT_DOCUMENTS, 8, h->documents);
    store_bytes(bytes + AT_TEXT_BYTES, 8, h->text_bytes);
    store_bytes(bytes + AT_VOCAB, 4, (uint64_t)h->vocab);
    store_bytes(bytes + AT_OPEN, 4, (uint32_t)h->open_id);
    store_bytes(bytes + AT_CLOSE, 4, (uint32_t)h->close_id);
    store_bytes(bytes + AT_ENDS_HASH, 8, h->ends_hash);
    memcpy(bytes + AT_IDS_HASH, h->ids_hash, 16);
    memcpy(bytes + AT_TOKENIZER, h->tokenizer, 16);
    store_bytes(bytes + AT_FILE_BYTES, 8, file_bytes);
    store_bytes(bytes + AT_HEADER_HASH, 8, hash_bytes(bytes, AT_HEADER_HASH, 0));
}

/* ---- reading -------------------------------------------------------------------- */

/* What is read later than shard_open is held within bounds: the file may have been overwritten (base/mapped_file.h). */
uint64_t shard_document_end(const shard *s, uint64_t k)
{
    uint64_t end = load_bytes(s->ends + 8 * k, 8);
    return end < s->header.tokens ? end : s->header.tokens;
}

stretch shard_document(const shard *s, uint64_t k)
{
    uint64_t first = k ? shard_document_end(s, k - 1) : 0, end = shard_document_end(s, k);
    if (s->header.open_id >= 0 && first < end) first++;
    if (s->header.close_id >= 0 && first < end) end--;
    return (stretch){ first, end < first ? first : end };
}

/* They may be beyond the vocabulary. */
static void stored_ids(const shard *s, uint64_t first, size_t n, int32_t *ids)
{
    const uint8_t *p = s->ids + first * (uint64_t)s->header.width;
    for (size_t i = 0; i < n && s->header.width == 2; i++) {
        uint16_t x;
        memcpy(&x, p + 2 * i, sizeof x);
        ids[i] = le16toh(x);
    }
    for (size_t i = 0; i < n && s->header.width == 4; i++) {
        uint32_t x;
        memcpy(&x, p + 4 * i, sizeof x);
        ids[i] = (int32_t)le32toh(x);
    }
}

void shard_ids(const shard *s, uint64_t first, size_t n, int32_t *ids)
{
    bool within = first <= s->header.tokens && n <= s->header.tokens - first;
    if (within) stored_ids(s, first, n, ids);
    for (size_t i = 0; i < n; i++) if (!within || (uint32_t)ids[i] >= (uint32_t)s->header.vocab) ids[i] = 0;
}

size_t shard_read(const shard *s, stretch d, int32_t *ids)
{
    size_t n = (size_t)(d.end - d.first);
    shard_ids(s, d.first, n, ids);
    return n;
}

uint64_t shard_documents_before(const shard *s, uint64_t i)
{
    uint64_t low = 0, high = s->header.documents;           /* ends below low are <= i, from high on above it */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (shard_document_end(s, middle) <= i) low = middle + 1;
        else high = middle;
    }
    return low;
}

void shard_identity(const shard *s, char hex[33])
{
    for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", s->header.ids_hash[i]);
}

static void canonical_hash(const void *data, size_t size, uint8_t hash[16])
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(data, size));
    memcpy(hash, c.digest, 16);
}

static int check_ends(const shard *s, const char *path, lithe_error *err)
{
    const shard_header *h = &s->header;
    bool closing = h->open_id >= 0 && h->close_id < 0;      /* one more open_id after the last document */
    uint64_t before = 0;
    if (h->ends_hash != hash_bytes(s->ends, (size_t)(8 * h->documents), 0)) return fail(err, LITHE_EFORMAT, "%s: damaged, the document ends have another hash", path);
    for (uint64_t k = 0; k < h->documents; k++) {
        uint64_t end = shard_document_end(s, k);
        if (end < before || end > h->tokens)
            return fail(err, LITHE_EFORMAT, "%s: document %llu ends at token %llu after %llu, of %llu", path, (unsigned long long)k,
                        (unsigned long long)end, (unsigned long long)before, (unsigned long long)h->tokens);
        before = end;
    }
    if (h->documents && closing) before++;
    if (before != h->tokens)
        return fail(err, LITHE_EFORMAT, "%s: the documents end at token %llu of %llu", path, (unsigned long long)before, (unsigned long long)h->tokens);
    return LITHE_OK;
}

static int check_ids(const shard *s, const char *path, lithe_error *err)
{
    const shard_header *h = &s->header;
    int32_t ids[1024];
    uint8_t hash[16];
    canonical_hash(s->ids, (size_t)(h->tokens * (uint64_t)h->width), hash);
    if (memcmp(hash, h->ids_hash, 16)) return fail(err, LITHE_EFORMAT, "%s: damaged, the ids have another hash", path);
    for (uint64_t first = 0; first < h->tokens; first += 1024) {
        size_t n = h->tokens - first < 1024 ? (size_t)(h->tokens - first) : 1024;
        uint32_t largest = 0;
        stored_ids(s, first, n, ids);
        for (size_t i = 0; i < n; i++) if ((uint32_t)ids[i] > largest) largest = (uint32_t)ids[i];
        if (largest >= (uint32_t)h->vocab) return fail(err, LITHE_EFORMAT, "%s: holds id %u, its vocabulary is %d", path, largest, h->vocab);
    }
    return LITHE_OK;
}

int shard_open(shard *s, const char *path, lithe_error *err)
{
    *s = (shard){ 0 };
    int status = file_map(&s->map, path, err);
    if (!status) status = shard_header_read(&s->header, s->map.data, s->map.size, s->map.size, path, err);
    if (!status) {
        s->ends = s->map.data + SHARD_HEADER_BYTES;
        s->ids = s->ends + 8 * s->header.documents;
        status = check_ends(s, path, err);
    }
    if (!status) status = check_ids(s, path, err);
    if (status) shard_close(s);
    return status;
}

void shard_close(shard *s)
{
    if (s->map.data) file_unmap(&s->map);
    *s = (shard){ 0 };
}

/* ---- writing -------------------------------------------------------------------- */

int shard_create(shard_writer *w, const char *path, const shard_header *h, lithe_error *err)
{
    static const uint8_t zeros[4096];
    *w = (shard_writer){ .header = *h };
    if (failed(err)) return err->status;
    w->header.width = h->vocab <= 65536 ? 2 : 4;
    w->header.tokens = w->header.text_bytes = 0;
    w->ends = xalloc(h->documents, sizeof *w->ends);
    w->block = xalloc(BLOCK_BYTES, 1);
    w->hash = XXH3_createState();
    int status = w->ends && w->block && w->hash ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory for %llu documents", path, (unsigned long long)h->documents);
    if (!status) status = writer_open(&w->file, path, err);
    if (!status) XXH3_128bits_reset(w->hash);
    /* room for what shard_commit writes */
    for (uint64_t left = SHARD_HEADER_BYTES + 8 * h->documents; !status && left;) {
        size_t n = left < sizeof zeros ? (size_t)left : sizeof zeros;
        if (fwrite(zeros, 1, n, w->file.stream) != n) status = fail_errno(err, path, "write");
        left -= n;
    }
    if (status) shard_abandon(w);
    return status;
}

static int flush_block(shard_writer *w, lithe_error *err)
{
    XXH3_128bits_update(w->hash, w->block, w->blocked);
    if (fwrite(w->block, 1, w->blocked, w->file.stream) != w->blocked) return fail_errno(err, w->file.path, "write");
    w->blocked = 0;
    return LITHE_OK;
}

static int put_id(shard_writer *w, int32_t id, lithe_error *err)
{
    shard_header *h = &w->header;
    if (id < 0 || id >= h->vocab) return fail(err, LITHE_EINVAL, "%s: the tokenizer gave id %d, its vocabulary is %d", w->file.path, id, h->vocab);
    store_bytes(w->block + w->blocked, h->width, (uint32_t)id);
    w->blocked += (size_t)h->width;
    h->tokens++;
    return w->blocked == BLOCK_BYTES ? flush_block(w, err) : LITHE_OK;
}

int shard_put(shard_writer *w, const int32_t *ids, size_t n, size_t text_bytes, bool last, lithe_error *err)
{
    shard_header *h = &w->header;
    bool first = h->tokens == (w->ended ? w->ends[w->ended - 1] : 0);
    int status = failed(err) ? (int)err->status : LITHE_OK;
    if (!status && w->ended == h->documents) status = fail(err, LITHE_EINVAL, "%s: more than the %llu documents announced", w->file.path, (unsigned long long)h->documents);
    if (!status && first && h->open_id >= 0) status = put_id(w, h->open_id, err);
    for (size_t i = 0; i < n && !status; i++) status = put_id(w, ids[i], err);
    if (!status && last && h->close_id >= 0) status = put_id(w, h->close_id, err);
    h->text_bytes += text_bytes;
    if (last && !status) w->ends[w->ended++] = h->tokens;
    return status;
}

/* The header and the ends go where shard_create left room. */
static int write_front(shard_writer *w, lithe_error *err)
{
    shard_header *h = &w->header;
    uint8_t bytes[SHARD_HEADER_BYTES];
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(w->hash));
    memcpy(h->ids_hash, c.digest, 16);
    for (uint64_t k = 0; k < h->documents; k++) { uint64_t end = w->ends[k]; store_bytes((uint8_t *)&w->ends[k], 8, end); }
    h->ends_hash = hash_bytes(w->ends, (size_t)(8 * h->documents), 0);
    header_write(h, bytes);
    FILE *f = w->file.stream;
    if (fseek(f, 0, SEEK_SET) || fwrite(bytes, 1, sizeof bytes, f) != sizeof bytes || fwrite(w->ends, 8, (size_t)h->documents, f) != h->documents)
        return fail_errno(err, w->file.path, "write");
    return LITHE_OK;
}

int shard_commit(shard_writer *w, lithe_error *err)
{
    shard_header *h = &w->header;
    int status = failed(err) ? (int)err->status : LITHE_OK;
    if (!status && w->ended != h->documents)
        status = fail(err, LITHE_EINVAL, "%s: %llu documents of %llu", w->file.path, (unsigned long long)w->ended, (unsigned long long)h->documents);
    if (!status && h->documents && h->open_id >= 0 && h->close_id < 0) status = put_id(w, h->open_id, err);
    if (!status) status = flush_block(w, err);
    if (!status) status = write_front(w, err);
    if (!status) status = writer_commit(&w->file, err);
    shard_abandon(w);
    return status;
}

void shard_abandon(shard_writer *w)
{
    writer_abandon(&w->file);
    XXH3_freeState(w->hash);
    free(w->ends);
    free(w->block);
    *w = (shard_writer){ 0 };
}

/* gzip (RFC 1952) and Zstandard (RFC 8878) files, of one or several members.
 * Invariant: the size of the output is bounded by that of the input, whatever the file claims. */
#include "base/arena.h"
#include "data/corpus.h"
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { RATIO = 200 };
#define ALLOWANCE ((size_t)64 << 20)

struct unpacker {
    packing kind;
    const mapping *in;
    size_t at, out;                             /* bytes taken, bytes given */
    const char *name;
    bool started, inside;                       /* z is set up; a member has begun and not ended */
    z_stream z;
    ZSTD_DStream *zstd;
};

unpacker *unpack_open(const mapping *m, packing kind, const char *name, lithe_error *err)
{
    if (failed(err)) return NULL;
    unpacker *u = xalloc(1, sizeof *u);
    if (!u) goto memory;
    *u = (unpacker){ .kind = kind, .in = m, .name = name };
    if (kind == GZIP) {
        if (inflateInit2(&u->z, 15 + 16) != Z_OK) goto memory;      /* 16: gzip header and checksum */
        u->started = true;
    }
    if (kind == ZSTD && !(u->zstd = ZSTD_createDStream())) goto memory;
    if (!m->size) {
        fail(err, LITHE_EFORMAT, "%s: is empty, expected %s data", name, kind == GZIP ? "gzip" : "zstd");
        unpack_close(u);
        return NULL;
    }
    return u;
memory:
    fail(err, LITHE_ENOMEM, "%s: cannot unpack, out of memory", name);
    unpack_close(u);
    return NULL;
}

void unpack_close(unpacker *u)
{
    if (!u) return;
    if (u->started) inflateEnd(&u->z);
    ZSTD_freeDStream(u->zstd);
    free(u);
}

static int inflate_some(unpacker *u, char *out, size_t cap, size_t *got, lithe_error *err)
{
    const size_t slice = 1 << 20;
    size_t left = u->in->size - u->at, n = left < slice ? left : slice;
    if (!u->inside && u->at && inflateReset(&u->z) != Z_OK) return fail(err, LITHE_EFORMAT, "%s: damaged gzip data", u->name);
    u->inside = true;
    u->z.next_in = (Bytef *)(uintptr_t)(u->in->data + u->at);
    u->z.avail_in = (uInt)n;
    u->z.next_out = (Bytef *)out;
    u->z.avail_out = (uInt)(cap < slice ? cap : slice);
    uInt before = u->z.avail_out;
    int code = inflate(&u->z, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return fail(err, code == Z_MEM_ERROR ? LITHE_ENOMEM : LITHE_EFORMAT, "%s: damaged gzip data at byte %zu: %s",
                    u->name, u->at + n - u->z.avail_in, u->z.msg ? u->z.msg : "no reason given");
    u->inside = code != Z_STREAM_END;
    u->at += n - u->z.avail_in;
    *got = before - u->z.avail_out;
    return LITHE_OK;
}

static int zstd_some(unpacker *u, char *out, size_t cap, size_t *got, lithe_error *err)
{
    ZSTD_inBuffer in = { u->in->data, u->in->size, u->at };
    ZSTD_outBuffer to = { out, cap, 0 };
    size_t code = ZSTD_decompressStream(u->zstd, &to, &in);
    if (ZSTD_isError(code)) return fail(err, LITHE_EFORMAT, "%s: damaged zstd data at byte %zu: %s", u->name, u->at, ZSTD_getErrorName(code));
    u->inside = code != 0;
    u->at = in.pos;
    *got = to.pos;
    return LITHE_OK;
}

/* Tapes and block devices fill their last block with zeros, which gzip passes over. */
static void skip_padding(unpacker *u)
{
    while (u->kind == GZIP && u->at && !u->inside && u->at < u->in->size && !u->in->data[u->at]) u->at++;
}

int unpack_read(unpacker *u, char *out, size_t cap, size_t *got, lithe_error *err)
{
    *got = 0;
    if (failed(err)) return err->status;
    while (!*got && (u->at < u->in->size || u->inside)) {
        size_t at = u->at;
        bool inside = u->inside;
        int status = u->kind == GZIP ? inflate_some(u, out, cap, got, err) : zstd_some(u, out, cap, got, err);
        if (status) return status;
        skip_padding(u);
        if (!*got && u->inside && inside && u->at == at) /* no input is left and no output comes: the rest is missing */
            return fail(err, LITHE_EFORMAT, "%s: ends after %zu bytes in the middle of its packed data", u->name, u->in->size);
    }
    u->out += *got;
    if (u->out > ALLOWANCE && (u->out - ALLOWANCE) / RATIO > u->at)
        return fail(err, LITHE_EFORMAT, "%s: %zu packed bytes have grown to more than %zu: refused, unpack it yourself if you trust it",
                    u->name, u->at, u->out);
    return LITHE_OK;
}

/* Ranks encode a corpus together.  Rank 0 reads the texts and writes the ids; between, each rank encodes a part of what
 * was read, as it comes from rank 0, which also sends the tokenizer.  Others need not see the texts' files. */
#include "train/encode_ranks.h"
#include "train/transfers.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/partial.h"
#include "base/writer.h"
#include "data/text_encode.h"
#include "data/tokenizer_identity.h"
#include <stdlib.h>
#include <string.h>

/* What a rank is to encode, and what it has: texts or ids, and their bytes or number. */
typedef struct { size_t texts, size; } part_head;

/* ---- the tokenizer ---------------------------------------------------------------------- */

/* The file in which a tokenizer travels, in a directory of this process. */
static char *tokenizer_path(partial_dir *own, const char *name, lithe_error *err)
{
    char *path = partial_make(own, temporary_parent(), "lithe-tokenizer", err) ? NULL : path_join(own->path, name);
    if (!path) fail(err, LITHE_ENOMEM, "out of memory for the name of a file");
    return path;
}

/* Unless they have it. */
static int send_tokenizer(lithe_ranks *r, const lithe_tokenizer *t, lithe_error *err)
{
    partial_dir own = { .lock = -1 };
    announcement a = { .kind = RANKS_TOKENIZER };
    mapping m = { 0 };
    uint8_t identity[16];
    tokenizer_identity(t, identity);
    if (failed(err) || !memcmp(identity, r->tokenizer, 16)) return failed(err) ? (int)err->status : LITHE_OK;
    memcpy(r->tokenizer, identity, 16);
    snprintf(a.run, sizeof a.run, "%s", lithe_tokenizer_file(t));
    char *path = tokenizer_path(&own, a.run, err);
    int status = path ? lithe_tokenizer_save(t, path, err) : (int)err->status;
    if (!status) status = file_map(&m, path, err);
    a.bytes = m.size;
    if (!status) status = ranks_tell(r, &a, sizeof a, err);
    if (!status) status = ranks_tell(r, (void *)(uintptr_t)m.data, m.size, err);
    if (m.data) file_unmap(&m);
    partial_remove(&own);
    free(path);
    return status;
}

static lithe_tokenizer *receive_tokenizer(lithe_ranks *r, const announcement *a, lithe_error *err)
{
    partial_dir own = { .lock = -1 };
    char *bytes = xalloc(a->bytes, 1), *path = tokenizer_path(&own, a->run, err);
    if (!bytes) fail(err, LITHE_ENOMEM, "out of memory for a tokenizer of %zu bytes", a->bytes);
    bool there = bytes && path && !ranks_tell(r, bytes, a->bytes, err) && !file_write(path, bytes, a->bytes, err);
    lithe_tokenizer *t = there ? lithe_tokenizer_open(path, err) : NULL;
    partial_remove(&own);
    free(path);
    free(bytes);
    return t;
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* The first text of rank k's part: parts hold nearly the same number of bytes. */
static int first_of(const size_t *sizes, int n, size_t total, int k, int count)
{
    size_t before = 0, wanted = total / (size_t)count * (size_t)k;
    int i = 0;
    while (i < n && before + sizes[i] / 2 < wanted) before += sizes[i++];
    return k == count ? n : i;
}

static int send_part(lithe_ranks *r, int to, const char *text, const size_t *sizes, part_head h, lithe_error *err)
{
    int status = ranks_send(r, to, &h, sizeof h, err);
    if (!status) status = ranks_send(r, to, sizes, h.texts * sizeof *sizes, err);
    return status ? status : ranks_send(r, to, text, h.size, err);
}

static int receive_ids(lithe_ranks *r, int from, int32_t **ids, size_t *held, size_t *counts, size_t texts, lithe_error *err)
{
    part_head h;
    int status = ranks_receive(r, from, &h, sizeof h, err);
    if (!status) status = ranks_receive(r, from, counts, texts * sizeof *counts, err);
    int32_t *grown = status ? NULL : xrealloc(*ids, *held + h.size + 1, sizeof *grown);
    if (!status && !grown) status = fail(err, LITHE_ENOMEM, "out of memory for %zu tokens", h.size);
    if (status) return status;
    *ids = grown;
    status = ranks_receive(r, from, grown + *held, h.size * sizeof *grown, err);
    *held += h.size;
    return status;
}

static size_t sum(const size_t *x, int n)
{
    size_t all = 0;
    for (int i = 0; i < n; i++) all += x[i];
    return all;
}

static int encode_together(void *context, const lithe_tokenizer *t, const char *text, const size_t *sizes, int n, int32_t **ids, size_t *counts, lithe_error *err)
{
    lithe_ranks *r = context;
    const int count = ranks_count(r);
    size_t total = sum(sizes, n), held;
    int own = first_of(sizes, n, total, 1, count), status = send_tokenizer(r, t, err);
    announcement a = { .kind = RANKS_TEXTS };
    *ids = NULL;
    if (!status) status = ranks_tell(r, &a, sizeof a, err);
    for (int k = 1; k < count && !status; k++) {
        int first = first_of(sizes, n, total, k, count), end = first_of(sizes, n, total, k + 1, count);
        status = send_part(r, k, text + sum(sizes, first), sizes + first, (part_head){ (size_t)(end - first), sum(sizes + first, end - first) }, err);
    }
    if (!status) status = encode_texts(t, text, sizes, own, ids, counts, err);
    held = status ? 0 : sum(counts, own);
    for (int k = 1; k < count && !status; k++) {
        int first = first_of(sizes, n, total, k, count), end = first_of(sizes, n, total, k + 1, count);
        status = receive_ids(r, k, ids, &held, counts + first, (size_t)(end - first), err);
    }
    return status;
}

static int encode_part(lithe_ranks *r, const lithe_tokenizer *t, lithe_error *err)
{
    part_head h;
    int status = ranks_receive(r, 0, &h, sizeof h, err);
    if (status) return status;
    size_t *sizes = xalloc(2 * h.texts + 1, sizeof *sizes), *counts = sizes ? sizes + h.texts : NULL;
    char *text = xalloc(h.size + 1, 1);
    int32_t *ids = NULL;
    if (!sizes || !text) status = fail(err, LITHE_ENOMEM, "out of memory for %zu bytes of text", h.size);
    if (!status) status = ranks_receive(r, 0, sizes, h.texts * sizeof *sizes, err);
    if (!status) status = ranks_receive(r, 0, text, h.size, err);
    if (!status) status = encode_texts(t, text, sizes, (int)h.texts, &ids, counts, err);
    if (!status) h.size = sum(counts, (int)h.texts);
    if (!status) status = ranks_send(r, 0, &h, sizeof h, err);
    if (!status) status = ranks_send(r, 0, counts, h.texts * sizeof *counts, err);
    if (!status) status = ranks_send(r, 0, ids, h.size * sizeof *ids, err);
    free(sizes);
    free(text);
    free(ids);
    return status;
}

/* ---- both sides ------------------------------------------------------------------------------- */

lithe_encoder lithe_ranks_encoder(lithe_ranks *r)
{
    return (lithe_encoder){ encode_together, r, ranks_count(r) };
}

int encode_for_rank_0(lithe_ranks *r, announcement *a, lithe_error *err)
{
    lithe_tokenizer *t = NULL;
    int status = ranks_tell(r, a, sizeof *a, err);
    for (; !status && a->kind != RANKS_RUN; status = status ? status : ranks_tell(r, a, sizeof *a, err)) {
        if (a->kind == RANKS_TEXTS) status = encode_part(r, t, err);
        else {
            lithe_tokenizer_close(t);
            if (!(t = receive_tokenizer(r, a, err))) status = (int)err->status;
        }
    }
    lithe_tokenizer_close(t);
    return status;
}

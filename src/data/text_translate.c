/* Writes the shards of a text once more, in the ids of a larger vocabulary.  The text is
 * what the ids stand for, document by document, so its files need not be there any more.
 * Invariant: both splits hold the same documents as before, in the same order. */
#include "base/arena.h"
#include "base/json.h"
#include "data/text_data.h"
#include "data/text_encode.h"
#include <stdlib.h>

enum { JSON_DEPTH = 8 };
#define JSON_BYTES ((size_t)256 << 20)

static int32_t *ids_of(const shard *s, uint64_t k, size_t *n)
{
    const stretch d = shard_document(s, k);
    int32_t *ids = xalloc((size_t)(d.end - d.first) + 1, sizeof *ids);
    *n = ids ? shard_read(s, d, ids) : 0;
    return ids;
}

static int translate_document(const shard *s, uint64_t k, const lithe_tokenizer *from, text_encoder *e, shard_writer *out, lithe_error *err)
{
    size_t n;
    int32_t *ids = ids_of(s, k, &n);
    const size_t bytes = ids ? lithe_decode(from, ids, n, NULL, 0) : 0;
    char *text = ids ? xalloc(bytes + 1, 1) : NULL;
    int status = text ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for a document of %zu tokens", n);
    if (!status) lithe_decode(from, ids, n, text, bytes + 1);
    if (!status) status = text_encode(e, out, text, bytes, err);
    free(text);
    free(ids);
    return status;
}

static int translate_split(const shard *s, const lithe_tokenizer *from, const lithe_tokenizer *to, const char *dir, const char *name, lithe_error *err)
{
    const shard_header h = text_shard_header(to, s->header.documents);
    shard_writer out = { 0 };
    text_encoder e = { .t = to };
    char *path = path_join(dir, name);
    int status = path ? shard_create(&out, path, &h, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    for (uint64_t k = 0; k < s->header.documents && !status; k++) status = translate_document(s, k, from, &e, &out, err);
    if (!status) status = text_encode_end(&e, err);
    if (!status) status = shard_commit(&out, err);
    shard_abandon(&out);
    text_encoder_close(&e);
    free(path);
    return status;
}

/* The description is the old one but for the shards. */
static int describe(const lithe_dataset *d, const char *dir, lithe_error *err)
{
    char *old = path_join(d->dir, DATA_JSON), *new = path_join(dir, DATA_JSON);
    json_t *value = old && new ? json_read(old, JSON_BYTES, JSON_DEPTH, err) : NULL;
    static const char *const keys[SPLITS] = { "train", "valid" };
    for (int i = 0; value && i < SPLITS; i++) json_object_set_new(value, keys[i], text_describe_shard(dir, d->kind->file[i], err));
    int status = failed(err) ? (int)err->status : value ? json_write(value, new, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    json_decref(value);
    free(old);
    free(new);
    return status;
}

int text_translate(const lithe_dataset *d, const lithe_tokenizer *from, const lithe_tokenizer *to, const char *dir, lithe_error *err)
{
    const text_data *text = text_of(d);
    int status = dir_make(dir, err);
    if (!status) status = translate_split(&text->train, from, to, dir, d->kind->file[TRAIN], err);
    if (!status) status = translate_split(&text->valid, from, to, dir, d->kind->file[VALID], err);
    return status ? status : describe(d, dir, err);
}

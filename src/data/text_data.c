/* The kind `text`: opens shards (data/text_data.h). */
#include "data/text_data.h"
#include "base/arena.h"
#include "base/json.h"
#include "data/objective.h"
#include "data/tokenizer_identity.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

const text_data *text_of(const lithe_dataset *d)
{
    assert(d->kind == &text_kind);
    return (const text_data *)d;
}

/* ---- has anything changed? --------------------------------------------------------- */

static int check_source(const json_t *entry, lithe_error *err)
{
    const char *path = json_string_value(json_object_get(entry, "path")), *hash = json_string_value(json_object_get(entry, "hash"));
    json_int_t bytes = json_integer_value(json_object_get(entry, "bytes"));
    mapping m;
    char now[33];
    int status = LITHE_OK;
    if (!path || !hash || !path_exists(path)) return LITHE_OK;          /* the shards hold what it said */
    if (file_map(&m, path, err)) return err ? (int)err->status : LITHE_EIO;
    if ((uint64_t)m.size != (uint64_t)bytes)
        status = fail(err, LITHE_EMISMATCH, "%s: has changed since these shards were made: %lld bytes then, %zu now", path, (long long)bytes, m.size);
    else {
        status = hash_long(m.data, m.size, now, err);
        if (!status && strcmp(now, hash)) status = fail(err, LITHE_EMISMATCH, "%s: has changed since these shards were made: hash %s then, %s now", path, hash, now);
    }
    return mapping_finish(&m, status, err);
}

static int check_sources(const json_t *list, source_share which, lithe_error *err)
{
    int status = LITHE_OK;
    for (size_t i = (size_t)which.first; !status && which.of && i < json_array_size(list); i += (size_t)which.of) status = check_source(json_array_get(list, i), err);
    return status;
}

int text_tokenizer(const text_data *d, const lithe_tokenizer *t, lithe_error *err)
{
    uint8_t hash[16];
    const shard_header *h = &d->train.header;
    tokenizer_identity(t, hash);
    if (!memcmp(hash, h->tokenizer, 16) && lithe_tokenizer_vocab(t) == h->vocab) return LITHE_OK;
    return fail(err, LITHE_EMISMATCH, "%s/%s: was made with another tokenizer, of %d tokens; this one has %d", d->base.dir, text_kind.file[TRAIN],
                h->vocab, lithe_tokenizer_vocab(t));
}

/* ---- opening ----------------------------------------------------------------------- */

/* Opens the shard of a split, which must be the one in the description. */
static int open_split(shard *s, split_facts *f, const char *dir, const char *name, const json_t *known, lithe_error *err)
{
    const char *hash = json_string_value(json_object_get(known, "hash"));
    json_int_t bytes = json_integer_value(json_object_get(known, "bytes"));
    char *path = path_join(dir, name);
    int status = path ? shard_open(s, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    if (status) return status;
    *f = (split_facts){ .bytes = s->map.size, .tokens = s->header.tokens, .text_bytes = s->header.text_bytes };
    shard_identity(s, f->hash);
    if (hash && !strcmp(hash, f->hash) && (uint64_t)bytes == f->bytes) return LITHE_OK;
    return fail(err, LITHE_EMISMATCH, "%s/%s: is %zu bytes, hash %s; %s speaks of %lld bytes, hash %s", dir, name, f->bytes, f->hash, DATA_JSON,
                (long long)bytes, hash ? hash : "none");
}

static int read_text(text_data *d, const json_t *json, const lithe_tokenizer *t, source_share sources, lithe_error *err)
{
    const char *dir = d->base.dir;
    int status = open_split(&d->train, &d->base.facts[TRAIN], dir, text_kind.file[TRAIN], json_object_get(json, "train"), err);
    if (!status) status = open_split(&d->valid, &d->base.facts[VALID], dir, text_kind.file[VALID], json_object_get(json, "valid"), err);
    if (!status && (memcmp(d->train.header.tokenizer, d->valid.header.tokenizer, 16) || d->train.header.vocab != d->valid.header.vocab))
        status = fail(err, LITHE_EMISMATCH, "%s: %s and %s were made with different tokenizers", dir, text_kind.file[TRAIN], text_kind.file[VALID]);
    if (!status && t) status = text_tokenizer(d, t, err);
    if (!status) status = check_sources(json_object_get(json, "sources"), sources, err);
    if (!status) status = check_sources(json_object_get(json, "valid_sources"), sources, err);
    d->reset_attention = json_is_true(json_object_get(json, "reset_attention"));
    d->base.vocab = d->train.header.vocab;
    d->base.map[TRAIN] = &d->train.map;
    d->base.map[VALID] = &d->valid.map;
    return status;
}

static int open_text(lithe_dataset *d, const json_t *json, const lithe_tokenizer *t, source_share sources, lithe_error *err) { return read_text((text_data *)d, json, t, sources, err); }

static void close_text(lithe_dataset *d)
{
    shard_close(&((text_data *)d)->train);
    shard_close(&((text_data *)d)->valid);
}

/* ---- what is learned from it ----------------------------------------------------------- */

/* A window of next tokens is not longer than the data, unless its length was asked for. */
static int choose_context(const lithe_dataset *d, text_task task, bool asked, int most, int *ctx, lithe_error *err)
{
    (void)most;
    if (task != LEARN_NEXT) return LITHE_OK;
    while (!asked && *ctx > 8 && !text_windows(text_of(d), *ctx)) *ctx /= 2;
    return text_check(text_of(d), *ctx, err);
}

static const objective_kind *choose_objective(text_task task)
{
    static const objective_kind *const objectives[] = { [LEARN_NEXT] = &predict_next, [LEARN_MASKED] = &predict_masked,
                                                        [LEARN_SENTENCES] = &predict_sentences, [LEARN_PAIRS] = &predict_pairs };
    return objectives[task];
}

const dataset_kind text_kind = {
    .name = "text", .file = { "train.shard", "valid.shard" }, .size = sizeof(text_data), .batch = 8, .eval_windows = 64, .epochs = 1,
    .prepare = text_prepare, .open = open_text, .translate = text_translate, .close = close_text, .context = choose_context, .objective = choose_objective,
};

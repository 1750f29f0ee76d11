/* The public handle, and a dataset found again in a run's directory. */
#include "base/arena.h"
#include "base/sized.h"
#include "base/json.h"
#include "data/corpus.h"
#include "data/data.h"
#include "data/image_set.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const shard_files[] = { TRAIN_SHARD, VALID_SHARD, DATA_JSON }, *const table_files[] = { TRAIN_TABLE, VALID_TABLE, DATA_JSON },
                  *const image_files[] = { TRAIN_IMAGES, VALID_IMAGES, DATA_JSON };
enum { FILES = 3, JSON_DEPTH = 8 };
#define JSON_BYTES ((size_t)256 << 20)

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
        hash_hex(m.data, m.size, now);
        if (strcmp(now, hash)) status = fail(err, LITHE_EMISMATCH, "%s: has changed since these shards were made: hash %s then, %s now", path, hash, now);
    }
    file_unmap(&m);
    return status;
}

static int check_sources(const json_t *list, lithe_error *err)
{
    int status = LITHE_OK;
    for (size_t i = 0; !status && i < json_array_size(list); i++) status = check_source(json_array_get(list, i), err);
    return status;
}

static int check_shard(const shard *s, const json_t *known, const char *dir, const char *name, lithe_error *err)
{
    char hex[33];
    const char *hash = json_string_value(json_object_get(known, "hash"));
    json_int_t bytes = json_integer_value(json_object_get(known, "bytes"));
    shard_identity(s, hex);
    if (hash && !strcmp(hash, hex) && (uint64_t)bytes == s->map.size) return LITHE_OK;
    return fail(err, LITHE_EMISMATCH, "%s/%s: is %zu bytes, hash %s; %s speaks of %lld bytes, hash %s", dir, name, s->map.size, hex, DATA_JSON,
                (long long)bytes, hash ? hash : "none");
}

int dataset_tokenizer(const lithe_dataset *d, const lithe_tokenizer *t, lithe_error *err)
{
    uint8_t hash[16];
    tokenizer_identity(t, hash);
    if (!memcmp(hash, d->train.header.tokenizer, 16) && lithe_tokenizer_vocab(t) == d->train.header.vocab) return LITHE_OK;
    return fail(err, LITHE_EMISMATCH, "%s/%s: was made with another tokenizer, of %d tokens; this one has %d", d->dir, TRAIN_SHARD,
                d->train.header.vocab, lithe_tokenizer_vocab(t));
}

/* ---- opening ----------------------------------------------------------------------- */

static int open_shard(shard *s, const char *dir, const char *name, lithe_error *err)
{
    char *path = path_join(dir, name);
    int status = path ? shard_open(s, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    return status;
}

static int read_shards(lithe_dataset *d, const json_t *json, const lithe_tokenizer *t, bool sources, lithe_error *err)
{
    int status = open_shard(&d->train, d->dir, TRAIN_SHARD, err);
    if (!status) status = open_shard(&d->valid, d->dir, VALID_SHARD, err);
    if (!status) status = check_shard(&d->train, json_object_get(json, "train"), d->dir, TRAIN_SHARD, err);
    if (!status) status = check_shard(&d->valid, json_object_get(json, "valid"), d->dir, VALID_SHARD, err);
    if (!status && memcmp(d->train.header.tokenizer, d->valid.header.tokenizer, 16))
        status = fail(err, LITHE_EMISMATCH, "%s: %s and %s were made with different tokenizers", d->dir, TRAIN_SHARD, VALID_SHARD);
    if (!status && t) status = dataset_tokenizer(d, t, err);
    if (!status && sources) status = check_sources(json_object_get(json, "sources"), err);
    if (!status && sources) status = check_sources(json_object_get(json, "valid_sources"), err);
    d->reset_attention = json_is_true(json_object_get(json, "reset_attention"));
    return status;
}

static int read_dataset(lithe_dataset *d, const lithe_tokenizer *t, bool sources, lithe_error *err)
{
    char *path = path_join(d->dir, DATA_JSON);
    json_t *json = path ? json_read(path, JSON_BYTES, JSON_DEPTH, err) : NULL;
    int status = json ? LITHE_OK : failed(err) ? (int)err->status : LITHE_EFORMAT;
    const char *task = json_string_value(json_object_get(json, "task"));
    if (!status && task && !strcmp(task, "images")) status = (d->images = images_open(d->dir, err)) ? LITHE_OK : LITHE_EFORMAT;
    else if (!status && !task) status = read_shards(d, json, t, sources, err);
    else if (!status && !(d->labels = labelled_open(d->dir, t, err))) status = failed(err) ? (int)err->status : LITHE_EFORMAT;
    json_decref(json);
    free(path);
    return status;
}

lithe_dataset *dataset_reopen(const char *dir, const lithe_tokenizer *t, bool sources, lithe_error *err)
{
    if (failed(err)) return NULL;
    lithe_dataset *d = xalloc(1, sizeof *d);
    if (d) *d = (lithe_dataset){ .dir = strdup(dir) };
    if (!d || !d->dir) fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    else if (read_dataset(d, t, sources, err) == LITHE_OK) return d;
    lithe_dataset_close(d);
    return NULL;
}

/* A directory of our own, where the caller names none. */
static char *temporary_dir(lithe_error *err)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = path_join(tmp && *tmp ? tmp : "/tmp", "lithe-data-XXXXXX");
    if (dir && mkdtemp(dir)) return dir;
    fail_errno(err, tmp && *tmp ? tmp : "/tmp", "make a temporary directory");
    free(dir);
    return NULL;
}

static int check_valid(const lithe_dataset *d, lithe_error *err)
{
    uint64_t tokens = d->valid.header.tokens;
    if (tokens >= 2 || d->labels || d->images) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "%s/%s: %llu tokens are held out for validation, at least 2 are needed: give more text, or name a validation file",
                d->dir, VALID_SHARD, (unsigned long long)tokens);
}

lithe_dataset *lithe_dataset_open(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t,
                                  const lithe_data_options *o, lithe_error *err)
{
    lithe_data_options options;
    if (options_read(&options, sizeof options, o, "lithe_data_options", err)) return NULL;
    o = &options;
    const bool pictures = o->task && !strcmp(o->task, "images");
    if (o->task && !pictures && strcmp(o->task, "classify") && strcmp(o->task, "regress")) {
        fail(err, LITHE_EINVAL, "task is \"%s\", expected classify, regress or images", o->task);
        return NULL;
    }
    char *own = dir ? NULL : temporary_dir(err);
    lithe_dataset *d = NULL;
    if (!dir && !own) return NULL;
    const bool tables = o->task && !pictures;
    int status = pictures ? images_prepare(paths, n, dir ? dir : own, o, err) : tables ? labelled_prepare(paths, n, dir ? dir : own, t, o, err)
               : dataset_prepare(paths, n, dir ? dir : own, t, o, err);
    if (status == LITHE_OK) d = dataset_reopen(dir ? dir : own, tables ? t : NULL, false, err);
    if (d) d->temporary = own != NULL;
    else if (own) dir_remove(own, NULL);
    free(own);
    if (!d || check_valid(d, err) == LITHE_OK) return d;
    lithe_dataset_close(d);
    return NULL;
}

void lithe_dataset_close(lithe_dataset *d)
{
    if (!d) return;
    shard_close(&d->train);
    shard_close(&d->valid);
    labelled_close(d->labels);
    images_close(d->images);
    if (d->temporary) dir_remove(d->dir, NULL);
    free(d->dir);
    free(d);
}

static const examples *examples_of(const lithe_dataset *d, int valid) { return d && d->labels ? valid ? &d->labels->valid : &d->labels->train : NULL; }

size_t lithe_dataset_tokens(const lithe_dataset *d, int valid)
{
    const examples *e = examples_of(d, valid);
    return e ? e->start[2 * e->count] : d ? (valid ? d->valid : d->train).header.tokens : 0;
}

size_t lithe_dataset_examples(const lithe_dataset *d, int valid)
{
    const examples *e = examples_of(d, valid);
    if (d && d->images) return valid ? d->images->valid.count : d->images->train.count;
    return e ? e->count : 0;
}

int lithe_dataset_labels(const lithe_dataset *d) { return d && d->labels ? d->labels->classes : d && d->images ? d->images->train.classes : 0; }
int lithe_dataset_pairs(const lithe_dataset *d) { return d && d->labels && d->labels->pairs; }

const char *lithe_dataset_label(const lithe_dataset *d, int i)
{
    if (i < 0 || i >= lithe_dataset_labels(d)) return NULL;
    return d->labels ? d->labels->names[i] : d->images->names[i];
}

int lithe_dataset_images(const lithe_dataset *d, int *side, int *channels)
{
    const image_shard *s = d && d->images ? &d->images->train : NULL;
    if (side) *side = s ? s->side : 0;
    if (channels) *channels = s ? s->channels : 0;
    return s != NULL;
}

int lithe_images_known(const char *path) { return path && image_set_known(path); }

int lithe_dataset_longest(const lithe_dataset *d)
{
    const examples *a = examples_of(d, 0), *b = examples_of(d, 1);
    return !a ? 0 : a->longest > b->longest ? a->longest : b->longest;
}

size_t lithe_dataset_bytes(const lithe_dataset *d, int valid) { return d ? (valid ? d->valid : d->train).header.text_bytes : 0; }

/* ---- moving, naming ----------------------------------------------------------------- */

int dataset_place(const lithe_dataset *d, const char *dir, lithe_error *err)
{
    const char *const *files = d->labels ? table_files : d->images ? image_files : shard_files;
    int status = dir_make(dir, err);
    for (int i = 0; i < FILES && !status; i++) {
        char *from = path_join(d->dir, files[i]), *to = path_join(dir, files[i]);
        if (!from || !to) status = fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
        else if (link(from, to) && errno == EEXIST) status = fail_errno(err, to, "make");
        else if (!path_exists(to)) status = file_copy(from, to, err);
        free(from);
        free(to);
    }
    return status ? status : dir_sync(dir, err);
}

void dataset_identity(const lithe_dataset *d, char *text, size_t cap)
{
    char train[33], valid[33];
    const labelled *l = d->labels;
    if (l) snprintf(text, cap, "%s %zu %s, %s %zu %s", TRAIN_TABLE, l->train_bytes, l->train_hash, VALID_TABLE, l->valid_bytes, l->valid_hash);
    const image_shard *a = d->images ? &d->images->train : NULL, *b = d->images ? &d->images->valid : NULL;
    if (a) snprintf(text, cap, "%s %zu %s, %s %zu %s", TRAIN_IMAGES, a->map.size, a->hash, VALID_IMAGES, b->map.size, b->hash);
    if (l || a) return;
    shard_identity(&d->train, train);
    shard_identity(&d->valid, valid);
    snprintf(text, cap, "%s %zu %s, %s %zu %s", TRAIN_SHARD, d->train.map.size, train, VALID_SHARD, d->valid.map.size, valid);
}

char *lithe_text_read(const char *const *paths, int n, size_t limit, size_t *len, lithe_error *err)
{
    return failed(err) ? NULL : corpus_text(paths, n, limit, len, err);
}

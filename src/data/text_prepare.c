/* Turns text into shards in two readings: the first counts the bytes of each document and checks them; then the split
 * is chosen; the second writes ids.  Invariant: what is held out is chosen by bytes of text, whatever the tokenizer
 * makes of them, so byte counts are exact and bits per byte compare between tokenizers. */
#include "base/progress.h"
#include "base/utf8.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/file.h"
#include "base/random.h"
#include "base/system.h"
#include "data/corpus.h"
#include "data/text_data.h"
#include "data/text_encode.h"
#include "data/tokenizer_identity.h"
#include <stdlib.h>
#include <string.h>

/* ---- the split -------------------------------------------------------------------- */

typedef struct {
    const char *what;                               /* in messages: the first of the files, as it was given */
    uint64_t *sizes, documents, capacity, bytes;    /* of each document; of all */
    uint8_t *held;                                  /* per document: whole in the validation split */
    uint64_t cut_document, cut_at;                  /* or this one from that byte on; UINT64_MAX: none */
    uint64_t documents_held;
} split;

static int survey(split *s, corpus *c, const char *what, lithe_error *err)
{
    document d;
    int status;
    *s = (split){ .what = what, .cut_document = UINT64_MAX };
    while ((status = corpus_next(c, &d, err)) == 1) {
        if (s->documents == s->capacity) {
            s->capacity = s->capacity ? 2 * s->capacity : 64;
            uint64_t *grown = xrealloc(s->sizes, s->capacity, sizeof *grown);
            if (!grown) return fail(err, LITHE_ENOMEM, "%s: out of memory for %llu documents", what, (unsigned long long)s->capacity);
            s->sizes = grown;
        }
        s->sizes[s->documents++] = d.size;
        s->bytes += d.size;
        if (progress_tell("reading the text", (double)s->bytes, 0, err)) return LITHE_ECANCELLED;
    }
    if (!status && !s->documents) status = fail(err, LITHE_EINVAL, "%s: is empty, nothing to learn from", what);
    corpus_rewind(c);
    return status;
}

static void split_free(split *s)
{
    free(s->sizes);
    free(s->held);
    *s = (split){ 0 };
}

typedef struct { uint64_t key, document; } draw;

static int by_key(const void *a, const void *b)
{
    const draw *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->document > y->document) - (x->document < y->document);
}

/* Holds out documents in an order drawn by (seed, number), until they hold the share.  A document that alone holds more
 * than twice the share is not taken: of three books none should be lost to training. */
static int hold_documents(split *s, double share, uint64_t seed, lithe_error *err)
{
    double wanted = share * (double)s->bytes;
    uint64_t bytes = 0, key = key_of_name(seed, "held-out documents");
    draw *order = xalloc(s->documents, sizeof *order);
    s->held = xalloc(s->documents, 1);
    if (!order || !s->held) { free(order); return fail(err, LITHE_ENOMEM, "out of memory for %llu documents", (unsigned long long)s->documents); }
    for (uint64_t i = 0; i < s->documents; i++) order[i] = (draw){ random_u64(key, i), i };
    qsort(order, s->documents, sizeof *order, by_key);
    for (uint64_t i = 0; i < s->documents && (double)bytes < wanted; i++) {
        uint64_t k = order[i].document;
        if ((double)s->sizes[k] > 2 * wanted || s->documents_held + 1 == s->documents) continue;
        s->held[k] = 1;
        s->documents_held++;
        bytes += s->sizes[k];
    }
    free(order);
    return LITHE_OK;
}

/* No document is small enough: the end of the longest one, or of nothing but
 * single bytes, the last. */
static void cut_longest(split *s, double share)
{
    uint64_t longest = 0;
    for (uint64_t k = 1; k < s->documents; k++) if (s->sizes[k] > s->sizes[longest]) longest = k;
    s->documents_held = 1;
    if (s->sizes[longest] < 2) { s->held[s->documents - 1] = 1; return; }
    double keep = (double)s->sizes[longest] - share * (double)s->bytes, half = (double)s->sizes[longest] / 2;
    s->cut_document = longest;
    s->cut_at = (uint64_t)(keep > half ? keep : half);
}

/* The place of the cut: after the next line break, else after the one before, else between characters. */
static size_t cut_near(const char *text, size_t size, size_t at)
{
    const char *newline = memchr(text + at - 1, '\n', size - at + 1);
    if (newline && newline + 1 < text + size) return (size_t)(newline - text) + 1;
    newline = memrchr(text, '\n', at);
    if (newline) return (size_t)(newline - text) + 1;
    while (at > 1 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    return at;
}

/* ---- writing ---------------------------------------------------------------------- */

shard_header text_shard_header(const lithe_tokenizer *t, uint64_t documents)
{
    int32_t bos = lithe_tokenizer_bos(t), eos = lithe_tokenizer_eos(t);
    bool two = bos >= 0 && eos >= 0 && bos != eos;
    shard_header h = { .documents = documents, .vocab = lithe_tokenizer_vocab(t), .open_id = bos >= 0 ? bos : eos, .close_id = two ? eos : -1 };
    tokenizer_identity(t, h.tokenizer);
    return h;
}

/* The second reading: writes each document to the training shard, or to the validation shard where the split says
 * so. */
static int write_split(const split *s, corpus *c, text_encoder *e, shard_writer *train, shard_writer *valid, lithe_error *err)
{
    document d;
    int status = LITHE_OK;
    for (uint64_t k = 0; k < s->documents && !status; k++) {
        status = corpus_next(c, &d, err);
        if (status < 0) return status;
        if (status == 0 || d.size != s->sizes[k]) return fail(err, LITHE_EIO, "the text changed while it was read, at document %llu", (unsigned long long)k + 1);
        if (k == s->cut_document) {
            size_t at = cut_near(d.text, d.size, (size_t)s->cut_at);
            status = text_encode(e, train, d.text, at, err);
            if (!status) status = text_encode(e, valid, d.text + at, d.size - at, err);
        } else {
            status = text_encode(e, s->held && s->held[k] ? valid : train, d.text, d.size, err);
        }
    }
    return status;
}

static json_t *describe_sources(const corpus *c)
{
    json_t *list = json_array();
    for (size_t i = 0; c && i < corpus_sources(c); i++) {
        const source *f = corpus_source(c, i);
        char *real = strcmp(f->path, "-") ? os.realpath(f->path, NULL) : NULL;
        if (!real && strcmp(f->path, "-")) fail_errno(NULL, f->path, "follow");
        json_array_append_new(list, json_pack("{s:s?, s:I, s:s}", "path", real && utf8_valid(real, strlen(real)) == strlen(real) ? real : NULL,
                                              "bytes", (json_int_t)f->bytes, "hash", f->hash));
        free(real);
    }
    return list;
}

json_t *text_describe_shard(const char *dir, const char *name, lithe_error *err)
{
    shard s;
    char hex[33], *path = path_join(dir, name);
    json_t *value = NULL;
    if (path && !shard_open(&s, path, err)) {
        shard_identity(&s, hex);
        value = json_pack("{s:I, s:s, s:I, s:I, s:I}", "bytes", (json_int_t)s.map.size, "hash", hex, "tokens", (json_int_t)s.header.tokens,
                          "documents", (json_int_t)s.header.documents, "text_bytes", (json_int_t)s.header.text_bytes);
        shard_close(&s);
    }
    free(path);
    return value;
}

static int write_description(const char *dir, const lithe_data_options *o, const corpus *c, const corpus *held, lithe_error *err)
{
    char seed[24], *path = path_join(dir, DATA_JSON);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    json_t *value = json_pack("{s:i, s:s, s:f, s:b, s:o?, s:o?, s:o?, s:o?}", "version", SHARD_VERSION, "seed", seed, "valid_share", o->valid_share,
                              "reset_attention", o->reset_attention, "train", text_describe_shard(dir, text_kind.file[TRAIN], err),
                              "valid", text_describe_shard(dir, text_kind.file[VALID], err), "sources", describe_sources(c), "valid_sources", describe_sources(held));
    int status = failed(err) ? (int)err->status : value && path ? json_write(value, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    json_decref(value);
    free(path);
    return status;
}

static int create(shard_writer *w, const char *dir, const char *name, const shard_header *h, lithe_error *err)
{
    char *path = path_join(dir, name);
    int status = path ? shard_create(w, path, h, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    return status;
}

static int write_shards(const char *dir, text_encoder *e, const split *s, corpus *c, const split *hs, corpus *held, lithe_error *err)
{
    shard_writer train = { 0 }, valid = { 0 };
    bool cut = s->cut_document != UINT64_MAX;
    shard_header h = text_shard_header(e->t, s->documents - s->documents_held + cut);
    int status = create(&train, dir, text_kind.file[TRAIN], &h, err);
    h.documents = held ? hs->documents : s->documents_held;
    if (!status) status = create(&valid, dir, text_kind.file[VALID], &h, err);
    if (!status) status = write_split(s, c, e, &train, &valid, err);
    if (!status && held) status = write_split(hs, held, e, &valid, NULL, err);
    if (!status) status = text_encode_end(e, err);
    uint64_t tokens = valid.header.tokens + (h.open_id >= 0 && h.close_id < 0);         /* one more id ends the shard */
    if (!status && tokens < 2)
        status = fail(err, LITHE_EINVAL, "%s: %llu tokens are held out for validation, at least 2 are needed: give more text, or name a validation file",
                      (held ? hs : s)->what, (unsigned long long)tokens);
    if (!status) status = shard_commit(&train, err);
    if (!status) status = shard_commit(&valid, err);
    shard_abandon(&train);
    shard_abandon(&valid);
    return status;
}

static int choose_split(split *s, const lithe_data_options *o, const char *what, lithe_error *err)
{
    if (s->bytes < 2) return fail(err, LITHE_EINVAL, "%s: holds one byte of text, nothing to learn from", what);
    int status = s->documents > 1 ? hold_documents(s, o->valid_share, o->seed, err) : LITHE_OK;
    if (!status && !s->documents_held) cut_longest(s, o->valid_share);
    return status;
}

int text_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err)
{
    lithe_data_options options = o ? *o : LITHE_OPTIONS(lithe_data_options);
    split s = { 0 }, hs = { 0 };
    corpus *c = NULL, *held = NULL;
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "data: no tokenizer");
    if (options.valid_share <= 0 && !(options.valid_share < 0)) options.valid_share = 0.05;
    if (!(options.valid_share > 0 && options.valid_share <= 0.5))
        return fail(err, LITHE_EINVAL, "validation share %g, expected more than 0 and at most 0.5", options.valid_share);
    bool any = tokenizer_takes_bytes(t);
    text_encoder e = { .t = t, .encoder = options.encoder };
    int status = LITHE_EINVAL;
    c = corpus_open(paths, n, any, err);
    if (!c || (options.valid && !(held = corpus_open(&options.valid, 1, any, err)))) { status = err ? (int)err->status : LITHE_EINVAL; goto out; }
    status = survey(&s, c, paths[0], err);
    if (!status) status = held ? survey(&hs, held, options.valid, err) : choose_split(&s, &options, paths[0], err);
    if (!status) status = dir_make(dir, err);
    e.all = (double)s.bytes + (double)hs.bytes;
    if (!status) status = write_shards(dir, &e, &s, c, &hs, held, err);
    if (!status) status = write_description(dir, &options, c, held, err);
out:
    corpus_close(c);
    corpus_close(held);
    text_encoder_close(&e);
    split_free(&s);
    split_free(&hs);
    return status;
}

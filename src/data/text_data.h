/* Text is kept as token ids in two shards.
 *
 * In training on next tokens, the documents stand end to end (data/shard.h) and are
 * cut into windows of ctx + 1 tokens, neighbours sharing one, so that every token
 * is predicted once.  Each epoch begins the cut elsewhere, and takes the windows
 * in the order of a seekable permutation; both depend on (seed, epoch) only.
 * A sample is a number, epoch * windows + position, and resuming is knowing it.
 *
 * In validation the windows come in order, and each token is predicted once, by as
 * much context as the stride leaves. */
#ifndef DATA_TEXT_DATA_H
#define DATA_TEXT_DATA_H

#include "data/data.h"
#include "data/shard.h"

typedef struct {
    lithe_dataset base;
    shard train, valid;
    bool reset_attention;                       /* documents packed in one window do not see each other */
} text_data;

const text_data *text_of(const lithe_dataset *d);

/* Reads the text and writes the shards and their description into dir. */
int text_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err);

/* The header of a shard of so many documents, and what the description says of one in dir, a new reference; NULL when
 * it cannot be read. */
shard_header text_shard_header(const lithe_tokenizer *t, uint64_t documents);
json_t      *text_describe_shard(const char *dir, const char *name, lithe_error *err);
/* Writes the text once more, in the ids of a tokenizer that extends the one it was made with, into dir, which is
 * made. */
int text_translate(const lithe_dataset *d, const lithe_tokenizer *from, const lithe_tokenizer *to, const char *dir, lithe_error *err);

/* Fails with LITHE_EMISMATCH unless t is the tokenizer that the shards were made with. */
int text_tokenizer(const text_data *d, const lithe_tokenizer *t, lithe_error *err);

/* ---- training windows ---- */

/* Counts the windows of one epoch; 0 when the data are shorter than one window. */
uint64_t text_windows(const text_data *d, int ctx);
/* Refuses such data, naming both numbers. */
int      text_check(const text_data *d, int ctx, lithe_error *err);

/* Writes sample number `sample`: ids and targets [ctx].  starts[] (at most ctx of them)
 * gets where each sequence in the window begins: 0, and with reset_attention
 * also each document.  Returns how many. */
int text_window(const text_data *d, uint64_t seed, uint64_t sample, int ctx, int32_t *ids, int32_t *targets, int32_t *starts);

/* ---- validation windows ---- */

typedef struct { int length, scored, sequences; } valid_window;         /* targets scored .. length-1 count */

/* Windows advance by `stride` tokens, 1 .. ctx; 0 means ctx. */
uint64_t     text_valid_windows(const text_data *d, int ctx, int stride);
valid_window text_valid_window(const text_data *d, uint64_t i, int ctx, int stride, int32_t *ids, int32_t *targets, int32_t *starts);

#endif

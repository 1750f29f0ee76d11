/* What a trainer reads: windows of tokens out of two shards, or the examples of
 * two tables (data/labelled.h).
 *
 * Training.  The documents stand end to end (data/shard.h) and are cut into
 * windows of ctx + 1 tokens, neighbours sharing one, so that every token is
 * predicted once.  Each epoch begins the cut elsewhere, and takes the windows
 * in the order of a seekable permutation; both depend on (seed, epoch) only.
 * A sample is a number: epoch * windows + position.  Resuming is knowing it.
 *
 * Validation.  Windows in order, each token predicted once, by as much context
 * as the stride leaves. */
#ifndef DATA_DATA_H
#define DATA_DATA_H

#include "lithe_tools.h"
#include "base/error.h"
#include "data/image_shard.h"
#include "data/labelled.h"
#include "data/shard.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lithe_dataset {
    shard train, valid;
    labelled *labels;                           /* instead of the shards; NULL: text */
    images *images;                             /* or these */
    char *dir;                                  /* where train.shard, valid.shard (or the tables) and data.json lie */
    bool temporary;                             /* dir is removed with the dataset */
    bool reset_attention;
};

/* ---- making and opening ---- */

#define TRAIN_SHARD "train.shard"
#define VALID_SHARD "valid.shard"
#define DATA_JSON   "data.json"                 /* options, sources, sizes and hashes */

/* Reads the text and writes the three files into dir, which is made. */
int dataset_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err);

/* The files of dir as they were left.  t, unless NULL (shards only), must be the tokenizer they
 * were made with.  With sources, text files that are still there must not have
 * changed.  LITHE_EMISMATCH for either. */
lithe_dataset *dataset_reopen(const char *dir, const lithe_tokenizer *t, bool sources, lithe_error *err);

/* LITHE_EMISMATCH unless t is the tokenizer that the shards of text were made with. */
int dataset_tokenizer(const lithe_dataset *d, const lithe_tokenizer *t, lithe_error *err);

/* Puts the files into another directory (links where it can, copies elsewhere). */
int dataset_place(const lithe_dataset *d, const char *dir, lithe_error *err);

/* "train.shard SIZE HASH, valid.shard SIZE HASH": equal for equal data. */
void dataset_identity(const lithe_dataset *d, char *text, size_t cap);

/* 128 bits of a tokenizer: what it makes of every id and of a trial text. */
void tokenizer_identity(const lithe_tokenizer *t, uint8_t hash[16]);
/* Whether every byte string survives encoding. */
bool tokenizer_takes_bytes(const lithe_tokenizer *t);

/* ---- training windows ---- */

/* In one epoch; 0 when the data are shorter than one window. */
uint64_t dataset_windows(const lithe_dataset *d, int ctx);
/* Refuses such data, naming both numbers. */
int      dataset_check(const lithe_dataset *d, int ctx, lithe_error *err);

/* Sample number `sample`: ids and targets [ctx].  starts[] (at most ctx of them)
 * gets where each sequence in the window begins: 0, and with reset_attention
 * also each document.  Returns how many. */
int dataset_window(const lithe_dataset *d, uint64_t seed, uint64_t sample, int ctx, int32_t *ids, int32_t *targets, int32_t *starts);

/* ---- validation windows ---- */

typedef struct { int length, scored, sequences; } valid_window;         /* targets scored .. length-1 count */

/* stride: tokens by which windows advance, 1 .. ctx; 0 means ctx. */
uint64_t     dataset_valid_windows(const lithe_dataset *d, int ctx, int stride);
valid_window dataset_valid_window(const lithe_dataset *d, uint64_t i, int ctx, int stride, int32_t *ids, int32_t *targets, int32_t *starts);
/* Bytes of text that this many predictions stand for: bits per byte are
 * nll / ln 2 / bytes; exact over the whole split. */
double       dataset_valid_bytes(const lithe_dataset *d, uint64_t predictions);

#endif

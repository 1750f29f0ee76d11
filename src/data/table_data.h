/* Labelled text is examples of a text, or a pair, with a class or a number.
 *
 * On disk, in a dataset's directory, two tables and their description:
 *   train.jsonl, valid.jsonl   {"text", "pair", "label"} a line
 *   data.json                  task, names of the classes, sizes and hashes
 * In memory are the ids of each text without special tokens; text/layout.h adds them,
 * and truncates what is too long, when an example is asked for. */
#ifndef DATA_TABLE_DATA_H
#define DATA_TABLE_DATA_H

#include "data/data.h"
#include "data/labels.h"
#include "text/layout.h"

typedef struct {
    size_t count;
    size_t *start;                  /* [2 count + 1]: text i is ids[start[2i] .. start[2i+1]), its pair what follows */
    int32_t *ids;
    int *label;                     /* of classes */
    float *value;                   /* of numbers */
    int longest;                    /* tokens of the longest example, special ones too */
} examples;

typedef struct {
    lithe_dataset base;
    layout layout;
    examples train, valid;
} table_data;

const table_data *table_of(const lithe_dataset *d);

/* Reads the tables and writes them and their description into dir. */
int table_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err);

/* Writes example i with its special tokens, truncated to limit ids, which layout_fits must have allowed; returns its
 * length. */
int example_write(const table_data *d, const examples *e, size_t i, int limit, int32_t *ids, int32_t *types);

#endif

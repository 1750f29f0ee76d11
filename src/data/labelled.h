/* Labelled text: examples of a text, or two, with a class or a number.
 *
 * On disk, in a dataset's directory, two tables and their description:
 *   train.jsonl, valid.jsonl   {"text", "pair", "label"} a line
 *   data.json                  task, names of the classes, sizes and hashes
 * In memory the ids of each text without special tokens; text/layout.h puts them
 * around, and cuts what is too long, when an example is asked for. */
#ifndef DATA_LABELLED_H
#define DATA_LABELLED_H

#include "base/error.h"
#include "data/table.h"
#include "text/layout.h"
#include <stdint.h>

#define TRAIN_TABLE "train.jsonl"
#define VALID_TABLE "valid.jsonl"

/* ---- examples ---- */

typedef struct {
    size_t count;
    size_t *start;                  /* [2 count + 1]: text i is ids[start[2i] .. start[2i+1]), its pair what follows */
    int32_t *ids;
    int *label;                     /* of classes */
    float *value;                   /* of regression */
    bool pairs;                     /* every example has two texts, else none has */
    int longest;                    /* tokens of the longest example, special ones too */
} examples;

typedef struct {
    bool regression, pairs;
    char **names; int classes;      /* of the classes; 0 with regression */
    layout layout;
    examples train, valid;
    int vocab;                      /* of the tokenizer */
    char train_hash[33], valid_hash[33]; size_t train_bytes, valid_bytes;
} labelled;

/* Reads the tables at paths and writes the three files into dir, which is made. */
int labelled_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err);
/* Those three files.  t encodes the texts. */
labelled *labelled_open(const char *dir, const lithe_tokenizer *t, lithe_error *err);
void      labelled_close(labelled *l);

/* Examples of one table whose labels are among the given ones: names (classes of them), or numbers. */
typedef struct { bool regression; char *const *names; int classes; } label_set;
int  examples_read(examples *e, const char *path, const table_columns *c, const label_set *labels, const lithe_tokenizer *t, lithe_error *err);
void examples_free(examples *e);
/* Example i with its special tokens, cut to limit ids, which layout_fits must have allowed.  Returns how many there are. */
int  example_write(const examples *e, const layout *l, size_t i, int limit, int32_t *ids, int32_t *types);

/* The class a label means: its name, or its number where no name is the same; -1. */
int label_find(const label_set *l, const char *label);
/* The class, or the number, of a row of the table at path. */
int label_read(const label_set *l, const table_row *r, const char *path, int *label, float *value, lithe_error *err);

#endif

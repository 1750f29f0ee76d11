/* Labelled text: examples of a text, or two, with a class or a number.
 *
 * On disk, in a dataset's directory, two tables and their description:
 *   train.jsonl, valid.jsonl   {"text", "pair", "label"} a line
 *   data.json                  task, names of the classes, sizes and hashes
 * In memory the ids of each text without special tokens.  Putting them around,
 * and cutting what is too long, is done when an example is asked for. */
#ifndef DATA_LABELLED_H
#define DATA_LABELLED_H

#include "base/error.h"
#include "data/table.h"
#include <stdint.h>

#define TRAIN_TABLE "train.jsonl"
#define VALID_TABLE "valid.jsonl"

/* ---- two texts and the special tokens around them ---- */

enum { FORM_MOST = 8 };
typedef struct { int32_t ids[FORM_MOST]; int types[FORM_MOST]; int n; } form_part;
/* [CLS] a [SEP] and [CLS] a [SEP] b [SEP] of the tokenizer's template. */
typedef struct { form_part before, behind, pair_before, between, pair_behind; int second_type; } pair_form;

int pair_form_open(pair_form *f, const lithe_tokenizer *t, lithe_error *err);

typedef struct { const int32_t *ids; int n; } id_text;
/* Ids and types of a text, or of two (b->n < 0: one), cut to at most limit tokens: the longer text loses its end first
 * (both keep half where both are longer).  Returns how many; *cut: tokens that were left out. */
int pair_write(const pair_form *f, id_text a, id_text b, int limit, int32_t *ids, int *types, int *cut);
int pair_length(const pair_form *f, int a, int b);               /* uncut */

/* ---- examples ---- */

typedef struct {
    size_t count;
    size_t *start;                  /* [2 count + 1]: text i is ids[start[2i] .. start[2i+1]), its pair what follows */
    int32_t *ids;
    int *label;                     /* of classes */
    float *value;                   /* of regression */
    int longest;                    /* tokens of the longest example, special ones too */
} examples;

typedef struct {
    bool regression, pairs;
    char **names; int classes;      /* of the classes; 0 with regression */
    pair_form form;
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
int  examples_read(examples *e, const char *path, const table_columns *c, const label_set *labels, const pair_form *f, const lithe_tokenizer *t, lithe_error *err);
void examples_free(examples *e);
int  example_write(const examples *e, const pair_form *f, size_t i, int limit, int32_t *ids, int *types);

/* The class a label means: its name, or its number where no name is the same; -1. */
int label_find(const label_set *l, const char *label);

#endif

/* A dataset is what a trainer reads, and is one of its kinds:
 *
 *   text     windows of tokens, or pieces of documents, out of two shards (data/text_data.h)
 *   table    labelled texts, or pairs of them, out of two tables (data/table_data.h)
 *   images   labelled images of one size out of two image shards (data/image_data.h)
 *
 * A dataset is made once, from what a person gives, into two files and a
 * description in a directory, and is opened from there, by the run that made it
 * and by the one that resumes it.  A kind says how; everyone else reads the
 * facts, or asks for the objective, and does not tell kinds apart. */
#ifndef DATA_DATA_H
#define DATA_DATA_H

#include "lithe_tools.h"
#include "base/mapped_file.h"
#include "base/partial.h"
#include "data/labels.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATA_JSON "data.json"                   /* the description: task, options, sources, sizes and hashes */

typedef enum { TRAIN, VALID, SPLITS } data_split;

typedef struct {
    size_t bytes; char hash[33];    /* of its file */
    size_t examples;                /* labelled texts or images; 0 of text */
    size_t tokens, text_bytes;      /* of text, delimiters included; of a table tokens alone, without special ones */
} split_facts;

typedef struct dataset_kind dataset_kind;

struct lithe_dataset {
    const dataset_kind *kind;
    char *dir;                                  /* where the files of the splits and data.json lie */
    partial_dir temporary;                       /* dir, where it is removed with the dataset */
    split_facts facts[SPLITS];
    mapping *map[SPLITS];                       /* of the files that are read in training; NULL: they are in memory */
    int vocab;                                  /* all ids are below it; 0 of images */
    label_names names;                          /* of the classes; none of text and of numbers */
    size_t *counted;                            /* (names.count): examples of each class to learn from; NULL: unknown */
    char *columns;                              /* which ones of a table were chosen, for a person; NULL: unknown */
    char *left_out;                             /* which files of a set of images were left out; NULL: none */
    bool labelled, numbers, pairs;              /* each example has a label; which is a number; and two texts */
    int longest;                                /* tokens of a table's longest example, special ones too */
    int side, channels;                         /* of images; 0 else */
    double mean[3], deviation[3];               /* of the training images' samples, as shares of 255, by channel */
};

/* A model learns one of these of text; it says which objective there is. */
typedef enum { LEARN_NEXT, LEARN_MASKED, LEARN_SENTENCES, LEARN_PAIRS } text_task;

/* Of the sources of a dataset, every one of `of` from `first` on; of 0, none. */
typedef struct { int first, of; } source_share;
#define ALL_SOURCES ((source_share){ 0, 1 })
#define NO_SOURCES  ((source_share){ 0, 0 })

struct objective_kind;
struct dataset_kind {
    const char *name;
    size_t size;                                /* of its struct, which begins with a lithe_dataset */
    const char *file[SPLITS];                   /* in a dataset's directory, beside data.json */
    int    batch;                               /* what is usual: samples in a step, */
    int    eval_windows;                        /* samples of the validation split at an evaluation (0: all), */
    double epochs;                              /* passes over the data, */
    bool   fine_tuning;                         /* and that a model is there which knows something already */

    /* Reads the sources at paths and writes the files into dir, which is made. */
    int (*prepare)(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err);
    /* Reads those files in d->dir, checks them and fills in the facts.  t: the tokenizer they were made with; NULL is
     * taken where the files hold ids.  sources: which text files, of those still there, must not have changed. */
    int (*open)(lithe_dataset *d, const json_t *description, const lithe_tokenizer *t, source_share sources, lithe_error *err);
    /* Writes the same text in the ids of a tokenizer that extends the present one into dir, which is made; NULL where
     * the files hold no ids. */
    int (*translate)(const lithe_dataset *d, const lithe_tokenizer *from, const lithe_tokenizer *to, const char *dir, lithe_error *err);
    void (*close)(lithe_dataset *d);            /* what `open` made, failed or not, but for the names */

    /* Decides the tokens of a sample, of which *ctx are wanted (asked: by a person) for a model that takes `most`;
     * refuses what the data cannot fill. */
    int (*context)(const lithe_dataset *d, text_task task, bool asked, int most, int *ctx, lithe_error *err);
    const struct objective_kind *(*objective)(text_task task);
    const char *(*augmentation)(const lithe_dataset *d);        /* the usual one by its name; NULL: there is none */
};

extern const dataset_kind text_kind, table_kind, image_kind;

/* Gives the kind of lithe_data_options' task, or of a description's; NULL when there is none. */
const dataset_kind *dataset_kind_of(const char *task);

/* Opens the files of dir as they were left, by the description beside them (dataset_kind's open). */
lithe_dataset *dataset_reopen(const char *dir, const lithe_tokenizer *t, source_share sources, lithe_error *err);

/* While a kind opens a dataset: reads a text of the description, if it has it, and counts an example of a class. */
int dataset_note(lithe_dataset *d, char **out, const json_t *description, const char *key, lithe_error *err);
int dataset_count_label(lithe_dataset *d, int label, lithe_error *err);

/* Fails with LITHE_EFORMAT when a file of d was cut or overwritten since it was opened: samples read since may be
 * anything. */
int dataset_intact(const lithe_dataset *d, lithe_error *err);

/* Puts the files into another directory (links where it can, copies elsewhere). */
int dataset_place(const lithe_dataset *d, const char *dir, lithe_error *err);
/* Messages name the files in dir from now on, if they are there. */
int dataset_called(const lithe_dataset *d, const char *dir, lithe_error *err);

/* Writes "train.shard SIZE HASH, valid.shard SIZE HASH", which is equal for equal data. */
void dataset_identity(const lithe_dataset *d, char *text, size_t cap);

/* Gives the bytes of text that so many predictions of the validation split stand for, exact over the whole split; NAN
 * where it is no text.  Bits per byte are nll / ln 2 / bytes. */
double dataset_valid_bytes(const lithe_dataset *d, uint64_t predictions);

#endif

/* Objectives: what is predicted.  An objective turns sample number s into rows
 * of a batch: inputs, the rows a head looks at, targets, labels.
 *
 *   next      every token from those before it; windows of a text
 *   masked    hidden tokens from all around; pieces of documents
 *   sentences the same; blocks of whole sentences
 *   pairs     the same, and whether a second stretch of sentences follows the first
 *   labels    a class or a number for each example of a table
 *   images    a class for each picture
 *
 * The loss of a step is the sum over its targets divided by their weight, which
 * is counted before the step, and likewise for labels.
 * Invariant: what a row holds depends on (seed, step, sample, position) and
 * never on its neighbours or on how a step is split into parts. */
#ifndef DATA_OBJECTIVE_H
#define DATA_OBJECTIVE_H

#include "data/data.h"
#include "data/image_augment.h"
#include "data/mask.h"
#include "data/sentences.h"

/* ---- a batch in the making ---- */

typedef struct { int rows, seqs, selected, patch_width; } extent;      /* patch_width: samples of a picture's patch; 0: no pictures */

typedef struct {
    int rows, seqs, selected;                   /* so far */
    int32_t *ids, *pos, *type;                  /* (rows) */
    int32_t *start;                             /* (seqs + 1) */
    int32_t *select;                            /* (selected) rows with a target, where not all have one */
    int32_t *target;                            /* (selected), or (rows) where all rows have one */
    float *weight;                              /* of the targets */
    uint64_t *row_key;                          /* (rows), for dropout */
    int32_t *label; float *value;               /* (seqs) */
    float *patches;                             /* (rows, patch_width), zeros at class tokens; NULL: no pictures */
    double targets, labels;                     /* weight of all targets; sequences with a label */
    int32_t *scratch;                           /* (4 rows of one sample) */
} sheet;

int  sheet_open(sheet *s, extent all, extent sample, lithe_error *err);
void sheet_close(sheet *s);
void sheet_clear(sheet *s);
/* Closes a sequence of the last n rows, whose ids and types are written: positions, keys, its end. */
void sheet_end_sequence(sheet *s, int n, uint64_t key);

/* ---- objectives ---- */

/* How a model cuts pictures, what it does to samples, and how they are varied while training. */
typedef struct { int patch; normalization normal; const augmentation *way; } picture_settings;

typedef struct {
    mask_settings mask;
    double valid_rate;                          /* of masks at evaluations */
    picture_settings pictures;
    bool sentences;                             /* masked tokens: in blocks of whole sentences */
} objective_settings;

typedef struct objective objective;

typedef struct {
    const char *name;
    bool selects;                               /* the head looks at sheet.select, not at all rows */
    int  (*open)(objective *o, lithe_error *err);           /* fills samples, valid_samples, most */
    void (*close)(objective *o);                            /* NULL: nothing to do */
    void (*train)(objective *o, sheet *s, uint64_t sample, uint64_t key);       /* adds a sample; key: of its dropout */
    void (*valid)(objective *o, sheet *s, uint64_t i);
} objective_kind;

extern const objective_kind predict_next, predict_masked, predict_sentences, predict_pairs, predict_labels, predict_images;

/* Sentences a_first .. a_end-1 and b_first .. b_end-1; random: b does not follow a. */
typedef struct { uint64_t a_first, a_end, b_first, b_end; int random; } objective_pair;

struct objective {
    const objective_kind *kind;
    const lithe_dataset *data;
    const lithe_tokenizer *tokenizer;           /* NULL where it is not needed */
    objective_settings settings;
    int ctx;
    uint64_t seed;
    uint64_t samples, valid_samples;            /* in an epoch; in the validation split */
    extent most;                                /* of one sample */
    mask_vocab vocab;                           /* masked */
    pair_form form;                             /* masked */
    float *pixels;                              /* images: one picture, varied */
    uint64_t *pieces, *valid_pieces;            /* masked: [documents + 1] pieces before each document; sentences: [blocks + 1] the first of each block */
    int32_t separator;                          /* masked */
    sentences sentences, valid_sentences;
    objective_pair *pairs, *valid_pairs; int room;      /* pairs; tokens of both */
};

/* What the objectives with masks share (predict_masked.c): vocabulary, template and extent; special tokens behind the
 * rows that are there; the last n rows masked and closed as a sequence. */
int           masked_open(objective *o, lithe_error *err);
void          masked_close(objective *o);
void          masked_put(sheet *s, const form_part *p, int *n);
void          masked_end(const objective *o, sheet *s, const mask_settings *m, int n, uint64_t mask_key, uint64_t key);
uint64_t      masked_key(const objective *o, uint64_t epoch, uint64_t i);
uint64_t      masked_valid_key(const objective *o, uint64_t i);
mask_settings masked_at_evaluation(const objective *o);

/* data and tokenizer are borrowed. */
int  objective_open(objective *o, const objective_kind *kind, const lithe_dataset *d, const lithe_tokenizer *t, const objective_settings *s,
                    int ctx, uint64_t seed, lithe_error *err);
void objective_close(objective *o);
/* Adds a sample to s.  at: the step, for dropout. */
void objective_train(objective *o, sheet *s, int at, uint64_t sample);
void objective_valid(objective *o, sheet *s, uint64_t i);

#endif

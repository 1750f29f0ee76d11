/* An objective says what is predicted: it turns sample number s into rows of a batch,
 * with inputs, the rows a head looks at, targets and labels.
 *
 *   next      every token from those before it; windows of a text
 *   masked    masked tokens from those on both sides; pieces of documents
 *   sentences the same; blocks of whole sentences
 *   pairs     the same, and whether a second stretch of sentences follows the first
 *   labels    a class or a number for each example of a table
 *   images    a class for each image
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
#include "graph/batch.h"
#include "text/layout.h"

/* ---- samples ---- */

/* A draft holds a sample before it is added to a batch. */
typedef struct {
    int32_t *text;                              /* (rows) ids of its texts, one after another */
    int32_t *ids, *types;                       /* (rows) as it is laid out */
    int32_t *target, *place;                    /* (rows) what is predicted, and in which rows where not in all */
    int32_t *scratch;                           /* (2 rows) */
} draft;

/* ---- objectives ---- */

/* These say how a model cuts and normalizes images, and how they are varied in training. */
typedef struct { int patch, tokens; normalization normal; const augmentation *augmentation; } image_settings;

typedef struct {
    mask_settings mask;
    double valid_rate;                          /* of masks at evaluations */
    image_settings images;
    bool sentences;                             /* masked tokens: in blocks of whole sentences */
} objective_settings;

typedef struct objective objective;

typedef struct objective_kind {
    const char *name;
    int  (*open)(objective *o, lithe_error *err);           /* fills samples, valid_samples, most */
    void (*close)(objective *o);                            /* NULL: nothing to do */
    /* Adds a sample; key: of its dropout. */
    void (*train)(objective *o, batch_builder *b, uint64_t sample, uint64_t key);
    void (*valid)(objective *o, batch_builder *b, uint64_t i);
} objective_kind;

extern const objective_kind predict_next, predict_masked, predict_sentences, predict_pairs, predict_labels, predict_images;

/* A pair is of sentences a_first .. a_end-1 and b_first .. b_end-1; with random, b does not follow a. */
typedef struct { uint64_t a_first, a_end, b_first, b_end; int random; } objective_pair;

struct objective {
    const objective_kind *kind;
    const lithe_dataset *data;
    const lithe_tokenizer *tokenizer;           /* NULL where it is not needed */
    objective_settings settings;
    int ctx;
    uint64_t seed;
    uint64_t samples, valid_samples;            /* in an epoch; in the validation split */
    batch_capacity most;            /* of one sample; selected 0: all rows have a target, or a label has the sequence */
    draft draft;
    mask_vocab vocab;                           /* masked */
    layout layout;                              /* masked */
    float *pixels, *patches;                    /* images: one, varied; and cut */
    /* masked: [documents + 1] pieces before each document; sentences: [blocks + 1] the first of each block */
    uint64_t *pieces, *valid_pieces;
    int32_t separator;                          /* masked */
    sentences sentences, valid_sentences;
    objective_pair *pairs, *valid_pairs; int room;      /* pairs; tokens of both */
};

/* The objectives with masks share these (predict_masked.c).  masked_open fills in vocabulary, layout and capacity;
 * masked_room says how many ids of one text fit; masked_add lays out a text, or two where second is not NULL, masks it
 * and adds it to a batch. */
int           masked_open(objective *o, lithe_error *err);
void          masked_close(objective *o);
int           masked_room(const objective *o);
void          masked_add(objective *o, batch_builder *b, id_text text, const id_text *second, const mask_settings *m, uint64_t mask_key, uint64_t key);
uint64_t      masked_key(const objective *o, uint64_t epoch, uint64_t i);
uint64_t      masked_valid_key(const objective *o, uint64_t i);
mask_settings masked_at_evaluation(const objective *o);

/* The data and the tokenizer are borrowed. */
int  objective_open(objective *o, const objective_kind *kind, const lithe_dataset *d, const lithe_tokenizer *t, const objective_settings *s,
                    int ctx, uint64_t seed, lithe_error *err);
void objective_close(objective *o);
/* Adds a sample to b, which has the capacity for it, or fails (graph/batch.h).  at is the step, for dropout. */
void objective_train(objective *o, batch_builder *b, int at, uint64_t sample);
void objective_valid(objective *o, batch_builder *b, uint64_t i);

#endif

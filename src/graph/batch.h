/* Batches are ragged: the tokens of all sequences end to end, nothing is padded.  A builder makes them:
 *
 *   batch_open
 *   batch_begin -> batch_add, batch_select, batch_label, ... -> batch_view     (again and again)
 *   batch_close
 *
 * Nobody else writes `start` or `pos`.  What does not fit the builder's capacity
 * is left out, and batch_view refuses: the first failure is kept until batch_begin. */
#ifndef GRAPH_BATCH_H
#define GRAPH_BATCH_H

#include "base/error.h"
#include "kernels/kernels.h"

/* What one run of a graph reads; borrowed until it returns. */
typedef struct {
    int rows, seqs, selected;
    const int *ids;                 /* (rows) token ids */
    const int *pos;                 /* (rows) position of each token in its sequence */
    const int *type;                /* (rows) which text of a pair a token belongs to; NULL: the first */
    /* (rows, patch width) of images; a sequence's first row is its class token and holds zeros */
    const real *patches;
    const int *start;           /* (seqs+1) first row of each sequence */
    const int *slot;            /* (seqs) state slot of each sequence; of graphs with states */
    const int *select;          /* (selected) the rows the head reads; NULL in a graph whose head reads all rows */
    const int *target;          /* (rows the head reads) the token to predict */
    const real *weight;         /* (rows the head reads) weights of the targets; NULL: all 1 */
    const uint64_t *row_key;    /* (rows) key_of(step key, sample, position) for dropout; NULL when there is none */
    real scale;                 /* 1 / total target weight of the whole step */
    const int *label;           /* (seqs) the class of each sequence */
    const real *value;          /* (seqs) or the number of each sequence */
    real seq_scale;             /* 1 / sequences of the whole step */
    bool accumulate;            /* parameter gradients are added to the present ones (micro-batches after the first) */
} batch;

/* selected 0: the head sees all rows; patch_width 0: no images. */
typedef struct { int rows, seqs, selected, patch_width; } batch_capacity;

/* A sequence to be added; all arrays are copied. */
typedef struct {
    int n;                          /* rows */
    const int *ids;                 /* (n); NULL: zeros */
    const int *types;               /* (n); NULL: zeros */
    const real *patches;            /* (n - tokens, patch width) of an image, after the class token's row */
    int tokens;                     /* how many rows of tokens stand before the patches; 0: 1 */
    int position;                   /* the position of its first row */
    int slot;
    uint64_t key; int place;        /* dropout: row i is keyed by key_of(key, place + i) */
} batch_sequence;

typedef struct {
    batch_capacity capacity;
    int rows, seqs, selected;       /* so far */
    double targets, labels;         /* weight of all targets; sequences with a label */
    int *ids, *pos, *type, *start, *slot, *select, *target, *label;
    real *weight, *value, *patches;
    uint64_t *row_key;
    lithe_error error;
    batch view;
} batch_builder;

int  batch_open(batch_builder *b, batch_capacity most, lithe_error *err);
void batch_close(batch_builder *b);

/* Begins an empty batch. */
void batch_begin(batch_builder *b);
bool batch_add(batch_builder *b, const batch_sequence *s);
/* Selects row `row` of the sequence added last for the head, which predicts `target` there.  Rows are selected in
 * ascending order; where the head reads all rows, those that are not selected have no weight. */
bool batch_select(batch_builder *b, int row, int target, real weight);
/* Sets the class of the sequence added last, or its number. */
void batch_label(batch_builder *b, int label, real value);
/* Begins a batch of rows first .. end-1 of each sequence of `from`, with their positions, keys and targets; the slot of
 * a sequence is its number in `from`.  For builders whose head reads all rows. */
void batch_window(batch_builder *b, const batch_builder *from, int first, int end);
/* Sets the scales of the gradients of targets and of labels, which are 1 after batch_open. */
void batch_scale(batch_builder *b, double scale, double seq_scale, bool accumulate);

/* Returns the batch for graph_run, borrowed until the builder changes; NULL when something did not fit. */
const batch *batch_view(batch_builder *b, lithe_error *err);

#endif

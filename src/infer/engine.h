/* An engine reads many sequences with one model: it owns the graphs, and the states of its slots.  Each slot is a
 * sequence of its own, at its own position; a step takes tokens for any of them as one ragged batch.  Whole sequences,
 * which need no states, are read by passes that are planned once and reused.
 * All that reads tokens or images in infer and eval stands on an engine: sessions and generation on its slots; scoring,
 * logits, embedding, classifying, filling in masks, evaluations and features on its passes over whole sequences.
 * lithe_tools.h has the public part; this is what those need in addition.
 * Invariant: the states of a slot are those after its `length` ids, and the results of a sequence
 * depend on its own ids only, bit for bit. */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H

#include "infer/infer.h"

const lithe_model *engine_model(const lithe_engine *e);
int  engine_rows(const lithe_engine *e);        /* ids of all slots together that one pass reads */
/* Its graphs, from 0 on: that of the slots, then those of whole sequences; NULL where there is none. */
enum { ENGINE_GRAPHS = 4 };
const graph *engine_graph(const lithe_engine *e, int i);
bool engine_recurrent(const lithe_engine *e);   /* a slot cannot be shortened: it is extended, restarted, or restored */

/* Opens an engine without slots. */
lithe_engine *engine_of_whole(lithe_model *m, lithe_error *err);

/* The rows of a batch of whole sequences, unless one of them is longer. */
enum { ROWS_AT_ONCE = 2048 };

/* What a pass over whole sequences gives, and the capacity that it needs at least.  selected 0: the head reads all
 * rows. */
typedef struct { want want; int rows, seqs, selected; bool taps; } whole_pass;
/* *p is the pass, borrowed until the next call for the same `want`.  It is planned when the one before does not do. */
int engine_whole(lithe_engine *e, const whole_pass *o, pass **p, lithe_error *err);

/* The width of the model's hidden states; 0 if memory is out. */
int engine_width(lithe_engine *e);

/* State number i of a slot, in the order of declaration. */
typedef struct {
    const char *name;
    int width;
    bool recurrent;                  /* data is one row of reals; otherwise a row of `type` for each id that was read */
    stored_type type;
    void *data;
} slot_state;
int        engine_states(const lithe_engine *e);
slot_state engine_state(const lithe_engine *e, int i, int slot);

/* Sets the number of ids that the slot has read to n: the first n of those it read (for a recurrent engine only 0 is
 * possible), or those of the states that the caller has written. */
void engine_place(lithe_engine *e, int slot, size_t n);

/* A copy of the states of a slot, one after the other. */
typedef struct {
    size_t length;                   /* number of ids that were read */
    bool given;                      /* at length 0: initial states in place of zeros */
    bool scores;                     /* the logits after the last id stand after the states */
    _Alignas(real) char data[];
} slot_snapshot;
slot_snapshot *snapshot_new(const lithe_engine *e, size_t length);      /* zeros, to be freed; NULL if memory is out */
slot_snapshot *engine_snapshot(const lithe_engine *e, int slot);        /* to be freed; NULL if memory is out */
void           engine_restore(lithe_engine *e, int slot, const slot_snapshot *x);

#endif

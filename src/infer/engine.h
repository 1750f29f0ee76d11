/* An engine reads many sequences over one model: it owns the graph and the
 * slots' states.  Each slot is a sequence of its own, at its own position; a step
 * takes tokens for any of them as one ragged batch.  lithe.h has the public part;
 * this is what sessions and state files need beside it.
 * Invariant: a slot's states hold what its `length` ids left, and what a slot gives
 * depends on its own ids alone, bit for bit. */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H

#include "infer/infer.h"

const lithe_model *engine_model(const lithe_engine *e);
bool engine_recurrent(const lithe_engine *e);            /* a slot cannot be cut back: it goes on, begins anew, or is restored */

/* State number i of a slot, in order of declaration. */
typedef struct {
    const char *name;
    int width;
    bool recurrent;                  /* data is one row; else a row for each id that was read */
    real *data;
} slot_state;
int        engine_states(const lithe_engine *e);
slot_state engine_state(const lithe_engine *e, int i, int slot);

/* The slot stands after n ids: the first of those it has read (a recurrent engine cannot, but for 0), or whatever its
 * states, which the caller has written, stand after. */
void engine_place(lithe_engine *e, int slot, size_t n);

/* A copy of a slot's states, one after the other. */
typedef struct {
    size_t length;                   /* ids that were read */
    bool given;                      /* of length 0: states to begin from in place of zeros */
    real data[];
} slot_snapshot;
slot_snapshot *snapshot_new(const lithe_engine *e, size_t length);           /* zeros, to be freed; NULL when memory is out */
slot_snapshot *engine_snapshot(const lithe_engine *e, int slot);             /* to be freed; NULL when memory is out */
void           engine_restore(lithe_engine *e, int slot, const slot_snapshot *x);

#endif

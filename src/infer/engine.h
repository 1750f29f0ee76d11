/* An engine reads many sequences with one model: it owns the graph and the
 * states of the slots.  Each slot is a sequence of its own, at its own position; a step
 * takes tokens for any of them as one ragged batch.  lithe.h has the public part;
 * this is what sessions and state files need in addition.
 * Invariant: the states of a slot are those after its `length` ids, and the results of a slot
 * depend on its own ids only, bit for bit. */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H

#include "infer/infer.h"

const lithe_model *engine_model(const lithe_engine *e);
bool engine_recurrent(const lithe_engine *e);   /* a slot cannot be shortened: it is extended, restarted, or restored */

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
    _Alignas(real) char data[];
} slot_snapshot;
slot_snapshot *snapshot_new(const lithe_engine *e, size_t length);      /* zeros, to be freed; NULL if memory is out */
slot_snapshot *engine_snapshot(const lithe_engine *e, int slot);        /* to be freed; NULL if memory is out */
void           engine_restore(lithe_engine *e, int slot, const slot_snapshot *x);

#endif

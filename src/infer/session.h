/* What session.c, state_file.c and tuned_state.c know of a session. */
#ifndef INFER_SESSION_H
#define INFER_SESSION_H

#include "infer/engine.h"
#include "infer/sampler.h"

/* A running digest of the ids a session has read. */
typedef struct { uint64_t a, b; } chain;
chain chain_add(chain c, int32_t id);

/* Each id once that occurred in what was read, and which those are. */
typedef struct { int32_t *ids; size_t count; uint8_t *is_there; } id_set;

/* Where a recurrent session stood once. */
typedef struct {
    slot_snapshot *state;                /* NULL: nowhere */
    chain digest;
    int32_t last;
    int32_t *seen; size_t seen_count;    /* without end */
    float *logits;                       /* (vocab); NULL where it stood after nothing */
} session_mark;

struct lithe_session {
    lithe_engine *engine;                /* of one slot */
    int context, vocab;                  /* context 0: without end */
    size_t length;
    int32_t *ids;                        /* (context) what was read; NULL without end, and there: */
    chain digest;                        /* of what was read, */
    int32_t last;                        /* its last id, */
    id_set seen;                         /* and which ids occurred */
    slot_snapshot *initial;              /* what it begins with; NULL: zeros */
    session_mark mark;
    sampler sampler;
    float *logits;                       /* (vocab) */
    bool ready;                          /* logits are those after the last id */
};

/* Stands after nothing. */
void session_clear(lithe_session *s);
/* Notes ids that were read. */
void session_note(lithe_session *s, const int32_t *ids, size_t n);
/* The id before the next, -1 when there is none. */
int32_t session_last(const lithe_session *s);
/* Forgets where it once stood. */
void session_forget_mark(lithe_session *s);

/* A file of states to begin from (tuned_state.c). */
bool is_tuned_state(const tensor_file *f);
int  load_tuned_state(lithe_session *s, const tensor_file *f, lithe_error *err);

#endif

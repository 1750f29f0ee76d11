/* The session as session.c, session_file.c and tuned_state.c use it. */
#ifndef INFER_SESSION_H
#define INFER_SESSION_H

#include "infer/chain.h"
#include "infer/engine.h"
#include "infer/sampler.h"

/* The set of ids that occurred, each once. */
typedef struct { int32_t *ids; size_t count; uint8_t *is_there; } id_set;

/* An earlier state of a recurrent session. */
typedef struct {
    slot_snapshot *state;                /* NULL: there is no mark */
    chain digest;
    int32_t last;
    int32_t *seen; size_t seen_count;    /* without end */
    float *logits;                       /* (vocab); NULL if nothing was read */
} session_mark;

struct lithe_session {
    lithe_engine *engine;                /* of one slot */
    int context, vocab;                  /* context 0: without end */
    size_t length;
    int32_t *ids;                        /* (context) the ids that were read; NULL if context is 0, and then: */
    chain digest;                        /* of the ids that were read, */
    int32_t last;                        /* the last id, */
    id_set seen;                         /* and the ids that occurred */
    slot_snapshot *initial;              /* initial states; NULL: zeros */
    session_mark mark;
    sampler sampler;
    float *logits;                       /* (vocab) */
    bool ready;                          /* logits are those after the last id */
};

/* Forgets everything that was read. */
void session_clear(lithe_session *s);
/* Records ids that were read. */
void session_note(lithe_session *s, const int32_t *ids, size_t n);
/* The last id that was read, -1 if there is none. */
int32_t session_last(const lithe_session *s);
/* Removes the mark. */
void session_forget_mark(lithe_session *s);

/* Loads a file of tuned initial states (tuned_state.c). */
bool is_tuned_state(const tensor_file *f);
int  load_tuned_state(lithe_session *s, const tensor_file *f, lithe_error *err);

#endif

/* What session.c and state_file.c know of a session. */
#ifndef INFER_SESSION_H
#define INFER_SESSION_H

#include "infer/infer.h"

/* A running digest of the ids a recurrent session has read, in place of the ids. */
typedef struct { uint64_t a, b; } chain;
chain chain_add(chain c, int32_t id);

typedef struct { const char *name; real *data; size_t bytes; int width; bool recurrent; } session_state;

struct lithe_session {
    lithe_model *model;
    int context, vocab;                  /* context 0: without end */
    size_t length;
    int32_t *ids;                        /* (context) what was read; NULL without end, and there: */
    chain digest;                        /* of what was read, */
    int32_t last;                        /* its last id, */
    int32_t *seen;                       /* (vocab) each id once that occurred in it, */
    size_t seen_count;
    uint8_t *is_seen;                    /* (vocab) and which those are */
    session_state *states;               /* in order of declaration */
    real **storage;                      /* their data, as graphs take it */
    int state_count;
    real *initial;                       /* what they begin with, one behind the other; NULL: zeros */
    bool recurrent;                      /* a state that cannot be cut back: what does not go on begins anew */
    pass one, chunk;                     /* a single token, up to CHUNK of them */
    float *logits, *scratch;
    bool ready;                          /* logits are those after the last id */
};

/* Stands after nothing. */
void session_clear(lithe_session *s);
/* Notes ids that were read. */
void session_note(lithe_session *s, const int32_t *ids, size_t n);
/* The id before the next, -1 when there is none. */
int32_t session_last(const lithe_session *s);

/* A file of states to begin from (tuned_state.c). */
bool is_tuned_state(const tensor_file *f);
int  load_tuned_state(lithe_session *s, const tensor_file *f, lithe_error *err);

#endif

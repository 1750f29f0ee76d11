/* The state that a request brings, as POST /v1/state gave it: its prompt is read from there on.
 * Invariant: it serves the sequences of that request only, and nothing that is kept for others comes of it. */
#ifndef SERVE_GIVEN_STATE_H
#define SERVE_GIVEN_STATE_H

#include "serve/served.h"

typedef struct given_state given_state;

/* body["state"]; NULL if it is absent, and with a problem if it is none of this model. */
given_state *given_state_open(served *m, const json_t *body, problem *p);
void         given_state_close(given_state *x);
size_t       given_state_bytes(const given_state *x);           /* that it takes; 0 of NULL */
/* A problem if ids do not begin with those that were read for it. */
void         given_state_check(const given_state *x, const served *m, const int32_t *ids, size_t n, problem *p);

/* The slot, which is empty, has then read that many ids; logits (vocab) are those after the last. */
size_t       given_state_take(const given_state *x, lithe_engine *e, int slot, float *logits, int vocab);

#endif

/* What a time mixer keeps, in training, of a recurrent state that passes from window to window: the states that the
 * sequences began with, which forward would overwrite, and memory for the gradients of both ends.  Its op adds
 * CARRY_READS to what it reads.  Without a state all pointers are NULL. */
#ifndef OPS_CARRY_H
#define OPS_CARRY_H

#include "graph/graph.h"

enum { CARRY_BEGIN, CARRY_END, CARRY_FIRST };               /* saves: (sequences, width) */
#define CARRY_READS (SAVE(CARRY_BEGIN) | SAVE(CARRY_END) | SAVE(CARRY_FIRST))

void carry_saves(node *n, const tensor *state);                         /* in the builder */
/* In forward, before the kernel: returns the first states, zeros where a sequence begins at position 0. */
exact *carry_begin(const node *n, const kernels *k, const tensor *state);
/* In backward: the gradients of the last states, from the slots; the memory for those of the first states; and copying
 * these to the slots. join: another operation on the same state has added its part. */
const exact *carry_end(const node *n, const kernels *k, const tensor *state);
exact *carry_first(const node *n);
void   carry_out(const node *n, const kernels *k, const tensor *state, bool join);

/* A scan along the tokens with a state of N x N for each head of N channels: its inputs, the first (tokens, width),
 * and after them the state, carried as `name`; i[0] is N, the workspace what wkv6_args says.  Its output, NULL when
 * a build has failed. */
tensor *matrix_scan(graph *g, const op *what, const char *name, tensor *const in[], int inputs, int N);

#endif

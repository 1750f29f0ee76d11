/* What a time mixer keeps, in training, of a recurrent state that windows of a
 * sequence pass on: the states the sequences began with, saved since forward
 * leaves the later ones in their place, and room for the gradients of both ends.
 * Its op says CARRY_READS, and passes NULL-safe pointers: without a state, all are
 * NULL. */
#ifndef OPS_CARRY_H
#define OPS_CARRY_H

#include "graph/graph.h"

enum { CARRY_BEGIN, CARRY_END, CARRY_FIRST };               /* saves: (sequences, width) */
#define CARRY_READS (SAVE(CARRY_BEGIN) | SAVE(CARRY_END) | SAVE(CARRY_FIRST))

void carry_saves(node *n, const tensor *state);                         /* in the builder */
/* In forward, before the kernel: the beginnings, zeros where a sequence begins at position 0. */
exact *carry_begin(const node *n, const kernels *k, const tensor *state);
/* In backward: the gradients of the ends, from the slots; the place for those of the beginnings; and these to the
 * slots. join: another operation of the same state has been there. */
const exact *carry_end(const node *n, const kernels *k, const tensor *state);
exact *carry_first(const node *n);
void   carry_out(const node *n, const kernels *k, const tensor *state, bool join);

/* A scan along the tokens with a state of N x N for each head of N channels: its inputs, the first (tokens, width),
 * and after them the state, carried as `name`; i[0] is N, the workspace what wkv6_args says.  Its output, NULL when
 * a build has failed. */
tensor *matrix_scan(graph *g, const op *what, const char *name, tensor *const in[], int inputs, int N);

#endif

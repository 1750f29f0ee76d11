/* Ranks are the processes that train one run together, each on its slices of every step (data parallel).  Each holds
 * the whole model.  Gradients are summed in the order of the ranks, so a run repeats bit for bit for a number of ranks.
 * All functions take NULL for a single process and then do nothing.
 * Invariant: after each step all ranks have the same weights, bit for bit. */
#ifndef TRAIN_RANKS_H
#define TRAIN_RANKS_H

#include "base/error.h"
#include "kernels/kernels.h"
#include "lithe_tools.h"
#include "train/shares.h"
#include "train/transport.h"
#include <stdbool.h>

/* Ranks over a transport, which is closed with them.  Exchanges host names. */
lithe_ranks *ranks_new(const transport *t, lithe_error *err);

int  ranks_rank(const lithe_ranks *r);      /* 0 for a single process */
int  ranks_count(const lithe_ranks *r);     /* 1 for a single process */
static inline bool ranks_leads(const lithe_ranks *r) { return ranks_rank(r) == 0; }        /* it writes the run */

/* While it is alone, rank 0 sums nothing, for what it does before the others have joined. */
void ranks_alone(lithe_ranks *r, bool alone);
/* Training ends in all ranks for a reason that all know. */
void ranks_fail_alike(lithe_ranks *r);
/* Seconds after which a rank that gives no sign of life is given up (0: as it is), and after which an exchange is,
 * though all ranks live (0: the usual 30 minutes). */
void ranks_patience(lithe_ranks *r, double silence, double limit);
/* Seconds that this rank has waited for others since the last call. */
double ranks_waited(lithe_ranks *r);

/* x (n) becomes the sum over all ranks.  For few numbers. */
int  ranks_sum(lithe_ranks *r, double *x, int n, lithe_error *err);
/* Rank 0's bytes come to all. */
int  ranks_tell(lithe_ranks *r, void *data, size_t bytes, lithe_error *err);
/* From one rank to another, which must ask for as many bytes. */
int  ranks_send(lithe_ranks *r, int to, const void *data, size_t bytes, lithe_error *err);
int  ranks_receive(lithe_ranks *r, int from, void *data, size_t bytes, lithe_error *err);

/* The shares of the ranks in an array of n numbers. */
shares ranks_shares(const lithe_ranks *r, size_t n);

/* This rank's shares in x (n) become their sums over all ranks; the rest of x is undefined.  Between open and end a
 * bucket may be begun as soon as its numbers are there, by all ranks in the same order; begin does nothing at other
 * times. */
int  ranks_reduce_open(lithe_ranks *r, real *x, size_t n, wire_type wire, lithe_error *err);
void ranks_reduce_begin(lithe_ranks *r, size_t bucket);
int  ranks_reduce_end(lithe_ranks *r, lithe_error *err);        /* begins the rest, and waits for all */
/* Each rank's shares in x (n) come to all, or to rank 0 alone. */
int  ranks_spread(lithe_ranks *r, real *x, size_t n, lithe_error *err);
int  ranks_gather(lithe_ranks *r, real *x, size_t n, lithe_error *err);

#endif

/* Ranks are the processes that train one run together, each on its slices of every step (data parallel).  Each holds
 * the whole model.  Gradients are summed in the order of the ranks, so a run repeats bit for bit for a number of ranks.
 * All functions take NULL for a single process and then do nothing.
 * Invariant: after each step all ranks have the same weights, bit for bit. */
#ifndef TRAIN_RANKS_H
#define TRAIN_RANKS_H

#include "base/error.h"
#include "kernels/kernels.h"
#include "lithe_tools.h"
#include "train/transport.h"
#include <stdbool.h>

/* Ranks over a transport, which is closed with them.  Exchanges host names. */
lithe_ranks *ranks_new(const transport *t, lithe_error *err);

int  ranks_rank(const lithe_ranks *r);      /* 0 for a single process */
int  ranks_count(const lithe_ranks *r);     /* 1 for a single process */
static inline bool ranks_leads(const lithe_ranks *r) { return ranks_rank(r) == 0; }        /* it writes the run */

/* While it is alone, rank 0 sums nothing, for what it does before the others have joined. */
void ranks_alone(lithe_ranks *r, bool alone);
/* What rank 0 does alone before the next sum (checkpoints, samples) may take as many seconds. */
enum { RANKS_SAVING = 1800 };
void ranks_busy(lithe_ranks *r, double seconds);

/* x (n) becomes the sum over all ranks.  For few numbers. */
int  ranks_sum(lithe_ranks *r, double *x, int n, lithe_error *err);
/* Rank 0's bytes come to all. */
int  ranks_tell(lithe_ranks *r, void *data, size_t bytes, lithe_error *err);
/* Fails in rank 0 if the text of another rank differs; texts are lines of "name value", and the error names the rank
 * and the first line that differs. */
int  ranks_agree(lithe_ranks *r, const char *text, lithe_error *err);

/* An array is cut into a share for each rank. */
typedef struct { size_t first, end; } rank_share;
rank_share ranks_share(const lithe_ranks *r, size_t n);                         /* this rank's, of n numbers */
/* The share of this rank in x (n) becomes its sum over all ranks; the rest of x is undefined. */
int  ranks_reduce(lithe_ranks *r, real *x, size_t n, lithe_error *err);
/* Each rank's share in x (n) comes to all, or to rank 0 alone. */
int  ranks_spread(lithe_ranks *r, real *x, size_t n, lithe_error *err);
int  ranks_gather(lithe_ranks *r, real *x, size_t n, lithe_error *err);

#endif

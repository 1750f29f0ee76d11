/* A weight: the values of one parameter, and the only way to them.  Four
 * questions are asked of it, and nothing else reads it:
 *   give these rows, multiply by it    weight_stored, for the kernels that gather and multiply
 *   give real values                   weight_read
 *   accept an update                   weight_edit */
#ifndef GRAPH_WEIGHT_H
#define GRAPH_WEIGHT_H

#include "kernels/kernels.h"

enum { COMPUTE_TYPES = COMPUTE_BF16 + 1 };

struct weight {
    real *values;                    /* owned by the set of parameters */
    uint64_t version;                /* of the values: an edit adds one */
    struct { void *memory; size_t bytes; uint64_t version; } packed[COMPUTE_TYPES][2];       /* of each type: as B stored (K,N), and as B stored (N,K) */
};

/* As kernels take it, until the next edit. */
stored weight_stored(const struct weight *w);
/* Elements first .. first+n-1. */
void  weight_read(const struct weight *w, size_t first, size_t n, real *out);
/* All of them (count) in memory of their own, to be freed; NULL when it is out. */
real *weight_copy(const struct weight *w, size_t count);
/* All of them, to be changed before the next run: what was packed from them is stale. */
real *weight_edit(struct weight *w);

void  weight_free(struct weight *w);

#endif

/* A weight: the values of one parameter, and the only way to them.  It has a
 * stored form, a type and bytes that lie in a mapped file or in memory of its
 * own; or real values: the master values of training, and those of a parameter
 * that ops read plainly.  Four questions are asked of it, and nothing else
 * reads it:
 *   give these rows, multiply by it    weight_stored, for the kernels that gather and multiply
 *   give real values                   weight_read
 *   accept an update                   weight_edit */
#ifndef GRAPH_WEIGHT_H
#define GRAPH_WEIGHT_H

#include "kernels/kernels.h"

enum { COMPUTE_TYPES = COMPUTE_BF16 + 1 };

struct weight {
    stored form;                     /* no data: it has real values */
    void *own; size_t own_bytes;     /* memory that the form lies in; NULL: someone else's */
    real *values;                    /* owned by the set of parameters; NULL: it has its form alone */
    uint64_t version;                /* of the values: an edit adds one */
    /* Of each type: as B stored (K,N), and as B stored (N,K). */
    struct { void *memory; size_t bytes; uint64_t version; } packed[COMPUTE_TYPES][2];
};

/* As kernels take it, until the next edit. */
stored weight_stored(const struct weight *w);
/* Elements first .. first+n-1. */
void  weight_read(const struct weight *w, size_t first, size_t n, real *out);
/* All of them (count) in memory of their own, to be freed; NULL when it is out. */
real *weight_copy(const struct weight *w, size_t count);
/* All of them, to be changed before the next run: what was packed from them is stale.  A weight without real values has
 * none to change. */
real *weight_edit(struct weight *w);

/* From here on it is stored so.  own: big_alloc'd memory of own_bytes that it takes over, or NULL. */
void  weight_store(struct weight *w, stored form, void *own, size_t own_bytes);
/* From here on it has real values, all of them (count) at `values`: zeros where it had nothing. */
void  weight_widen(struct weight *w, size_t count, real *values);
void  weight_free(struct weight *w);

#endif

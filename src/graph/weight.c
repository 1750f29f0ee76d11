#include "graph/weight.h"
#include "base/arena.h"

stored weight_stored(const struct weight *w) { return (stored){ .data = w->values }; }

void weight_read(const struct weight *w, size_t first, size_t n, real *out)
{
    kernels_default()->widen(out, stored_from(weight_stored(w), first), n);
}

real *weight_copy(const struct weight *w, size_t count)
{
    real *copy = xalloc(count, sizeof *copy);
    if (copy) weight_read(w, 0, count, copy);
    return copy;
}

real *weight_edit(struct weight *w)
{
    w->version++;
    return w->values;
}

void weight_free(struct weight *w)
{
    for (int type = 0; type < COMPUTE_TYPES; type++)
        for (int side = 0; side < 2; side++) big_free(w->packed[type][side].memory, w->packed[type][side].bytes);
}

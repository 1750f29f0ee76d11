#include "graph/weight.h"
#include "base/arena.h"
#include <assert.h>

stored weight_stored(const struct weight *w) { return w->values ? (stored){ .data = w->values } : w->form; }

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
    assert(w->values);
    w->version++;
    return w->values;
}

static void forget_form(struct weight *w)
{
    big_free(w->own, w->own_bytes);
    w->own = NULL;
    w->form = (stored){ 0 };
}

void weight_store(struct weight *w, stored form, void *own, size_t own_bytes)
{
    forget_form(w);
    w->form = form;
    w->own = own;
    w->own_bytes = own_bytes;
    w->version++;
}

void weight_widen(struct weight *w, size_t count, real *values)
{
    if (weight_stored(w).data) weight_read(w, 0, count, values);
    w->values = values;
    forget_form(w);
}

void weight_free(struct weight *w)
{
    forget_form(w);
    for (int type = 0; type < COMPUTE_TYPES; type++)
        for (int side = 0; side < 2; side++) big_free(w->packed[type][side].memory, w->packed[type][side].bytes);
}

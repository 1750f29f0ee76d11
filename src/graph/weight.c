#include "graph/weight.h"
#include "base/arena.h"
#include "kernels/blocks.h"
#include <assert.h>
#include <string.h>

stored weight_stored(const struct weight *w) { return w->values ? (stored){ .data = w->values } : w->form; }

/* Numbers of x, which is not transposed, from any of a block to any of one. */
static void read_run(stored x, size_t first, size_t n, real *out)
{
    const kernels *k = kernels_default();
    const size_t block = (size_t)stored_formats[x.type].block;
    real part[MOST_BLOCK];
    while (n) {
        size_t before = first % block, whole = before ? 0 : n / block * block;
        size_t some = whole ? whole : block - before < n ? block - before : n;
        if (whole) k->widen(out, stored_from(x, first), whole);
        else k->widen(part, stored_from(x, first - before), block), memcpy(out, part + before, some * sizeof *out);
        first += some, out += some, n -= some;
    }
}

/* Numbers first .. of a matrix (rows, columns) that is stored as (columns, rows): of each column a run of as many
 * rows as a block has, so that it is taken apart once. */
static void read_transposed(stored x, size_t first, size_t n, real *out)
{
    const size_t block = (size_t)stored_formats[x.type].block, rows = (size_t)x.rows, columns = (size_t)x.columns, end = first + n;
    const stored plain = { .type = x.type, .data = x.data };
    real part[MOST_BLOCK];
    for (size_t r = first / columns / block * block; r * columns < end; r += block)
        for (size_t c = 0; c < columns; c++) {
            kernels_default()->widen(part, stored_from(plain, c * rows + r), block);
            for (size_t i = 0; i < block; i++) {
                size_t at = (r + i) * columns + c;
                if (at >= first && at < end) out[at - first] = part[i];
            }
        }
}

void weight_read(const struct weight *w, size_t first, size_t n, real *out)
{
    stored x = weight_stored(w);
    if (x.rows) read_transposed(x, first, n, out);
    else read_run(x, first, n, out);
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

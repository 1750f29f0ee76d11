/* One row for each sequence of a ragged batch: its first, its last, or the mean
 * of all, summed in ascending order. */
#include "kernels/ref/ref.h"

/* The rows of sequence s that are pooled. */
typedef struct { int first, end; } stretch;
static stretch stretch_of(const int *start, pooling how, int s)
{
    int first = start[s], end = start[s + 1];
    if (end > first && how == POOL_FIRST) end = first + 1;
    if (end > first && how == POOL_LAST) first = end - 1;
    return (stretch){ first, end };
}

void ref_pool(real *y, const real *x, const int *start, pooling how, int seqs, int width)
{
    for (int s = 0; s < seqs; s++, y += width) {
        stretch t = stretch_of(start, how, s);
        real share = t.end > t.first ? (real)1 / (real)(t.end - t.first) : 0;
        for (int c = 0; c < width; c++) y[c] = 0;
        for (int r = t.first; r < t.end; r++) ref_copy(y, true, x + (size_t)r * (size_t)width, (size_t)width);
        for (int c = 0; c < width; c++) y[c] *= share;
    }
}

void ref_pool_backward(real *dx, bool add, const real *dy, const int *start, pooling how, int seqs, int width)
{
    for (int s = 0; s < seqs; s++, dy += width) {
        stretch t = stretch_of(start, how, s);
        real share = t.end > t.first ? (real)1 / (real)(t.end - t.first) : 0;
        for (int r = start[s]; r < start[s + 1]; r++) {
            real *d = dx + (size_t)r * (size_t)width, part = r >= t.first && r < t.end ? share : 0;
            for (int c = 0; c < width; c++) d[c] = add ? d[c] + part * dy[c] : part * dy[c];
        }
    }
}

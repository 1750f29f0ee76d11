/* Moving rows and elements: embeddings, cache writes, sums, dropout. */
#include "base/random.h"
#include "kernels/blocks.h"
#include "kernels/ref/ref.h"

static void put(real *y, bool add, real value) { *y = add ? *y + value : value; }

void ref_gather(real *y, bool add, stored table, const int *index, int rows, int width)
{
    const size_t block = (size_t)stored_formats[table.type].block;
    real x[MOST_BLOCK];
    for (int r = 0; r < rows; r++)
        for (size_t c = 0; c < (size_t)width; c += block) {
            ref_widen(x, stored_from(table, (size_t)index[r] * (size_t)width + c), block);
            for (size_t i = 0; i < block; i++) put(&y[(size_t)r * (size_t)width + c + i], add, x[i]);
        }
}

void ref_scatter(real *dtable, bool add, const real *dy, const int *index, int rows, int width, int table_rows)
{
    if (!add) for (size_t i = 0; i < (size_t)table_rows * (size_t)width; i++) dtable[i] = 0;
    for (int r = 0; r < rows; r++)
        ref_copy(dtable + (size_t)index[r] * (size_t)width, true, dy + (size_t)r * (size_t)width, (size_t)width);
}

void ref_put_rows(void *dst, stored_type type, size_t dst_stride, const int *index, const real *src, size_t src_stride, int rows, int width)
{
    for (int r = 0; r < rows; r++)
        ref_narrow((char *)dst + stored_bytes(type, (size_t)index[r] * dst_stride), type, src + (size_t)r * src_stride, (size_t)width);
}

void ref_copy(real *y, bool add, const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++) put(&y[i], add, x[i]);
}

void ref_sum(real *y, const real *a, const real *b, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

void ref_scale(real *y, bool add, const real *x, real factor, size_t n)
{
    for (size_t i = 0; i < n; i++) put(&y[i], add, factor * x[i]);
}

void ref_lerp(real *y, const real *a, const real *b, const real *m, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] + (b[i] - a[i]) * m[i];
}

void ref_lerp_backward(real *da, bool add_a, real *db, bool add_b, real *dm, bool add_m, const real *dy,
                       const real *a, const real *b, const real *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (da) put(&da[i], add_a, dy[i] * (1 - m[i]));
        if (db) put(&db[i], add_b, dy[i] * m[i]);
        if (dm) put(&dm[i], add_m, dy[i] * (b[i] - a[i]));
    }
}

void ref_dropout(real *y, bool add, const real *x, real p, const uint64_t *row_key, uint64_t layer_key, int rows, int width)
{
    for (int r = 0; r < rows; r++) {
        uint64_t key = key_of(row_key[r], layer_key);
        for (int c = 0; c < width; c++) {
            size_t i = (size_t)r * (size_t)width + (size_t)c;
            put(&y[i], add, random_unit(key, (uint64_t)c) >= (double)p ? x[i] / (1 - p) : 0);
        }
    }
}

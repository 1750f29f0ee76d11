/* Rotary position embedding (Su et al. 2021), half-split pairs: lanes are pairs. */
#include "base/threads.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

typedef struct { float *y; bool add; const float *x; const exact *table; const int *pos; bool inverse; int rows, heads, rotated, head_dim, rotary; } rotation;

static void rotate_head(const rotation *c, float *y, const float *x, const exact *angle, bool rotates)
{
    int half = c->rotary / 2;
    for (int i = 0; rotates && i < half; i += VW) {
        int n = half - i;
        vec u = vload_n(x + i, n), w = vload_n(x + half + i, n);
        vec cosine = vload_n(angle + i, n), sine = vload_n(angle + half + i, n);
        if (c->inverse) sine = vneg(sine);
        vstore_add(y + i, n, c->add, vfnma(w, sine, vmul(u, cosine)));
        vstore_add(y + half + i, n, c->add, vfma(u, sine, vmul(w, cosine)));
    }
    if (y == x && !c->add) return;
    for (int i = rotates ? c->rotary : 0; i < c->head_dim; i += VW) vstore_add(y + i, c->head_dim - i, c->add, vload_n(x + i, c->head_dim - i));
}

static void rotate_rows(void *context, int task)
{
    const rotation *c = context;
    int width = c->heads * c->head_dim, block = rows_in_piece(width), end = lesser(c->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++)
        for (int h = 0; h < c->heads; h++) {
            size_t at = (size_t)r * (size_t)width + (size_t)h * (size_t)c->head_dim;
            rotate_head(c, c->y + at, c->x + at, c->table + (size_t)c->pos[r] * (size_t)c->rotary, h < c->rotated);
        }
}

void LEVEL(rope)(real *y, bool add, const real *x, const exact *table, const int *pos, bool inverse,
                 int rows, int heads, int rotated, int head_dim, int rotary)
{
    rotation c = { y, add, x, table, pos, inverse, rows, heads, rotated, head_dim, rotary };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(heads * head_dim)), rotate_rows, &c);
}

/* Token shift (definition in ref/rwkv_ref.c): forward by rows; backward by slices
 * of the columns, each from the last row to the first with the gradient of the row
 * before in registers, so that every gradient is read once. */
#include "base/threads.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

enum { SLICE = 64, PARTS = SLICE / VW, ROWS = 64 };     /* columns of a task, registers of them; rows summed in float */

/* ---- forward ---- */

static const float *row_before(const token_shift_args *a, int s, int r)
{
    size_t W = (size_t)a->width;
    if (r > a->start[s]) return a->x + (size_t)(r - 1) * W;
    return a->before && a->from[s] >= 0 ? a->before + (size_t)a->from[s] * W : NULL;
}

static void shift_row(const token_shift_args *a, int s, int r)
{
    const size_t at = (size_t)r * (size_t)a->width;
    const float *before = row_before(a, s, r);
    for (int c = 0; c < a->width; c += VW) {
        int n = a->width - c;
        size_t i = at + (size_t)c;
        vec x = vload_n(a->x + i, n), p = before ? vload_n(before + c, n) : vzero();
        vec from = a->past ? x : p, difference = vsub(a->past ? p : x, from);
        for (int m = 0; m < a->mixes; m++) vstore_n(a->y[m] + i, n, vfma(difference, vload_n(a->mix[m] + (a->per_row ? i : (size_t)c), n), from));
    }
}

static void shift_rows(void *context, int task)
{
    const token_shift_args *a = context;
    int block = rows_in_piece(a->width), end = lesser(a->start[a->seqs], (task + 1) * block), s = 0;
    for (int r = task * block; r < end; r++) {
        while (r >= a->start[s + 1]) s++;
        shift_row(a, s, r);
    }
}

void LEVEL(token_shift)(const token_shift_args *a)
{
    token_shift_args copy = *a;
    parallel_for(pieces((size_t)a->start[a->seqs], (size_t)rows_in_piece(a->width)), shift_rows, &copy);
}

/* ---- backward ---- */

typedef struct {
    const token_shift_args *a;
    int first, parts;                                        /* columns from `first` on, in registers */
    vec next[PARTS];                                         /* the gradient of a row as the one before the next */
    vec sum[MAX_MIXES][PARTS];                               /* of the mixes, over at most ROWS rows */
    double total[MAX_MIXES][SLICE];
} slice;

/* Adds the gradient of a mixture to that of the row itself and that of the row before it. */
INLINE void through(const token_shift_args *a, vec dy, vec mix, vec *own, vec *before)
{
    vec some = vmul(dy, mix), rest = vsub(dy, some);
    *own = vadd(*own, a->past ? rest : some);
    *before = vadd(*before, a->past ? some : rest);
}

static void part_back(slice *t, int s, int r, int q)
{
    const token_shift_args *a = t->a;
    const size_t W = (size_t)a->width;
    const int c = t->first + q * VW, n = a->width - c;
    const size_t i = (size_t)r * W + (size_t)c;
    const float *begin = a->begin ? a->begin + (size_t)s * W + (size_t)c : NULL;
    vec x = vload_n(a->x + i, n), p = r > a->start[s] ? vload_n(a->x + i - W, n) : begin ? vload_n(begin, n) : vzero();
    vec difference = a->past ? vsub(p, x) : vsub(x, p), own = t->next[q], before = vzero();
    for (int m = 0; m < a->mixes; m++) {
        vec dy = a->dy[m] ? vload_n(a->dy[m] + i, n) : vzero(), d = vmul(dy, difference);
        through(a, dy, vload_n(a->mix[m] + (a->per_row ? i : (size_t)c), n), &own, &before);
        if (!a->per_row) t->sum[m][q] = vadd(t->sum[m][q], d);
        else if (a->dmix[m]) vstore_add(a->dmix[m] + i, n, a->add_dmix[m], d);
    }
    if (a->dx) vstore_add(a->dx + i, n, a->add_dx, own);
    t->next[q] = before;
}

static void fold_sums(slice *t)
{
    float lanes[VW];
    for (int m = 0; m < t->a->mixes; m++)
        for (int q = 0; q < t->parts; q++) {
            vstore(lanes, t->sum[m][q]);
            for (int l = 0; l < VW; l++) t->total[m][q * VW + l] += (double)lanes[l];
            t->sum[m][q] = vzero();
        }
}

static void sequence_back(slice *t, int s)
{
    const token_shift_args *a = t->a;
    const size_t W = (size_t)a->width;
    for (int q = 0; q < t->parts; q++) {
        int c = t->first + q * VW;
        t->next[q] = a->d_end ? vload_n(a->d_end + (size_t)s * W + (size_t)c, a->width - c) : vzero();
    }
    for (int r = a->start[s + 1], n = 0; r-- > a->start[s]; ) {
        for (int q = 0; q < t->parts; q++) part_back(t, s, r, q);
        if (++n % ROWS == 0) fold_sums(t);
    }
    fold_sums(t);
    for (int q = 0; q < t->parts && a->d_begin; q++) {
        int c = t->first + q * VW;
        vstore_n(a->d_begin + (size_t)s * W + (size_t)c, a->width - c, t->next[q]);
    }
}

static void slice_back(void *context, int task)
{
    slice t = { .a = context, .first = task * SLICE };
    const token_shift_args *a = t.a;
    int n = lesser(SLICE, a->width - t.first);
    t.parts = (n + VW - 1) / VW;
    for (int s = 0; s < a->seqs; s++) sequence_back(&t, s);
    for (int m = 0; m < a->mixes && !a->per_row; m++)
        for (int c = 0; c < n && a->dmix[m]; c++) {
            float *d = a->dmix[m] + t.first + c;
            *d = (a->add_dmix[m] ? *d : 0) + (float)t.total[m][c];
        }
}

void LEVEL(token_shift_backward)(const token_shift_args *a)
{
    token_shift_args copy = *a;
    parallel_for(pieces((size_t)a->width, SLICE), slice_back, &copy);
}

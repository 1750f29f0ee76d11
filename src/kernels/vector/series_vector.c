/* The series activation.  Backward is split into slices of columns: a task computes its
 * columns of du and dv and the gradients of the parameters in one pass, rows
 * ascending, with sums in float over 64 rows and those sums in double. */
#include "base/threads.h"
#include "kernels/vector/vec_math.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

enum { ROWS = 64, SLICE = 64 };

/* VW channels of a branch. */
typedef struct { vec scale, bias, gain; } branch;

INLINE branch branch_of(const series_args *a, int i, int c, int n)
{
    size_t at = (size_t)i * (size_t)a->width + (size_t)c;
    return (branch){ vload_n(a->scale + at, n), vload_n(a->bias + at, n), a->gain ? vload_n(a->gain + at, n) : vset1(1) };
}

/* gain first is exact with a gain of 1: one branch of scale 1 gives the plain activation's bytes. */
INLINE vec term(vec gain, vec value) { return vmul(gain, value); }

static void series_rows(void *context, int task)
{
    const series_args *a = context;
    int block = rows_in_piece(a->width), end = lesser(a->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++)
        for (int c = 0; c < a->width; c += VW) {
            int n = a->width - c;
            size_t at = (size_t)r * (size_t)a->width + (size_t)c;
            vec u = vload_n(a->u + at, n), sum = vzero();
            for (int i = 0; i < a->n; i++) {
                branch b = branch_of(a, i, c, n);
                vec t = term(b.gain, vact(a->act[i], vfma(b.scale, u, b.bias)));
                sum = i ? vadd(sum, t) : t;
            }
            vstore_n(a->y + at, n, a->v ? vmul(sum, vload_n(a->v + at, n)) : sum);
        }
}

void LEVEL(series)(const series_args *a)
{
    series_args copy = *a;
    parallel_for(pieces((size_t)a->rows, (size_t)rows_in_piece(a->width)), series_rows, &copy);
}

/* ---- backward ---- */

enum { SCALE, BIAS, GAIN, KINDS };
typedef struct { double sum[KINDS][MAX_SERIES][SLICE]; } totals;

/* VW channels of one row; adds q sigma' u, q sigma', q sigma without the gain to sums. */
INLINE void backward_row(const series_args *a, const branch *b, size_t at, int n, vec sums[KINDS][MAX_SERIES])
{
    vec u = vload_n(a->u + at, n), dy = vload_n(a->dy + at, n), q = a->v ? vmul(dy, vload_n(a->v + at, n)) : dy;
    vec value = vzero(), slope = vzero();
    for (int i = 0; i < a->n; i++) {
        vec z = vfma(b[i].scale, u, b[i].bias), s = vact(a->act[i], z), d = vmul(b[i].gain, vact_slope(a->act[i], z)), qd = vmul(q, d);
        vec t = term(b[i].gain, s);
        value = i ? vadd(value, t) : t;
        slope = i ? vfma(b[i].scale, d, slope) : vmul(b[i].scale, d);
        sums[SCALE][i] = vfma(qd, u, sums[SCALE][i]);
        sums[BIAS][i] = vadd(sums[BIAS][i], qd);
        sums[GAIN][i] = vfma(q, s, sums[GAIN][i]);
    }
    if (a->du) vstore_add(a->du + at, n, a->add_du, vmul(q, slope));
    if (a->dv) vstore_add(a->dv + at, n, a->add_dv, vmul(dy, value));
}

/* Rows first .. end-1 of the n <= VW channels from c on; their sums are added to the totals from `lane` on. */
static void backward_block(const series_args *a, int first, int end, int c, int n, totals *t, int lane)
{
    vec sums[KINDS][MAX_SERIES];
    branch b[MAX_SERIES];
    float part[VW];
    for (int i = 0; i < a->n; i++) {
        b[i] = branch_of(a, i, c, n);
        for (int k = 0; k < KINDS; k++) sums[k][i] = vzero();
    }
    for (int r = first; r < end; r++) backward_row(a, b, (size_t)r * (size_t)a->width + (size_t)c, n, sums);
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < a->n; i++) {
            vstore(part, sums[k][i]);
            for (int j = 0; j < VW; j++) t->sum[k][i][lane + j] += (double)part[j];
        }
}

static void store_totals(float *d, bool add, const double *total, int n)
{
    for (int i = 0; d && i < n; i++) d[i] = add ? d[i] + (float)total[i] : (float)total[i];
}

static void backward_slice(void *context, int task)
{
    const series_args *a = context;
    int first = task * SLICE, n = lesser(SLICE, a->width - first);
    totals t = {0};
    for (int r = 0; r < a->rows; r += ROWS)
        for (int c = 0; c < n; c += VW) backward_block(a, r, lesser(a->rows, r + ROWS), first + c, n - c, &t, c);
    for (int i = 0; i < a->n; i++) {
        size_t at = (size_t)i * (size_t)a->width + (size_t)first;
        store_totals(a->dscale ? a->dscale + at : NULL, a->add_dscale, t.sum[SCALE][i], n);
        store_totals(a->dbias ? a->dbias + at : NULL, a->add_dbias, t.sum[BIAS][i], n);
        store_totals(a->dgain ? a->dgain + at : NULL, a->add_dgain, t.sum[GAIN][i], n);
    }
}

void LEVEL(series_backward)(const series_args *a)
{
    series_args copy = *a;
    parallel_for(pieces((size_t)a->width, SLICE), backward_slice, &copy);
}

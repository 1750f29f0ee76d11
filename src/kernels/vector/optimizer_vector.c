/* AdamW in one pass, and the norm that clips its gradients. */
#include "base/threads.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

typedef struct { float *w, *m, *v; const float *g; size_t n; const adamw_args *a; } update;

static void update_piece(void *context, int task)
{
    const update *u = context;
    const adamw_args *a = u->a;
    span s = span_of(u->n, task);
    vec scale = vset1(a->scale), lr = vset1(a->lr), decay = vset1(a->weight_decay), eps = vset1(a->eps);
    vec beta1 = vset1(a->beta1), rest1 = vset1((float)(1 - (double)a->beta1)), correct1 = vset1(1 / a->correction1);
    vec beta2 = vset1(a->beta2), rest2 = vset1((float)(1 - (double)a->beta2)), correct2 = vset1(1 / a->correction2);
    for (int i = 0; i < s.n; i += VW) {
        size_t at = s.first + (size_t)i;
        int n = s.n - i;
        vec g = vmul(vload_n(u->g + at, n), scale), w = vload_n(u->w + at, n);
        vec m = vfma(beta1, vload_n(u->m + at, n), vmul(rest1, g));
        vec v = vfma(beta2, vload_n(u->v + at, n), vmul(vmul(rest2, g), g));
        vec step = vdiv(vmul(m, correct1), vadd(vsqrt(vmul(v, correct2)), eps));
        vstore_n(u->m + at, n, m);
        vstore_n(u->v + at, n, v);
        vstore_n(u->w + at, n, vfnma(lr, vfma(decay, w, step), w));
    }
}

void LEVEL(adamw)(real *w, real *m, real *v, const real *g, size_t n, const adamw_args *a)
{
    update u = { w, m, v, g, n, a };
    parallel_for(pieces(n, PIECE), update_piece, &u);
}

/* ---- sum of squares: one partial sum for each piece, folded in order ---- */

enum { BATCH = 256 };                           /* pieces between two folds */

typedef struct { const float *x; size_t n; double partial[BATCH]; } squares;

static void square_piece(void *context, int task)
{
    squares *c = context;
    span s = span_of(c->n, task);
    vsum2 sum = vsum2_zero();
    for (int i = 0; i < s.n; i += VW) {
        vec x = vload_n(c->x + s.first + i, s.n - i);
        vsum2_fma(&sum, x, x);
    }
    c->partial[task] = vsum2_total(sum);
}

double LEVEL(sum_of_squares)(const real *x, size_t n)
{
    double total = 0;
    for (size_t first = 0; first < n; first += (size_t)BATCH * PIECE) {
        squares c = { .x = x + first, .n = n - first < (size_t)BATCH * PIECE ? n - first : (size_t)BATCH * PIECE };
        int count = pieces(c.n, PIECE);
        parallel_for(count, square_piece, &c);
        for (int i = 0; i < count; i++) total += c.partial[i];
    }
    return total;
}

/* Cross-entropy of integer targets: three passes over a row of logits, the last two
 * from cache.  With backward the exponentials are stored in place of the logits. */
#include "base/threads.h"
#include "kernels/vector/vec_math.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

typedef struct { float *logits; exact *loss; const int *target; const float *weight; bool backward; float scale; int rows, vocab; } scoring;

/* Sum of exp(x - max), each term also stored with `keep`. */
static double exponentials(float *x, float max, bool keep, int n)
{
    vsum2 sum = vsum2_zero();
    for (int i = 0; i < n; i += VW) {
        vec e = vexp(vsub(vload_or(x + i, n - i, -INFINITY), vset1(max)));
        vsum2_add(&sum, e);
        if (keep) vstore_n(x + i, n - i, e);
    }
    return vsum2_total(sum);
}

static void score_row(const scoring *c, int r)
{
    float *x = c->logits + (size_t)r * (size_t)c->vocab, weight = c->weight ? c->weight[r] : 1, part = 0;
    c->loss[r] = 0;
    if (weight != 0) {
        float max = row_maximum(x, c->vocab), wanted = x[c->target[r]];
        double total = exponentials(x, max, c->backward, c->vocab);
        c->loss[r] = (float)((double)weight * ((double)max + log(total) - (double)wanted));
        part = (float)((double)c->scale * (double)weight / total);
    }
    if (!c->backward) return;
    for (int i = 0; i < c->vocab; i += VW)
        vstore_n(x + i, c->vocab - i, weight != 0 ? vmul(vload_n(x + i, c->vocab - i), vset1(part)) : vzero());
    if (weight != 0) x[c->target[r]] -= c->scale * weight;
}

static void score_rows(void *context, int task)
{
    const scoring *c = context;
    int block = rows_in_piece(c->vocab), end = lesser(c->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++) score_row(c, r);
}

void LEVEL(cross_entropy)(real *logits, exact *loss, const int *target, const real *weight, bool backward, real scale,
                          int rows, int vocab)
{
    scoring c = { logits, loss, target, weight, backward, scale, rows, vocab };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(vocab)), score_rows, &c);
}

/* ---- the largest of each row ---- */

typedef struct { exact *value; int *index; const float *x; int rows, width; } search;

static int place_of(const float *x, int n, float value)
{
    for (int i = 0; i < n; i++)
        if (x[i] == value) return i;
    return 0;                                               /* not a number */
}

static void search_rows(void *context, int task)
{
    const search *c = context;
    int block = rows_in_piece(c->width), end = lesser(c->rows, (task + 1) * block);
    for (int r = task * block; r < end; r++) {
        const float *x = c->x + (size_t)r * (size_t)c->width;
        c->index[r] = place_of(x, c->width, row_maximum(x, c->width));
        c->value[r] = x[c->index[r]];
    }
}

void LEVEL(largest)(exact *value, int *index, const real *x, int rows, int width)
{
    search c = { value, index, x, rows, width };
    parallel_for(pieces((size_t)rows, (size_t)rows_in_piece(width)), search_rows, &c);
}

/* Learned biases of attention by distance (Raffel et al. 2020, "Exploring the Limits of
 * Transfer Learning", section 2.1): y[h][d] = table[bucket(d)][h], for d from -reach to
 * reach.  dtable is the sum of dy over each bucket. */
#include "ops/ops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = DISTANCE_BUCKETS / 2, SINGLE = SIDE / 2, FURTHEST = 128 };

/* In single precision, as the authors compute it: borders of buckets would move otherwise. */
int distance_bucket(int distance)
{
    int side = distance > 0 ? SIDE : 0, n = abs(distance);
    if (n < SINGLE) return side + n;
    float share = logf((float)n / SINGLE) / (float)log((double)FURTHEST / SINGLE);
    int far = SINGLE + (int)(share * (SIDE - SINGLE));
    return side + (far < SIDE ? far : SIDE - 1);
}

static int reach_of(const node *n) { return n->out[0]->width / 2; }

static void forward(const node *n, const kernels *k)
{
    (void)k;
    const real *table = in_data(n, 0);
    real *y = out_data(n, 0);
    int heads = n->out[0]->rows, width = n->out[0]->width;
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < width; i++) y[(size_t)h * (size_t)width + (size_t)i] = table[distance_bucket(i - reach_of(n)) * heads + h];
}

static void backward(const node *n, const kernels *k)
{
    (void)k;
    bool join;
    real *dtable = grad_in(n, 0, &join);
    const real *dy = grad_out(n, 0);
    int heads = n->out[0]->rows, width = n->out[0]->width;
    if (!dtable) return;
    if (!join) memset(dtable, 0, DISTANCE_BUCKETS * (size_t)heads * sizeof *dtable);
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < width; i++) dtable[distance_bucket(i - reach_of(n)) * heads + h] += dy[(size_t)h * (size_t)width + (size_t)i];
}

static const op op_distance_bias = { .name = "distance_bias", .forward = forward, .backward = backward };

tensor *distance_bias(graph *g, tensor *table, int reach)
{
    if (!graph_ok(g)) return NULL;
    require(g, table->rows == DISTANCE_BUCKETS && reach >= 0 && reach < 1 << 24, "distance_bias: %d rows for distances up to %d", table->rows, reach);
    return output(append(g, &op_distance_bias, (tensor *[]){ table }, 1), 0, ROWS_FIXED, table->width, 2 * reach + 1);
}

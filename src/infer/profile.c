/* How long an engine has spent in each kind of operation. */
#include "infer/engine.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_KINDS = 64 };

static const char *kind_of(const step *s) { return s->kind == STEP_PACK ? "pack" : s->node->op->name; }

static void add_time(lithe_op_time *kinds, int *count, const char *name, double seconds, size_t runs)
{
    int i = 0;
    while (i < *count && strcmp(kinds[i].op, name)) i++;
    if (i == MOST_KINDS) return;
    if (i == *count) kinds[(*count)++] = (lithe_op_time){ .op = name };
    kinds[i].seconds += seconds;
    kinds[i].runs += runs;
}

static int slower_first(const void *a, const void *b)
{
    const lithe_op_time *x = a, *y = b;
    return x->seconds > y->seconds ? -1 : x->seconds < y->seconds ? 1 : strcmp(x->op, y->op);
}

int lithe_engine_profile(const lithe_engine *e, size_t at, lithe_op_time *out)
{
    lithe_op_time kinds[MOST_KINDS];
    int count = 0;
    for (int k = 0; k < ENGINE_GRAPHS && e; k++) {
        const graph *g = engine_graph(e, k);
        size_t runs = 0;
        const double *seconds = g ? graph_seconds(g, &runs) : NULL;
        const step *steps;
        for (int i = 0, n = seconds ? graph_steps(g, &steps) : 0; i < n; i++) add_time(kinds, &count, kind_of(&steps[i]), seconds[i], runs);
    }
    if (at >= (size_t)count) return 0;
    qsort(kinds, (size_t)count, sizeof *kinds, slower_first);
    *out = kinds[at];
    return 1;
}

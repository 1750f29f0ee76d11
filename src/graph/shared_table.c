/* Tables of constants that all graphs of one parameter set share.  Row r depends on r and on the table's arguments
 * only, so a longer table can be used where a shorter one would do.  They live as long as the parameters. */
#include "graph/internal.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct table {
    struct table *next;
    table_fill *fill;
    int rows, width;
    double args[TABLE_ARGS];
    exact *data;                     /* (rows, width) */
};

/* Powers of two: all tables of one kind together are at most twice the longest. */
static int rounded(int rows)
{
    int n = 64;
    while (n < rows && n <= INT_MAX / 2) n *= 2;
    return n < rows ? rows : n;
}

static bool is_same(const struct table *t, table_fill *fill, int rows, int width, const double *args)
{
    bool same = t->fill == fill && t->rows >= rows && t->width == width;
    for (int i = 0; i < TABLE_ARGS && same; i++) same = t->args[i] >= args[i] && t->args[i] <= args[i];
    return same;
}

static struct table *make(table_fill *fill, int rows, int width, const double *args)
{
    struct table *t = xalloc(1, sizeof *t);
    size_t count;
    if (!t) return NULL;
    *t = (struct table){ .fill = fill, .rows = rows, .width = width };
    memcpy(t->args, args, sizeof t->args);
    t->data = size_mul((size_t)rows, (size_t)width, &count) ? xalloc(count, sizeof *t->data) : NULL;
    if (t->data) { fill(t->data, rows, width, args); return t; }
    free(t);
    return NULL;
}

const exact *graph_table(graph *g, table_fill *fill, int rows, int width, const double args[TABLE_ARGS])
{
    struct table **list = &g->params->tables;
    if (failed(&g->error)) return NULL;
    for (struct table *t = *list; t; t = t->next)
        if (is_same(t, fill, rows, width, args)) return t->data;
    struct table *t = make(fill, rounded(rows), width, args);
    if (!t) {
        fail(&g->error, LITHE_ENOMEM, "not enough memory for a table of %d x %d", rows, width);
        return NULL;
    }
    t->next = *list;
    *list = t;
    return t->data;
}

void tables_free(struct table *t)
{
    for (struct table *next; t; t = next) {
        next = t->next;
        free(t->data);
        free(t);
    }
}

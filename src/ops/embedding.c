/* Token embedding: y[r] = table[ids[r]], and what is added to it: learned positions,
 * y[r] = x[r] + table[first + pos[r]], and token types, y[r] = x[r] + table[type[r]]. */
#include "ops/ops.h"
#include <assert.h>
#include <string.h>

/* The batch builder has checked the indices; one that is out of range nevertheless must not reach memory. */
static void must_be_rows(const int *index, int n, int rows)
{
    for (int i = 0; i < n; i++) assert(index[i] >= 0 && index[i] < rows);
}

static void embedding_forward(const node *n, const kernels *k)
{
    must_be_rows(run_batch(n)->ids, live_rows(n->out[0]), n->in[0]->rows);
    k->gather(out_data(n, 0), false, in_stored(n, 0), run_batch(n)->ids, live_rows(n->out[0]), n->out[0]->width);
}

static void embedding_backward(const node *n, const kernels *k)
{
    bool join;
    real *dtable = grad_in(n, 0, &join);
    if (dtable) k->scatter(dtable, join, grad_out(n, 0), run_batch(n)->ids, live_rows(n->out[0]), n->out[0]->width, n->in[0]->rows);
}

static const op op_embedding = { .name = "embedding", .weights = IN(0), .forward = embedding_forward, .backward = embedding_backward };

tensor *embedding(graph *g, tensor *table)
{
    if (!graph_ok(g)) return NULL;
    node *n = append(g, &op_embedding, (tensor *[]){ table }, 1);
    read_as(n, table, READ_ROWS);
    return output(n, 0, ROWS_TOKENS, 0, table->width);
}

typedef struct { const int *index; int first; } rows_added;     /* of table: first + index[r] */

static rows_added positions_of(const node *n) { return (rows_added){ run_batch(n)->pos, n->i[0] }; }

/* A table of one row, such as RoBERTa's, has that type for every token. */
static rows_added types_of(const node *n)
{
    const int *type = run_batch(n)->type;
    return (rows_added){ type && n->in[1]->rows > 1 ? type : n->data, 0 };
}

static void add_rows(const node *n, const kernels *k, rows_added rows)
{
    const tensor *y = n->out[0];
    int live = live_rows(y);
    must_be_rows(rows.index, live, n->in[1]->rows - rows.first);
    if (!n->in_place) k->copy(y->data, false, in_data(n, 0), (size_t)live * (size_t)y->width);
    k->gather(y->data, true, stored_from(in_stored(n, 1), (size_t)rows.first * (size_t)y->width), rows.index, live, y->width);
}

static void add_rows_backward(const node *n, const kernels *k, rows_added rows)
{
    const tensor *y = n->out[0];
    bool join;
    int live = live_rows(y);
    size_t before = (size_t)rows.first * (size_t)y->width;
    real *dtable = grad_in(n, 1, &join);
    if (dtable && !join) memset(dtable, 0, before * sizeof *dtable);
    if (dtable) k->scatter(dtable + before, join, grad_out(n, 0), rows.index, live, y->width, n->in[1]->rows - rows.first);
    real *dx = grad_in(n, 0, &join);
    if (dx && dx != grad_out(n, 0)) k->copy(dx, join, grad_out(n, 0), (size_t)live * (size_t)y->width);
}

static void positions_forward(const node *n, const kernels *k)  { add_rows(n, k, positions_of(n)); }
static void positions_backward(const node *n, const kernels *k) { add_rows_backward(n, k, positions_of(n)); }
static void types_forward(const node *n, const kernels *k)      { add_rows(n, k, types_of(n)); }
static void types_backward(const node *n, const kernels *k)     { add_rows_backward(n, k, types_of(n)); }

static const op op_positions = { .name = "add_positions", .weights = IN(1), .forward = positions_forward, .backward = positions_backward, .in_place = true };
static const op op_types = { .name = "add_types", .weights = IN(1), .forward = types_forward, .backward = types_backward, .in_place = true };

tensor *add_positions_from(graph *g, tensor *x, tensor *table, int first)
{
    if (!graph_ok(g)) return NULL;
    require(g, x->width == table->width, "positions are %d wide, the rows %d", table->width, x->width);
    require(g, first >= 0 && first < table->rows, "positions begin at row %d of %d", first, table->rows);
    node *n = append(g, &op_positions, (tensor *[]){ x, table }, 2);
    read_as(n, table, READ_ROWS);
    if (n) n->i[0] = first;
    return output(n, 0, x->space, x->rows, x->width);
}

tensor *add_positions(graph *g, tensor *x, tensor *table) { return add_positions_from(g, x, table, 0); }

tensor *add_types(graph *g, tensor *x, tensor *table)
{
    if (!graph_ok(g)) return NULL;
    require(g, x->width == table->width, "token types are %d wide, the rows %d", table->width, x->width);
    int *zeros = graph_constant(g, (size_t)graph_settings(g)->capacity[ROWS_TOKENS] * sizeof *zeros + 1);
    node *n = append(g, &op_types, (tensor *[]){ x, table }, 2);
    read_as(n, table, READ_ROWS);
    if (n) n->data = zeros;
    return output(n, 0, x->space, x->rows, x->width);
}

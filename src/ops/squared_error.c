/* The loss of a regression: (x - value)^2 for each sequence, without the half of
 * textbooks, as PyTorch's MSELoss.  Its gradient is computed in the same pass. */
#include "ops/ops.h"

static void forward(const node *n, const kernels *k)
{
    const batch *b = run_batch(n);
    bool join = false;
    real *dx = training(n->graph) ? grad_in(n, 0, &join) : NULL;
    k->squared_error(out_data(n, 0), dx, join, in_data(n, 0), b->value, b->seq_scale, live_rows(n->out[0]));
}

static const op op_squared_error = { .name = "squared_error", .forward = forward, .forward_backward = true };

tensor *squared_error(graph *g, tensor *x)
{
    if (!graph_ok(g)) return NULL;
    require(g, x->space == ROWS_SEQS && x->width == 1, "squared_error: %d numbers for each row, expected one for each sequence", x->width);
    tensor *loss = output(append(g, &op_squared_error, (tensor *[]){ x }, 1), 0, x->space, x->rows, 1);
    if (loss) loss->keep = true;
    return loss;
}

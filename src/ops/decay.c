/* The decays of RWKV's states, asked of the nodes that scan (ops/observe.h).  RWKV-4 to 6: w = exp(-exp(x)), x constant
 * or of each token; RWKV-7: w = exp(-e^(-1/2) sigmoid(x)). */
#include "ops/observe.h"
#include <math.h>
#include <string.h>

/* The input that holds x. */
static int decay_input(const node *n) { return !strcmp(n->op->name, "wkv4") ? 2 : !strcmp(n->op->name, "wkv6") || !strcmp(n->op->name, "wkv7") ? 1 : -1; }

int decay_channels(const node *n) { return decay_input(n) < 0 ? 0 : n->out[0]->width; }

void decay_rates(const node *n, double *rate)
{
    const int at = decay_input(n), C = n->out[0]->width, rows = n->in[at]->space == ROWS_FIXED ? 1 : live_rows(n->in[at]);
    const bool bounded = !strcmp(n->op->name, "wkv7");
    const real *x = in_data(n, at);
    for (int c = 0; c < C; c++) rate[c] = 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < C; c++) {
            double value = (double)x[(size_t)r * (size_t)C + (size_t)c];
            rate[c] += (bounded ? exp(-0.5) / (1 + exp(-value)) : exp(value)) / rows;
        }
}

/* What graph.c, plan.c and run.c share, hidden from other files. */
#ifndef GRAPH_INTERNAL_H
#define GRAPH_INTERNAL_H

#include "graph/graph.h"

typedef struct { param *param; bool tb; int K, N; node *first; } pack_request;

struct graph {
    const kernels *kernels;
    params *params;
    graph_options options;
    lithe_error error;               /* the builders' first failure */
    arena memory;                    /* nodes, tensors, tables */
    char prefix[128];
    int segment, ordinal;            /* the present scope; nodes made in it so far */

    node **nodes;       int count, node_capacity;
    tensor **states;    int state_count; bool caches;        /* some states hold a row for each position */
    pack_request *packs; int pack_count;
    tapped *taps;       int tap_count;

    step *steps;        int step_count;
    double *seconds;    size_t runs;         /* of a timed graph: of each step, in all its runs */
    buffer *buffers;    int buffer_count;
    /* Buffers with a live range that ends at step s: range_ends[range_end_start[s] .. range_end_start[s+1]-1]. */
    int *range_ends, *range_end_start;
    char *arena;        size_t arena_bytes, largest_live;
    char *state_memory; size_t state_bytes;
    real *state_gradients; size_t state_count_total;

    const batch *batch;              /* during a run */
    void (*see)(void *context, const node *n); void *see_context;
    step_kind phase;
    int *key_start, *keys_before, *state_rows, *carried_from, *zeros;        /* of decoding */
};

/* One buffer that a step reads or writes; define: its former contents are not read. */
typedef struct { int buffer; bool define; } access;
enum { MAX_ACCESS = 2 * (MAX_IN + MAX_OUT) + MAX_SAVE + 1 };
int  step_accesses(const graph *g, const step *s, access *out);

#endif

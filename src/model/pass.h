/* A planned graph of a model's equations: the one way to open it, fill its batch and run it. */
#ifndef MODEL_PASS_H
#define MODEL_PASS_H

#include "model/model.h"

typedef struct {
    graph *g;
    results r;
    batch_builder batch;             /* of the graph's capacity */
} pass;

/* o: mode, capacity and the rest of what graph_new takes. */
int  pass_open(pass *p, const lithe_model *m, const graph_options *o, want w, lithe_error *err);
/* The same up to the sizes: nothing is allocated, and it cannot be run. */
int  pass_plan(pass *p, const lithe_model *m, const graph_options *o, want w, lithe_error *err);
void pass_close(pass *p);

/* Runs the batch that was built.  What the results hold is borrowed until the next run. */
int  pass_run(pass *p, lithe_error *err);

#endif

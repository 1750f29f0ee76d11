/* A pass is a planned graph of a model's equations with the batch that it runs on. */
#ifndef MODEL_PASS_H
#define MODEL_PASS_H

#include "model/model.h"

typedef struct {
    graph *g;
    results r;
    batch_builder batch;             /* has the graph's capacity */
} pass;

/* Builds and plans the graph and allocates its memory.  o: mode, capacity and the other options of graph_new. */
int  pass_open(pass *p, const lithe_model *m, const graph_options *o, want w, lithe_error *err);
/* Builds and plans it only, to learn its sizes: nothing is allocated, and it cannot be run. */
int  pass_plan(pass *p, const lithe_model *m, const graph_options *o, want w, lithe_error *err);
void pass_close(pass *p);

/* How keys and values are kept if nobody says: as f16 for a model whose numbers take less than 3 bytes each, as they
 * do when most of them are stored in 16 bits or fewer. */
stored_type default_cache(size_t bytes, size_t numbers);

/* Runs the graph on the batch that was built.  The results stay valid until the next run. */
int  pass_run(pass *p, lithe_error *err);

#endif

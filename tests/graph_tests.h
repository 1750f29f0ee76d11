/* What the files of the graph's tests share. */
#ifndef TEST_GRAPH_TESTS_H
#define TEST_GRAPH_TESTS_H

#include "small.h"

/* graph_random.c: a graph of about `nodes` random operations over width 16, ending in a loss; the same for the same
 * seed. */
enum { RANDOM_WIDTH = 16, RANDOM_VOCAB = 23 };
tensor *random_graph(graph *g, uint64_t seed, int nodes);

/* graph_params.c */
void names_are_the_identity(void);
void initial_values(void);
void frozen_parameters_rest(void);
void weights_are_packed_when_they_change(void);
void selected_rows_alone(void);
void empty_sequences_are_nothing(void);
void nothing_gives_zeros(void);

#endif

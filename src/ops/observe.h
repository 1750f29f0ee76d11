/* What an observer of a run (graph_observe) may ask of a node whose forward has just ended.  Each function answers for
 * nodes of its own operations only. */
#ifndef OPS_OBSERVE_H
#define OPS_OBSERVE_H

#include "graph/graph.h"

/* The heads of attention; 0 for other nodes. */
int  attention_heads(const node *n);
/* The weights by which queries add up values, of a run without slots on one sequence of `rows` tokens: p (heads, rows,
 * rows), a row for each query, zeros where it does not see a key.  They are what the node's own kernel gives for values
 * that are unit vectors.  Returns false if memory is out. */
bool attention_weights(const node *n, const kernels *k, real *p);

/* The parameter tokens of Pattention; 0 for other nodes. */
int  pattention_slots(const node *n);
const char *pattention_name(const node *n);          /* of its keys */
/* Adds to use (slots), for each row, |weight of the slot| * |its value|: how long its part of the output is.  Returns
 * false if memory is out. */
bool pattention_use(const node *n, const kernels *k, double *use);

/* The channels of an RWKV time mix whose states decay; 0 for other nodes. */
int  decay_channels(const node *n);
/* rate (channels): minus the logarithm of the decay, mean over the rows. */
void decay_rates(const node *n, double *rate);

#endif

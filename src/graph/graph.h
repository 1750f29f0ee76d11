/* Coarse operations on a static list, which is the tape.
 *
 * A build function appends nodes in running order: forward is the list,
 * backward is the list reversed.  An op is one value (struct op): name,
 * forward, backward, and what backward reads.  Builders are the shape rules:
 * `require` records the first failure and later builders do nothing, so
 * architecture files carry no error checks; graph_plan reports it.
 *
 *   graph_new -> builders -> graph_plan -> graph_run, graph_run, ... -> graph_close
 *
 * After graph_plan a run allocates nothing. */
#ifndef GRAPH_H
#define GRAPH_H

#include "base/arena.h"
#include "base/error.h"
#include "graph/batch.h"
#include "graph/param.h"
#include "kernels/kernels.h"

typedef struct graph graph;
typedef struct node node;
typedef struct tensor tensor;

/* ---- rows ---------------------------------------------------------------- */

/* A tensor's rows belong to a row space with a planned capacity and a count of
 * live rows that the batch of each run sets (graph/batch.h); results never depend
 * on the capacity. */
typedef enum { ROWS_TOKENS, ROWS_SEQS, ROWS_SELECTED, ROW_SPACES, ROWS_FIXED = ROW_SPACES } row_space;

/* ---- tensors and nodes ---------------------------------------------------- */

typedef enum { TENSOR_VALUE, TENSOR_EXACT, TENSOR_PARAM, TENSOR_STATE } tensor_kind;

struct tensor {
    const char *name;               /* full name of a parameter or state, else the op's */
    tensor_kind kind;
    row_space space;
    int rows;                       /* capacity */
    int width;
    real *data, *grad;  /* set by graph_plan, but of a parameter, which has its own; grad NULL where none is wanted */
    node *from;         /* NULL for parameters and states */
    param *param;
    bool wants_grad, keep;          /* keep: alive to the end of the run (results) */
    bool recurrent;                 /* of a state: one row for each slot, which each run replaces */
    int buffer, grad_buffer;        /* of the plan, -1 when outside the arena */
    int consumers;
};

enum { MAX_IN = 8, MAX_OUT = 8, MAX_SAVE = 4 };

#define IN(i)   (1u << (i))
#define OUT(i)  (1u << (8 + (i)))
#define SAVE(i) (1u << (16 + (i)))

typedef struct op {
    const char *name;
    void (*forward)(const node *n, const kernels *k);
    void (*backward)(const node *n, const kernels *k);       /* NULL: refused when a training graph is built */
    unsigned reads;                 /* the IN | OUT | SAVE values that backward reads */
    /* The IN values that are taken as they are stored (in_stored): a parameter that is read so alone is never
     * widened. */
    unsigned weights;
    /* Out 0 may take in 0's buffer, and d(in 0) d(out 0)'s: forward and backward work element by element or row by
     * row. */
    bool in_place;
    bool forward_backward;          /* `forward` of a training graph writes the gradients too (the loss) */
    double (*flops)(const node *n); /* of one forward at capacity; NULL: counts as none */
} op;

struct node {
    const op *op;
    graph *graph;
    int index, segment;             /* place in the list; the scope it was made in */
    tensor *in[MAX_IN], *out[MAX_OUT], *save[MAX_SAVE];      /* absent: NULL */
    tensor *work;                   /* scratch alive during this node's own steps only, or NULL */
    int i[12];                      /* the op's integers, numbers, and constant data */
    real f[4];
    const void *data;
    uint64_t key;                   /* from the scope and the count in it: names dropout's stream */
    unsigned first_writer;          /* bit i: backward of this node is the first to write in[i]'s gradient */
    bool in_place;                  /* the plan granted it */
};

/* ---- building ------------------------------------------------------------- */

typedef enum { GRAPH_TRAIN, GRAPH_SCORE, GRAPH_DECODE } graph_mode;

typedef struct {
    graph_mode mode;
    int capacity[ROW_SPACES];   /* tokens, sequences, selected rows (0: the head sees all rows) */
    int slots, context;         /* decoding: state slots and positions each can hold */
    bool windows;               /* training: recurrent states of `slots` are passed on from run to run (see carried) */
    compute_type compute;
    bool recompute;             /* run each layer's forward again before its backward instead of keeping it */
    bool taps;                  /* keep the rows that `tap` names to the end of the run */
    bool poison;                /* fill every dead buffer with NaN: a wrong read mask or lifetime shows at once */
    real *const *states;        /* decoding: storage of the states in order of declaration, NULL: the graph owns it */
} graph_options;

graph *graph_new(const kernels *k, params *p, const graph_options *o);
void   graph_close(graph *g);
const graph_options *graph_settings(const graph *g);

/* Names of parameters and states made from here on begin with this; nodes
 * belong to a new segment (the unit of recomputation). */
void scope(graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void unscope(graph *g);                         /* their names are whole again */

/* A parameter by scope + name; the same name again is the same parameter.  An
 * open params set learns it here, a closed one must hold it with these dims. */
tensor *parameter(graph *g, const char *name, param_rule rule);

/* Per-sequence storage of a time mixer: `rows` rows of `width` for each slot,
 * owned by the session.  NULL in graphs that carry no state. */
tensor *state(graph *g, const char *name, int rows, int width);

/* The same of a recurrence: one row for each slot, what is left of all tokens
 * so far.  It can be extended or begun anew, not cut back. */
tensor *carried(graph *g, const char *name, int width);
/* Training by windows: a run goes on from the states of its slots where a sequence does not begin at position 0, and
 * leaves them the states after it; and it takes the gradient that stands in the slots as that of the states it ends
 * with, and leaves there the gradient of those it began with.  So windows of a sequence run from the first to the last
 * give the states, and run again from the last to the first, each from its own states, with the gradients cleared
 * before, give the gradient of the whole.  Recomputation is refused. */
void    graph_clear_state_gradients(graph *g);
bool    graph_recurrent(const graph *g);         /* holds such a state */

/* x under a name ("embed", "post_mix", "post_ffn", "final_norm") by which its rows can be looked at; layer -1 outside
 * the layers.  Nothing happens in a graph without taps. */
tensor *tap(graph *g, tensor *x, const char *name, int layer);
typedef struct { const char *name; int layer; tensor *rows; } tapped;
int     graph_taps(const graph *g, const tapped **taps);

/* For op builders only. */
bool    require(graph *g, bool condition, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool    graph_ok(const graph *g);                /* false: the builder returns NULL at once */
/* In training graphs no tensor twice: each input's gradient is written on its own. */
node   *append(graph *g, const op *op, tensor *const *in, int inputs);
tensor *output(node *n, int i, row_space space, int rows, int width);
tensor *save(node *n, int i, row_space space, int width);
void    workspace(node *n, int rows, int width);
void   *graph_constant(graph *g, size_t bytes);   /* memory of the graph's own, zeros */
/* A table (rows, width) that all graphs of the parameters share, filled the first time; what stands in row r depends on
 * r and args only. */
enum { TABLE_ARGS = 8 };
typedef void table_fill(exact *table, int rows, int width, const double args[TABLE_ARGS]);
const exact *graph_table(graph *g, table_fill *fill, int rows, int width, const double args[TABLE_ARGS]);
bool    training(const graph *g);
/* Parameter w will be multiplied as B (K,N), stored (N,K) when tb: planned as a packing step where the machine gains by
 * it. */
void    pack(node *n, const tensor *w, bool tb, int K, int N);

/* ---- inside an op's forward and backward ----------------------------------- */

const batch *run_batch(const node *n);
int          live_rows(const tensor *t);
int          capacity_rows(const tensor *t);
const real  *in_data(const node *n, int i);      /* NULL for an absent input; backward: asserts the op's own mask */
/* The same for kernels that gather it or multiply by it, however it is stored. */
stored       in_stored(const node *n, int i);
real        *out_data(const node *n, int i);
exact       *save_data(const node *n, int i);    /* NULL when there is none (scoring) */
real        *work_data(const node *n);
/* May be overwritten: it dies with this node's backward, unless in place. */
real        *grad_out(const node *n, int i);
real        *grad_in(const node *n, int i, bool *add);  /* NULL when in[i] wants none; else add says whether to join */
const void  *packed_weight(const node *n, const tensor *w, bool tb);   /* as `pack` asked, up to date; or NULL */
compute_type compute(const node *n);
/* Where this run's keys and values stand: rows of the batch, or of the sessions' storage when the node has a state. */
const int   *key_start(const node *n, bool has_state);       /* (seqs) */
const int   *keys_before(const node *n, bool has_state);     /* (seqs) */
const int   *state_rows(const node *n);                      /* (rows) slot * context + pos */
/* The row of a carried state that each sequence goes on from; negative where it begins, at position 0.  It ends in row
 * slot[s]. */
const int   *carried_from(const node *n);                    /* (seqs) */

/* ---- planning and running --------------------------------------------------- */

typedef enum { STEP_PACK, STEP_FORWARD, STEP_FORWARD_BACKWARD, STEP_RECOMPUTE, STEP_BACKWARD } step_kind;
typedef struct { node *node; step_kind kind; int pack; } step;          /* pack: which request of STEP_PACK */

/* First failure of the builders, or the memory plan; allocates the arena. */
int graph_plan(graph *g, lithe_error *err);
/* The same up to sizes: nothing is allocated.  For `lithe plan`. */
int graph_plan_only(graph *g, lithe_error *err);

void graph_run(graph *g, const batch *b);

/* What the plan says. */
typedef struct {
    size_t arena_bytes;             /* activations and their gradients */
    size_t largest_live;            /* most bytes alive at one step: a lower bound of the arena */
    size_t state_bytes, packed_bytes;
    int nodes, steps, buffers;
} plan_summary;
plan_summary graph_summary(const graph *g);
int          graph_steps(const graph *g, const step **steps);

/* A buffer of the plan and when it is alive: in steps first[k]..last[k]; a result that is kept outlives the last
 * step. */
enum { MAX_LIVES = 3 };
typedef struct { size_t bytes, offset; int lives, first[MAX_LIVES], last[MAX_LIVES]; const char *name; } buffer;
int          graph_buffers(const graph *g, const buffer **buffers);
int          graph_states(const graph *g, tensor *const **states);

#endif

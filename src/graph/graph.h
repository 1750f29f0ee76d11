/* Coarse operations on a static list, which is the tape.
 *
 * A build function appends nodes in running order: forward is the list,
 * backward is the list reversed.  An op is one value (struct op): name,
 * forward, backward, and what backward reads.  Builders check the shapes:
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
    bool wants_grad, keep;          /* keep: its buffer stays to the end of the run (results) */
    bool recurrent;                 /* it is a state of one row for each slot, which each run replaces */
    stored_type type;               /* how the values at data are stored: STORED_REAL, but for keys and values */
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
    /* The IN values that are read in their stored type (in_stored): a parameter that is only read so is never
     * widened. */
    unsigned weights;
    /* Out 0 may use the buffer of in 0, and d(in 0) that of d(out 0): forward and backward work element by element or
     * row by row. */
    bool in_place;
    bool forward_backward;          /* `forward` of a training graph writes the gradients too (the loss) */
    double (*flops)(const node *n); /* of one forward at capacity; NULL: counts as none */
} op;

struct node {
    const op *op;
    graph *graph;
    int index, segment;             /* its place in the list; the scope it was made in */
    tensor *in[MAX_IN], *out[MAX_OUT], *save[MAX_SAVE];      /* absent: NULL */
    tensor *work;                   /* scratch memory for this node's own steps, or NULL */
    int i[12];                      /* the op's integers, numbers, and constant data */
    real f[4];
    const void *data;
    uint64_t key;                   /* from the scope and the count in it: names dropout's stream */
    unsigned first_writer;          /* bit i: backward of this node is the first to write in[i]'s gradient */
    bool in_place;                  /* whether the plan does so */
};

/* ---- building ------------------------------------------------------------- */

typedef enum { GRAPH_TRAIN, GRAPH_SCORE, GRAPH_DECODE } graph_mode;

/* The arena of the gradients is cut into buckets of `bucket` numbers.  During the backward pass begin is called for
 * each bucket that no later step writes to. */
typedef struct { size_t bucket; void (*begin)(void *context, size_t bucket); void *context; } reduce_hook;

typedef struct {
    graph_mode mode;
    int capacity[ROW_SPACES];   /* tokens, sequences, selected rows (0: the head sees all rows) */
    int slots, context;         /* decoding: the number of state slots, and the positions that each can hold */
    stored_type cache;          /* decoding: how the states that hold a row for each position are stored */
    bool windows;               /* training: recurrent states of `slots` are passed on from run to run (see carried) */
    compute_type compute;
    bool recompute;             /* run each layer's forward again before its backward instead of keeping it */
    bool timed;                 /* measure the time of each step (graph_seconds) */
    bool taps;                  /* keep the rows that `tap` names to the end of the run */
    bool poison;                /* fill every dead buffer with NaN: a wrong read mask or lifetime shows at once */
    reduce_hook reduce;         /* training: called when gradients are complete; bucket 0: not called */
    real *const *states;        /* decoding: storage of the states in order of declaration, NULL: the graph owns it */
} graph_options;

graph *graph_new(const kernels *k, params *p, const graph_options *o);
void   graph_close(graph *g);
const graph_options *graph_settings(const graph *g);
const params *graph_params(const graph *g);

/* Names of parameters and states made from here on begin with this; nodes
 * belong to a new segment (the unit of recomputation). */
void scope(graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void unscope(graph *g);                         /* their names are whole again */

/* A parameter by scope + name; the same name again is the same parameter.  An
 * open params set learns it here, a closed one must hold it with these dims. */
tensor *parameter(graph *g, const char *name, param_rule rule);

/* Per-sequence storage of a time mixer: `rows` rows of `width` for each slot,
 * owned by the graph.  NULL in graphs that carry no state. */
tensor *state(graph *g, const char *name, int rows, int width);

/* A recurrent state: one row for each slot, which depends on all tokens so far.  It can be extended or begun again, but
 * not shortened. */
tensor *carried(graph *g, const char *name, int width);
/* Training by windows: a run begins from the states in its slots, where a sequence does not begin at position 0, and
 * stores the states after it.  Its backward pass begins from the gradient in the slots, which is that of the states
 * after it, and stores the gradient of the states before it.  Running the windows of a sequence from the first to the
 * last gives the states; running them again from the last to the first, each from its own states and with the gradients
 * cleared before, gives the gradient of the whole sequence.  Recomputation is refused. */
void    graph_clear_state_gradients(graph *g);
bool    graph_recurrent(const graph *g);         /* whether it has a recurrent state */

/* Gives x a name ("embed", "post_mix", "post_ffn", "final_norm") by which its rows can be read after a run; layer -1:
 * outside the layers.  In a graph without taps it does nothing. */
tensor *tap(graph *g, tensor *x, const char *name, int layer);
typedef struct { const char *name; int layer; tensor *rows; } tapped;
int     graph_taps(const graph *g, const tapped **taps);

/* For op builders only. */
bool    require(graph *g, bool condition, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool    graph_ok(const graph *g);                /* false: the builder returns NULL at once */
/* In training graphs no tensor may be given twice: each input's gradient is written by itself. */
node   *append(graph *g, const op *op, tensor *const *in, int inputs);
tensor *output(node *n, int i, row_space space, int rows, int width);
tensor *save(node *n, int i, row_space space, int width);
void    workspace(node *n, int rows, int width);
void   *graph_constant(graph *g, size_t bytes);   /* zeroed memory that the graph owns */
/* A table (rows, width) that all graphs of the parameters share, filled the first time; row r depends on r and args
 * only. */
enum { TABLE_ARGS = 136 };
typedef void table_fill(exact *table, int rows, int width, const double args[TABLE_ARGS]);
const exact *graph_table(graph *g, table_fill *fill, int rows, int width, const double args[TABLE_ARGS]);
bool    training(const graph *g);
/* Announces that parameter w will be multiplied as B (K,N), stored (N,K) when tb; the plan packs it where that is
 * faster.  A builder that takes w as it is stored and does not announce that says with read_as how it reads it. */
void    pack(node *n, const tensor *w, bool tb, int K, int N);
void    read_as(const node *n, const tensor *w, read_kind how);

/* ---- inside an op's forward and backward ----------------------------------- */

const batch *run_batch(const node *n);
int          live_rows(const tensor *t);
int          capacity_rows(const tensor *t);
const real  *in_data(const node *n, int i);      /* NULL for an absent input; backward: asserts the op's own mask */
/* The same in its stored type, for kernels that gather or multiply it. */
stored       in_stored(const node *n, int i);
real        *out_data(const node *n, int i);
exact       *save_data(const node *n, int i);    /* NULL when there is none (scoring) */
real        *work_data(const node *n);
/* May be overwritten: nothing reads it after this node's backward, unless in place. */
real        *grad_out(const node *n, int i);
/* NULL when in[i] needs none; else *add says whether to add to the present gradient */
real        *grad_in(const node *n, int i, bool *add);
/* The packed form that `pack` announced, up to date; or NULL. */
const void  *packed_weight(const node *n, const tensor *w, bool tb);
compute_type compute(const node *n);
/* Where this run's keys and values are: rows of the batch, or of the slots' storage when the node has a state. */
const int   *key_start(const node *n, bool has_state);       /* (seqs) */
const int   *keys_before(const node *n, bool has_state);     /* (seqs) */
const int   *state_rows(const node *n);                      /* (rows) slot * context + pos */
/* The row of the recurrent state that each sequence continues from; negative where it begins, at position 0.  Its last
 * state goes to row slot[s]. */
const int   *carried_from(const node *n);                    /* (seqs) */

/* ---- planning and running --------------------------------------------------- */

typedef enum { STEP_PACK, STEP_FORWARD, STEP_FORWARD_BACKWARD, STEP_RECOMPUTE, STEP_BACKWARD, STEP_REDUCE } step_kind;
/* which: request of STEP_PACK, bucket of STEP_REDUCE */
typedef struct { node *node; step_kind kind; int which; } step;

/* Reports the first failure of the builders, or plans the memory and allocates it. */
int graph_plan(graph *g, lithe_error *err);
/* Plans the memory only, to learn its size: nothing is allocated.  For `lithe plan`. */
int graph_plan_only(graph *g, lithe_error *err);

void graph_run(graph *g, const batch *b);

/* From here on see is called after each node's forward in a run, when all that the node read and wrote is still there
 * (ops/observe.h), but an input whose buffer it wrote in place.  NULL: nobody. */
void graph_observe(graph *g, void (*see)(void *context, const node *n), void *context);

/* The sizes of a plan. */
typedef struct {
    size_t arena_bytes;             /* activations and their gradients */
    size_t largest_live;            /* the most bytes in use at one step: a lower bound of the arena */
    size_t state_bytes, packed_bytes;
    int nodes, steps, buffers;
} plan_summary;
plan_summary graph_summary(const graph *g);
int          graph_steps(const graph *g, const step **steps);
/* The seconds that each step has taken in all runs, and the number of these; NULL if the graph is not timed. */
const double *graph_seconds(const graph *g, size_t *runs);

/* A buffer of the plan and its live ranges, steps first[k]..last[k]; that of a result that is kept ends after the last
 * step. */
enum { MAX_RANGES = 3 };
typedef struct { size_t bytes, offset; int ranges, first[MAX_RANGES], last[MAX_RANGES]; const char *name; } buffer;
int          graph_buffers(const graph *g, const buffer **buffers);
int          graph_states(const graph *g, tensor *const **states);

#endif

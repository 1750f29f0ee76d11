/* Named parameters.  A parameter is declared where it is used, by the name of
 * its published checkpoints, with its initial-value rule, its optimizer group,
 * its stored layout and what its axes mean.  Identity, seed and file order come
 * from the name, never from the order of creation. */
#ifndef GRAPH_PARAM_H
#define GRAPH_PARAM_H

#include "base/error.h"
#include "graph/weight.h"

/* What one axis of a parameter runs over.  Growing works on these meanings. */
typedef enum { AXIS_NONE, AXIS_VOCAB, AXIS_POSITION, AXIS_RESIDUAL, AXIS_HEAD, AXIS_KV_HEAD, AXIS_INNER, AXIS_SLOT, AXIS_BOTTLENECK, AXIS_COUNT } axis_kind;

typedef struct {
    axis_kind kind;
    bool read; /* the parameter sums over this axis (duplicated entries must be divided); else it writes or scales it */
    int parts; /* how many equal blocks lie side by side (GPT-2's fused q, k, v: 3); 0 means 1 */
} axis;

typedef enum { INIT_ZERO, INIT_ONE, INIT_NORMAL, INIT_FORMULA, INIT_ORTHOGONAL } init_kind;

enum { PARAM_RANK = 4 };

/* How kernels take a matrix in its stored form: its rows one by one, as an embedding and a product with B (N,K) do,
 * or its columns, as a product with B (K,N) does.  Blocks lie along what is taken. */
typedef enum { READ_ROWS = 1, READ_COLUMNS = 2, READ_OTHERWISE = 4 } read_kind;

typedef struct {
    int rank, dims[PARAM_RANK];          /* rank 0: as many as there are dims */
    axis axes[PARAM_RANK];
    init_kind init;
    /* Of INIT_NORMAL; of INIT_ORTHOGONAL (rank 2) the length of its orthogonal rows, or columns where there are
     * fewer. */
    double std;
    double cut;          /* of INIT_NORMAL: drawn again when further out than so many standard deviations; 0: never */
    /* Of INIT_FORMULA: element i; key names its stream of random numbers. */
    double (*formula)(const double *args, uint64_t key, size_t i);
    double args[4];
    bool decay;          /* weight decay applies */
    double lr_factor;    /* of the learning rate; 0 means 1 */
    bool shared_read;    /* a tied head reads it too: as a head it sums over its residual axis */
    /* Along its axis of heads, how many there are in each part; 0: unknown, and nothing is asked of their order. */
    int heads;
    /* Published files keep the parts of each head together, rows (heads, parts, channels), as GPT-NeoX does with q, k
     * and v; here they are (parts, heads, channels). */
    bool by_head;
} param_rule;

typedef struct param {
    char *name;
    param_rule rule;
    size_t count;                    /* elements */
    int layer;                       /* the first number in its name, -1 when there is none */
    size_t offset;                   /* of its first element in the arenas of the set */
    struct weight weight;
    real *grad;                 /* owned by the set; NULL until params_gradients */
    bool frozen;                /* no gradient is computed */
    bool plain;                 /* some op reads its values as they are: it is not only gathered and multiplied by */
    unsigned reads;             /* a set of read_kind: of all ops that take it as it is stored */
} param;

typedef struct params {
    param **items;                   /* sorted by name once closed */
    int count, capacity;
    int *places;        /* of an open set, (4 capacity): a table by the hash of the name, 0 or 1 + the place in items */
    bool closed;
    real *values, *grad; /* two arenas, parameters in name order, each 64-byte aligned; NULL until they are asked for */
    size_t arena_count;              /* elements in each, padding included (zeros) */
    real *plain; size_t plain_count; /* the values of the plain parameters, before there are master values */
    void *lender; const struct lending *lending;     /* whose memory the stored forms lie in; NULL: none */
    struct table *tables;            /* constants that its graphs share (graph_table) */
} params;

params *params_new(void);
void    params_free(params *p);
void    tables_free(struct table *t);
param  *params_find(const params *p, const char *name);
/* The declared parameter, added to an open set; NULL when a closed one lacks it. */
param  *params_declare(params *p, const char *name, const param_rule *rule);
/* Sorts; nothing can be declared afterwards. */
int     params_close(params *p, lithe_error *err);
/* Master values for all of a closed set: what it has, widened, or zeros.  Whoever trains or edits asks for them; the
 * stored forms are given back. */
int     params_masters(params *p, lithe_error *err);
int     params_gradients(params *p, lithe_error *err);      /* the same, and gradients beside them */
/* Real values for the plain parameters alone, once all are stored. */
int     params_plain(params *p, lithe_error *err);
/* The stored forms lie in what the lender owns until give_back is called.  intact fails when they are no longer what
 * they were; results that were computed from them are then of no use. */
typedef struct lending { int (*intact)(const void *lender, lithe_error *err); void (*give_back)(void *lender); } lending;
void    params_borrow(params *p, void *lender, const lending *l);
int     params_intact(const params *p, lithe_error *err);
size_t  params_total(const params *p);                      /* stored elements, without padding */

/* The arena of the values, all of them to be changed (see weight_edit). */
real   *params_edit(params *p);

/* Fresh values: each depends on seed and its name only. */
void    params_initialize(params *p, uint64_t seed);
void    param_initialize(const param *p, uint64_t seed, real *out);

#endif

/* One operation between given inputs and a given gradient of its result. */
#ifndef TEST_OPS_CASE_H
#define TEST_OPS_CASE_H

#include "golden.h"
#include "ops/ops.h"

enum { MAX_OPERANDS = 5 };

/* An input: an activation (rows are tokens) or a parameter; absent when values is NULL. */
typedef struct { const float *values; int rows, width; bool activation; } operand;

typedef struct {
    operand in[MAX_OPERANDS];
    tensor *(*build)(graph *g, tensor *const *in, const void *options);
    const void *options;
    int capacity;                    /* of token rows; 0: the rows of the batch */
    batch batch;                     /* rows 0: one sequence of as many rows as in[0] has */
    const float *dy;
} op_case;

/* What came of it; to be released with outcome_free. */
typedef struct { float *y, *d[MAX_OPERANDS]; int rows, width; } outcome;
outcome outcome_of(const kernels *k, const op_case *c);
void    outcome_free(outcome *o);

/* Relative error at most 1e-5. */
void expect_near(const char *what, const float *found, const float *expected, size_t n);
void expect_doubles(const char *what, const float *found, const double *expected, size_t n);

float *random_floats(size_t n, uint64_t seed, double scale);             /* normal; malloc'd */

/* ops_plain.c: operations against loops in double. */
DECLARE_LEVELS(linear_plain)
DECLARE_LEVELS(sums_and_gates_plain)
DECLARE_LEVELS(tables_plain)
DECLARE_LEVELS(wide_pattention_plain)
DECLARE_LEVELS(dropout_plain)

#endif

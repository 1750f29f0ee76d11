/* The matrices inside a model, which map its rows to rows: those that Muon orthogonalises. */
#ifndef MODEL_MATRICES_H
#define MODEL_MATRICES_H

#include "graph/param.h"
#include <math.h>

static inline bool axis_of_rows(axis_kind k) { return k != AXIS_NONE && k != AXIS_VOCAB && k != AXIS_POSITION; }

/* Whether a parameter is a matrix between channels, heads, inner units or parameter tokens; embeddings, heads of
 * tokens, vectors and factors of low rank are not. */
static inline bool is_inner_matrix(const param *p) { return p->rule.rank == 2 && axis_of_rows(p->rule.axes[0].kind) && axis_of_rows(p->rule.axes[1].kind); }

/* The smaller side and the larger one. */
typedef struct { size_t n, m; } matrix_sides;
static inline matrix_sides sides_of(const param *p)
{
    const size_t rows = (size_t)p->rule.dims[0], columns = (size_t)p->rule.dims[1];
    return rows < columns ? (matrix_sides){ rows, columns } : (matrix_sides){ columns, rows };
}

/* Operations of orthogonalising it: five times x x', its square, and their product with x. */
enum { ORTHOGONAL_ITERATIONS = 5 };
static inline double orthogonal_flops(const param *p)
{
    const double n = (double)sides_of(p).n, m = (double)sides_of(p).m;
    return ORTHOGONAL_ITERATIONS * (4 * n * n * m + 2 * n * n * n);
}

#endif

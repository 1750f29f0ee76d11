/* Orthogonal initial values of matrices much longer than wide. */
#ifndef GRAPH_ORTHOGONAL_H
#define GRAPH_ORTHOGONAL_H

#include "kernels/kernels.h"

/* a (rows, columns) holds independent normal numbers, its longer side at least twice the shorter: its shorter side's
 * vectors are made orthogonal, of length 1, spanning what they spanned.  False when memory is out or they are not
 * independent. */
bool orthogonalize_long(real *a, int rows, int columns);

#endif

/* Measures how different the features of tokens are (feature collapse). */
#ifndef EVAL_DIVERSITY_H
#define EVAL_DIVERSITY_H

#include "base/error.h"
#include <stddef.h>

/* Of one sequence's rows H (n,width), mu their mean, R = H - 1 mu':
 *   dm         |R| / sqrt(n), the distance from the matrices of equal rows (raw)
 *   rel        |R| / |H|, in 0..1; for rows of one length rel^2 = (1 - 1/n)(1 - cos)
 *   rel_comp   the same in the norm sqrt(|.|_1 |.|_inf)
 *   rank1      sqrt(1 - s1^2 / |H|^2), s1 the largest singular value: what the best matrix of rank 1 leaves
 *   cos        mean cosine of two different rows
 *   stable_rank  |H|^2 / s1^2 */
enum { DIVERSITY_DM, DIVERSITY_REL, DIVERSITY_REL_COMP, DIVERSITY_RANK1, DIVERSITY_COS, DIVERSITY_STABLE_RANK, SEQUENCE_MEASURES };

/* Of all rows together, l_i the eigenvalues of their covariance and p_i their shares:
 *   deff80, deff90  the smallest number of components that hold 0.8, 0.9 of the variance
 *   pr     (sum l)^2 / sum l^2,   erank  exp(-sum p ln p),   pc3  the share of the first three */
enum { SPREAD_DEFF80, SPREAD_DEFF90, SPREAD_PR, SPREAD_ERANK, SPREAD_PC3, SPREAD_MEASURES };

/* n >= 2.  Negative when memory is out. */
int diversity_of_sequence(const float *rows, int n, int width, double out[SEQUENCE_MEASURES]);
int diversity_of_rows(const float *rows, int n, int width, double out[SPREAD_MEASURES]);

/* A place in a model has rows, of sequences of `length` end to end, and gets what is measured. */
typedef struct {
    const float *rows;
    int sequences, length, width;
    double mean[SEQUENCE_MEASURES], deviation[SEQUENCE_MEASURES];      /* over the sequences */
    double spread[SPREAD_MEASURES];
    int status;
} diversity_place;
/* Measures each place, several at once on the machine's threads. */
int diversity_measure(diversity_place *places, int count, lithe_error *err);

#endif

/* Eigenvalues of symmetric matrices, in double. */
#ifndef BASE_EIGEN_H
#define BASE_EIGEN_H

double dot_product(const double *x, const double *y, int n);

/* All eigenvalues of the symmetric matrix a (n,n), largest first; a is overwritten. work (3 n).
 * The error of each is about 1e-15 of the largest magnitude; they are NaN if the matrix is not finite. */
void eigenvalues(double *a, int n, double *values, double *work);

/* The largest eigenvalue of a matrix that is never formed, x -> apply(context, x), which is symmetric and positive
 * semidefinite; the relative error is about 1e-10. work (n (n < EIGEN_STEPS ? n : EIGEN_STEPS) + 2 n). */
enum { EIGEN_STEPS = 200 };
double eigenvalue_largest(void (*apply)(void *context, const double *x, double *y), void *context, int n, double *work);

#endif

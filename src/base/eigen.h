/* Eigenvalues of symmetric matrices, in double. */
#ifndef BASE_EIGEN_H
#define BASE_EIGEN_H

double dot_product(const double *x, const double *y, int n);

/* All eigenvalues of the symmetric a (n,n), largest first; a is overwritten. work (3 n).
 * Each is good to about 1e-15 of the largest in magnitude; NaN for a matrix that is not finite. */
void eigenvalues(double *a, int n, double *values, double *work);

/* The largest one of a matrix that is never formed: of x -> apply(context, x), symmetric and positive semidefinite, to about
 * 1e-10 relative. work (n (n < EIGEN_STEPS ? n : EIGEN_STEPS) + 2 n). */
enum { EIGEN_STEPS = 200 };
double eigenvalue_largest(void (*apply)(void *context, const double *x, double *y), void *context, int n, double *work);

#endif

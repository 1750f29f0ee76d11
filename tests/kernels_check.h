/* What the kernel tests share: guarded buffers, random shapes, comparison with a
 * reference in double, and a running digest of every result, by which runs with
 * different numbers of threads are compared byte by byte.  The same tests compile
 * with -DLITHE_DOUBLE, where there is the ref level only. */
#ifndef TESTS_KERNELS_CHECK_H
#define TESTS_KERNELS_CHECK_H

#include "base/random.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "test.h"

#define TOLERANCE (sizeof(real) == 8 ? 1e-12 : 1e-5)

/* Draws of the test's own stream, begun anew by check_begin. */
void   check_begin(const kernels *k);
double uniform(double low, double high);
int    below(int n);                            /* 0 .. n-1 */
int    size_up_to(int n);                       /* 1 .. n, the small ones and n itself often */

/* Guarded by canaries and, with check_end, released. */
real  *filled(size_t n, double scale);          /* uniform in -scale .. scale */
real  *blank(size_t n);                         /* NaN, to be overwritten */
real  *target(size_t n, bool add);              /* what a kernel writes or adds to */
real  *copy_of(const real *x, size_t n);
double *doubles(const real *x, size_t n);       /* a copy in double, zeros for NULL */
double *prior(const real *y, size_t n, bool add);      /* what the result begins with */
int   *indices(size_t n, int below_this);
uint64_t *keys(size_t n);

/* The result against the reference: |got - want| / |want|, and into the digest. */
void expect(const char *what, const real *got, const double *want, size_t n, double tolerance);
void expect_same(const char *what, const real *a, const real *b, size_t n);     /* bytes */
uint64_t check_end(void);                       /* looks at the canaries; the digest */

/* Activations in double, by their definitions. */
double plain_act(activation act, double x);
double plain_slope(activation act, double x);

#define EACH_ACT(act) for (activation act = ACT_NONE; act < ACT_COUNT; act++)
#define EACH_FLAG(flag) for (int flag = 0; flag < 2; flag++)

void norms(const kernels *k);
void theta(const kernels *k);
void theta_identities(const kernels *k);
void series_branches(const kernels *k);
void series_is_the_activation(const kernels *k);
void series_identities(const kernels *k);
void multiples(const kernels *k);
void shifts(const kernels *k);
void averages(const kernels *k);
void averages_go_on(const kernels *k);
void scans(const kernels *k);
void scans_go_on(const kernels *k);
void scans_by_differences(const kernels *k);
void scans_of_shapes(const kernels *k);
void windows_are_the_whole(const kernels *k);
void heads_of_shapes(const kernels *k);
void mixtures_of_shapes(const kernels *k);
void attention_forward(const kernels *k);
void attention_gradient(const kernels *k);
void attention_decoding(const kernels *k);
void attention_dropout(const kernels *k);
void attention_near(const kernels *k);
void attention_near_gradient(const kernels *k);
void attention_shaped(const kernels *k);
void attention_company(const kernels *k);
void gradients_by_differences(const kernels *k);
void pools(const kernels *k);
void correct_and_largest(const kernels *k);
void squared_errors(const kernels *k);

#endif

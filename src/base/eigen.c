/* Householder's reduction to tridiagonal form and bisection on the number of
 * negative pivots (Givens 1954), which cannot fail to converge; Lanczos with full
 * reorthogonalisation for the largest alone.  Inner loops add multiples of rows,
 * so that the compiler may use wide registers. */
#include "base/eigen.h"
#include "base/random.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

static double *row_of(double *a, int n, int i) { return a + (size_t)i * (size_t)n; }

static void add_multiple(double *y, double factor, const double *x, int n)
{
    for (int i = 0; i < n; i++) y[i] += factor * x[i];
}

double dot_product(const double *x, const double *y, int n)
{
    double s[4] = { 0 };
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) s[j] += x[i + j] * y[i + j];
    for (; i < n; i++) s[0] += x[i] * y[i];
    return s[0] + s[1] + s[2] + s[3];
}

/* ---- all of a dense matrix ------------------------------------------------------- */

/* Clears row k after its first off-diagonal element by a reflection I - beta v v'; returns that element.
 * With p = beta A v and w = p - (beta/2) (v'p) v the rest becomes A - v w' - w v'. */
static double reflect(double *a, int n, int k, double *w)
{
    int m = n - k - 1;
    double *v = row_of(a, n, k) + k + 1, length = sqrt(dot_product(v, v, m));
    if (!(length > 0)) return 0;
    double off = v[0] > 0 ? -length : length;
    v[0] -= off;
    double beta = 2 / dot_product(v, v, m);
    memset(w, 0, (size_t)m * sizeof *w);
    for (int j = 0; j < m; j++) add_multiple(w, beta * v[j], row_of(a, n, k + 1 + j) + k + 1, m);
    add_multiple(w, -beta / 2 * dot_product(v, w, m), v, m);
    for (int j = 0; j < m; j++) {
        double *row = row_of(a, n, k + 1 + j) + k + 1, vj = v[j], wj = w[j];
        for (int i = 0; i < m; i++) row[i] -= vj * w[i] + wj * v[i];
    }
    return off;
}

/* The number of eigenvalues below x of the tridiagonal matrix with diagonal d and off-diagonal e. */
static int count_below(const double *d, const double *e, int n, double x)
{
    int count = 0;
    double pivot = 1;
    for (int i = 0; i < n; i++) {
        double off = i ? e[i - 1] * e[i - 1] : 0;
        pivot = d[i] - x - (i ? off / pivot : 0);
        if (fabs(pivot) < 1e-290) pivot = -1e-290;
        count += pivot < 0;
    }
    return count;
}

/* Gershgorin's interval, which contains all eigenvalues. */
static void bounds(const double *d, const double *e, int n, double *low, double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (int i = 0; i < n; i++) {
        double radius = (i ? fabs(e[i - 1]) : 0) + (i + 1 < n ? fabs(e[i]) : 0);
        *low = fmin(*low, d[i] - radius);
        *high = fmax(*high, d[i] + radius);
    }
}

/* The eigenvalue that has `below` others below it, between low and high. */
static double bisect(const double *d, const double *e, int n, int below, double low, double high)
{
    double close = 1e-16 * fmax(fabs(low), fabs(high));
    for (int i = 0; i < 100 && high - low > close; i++) {
        double middle = 0.5 * (low + high);
        if (count_below(d, e, n, middle) > below) high = middle;
        else low = middle;
    }
    return 0.5 * (low + high);
}

void eigenvalues(double *a, int n, double *values, double *work)
{
    double *d = work, *e = work + n, low, high;
    for (int k = 0; k < n; k++) {
        if (k + 2 < n) e[k] = reflect(a, n, k, work + 2 * n);
        else e[k] = k + 1 < n ? row_of(a, n, k)[k + 1] : 0;
        d[k] = row_of(a, n, k)[k];
    }
    bounds(d, e, n, &low, &high);
    bool finite = isfinite(low) && isfinite(high);
    for (int i = 0; i < n; i++) finite = finite && isfinite(d[i]) && isfinite(e[i]);
    for (int i = 0; i < n; i++) {
        values[i] = finite ? bisect(d, e, n, n - 1 - i, low, high) : (double)NAN;
        if (finite) high = fmin(high, values[i] + 1e-15 * fabs(values[i]) + 1e-300);
    }
}

/* ---- the largest of an operator ---------------------------------------------------- */

static double top_of(const double *d, const double *e, int n)
{
    double low, high;
    bounds(d, e, n, &low, &high);
    return bisect(d, e, n, n - 1, low, high);
}

/* basis[k+1] = apply(basis[k]) made orthogonal to all before it, twice over for rounding; its length. */
static double next_direction(double *basis, int n, int k)
{
    double *next = row_of(basis, n, k + 1);
    for (int pass = 0; pass < 2; pass++)
        for (int j = 0; j <= k; j++) add_multiple(next, -dot_product(row_of(basis, n, j), next, n), row_of(basis, n, j), n);
    return sqrt(dot_product(next, next, n));
}

double eigenvalue_largest(void (*apply)(void *context, const double *x, double *y), void *context, int n, double *work)
{
    enum { CHECK_EVERY = 5 };
    double d[EIGEN_STEPS], e[EIGEN_STEPS], before = -1, top = 0;
    int most = n < EIGEN_STEPS ? n : EIGEN_STEPS;
    for (int i = 0; i < n; i++) work[i] = random_normal(7, (uint64_t)i);
    double length = sqrt(dot_product(work, work, n));
    for (int i = 0; i < n; i++) work[i] /= length;
    for (int k = 0; k < most; k++) {
        double *x = row_of(work, n, k), *y = row_of(work, n, k + 1);
        apply(context, x, y);
        d[k] = dot_product(x, y, n);
        if (!isfinite(d[k])) return (double)NAN;
        e[k] = next_direction(work, n, k);
        bool last = k + 1 == most || !(e[k] > 1e-13 * fabs(d[0]));
        if (!last && (k + 1) % CHECK_EVERY) { for (int i = 0; i < n; i++) y[i] /= e[k]; continue; }
        top = top_of(d, e, k + 1);
        if (last || fabs(top - before) <= 1e-11 * top) break;
        before = top;
        for (int i = 0; i < n; i++) y[i] /= e[k];
    }
    return top;
}

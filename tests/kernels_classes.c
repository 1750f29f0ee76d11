/* What heads of classes and numbers, and metrics, use: one row for each sequence,
 * whether a target is the likeliest, the largest of a row, squared errors. */
#include "kernels_check.h"
#include <math.h>

enum { MOST_SEQS = 9 };

/* Lengths of sequences, some of them empty; the rows in all. */
static int ragged(int start[MOST_SEQS + 1], int seqs)
{
    start[0] = 0;
    for (int s = 0; s < seqs; s++) start[s + 1] = start[s] + below(3) * below(20);
    return start[seqs];
}

/* The share that row r of a sequence of n rows has in its result. */
static double share_of(pooling how, int r, int n)
{
    if (how == POOL_MEAN) return 1.0 / n;
    return r == (how == POOL_FIRST ? 0 : n - 1);
}

void pools(const kernels *k)
{
    static const pooling kinds[] = { POOL_FIRST, POOL_LAST, POOL_MEAN };
    for (int i = 0; i < 3; i++) EACH_FLAG(add) {
        int start[MOST_SEQS + 1], seqs = 1 + below(MOST_SEQS), rows = ragged(start, seqs), width = size_up_to(200);
        size_t n = (size_t)rows * (size_t)width, results = (size_t)seqs * (size_t)width;
        real *x = filled(n, 1), *y = blank(results), *dy = filled(results, 1), *dx = target(n, add);
        double *want = doubles(NULL, results), *gradient = prior(dx, n, add);
        for (int s = 0; s < seqs; s++)
            for (int r = start[s]; r < start[s + 1]; r++)
                for (int c = 0; c < width; c++) {
                    double share = share_of(kinds[i], r - start[s], start[s + 1] - start[s]);
                    want[s * width + c] += share * (double)x[r * width + c];
                    gradient[r * width + c] += share * (double)dy[s * width + c];
                }
        k->pool(y, x, start, kinds[i], seqs, width);
        k->pool_backward(dx, add, dy, start, kinds[i], seqs, width);
        expect("pool", y, want, results, TOLERANCE);
        expect("pool_backward", dx, gradient, n, TOLERANCE);
    }
}

/* Small whole numbers, so that rows have several largest ones. */
static real *with_ties(size_t n)
{
    real *x = filled(n, 4);
    for (size_t i = 0; i < n; i++) x[i] = (real)rint((double)x[i]);
    return x;
}

void correct_and_largest(const kernels *k)
{
    for (int times = 0; times < 12; times++) EACH_FLAG(weighted) {
        int rows = size_up_to(40), width = size_up_to(times ? 70 : 3000);
        int *wanted = indices((size_t)rows, width), *first = indices((size_t)rows, 1), *found = indices((size_t)rows, 1);
        real *x = with_ties((size_t)rows * (size_t)width), *weight = weighted ? filled((size_t)rows, 1) : NULL;
        exact *hit = blank((size_t)rows), *value = blank((size_t)rows);
        double *want_hit = doubles(NULL, (size_t)rows), *want_value = doubles(NULL, (size_t)rows);
        if (weighted) weight[0] = 0;
        for (int r = 0, at = 0; r < rows; r++, at = 0) {
            const real *row = x + (size_t)r * (size_t)width;
            for (int c = 1; c < width; c++)
                if (row[c] > row[at]) at = c;
            want_value[r] = (double)row[at];
            if (below(2)) wanted[r] = at;
            want_hit[r] = (!weighted || weight[r] != 0) && row[wanted[r]] == row[at];
            first[r] = at;
        }
        k->largest(value, found, x, rows, width);
        k->correct(hit, x, wanted, weight, rows, width);
        expect("largest", value, want_value, (size_t)rows, 0);
        expect("correct", hit, want_hit, (size_t)rows, 0);
        for (int r = 0; r < rows; r++) CHECK_MSG(found[r] == first[r], "largest at %s: column %d of row %d, not %d", k->name, found[r], r, first[r]);
    }
}

void squared_errors(const kernels *k)
{
    EACH_FLAG(add) EACH_FLAG(trains) {
        size_t n = (size_t)size_up_to(300);
        real *x = filled(n, 3), *value = filled(n, 3), *dx = target(n, add), scale = (real)0.37;
        exact *loss = blank(n);
        double *want = doubles(NULL, n), *gradient = prior(dx, n, add);
        for (size_t i = 0; i < n; i++) {
            double error = (double)x[i] - (double)value[i];
            want[i] = error * error;
            gradient[i] += 2 * (double)scale * error;
        }
        k->squared_error(loss, trains ? dx : NULL, add, x, value, scale, (int)n);
        expect("squared_error", loss, want, n, TOLERANCE);
        if (trains) expect("squared_error, gradient", dx, gradient, n, TOLERANCE);
    }
}

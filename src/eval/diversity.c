/* Measures of feature collapse.  d_M and its bounds: Dong, Cordonnier & Loukas
 * 2021, "Attention is not all you need"; Wang et al. 2023 (PanGu-pi).  The raw
 * distance grows with a residual stream whose rows become parallel, so the relative
 * ones stand beside it.
 * Invariant: the mean is subtracted row by row, never as |H|^2 - n |mu|^2, which
 * cancels where collapse is strong. */
#include "eval/diversity.h"
#include "base/arena.h"
#include "base/eigen.h"
#include "base/threads.h"
#include <math.h>
#include <stdlib.h>

static double square(double x) { return x * x; }

typedef struct { const double *h; int n, width; } matrix;

/* Rows of zeros after them fill up the last four. */
static double *widened(const float *rows, int n, int width)
{
    size_t count;
    double *h = size_mul((size_t)n + 3, (size_t)width, &count) ? xalloc(count, sizeof *h) : NULL;
    for (size_t i = 0; h && i < (size_t)n * (size_t)width; i++) h[i] = (double)rows[i];
    return h;
}

static bool centre(double *h, int n, int width)
{
    double *mean = xalloc((size_t)width, sizeof *mean);
    for (int r = 0; mean && r < n; r++)
        for (int c = 0; c < width; c++) mean[c] += h[(size_t)r * (size_t)width + (size_t)c];
    for (int r = 0; mean && r < n; r++)
        for (int c = 0; c < width; c++) h[(size_t)r * (size_t)width + (size_t)c] -= mean[c] / n;
    free(mean);
    return mean != NULL;
}

/* ---- one sequence ---------------------------------------------------------------- */

static double frobenius2(const double *h, int n, int width)
{
    double sum = 0;
    for (size_t i = 0; i < (size_t)n * (size_t)width; i++) sum += h[i] * h[i];
    return sum;
}

/* sqrt(largest column sum * largest row sum) of the absolute values. */
static double composite(const double *h, int n, int width, double *columns)
{
    double most_column = 0, most_row = 0;
    for (int c = 0; c < width; c++) columns[c] = 0;
    for (int r = 0; r < n; r++) {
        double row = 0;
        for (int c = 0; c < width; c++) {
            double x = fabs(h[(size_t)r * (size_t)width + (size_t)c]);
            row += x;
            columns[c] += x;
        }
        most_row = fmax(most_row, row);
    }
    for (int c = 0; c < width; c++) most_column = fmax(most_column, columns[c]);
    return sqrt(most_column * most_row);
}

/* With unit rows u: |sum u|^2 = n + n (n-1) cos. */
static double mean_cosine(const double *h, int n, int width, double *sum)
{
    int long_rows = 0;
    for (int c = 0; c < width; c++) sum[c] = 0;
    for (int r = 0; r < n; r++) {
        const double *row = h + (size_t)r * (size_t)width;
        double length = sqrt(frobenius2(row, 1, width));
        if (!(length > 0)) continue;                        /* a row of zeros has no direction */
        long_rows++;
        for (int c = 0; c < width; c++) sum[c] += row[c] / length;
    }
    return (frobenius2(sum, 1, width) - long_rows) / ((double)long_rows * (long_rows - 1));
}

/* y = H' H x */
static void gram(void *context, const double *x, double *y)
{
    const matrix *m = context;
    for (int c = 0; c < m->width; c++) y[c] = 0;
    for (int r = 0; r < m->n; r++) {
        const double *row = m->h + (size_t)r * (size_t)m->width;
        double t = dot_product(row, x, m->width);
        for (int c = 0; c < m->width; c++) y[c] += t * row[c];
    }
}

int diversity_of_sequence(const float *rows, int n, int width, double out[SEQUENCE_MEASURES])
{
    size_t steps = (size_t)(width < EIGEN_STEPS ? width : EIGEN_STEPS) + 2;
    double *h = widened(rows, n, width), *work = xalloc(steps * (size_t)width, sizeof *work);
    int status = h && work ? 0 : LITHE_ENOMEM;
    if (!status) {
        matrix m = { h, n, width };
        double whole = frobenius2(h, n, width), whole_comp = composite(h, n, width, work), first = eigenvalue_largest(gram, &m, width, work);
        out[DIVERSITY_COS] = mean_cosine(h, n, width, work);
        out[DIVERSITY_RANK1] = sqrt(fmax(0, 1 - first / whole));
        out[DIVERSITY_STABLE_RANK] = whole / first;
        if (!centre(h, n, width)) status = LITHE_ENOMEM;
        double rest = frobenius2(h, n, width);
        out[DIVERSITY_DM] = sqrt(rest / n);
        out[DIVERSITY_REL] = sqrt(rest / whole);
        out[DIVERSITY_REL_COMP] = composite(h, n, width, work) / whole_comp;
        if (isnan(first)) out[DIVERSITY_RANK1] = first;
    }
    free(h);
    free(work);
    return status;
}

/* ---- all rows ---------------------------------------------------------------------- */

/* The upper half of h' h (width,width), four rows at a time. */
static void covariance(const double *h, int n, int width, double *a)
{
    for (int r = 0; r < n; r += 4) {
        const double *p = h + (size_t)r * (size_t)width, *q = p + width, *s = q + width, *t = s + width;
        for (int i = 0; i < width; i++) {
            double *to = a + (size_t)i * (size_t)width;
            for (int c = i; c < width; c++) to[c] += p[i] * p[c] + q[i] * q[c] + s[i] * s[c] + t[i] * t[c];
        }
    }
}

/* The upper half of h h' (n,n). */
static void inner_products(const double *h, int n, int width, double *a)
{
    for (int i = 0; i < n; i++)
        for (int j = i; j < n; j++) a[(size_t)i * (size_t)n + (size_t)j] = dot_product(h + (size_t)i * (size_t)width, h + (size_t)j * (size_t)width, width);
}

static void mirror(double *a, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) a[(size_t)i * (size_t)n + (size_t)j] = a[(size_t)j * (size_t)n + (size_t)i];
}

/* The smallest number of values, largest first, that hold this share. */
static double components_of(const double *values, int n, double total, double share)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        if ((sum += values[i] / total) >= share - 1e-9) return i + 1;
    return isnan(total) ? total : n;
}

static void spread_of(double *values, int n, double out[SPREAD_MEASURES])
{
    double total = 0, squares = 0, entropy = 0;
    for (int i = 0; i < n; i++) {
        if (values[i] < 0) values[i] = 0;                   /* by rounding alone */
        total += values[i];
        squares += square(values[i]);
    }
    for (int i = 0; i < n; i++)
        if (values[i] > 0) entropy -= values[i] / total * log(values[i] / total);
    out[SPREAD_DEFF80] = components_of(values, n, total, 0.8);
    out[SPREAD_DEFF90] = components_of(values, n, total, 0.9);
    out[SPREAD_PR] = square(total) / squares;
    out[SPREAD_ERANK] = total > 0 ? exp(entropy) : (double)NAN;
    out[SPREAD_PC3] = (values[0] + (n > 1 ? values[1] : 0) + (n > 2 ? values[2] : 0)) / total;
}

int diversity_of_rows(const float *rows, int n, int width, double out[SPREAD_MEASURES])
{
    int m = n < width ? n : width;                          /* H H' has the same eigenvalues but zeros */
    size_t count;
    double *h = widened(rows, n, width);
    double *a = size_mul((size_t)m, (size_t)m, &count) ? xalloc(count + 4 * (size_t)m, sizeof *a) : NULL;
    int status = h && a && centre(h, n, width) ? 0 : LITHE_ENOMEM;
    if (!status) {
        double *values = a + count;
        if (m == width) covariance(h, n, width, a);
        else inner_products(h, n, width, a);
        mirror(a, m);
        eigenvalues(a, m, values, values + m);
        spread_of(values, m, out);
    }
    free(h);
    free(a);
    return status;
}

/* ---- places -------------------------------------------------------------------------- */

static int measure_place(diversity_place *p)
{
    double sum[SEQUENCE_MEASURES] = { 0 }, squares[SEQUENCE_MEASURES] = { 0 }, *each = xalloc((size_t)p->sequences * SEQUENCE_MEASURES, sizeof *each);
    int status = each ? 0 : LITHE_ENOMEM;
    for (int s = 0; !status && s < p->sequences; s++) {
        size_t first = (size_t)s * (size_t)p->length * (size_t)p->width;
        status = diversity_of_sequence(p->rows + first, p->length, p->width, each + (size_t)s * SEQUENCE_MEASURES);
        for (int i = 0; i < SEQUENCE_MEASURES; i++) sum[i] += each[s * SEQUENCE_MEASURES + i];
    }
    for (int i = 0; !status && i < SEQUENCE_MEASURES; i++) {
        p->mean[i] = sum[i] / p->sequences;
        for (int s = 0; s < p->sequences; s++) squares[i] += square(each[s * SEQUENCE_MEASURES + i] - p->mean[i]);
        p->deviation[i] = p->sequences > 1 ? sqrt(squares[i] / (p->sequences - 1)) : 0;
    }
    free(each);
    return status ? status : diversity_of_rows(p->rows, p->sequences * p->length, p->width, p->spread);
}

static void measure_task(void *context, int task)
{
    diversity_place *p = (diversity_place *)context + task;
    p->status = measure_place(p);
}

int diversity_measure(diversity_place *places, int count, lithe_error *err)
{
    parallel_for(count, measure_task, places);
    for (int i = 0; i < count; i++)
        if (places[i].status) return fail(err, LITHE_ENOMEM, "not enough memory to measure %d x %d features", places[i].sequences * places[i].length, places[i].width);
    return 0;
}

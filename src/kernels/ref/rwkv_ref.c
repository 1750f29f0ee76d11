/* RWKV's recurrences, channel by channel: token shift and the weighted average
 * of version 4 (Peng et al. 2023).  Numerator and denominator of the average are
 * kept over e^m, m the running maximum of their exponents, so that every e^x
 * here has x <= 0; backward walks the tokens twice, forward for d/d decay and
 * bonus, then back with its own numerator, denominator and maximum. */
#include "kernels/ref/ref.h"
#include <math.h>

static void put(real *y, bool add, real value) { *y = add ? *y + value : value; }

/* ---- token shift ---- */

static real before_row(const token_shift_args *a, int s, int r, int c)
{
    size_t W = (size_t)a->width;
    if (r > a->start[s]) return a->x[(size_t)(r - 1) * W + (size_t)c];
    return a->before && a->from[s] >= 0 ? a->before[(size_t)a->from[s] * W + (size_t)c] : 0;
}

static real mix_at(const token_shift_args *a, int m, size_t i, int c) { return a->mix[m][a->per_row ? i : (size_t)c]; }

void ref_token_shift(const token_shift_args *a)
{
    for (int s = 0; s < a->seqs; s++)
        for (int r = a->start[s]; r < a->start[s + 1]; r++)
            for (int c = 0; c < a->width; c++) {
                size_t i = (size_t)r * (size_t)a->width + (size_t)c;
                real x = a->x[i], p = before_row(a, s, r, c);
                for (int m = 0; m < a->mixes; m++) {
                    real mix = mix_at(a, m, i, c);
                    a->y[m][i] = a->past ? x + (p - x) * mix : p + (x - p) * mix;
                }
            }
}

/* What reaches this row, and the row before it, through the outputs of row i. */
static real through_rows(const token_shift_args *a, size_t i, int c, bool previous)
{
    real sum = 0;
    for (int m = 0; m < a->mixes; m++)
        if (a->dy[m]) sum += a->dy[m][i] * (a->past == previous ? mix_at(a, m, i, c) : 1 - mix_at(a, m, i, c));
    return sum;
}

/* What stood before row r of sequence s when it was read forward. */
static real begun(const token_shift_args *a, int s, int r, int c)
{
    size_t W = (size_t)a->width;
    if (r > a->start[s]) return a->x[(size_t)(r - 1) * W + (size_t)c];
    return a->begin ? a->begin[(size_t)s * W + (size_t)c] : 0;
}

/* The gradient of x in row r as the row before the next one. */
static real from_next(const token_shift_args *a, int s, int r, int c)
{
    size_t W = (size_t)a->width;
    if (r + 1 < a->start[s + 1]) return through_rows(a, (size_t)(r + 1) * W + (size_t)c, c, true);
    return a->d_end ? a->d_end[(size_t)s * W + (size_t)c] : 0;
}

static void shift_back(const token_shift_args *a, int s, int r, int c, double *dmix)
{
    size_t i = (size_t)r * (size_t)a->width + (size_t)c;
    real p = begun(a, s, r, c), difference = a->past ? p - a->x[i] : a->x[i] - p;
    for (int m = 0; m < a->mixes; m++) {
        real d = a->dy[m] ? a->dy[m][i] * difference : 0;
        dmix[m] += (double)d;
        if (a->per_row && a->dmix[m]) put(&a->dmix[m][i], a->add_dmix[m], d);
    }
    if (a->dx) put(&a->dx[i], a->add_dx, through_rows(a, i, c, false) + from_next(a, s, r, c));
}

/* An empty sequence hands its gradient on: its end is its beginning. */
static real begun_back(const token_shift_args *a, int s, int c)
{
    size_t W = (size_t)a->width;
    if (a->start[s] < a->start[s + 1]) return through_rows(a, (size_t)a->start[s] * W + (size_t)c, c, true);
    return a->d_end ? a->d_end[(size_t)s * W + (size_t)c] : 0;
}

void ref_token_shift_backward(const token_shift_args *a)
{
    size_t W = (size_t)a->width;
    for (int c = 0; c < a->width; c++) {
        double dmix[MAX_MIXES] = { 0 };
        for (int s = 0; s < a->seqs; s++) {
            for (int r = a->start[s]; r < a->start[s + 1]; r++) shift_back(a, s, r, c, dmix);
            if (a->d_begin) a->d_begin[(size_t)s * W + (size_t)c] = begun_back(a, s, c);
        }
        for (int m = 0; m < a->mixes; m++)
            if (a->dmix[m] && !a->per_row) put(&a->dmix[m][c], a->add_dmix[m], (real)dmix[m]);
    }
}

/* ---- the weighted average of RWKV-4 ---- */

static const double EMPTY = -1e38;                          /* the maximum over no exponents */

typedef struct { double a, b, m; } average;

/* Adds e^k v after one step of decay. */
static average passed(average p, double w, double k, double v)
{
    double m = fmax(p.m + w, k), old = exp(p.m + w - m), new = exp(k - m);
    return (average){ old * p.a + new * v, old * p.b + new, m };
}

void ref_wkv4(const wkv4_args *a)
{
    size_t W = (size_t)a->width;
    for (int s = 0; s < a->seqs; s++) {
        if (a->start[s] == a->start[s + 1]) continue;
        for (size_t c = 0; c < W; c++) {
            double w = -exp((double)a->decay[c]), u = (double)a->bonus[c];
            const exact *old = a->state && a->from[s] >= 0 ? a->state + (size_t)a->from[s] * 3 * W + c : NULL;
            exact *end = a->state ? a->state + (size_t)a->to[s] * 3 * W + c : NULL;
            average p = old ? (average){ (double)old[0], (double)old[W], (double)old[2 * W] } : (average){ 0, 0, EMPTY };
            for (int r = a->start[s]; r < a->start[s + 1]; r++) {
                size_t i = (size_t)r * W + c;
                double k = (double)a->k[i], v = (double)a->v[i];
                double q = fmax(p.m, u + k), e1 = exp(p.m - q), e2 = exp(u + k - q);
                a->y[i] = (real)((e1 * p.a + e2 * v) / (e1 * p.b + e2));
                p = passed(p, w, k, v);
                /* As a state would hold it. */
                p = (average){ (double)(exact)p.a, (double)(exact)p.b, (double)(exact)p.m };
            }
            if (end) end[0] = (exact)p.a, end[W] = (exact)p.b, end[2 * W] = (exact)p.m;
        }
    }
}

static average begun_average(const wkv4_args *a, int s, size_t c)
{
    size_t W = (size_t)a->width;
    const exact *old = a->begin ? a->begin + (size_t)s * 3 * W + c : NULL;
    return old ? (average){ (double)old[0], (double)old[W], (double)old[2 * W] } : (average){ 0, 0, EMPTY };
}

/* Of one sequence and channel: adds to d/dw and d/du; leaves dy over the denominator's share and the maximum in
 * work.  The end's maximum. */
static double sweep_forward(const wkv4_args *a, int s, size_t c, double w, double u, double *dw, double *du)
{
    size_t W = (size_t)a->width, rows = (size_t)a->start[a->seqs];
    average p = begun_average(a, s, c);
    double da = 0, db = 0;                                  /* d a / d w, d b / d w over e^m */
    for (int r = a->start[s]; r < a->start[s + 1]; r++) {
        size_t i = (size_t)r * W + c;
        double k = (double)a->k[i], v = (double)a->v[i], y = (double)a->y[i];
        double q = fmax(p.m, u + k), e1 = exp(p.m - q), e2 = exp(u + k - q), share = (double)a->dy[i] / (e1 * p.b + e2);
        a->work[i] = (exact)share;
        a->work[rows * W + i] = (exact)q;
        *dw += (da - db * y) * e1 * share;
        *du += (v - y) * e2 * share;
        double m = fmax(p.m + w, k), old = exp(p.m + w - m);
        da = old * (p.a + da);
        db = old * (p.b + db);
        p = passed(p, w, k, v);
    }
    if (a->d_end) *dw += da * (double)a->d_end[(size_t)s * 3 * W + c] + db * (double)a->d_end[(size_t)s * 3 * W + W + c];
    return p.m;
}

/* g: gradients of numerator and denominator, over e^m. */
static void sweep_back(const wkv4_args *a, int s, size_t c, double w, double u, average g)
{
    size_t W = (size_t)a->width, rows = (size_t)a->start[a->seqs];
    for (int r = a->start[s + 1]; r-- > a->start[s]; ) {
        size_t i = (size_t)r * W + c;
        double k = (double)a->k[i], v = (double)a->v[i], y = (double)a->y[i], share = (double)a->work[i], q = (double)a->work[rows * W + i];
        double e1 = share * exp(u + k - q), e2 = exp(k + g.m);
        if (a->dk) put(&a->dk[i], a->add_dk, (real)(e1 * (v - y) + e2 * (g.a * v + g.b)));
        if (a->dv) put(&a->dv[i], a->add_dv, (real)(e1 + e2 * g.a));
        double next = fmax(w + g.m, -q), c1 = exp(w + g.m - next), c2 = share * exp(-q - next);
        g = (average){ c1 * g.a + c2, c1 * g.b - c2 * y, next };
    }
    if (!a->d_begin) return;
    exact *d = a->d_begin + (size_t)s * 3 * W + c;
    double e = exp(g.m + begun_average(a, s, c).m);
    d[0] = (exact)(e * g.a), d[W] = (exact)(e * g.b), d[2 * W] = 0;
}

void ref_wkv4_backward(const wkv4_args *a)
{
    size_t W = (size_t)a->width;
    for (size_t c = 0; c < W; c++) {
        double w = -exp((double)a->decay[c]), u = (double)a->bonus[c], dw = 0, du = 0;
        for (int s = 0; s < a->seqs; s++) {
            double m = sweep_forward(a, s, c, w, u, &dw, &du);
            const exact *d = a->d_end ? a->d_end + (size_t)s * 3 * W + c : NULL;
            sweep_back(a, s, c, w, u, d ? (average){ (double)d[0], (double)d[W], -m } : (average){ 0, 0, EMPTY });
        }
        if (a->ddecay) put(&a->ddecay[c], a->add_ddecay, (real)(dw * w));
        if (a->dbonus) put(&a->dbonus[c], a->add_dbonus, (real)du);
    }
}

/* Token shift and RWKV-4's average against their definitions in double: sums
 * over all earlier tokens, no recurrence.  Keys far out, sequences cut at any
 * token and gone on from a state, weights that sum to one. */
#include "kernels_check.h"
#include <math.h>
#include <stdlib.h>

typedef struct { int start[4], rows; } cut;
static cut sequences(int most)
{
    cut c = { { 0 }, 0 };
    /* The second may be empty. */
    for (int s = 0; s < 3; s++) c.start[s + 1] = c.start[s] + (s == 1 ? below(2) : size_up_to(most));
    c.rows = c.start[3];
    return c;
}

/* ---- token shift ---- */

static void shift_once(const kernels *k, bool past, bool add, bool state)
{
    enum { MIXES = 3 };
    int W = size_up_to(90);
    cut q = sequences(20);
    size_t n = (size_t)q.rows * (size_t)W, w = (size_t)W;
    const int from[] = { 1, -1, 0 };
    token_shift_args a = { .seqs = 3, .width = W, .mixes = MIXES, .start = q.start, .past = past, .x = filled(n, 1), .dx = target(n, add), .add_dx = add };
    const real *before = filled(2 * w, 1);
    if (state) a.before = before, a.from = from;
    double *want[MIXES], *dmix[MIXES], *dx = prior(a.dx, n, add);
    for (int m = 0; m < MIXES; m++) {
        a.mix[m] = filled(w, 1), a.y[m] = blank(n), a.dy[m] = m == 1 && past ? NULL : filled(n, 1), a.dmix[m] = target(w, add), a.add_dmix[m] = add;
        want[m] = doubles(NULL, n), dmix[m] = prior(a.dmix[m], w, add);
        for (int s = 0; s < 3; s++)
            for (int r = q.start[s]; r < q.start[s + 1]; r++)
                for (int c = 0; c < W; c++) {
                    size_t i = (size_t)(r * W + c);
                    bool first = r == q.start[s];
                    double x = (double)a.x[i], p = !first ? (double)a.x[i - w] : state && from[s] >= 0 ? (double)before[from[s] * W + c] : 0;
                    double of_x = past ? 1 - (double)a.mix[m][c] : (double)a.mix[m][c], dy = a.dy[m] ? (double)a.dy[m][i] : 0;
                    want[m][i] = x * of_x + p * (1 - of_x);
                    dx[i] += dy * of_x;
                    if (!first) dx[i - w] += dy * (1 - of_x);
                    dmix[m][c] += dy * (x - p) * (past ? -1 : 1);
                }
    }
    k->token_shift(&a);
    for (int m = 0; m < MIXES; m++) expect("token_shift", a.y[m], want[m], n, TOLERANCE);
    if (state) return;
    k->token_shift_backward(&a);
    expect("token_shift_backward", a.dx, dx, n, TOLERANCE);
    for (int m = 0; m < MIXES; m++) expect("token_shift_backward, mix", a.dmix[m], dmix[m], w, TOLERANCE);
}

void shifts(const kernels *k)
{
    for (int flags = 0; flags < 8; flags++) shift_once(k, flags & 1, flags & 2, flags & 4);
}

/* ---- the weighted average ---- */

typedef struct { int T, W; const double *k, *v, *w, *u; } scan;          /* w: the decay raw */

/* Exponent of token i's weight as token t reads it. */
static double exponent(const scan *s, int t, int i, int c)
{
    double k = s->k[i * s->W + c];
    return i == t ? s->u[c] + k : k - (t - 1 - i) * exp(s->w[c]);
}

static double average_at(const scan *s, int t, int c)
{
    double most = -INFINITY, a = 0, b = 0;
    for (int i = 0; i <= t; i++) most = fmax(most, exponent(s, t, i, c));
    for (int i = 0; i <= t; i++) {
        double e = exp(exponent(s, t, i, c) - most);
        a += e * s->v[i * s->W + c];
        b += e;
    }
    return a / b;
}

/* dy/dv_i is i's weight p_i, dy/d exponent_i is p_i (v_i - y). */
static void add_gradient(const scan *s, int t, int c, double y, double dy, double *dk, double *dv, double *dw, double *du)
{
    double most = -INFINITY, b = 0;
    for (int i = 0; i <= t; i++) most = fmax(most, exponent(s, t, i, c));
    for (int i = 0; i <= t; i++) b += exp(exponent(s, t, i, c) - most);
    for (int i = 0; i <= t; i++) {
        double p = exp(exponent(s, t, i, c) - most) / b, slope = dy * p * (s->v[i * s->W + c] - y);
        dv[i * s->W + c] += dy * p;
        dk[i * s->W + c] += slope;
        if (i == t) du[c] += slope;
        else dw[c] -= slope * (t - 1 - i) * exp(s->w[c]);
    }
}

static void average_once(const kernels *k, double scale, bool add)
{
    int W = size_up_to(70);
    cut q = sequences(40);
    size_t n = (size_t)q.rows * (size_t)W, w = (size_t)W;
    real *keys_of = filled(n, scale), *v = filled(n, 2), *decay = filled(w, 3), *bonus = filled(w, 1), *y = blank(n), *dy = filled(n, 1);
    wkv4_args a = { .seqs = 3, .width = W, .start = q.start, .k = keys_of, .v = v, .decay = decay, .bonus = bonus, .y = y, .dy = dy, .work = blank(2 * n),
                    .dk = target(n, add), .dv = target(n, !add), .ddecay = target(w, add), .dbonus = target(w, !add),
                    .add_dk = add, .add_dv = !add, .add_ddecay = add, .add_dbonus = !add };
    double *kd = doubles(keys_of, n), *vd = doubles(v, n), *wd = doubles(decay, w), *ud = doubles(bonus, w), *want = doubles(NULL, n);
    double *dk = prior(a.dk, n, add), *dv = prior(a.dv, n, !add), *dw = prior(a.ddecay, w, add), *du = prior(a.dbonus, w, !add);
    for (int s = 0; s < 3; s++) {
        size_t at = (size_t)q.start[s] * w;
        scan one = { q.start[s + 1] - q.start[s], W, kd + at, vd + at, wd, ud };
        for (int t = 0; t < one.T; t++)
            for (int c = 0; c < W; c++) {
                size_t i = at + (size_t)(t * W + c);
                want[i] = average_at(&one, t, c);
                add_gradient(&one, t, c, want[i], (double)dy[i], dk + at, dv + at, dw, du);
            }
    }
    k->wkv4(&a);
    expect("wkv4", y, want, n, TOLERANCE);
    k->wkv4_backward(&a);
    double loose = 100 * TOLERANCE;                          /* differences v - y of averages */
    /* The others are differences of nearly nothing. */
    if (scale > 100) { expect("wkv4_backward, v", a.dv, dv, n, loose); return; }
    expect("wkv4_backward, k", a.dk, dk, n, loose);
    expect("wkv4_backward, v", a.dv, dv, n, loose);
    expect("wkv4_backward, decay", a.ddecay, dw, w, loose);
    expect("wkv4_backward, bonus", a.dbonus, du, w, loose);
}

void averages(const kernels *k)
{
    static const double scales[] = { 1, 30, 1e4 };
    for (int i = 0; i < 3; i++) EACH_FLAG(add) average_once(k, scales[i], add);
}

/* A sequence cut anywhere and gone on from its state is the sequence, to the byte. */
void averages_go_on(const kernels *k)
{
    enum { T = 37, W = 21 };
    const int whole[] = { 0, T }, empty[] = { -1 }, slot[] = { 1 };
    real *keys_of = filled(T * W, 5), *v = filled(T * W, 2), *decay = filled(W, 3), *bonus = filled(W, 1), *y = blank(T * W), *piece = blank(T * W), *state = blank(2 * 3 * W);
    wkv4_args a = { .seqs = 1, .width = W, .start = whole, .k = keys_of, .v = v, .decay = decay, .bonus = bonus, .y = y };
    k->wkv4(&a);
    for (int i = 0; i < T * W; i++) {                        /* a convex combination */
        real least = v[i % W], most = v[i % W];
        for (int j = i % W; j <= i; j += W) least = v[j] < least ? v[j] : least, most = v[j] > most ? v[j] : most;
        CHECK(y[i] >= least - (real)1e-5 && y[i] <= most + (real)1e-5);
    }
    for (int at = 0, step = 1; at < T; at += step, step = 1 + step % 5) {
        int length = at + step < T ? step : T - at, start[] = { 0, length };
        wkv4_args part = a;
        part.start = start, part.state = state, part.from = at ? slot : empty, part.to = slot;
        part.k += at * W, part.v += at * W, part.y = piece + at * W;
        k->wkv4(&part);
    }
    expect_same("wkv4 in parts", piece, y, T * W);
}

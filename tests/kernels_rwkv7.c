/* RWKV-7's time mix against a plain one in double, and its gradients against
 * central differences of that: sequences longer than a chunk of the backward. */
#include "kernels_check.h"
#include <math.h>
#include <stdlib.h>

enum { N = 4, W = 8, ROWS = 43, SEQS = 3, SIZE = ROWS * W };
static const int START[SEQS + 1] = { 0, 37, 37, ROWS };

enum { R, DECAY, KEY, V, REMOVAL, WRITTEN, SCANNED };

static void plain_scan(double *const in[SCANNED], double *y)
{
    for (int s = 0; s < SEQS; s++)
        for (int c = 0; c < W; c += N) {
            double S[N][N] = { { 0 } };
            for (int r = START[s]; r < START[s + 1]; r++) {
                int i = r * W + c;
                for (int x = 0; x < N; x++) {
                    double forgotten = 0;
                    for (int j = 0; j < N; j++) forgotten -= S[x][j] * in[REMOVAL][i + j];
                    y[i + x] = 0;
                    for (int j = 0; j < N; j++) {
                        double w = exp(-exp(-0.5) / (1 + exp(-in[DECAY][i + j])));
                        S[x][j] = S[x][j] * w + forgotten * in[WRITTEN][i + j] + in[V][i + x] * in[KEY][i + j];
                        y[i + x] += S[x][j] * in[R][i + j];
                    }
                }
            }
        }
}

static double weighed(const double *y, const real *dy)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++) sum += y[i] * (double)dy[i];
    return sum;
}

/* Keys, removals and what is written as version 7 makes them: lengths of at most one. */
static void scanned_inputs(const kernels *k, real *in[SCANNED])
{
    real *raw = filled(SIZE, 1), *rate = filled(SIZE, 1), *k_k = filled(W, 1), *k_a = filled(W, 1);
    for (int i = 0; i < SIZE; i++) rate[i] = (rate[i] + 1) / 2;
    in[R] = filled(SIZE, 1), in[DECAY] = filled(SIZE, 3), in[V] = filled(SIZE, 1);
    in[KEY] = blank(SIZE), in[REMOVAL] = blank(SIZE), in[WRITTEN] = blank(SIZE);
    k->wkv7_keys(&(wkv7_keys_args){ .rows = ROWS, .width = W, .N = N, .k = raw, .a = rate, .k_k = k_k, .k_a = k_a,
                                    .key = in[KEY], .removal = in[REMOVAL], .written = in[WRITTEN] });
    for (int i = 0; i < SIZE; i += N) {
        double length = 0;
        for (int j = 0; j < N; j++) length += (double)in[REMOVAL][i + j] * (double)in[REMOVAL][i + j];
        CHECK_MSG(fabs(length - 1) < 1e-5, "a removal key of squared length %g", length);
    }
}

void scans(const kernels *k)
{
    real *in[SCANNED], *d[SCANNED], *y = blank(SIZE), *dy = filled(SIZE, 1);
    double *wide[SCANNED], *want = doubles(NULL, SIZE), *moved = doubles(NULL, SIZE);
    bool add = below(2);
    scanned_inputs(k, in);
    for (int t = 0; t < SCANNED; t++) wide[t] = doubles(in[t], SIZE), d[t] = target(SIZE, add);
    plain_scan(wide, want);
    wkv7_args a = { .seqs = SEQS, .width = W, .N = N, .start = START, .r = in[R], .decay = in[DECAY], .key = in[KEY], .v = in[V], .removal = in[REMOVAL],
                    .written = in[WRITTEN], .y = y, .work = blank((size_t)(wkv_work_rows(ROWS, SEQS, W / N) * N * N)), .dy = dy, .dr = d[R], .ddecay = d[DECAY],
                    .dkey = d[KEY], .dv = d[V], .dremoval = d[REMOVAL], .dwritten = d[WRITTEN], .add_dr = add, .add_ddecay = add, .add_dkey = add,
                    .add_dv = add, .add_dremoval = add, .add_dwritten = add };
    double *slope[SCANNED];
    for (int t = 0; t < SCANNED; t++) {
        slope[t] = prior(d[t], SIZE, add);
        for (int i = 0; i < SIZE; i++) {
            double kept = wide[t][i], h = 1e-5, side[2];
            for (int s = 0; s < 2; s++) {
                wide[t][i] = kept + (s ? -h : h);
                plain_scan(wide, moved);
                side[s] = weighed(moved, dy);
            }
            wide[t][i] = kept;
            slope[t][i] += (side[0] - side[1]) / (2 * h);
        }
    }
    k->wkv7(&a);
    expect("wkv7", y, want, SIZE, TOLERANCE);
    k->wkv7_backward(&a);
    static const char *const names[SCANNED] = { "wkv7_backward, r", "wkv7_backward, decay", "wkv7_backward, key", "wkv7_backward, v", "wkv7_backward, removal", "wkv7_backward, written" };
    for (int t = 0; t < SCANNED; t++) expect(names[t], d[t], slope[t], SIZE, 1e-5);
}

/* A sequence cut anywhere and gone on from its state is the sequence, to the byte. */
void scans_go_on(const kernels *k)
{
    enum { LONG = 37 };
    const int whole[] = { 0, LONG }, empty[] = { -1 }, slot[] = { 1 };
    real *in[SCANNED], *y = blank(LONG * W), *piece = blank(LONG * W), *state = blank(2 * W * N);
    scanned_inputs(k, in);
    wkv7_args a = { .seqs = 1, .width = W, .N = N, .start = whole, .r = in[R], .decay = in[DECAY], .key = in[KEY], .v = in[V], .removal = in[REMOVAL],
                    .written = in[WRITTEN], .y = y, .work = blank(2 * N * N) };
    k->wkv7(&a);
    for (int at = 0, step = 1; at < LONG; at += step, step = 1 + step % 5) {
        int length = at + step < LONG ? step : LONG - at, start[] = { 0, length };
        wkv7_args part = a;
        part.start = start, part.state = state, part.from = at ? slot : empty, part.to = slot;
        part.r += at * W, part.decay += at * W, part.key += at * W, part.v += at * W, part.removal += at * W, part.written += at * W, part.y = piece + at * W;
        k->wkv7(&part);
    }
    expect_same("wkv7 in parts", piece, y, LONG * W);
}

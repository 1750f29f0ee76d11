/* The scan of RWKV-5 and 6 (Peng et al. 2024, "Eagle and Finch: RWKV with
 * Matrix-Valued States and Dynamic Recurrence"), head by head.  A row reads the
 * matrix of the rows before it, and itself through the bonus.  Backward carries
 * G = dL/dS from the last row to the first; the S before each row are recomputed
 * from one that is kept every WKV_CHUNK rows, never by dividing by a decay. */
#include "kernels/ref/ref.h"
#include <math.h>

static void put(real *y, bool add, real value) { *y = add ? *y + value : value; }

static void copy(exact *to, const exact *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from ? from[i] : 0;
}

/* Decays of the head at column c in the row at i. */
static const real *decays(const wkv6_args *a, size_t i, size_t c) { return a->decay + (a->constant ? c : i); }
static real decay_of(real x) { return (real)exp(-exp((double)x)); }
/* -dw/dx of it, e^x w, which stays finite where e^x does not. */
static double slope_of(real x) { return exp((double)x - exp((double)x)); }

/* Sum over keys of r bonus key: what a row adds of its own value. */
static real own_share(const wkv6_args *a, size_t i, size_t c)
{
    real sum = 0;
    for (size_t j = 0; j < (size_t)a->N; j++) sum += a->r[i + j] * a->bonus[c + j] * a->key[i + j];
    return sum;
}

/* S after the row at i; next may be S.  w: room for the row's decays. */
static void advance(const wkv6_args *a, exact *next, const exact *S, real *w, size_t i, size_t c)
{
    size_t N = (size_t)a->N;
    for (size_t j = 0; j < N; j++) w[j] = decay_of(decays(a, i, c)[j]);
    for (size_t x = 0; x < N; x++)
        for (size_t j = 0; j < N; j++) next[x * N + j] = S[x * N + j] * w[j] + a->v[i + x] * a->key[i + j];
}

static void read_row(const wkv6_args *a, const exact *S, size_t i, size_t c)
{
    size_t N = (size_t)a->N;
    real own = own_share(a, i, c);
    for (size_t x = 0; x < N; x++) {
        real sum = 0;
        for (size_t j = 0; j < N; j++) sum += S[x * N + j] * a->r[i + j];
        a->y[i + x] = sum + own * a->v[i + x];
    }
}

void ref_wkv6(const wkv6_args *a)
{
    size_t W = (size_t)a->width, N = (size_t)a->N;
    for (int s = 0; s < a->seqs; s++) {
        if (a->start[s] == a->start[s + 1]) continue;
        for (size_t c = 0; c < W; c += N) {
            const exact *old = a->state && a->from[s] >= 0 ? a->state + ((size_t)a->from[s] * W + c) * N : NULL;
            copy(a->work, old, N * N);
            for (int r = a->start[s]; r < a->start[s + 1]; r++) {
                size_t i = (size_t)r * W + c;
                read_row(a, a->work, i, c);
                advance(a, a->work, a->work, a->work + N * N, i, c);
            }
            if (a->state) copy(a->state + ((size_t)a->to[s] * W + c) * N, a->work, N * N);
        }
    }
}

/* ---- backward ---- */

/* Key j of the row at i; own: sum over values of dy v, G: of the S after the row. */
static void key_back(const wkv6_args *a, const exact *before, const exact *G, size_t i, size_t c, size_t j, double own)
{
    size_t N = (size_t)a->N;
    double read = 0, written = 0, faded = 0, r = (double)a->r[i + j], k = (double)a->key[i + j], u = (double)a->bonus[c + j];
    for (size_t x = 0; x < N; x++) {
        read += (double)before[x * N + j] * (double)a->dy[i + x];
        written += (double)G[x * N + j] * (double)a->v[i + x];
        faded += (double)G[x * N + j] * (double)before[x * N + j];
    }
    if (a->dr) put(&a->dr[i + j], a->add_dr, (real)(read + u * k * own));
    if (a->dkey) put(&a->dkey[i + j], a->add_dkey, (real)(written + r * u * own));
    if (a->dbonus) a->dbonus[c + j] += (real)(r * k * own);
    double ddecay = -faded * slope_of(decays(a, i, c)[j]);
    if (a->ddecay && a->constant) a->ddecay[c + j] += (real)ddecay;
    else if (a->ddecay) put(&a->ddecay[i + j], a->add_ddecay, (real)ddecay);
}

/* The row at i: S before it, G = dL/d(after it); leaves dL/d(before it) in G. */
static void step_back(const wkv6_args *a, const exact *before, exact *G, size_t i, size_t c)
{
    size_t N = (size_t)a->N;
    double own = 0;
    real share = own_share(a, i, c);
    for (size_t x = 0; x < N; x++) own += (double)a->dy[i + x] * (double)a->v[i + x];
    for (size_t j = 0; j < N; j++) key_back(a, before, G, i, c, j, own);
    for (size_t x = 0; x < N; x++) {
        double dv = (double)(share * a->dy[i + x]);
        for (size_t j = 0; j < N; j++) {
            dv += (double)G[x * N + j] * (double)a->key[i + j];
            G[x * N + j] = G[x * N + j] * decay_of(decays(a, i, c)[j]) + a->dy[i + x] * a->r[i + j];
        }
        if (a->dv) put(&a->dv[i + x], a->add_dv, (real)dv);
    }
}

static void sequence_back(const wkv6_args *a, int s, size_t c)
{
    size_t W = (size_t)a->width, N = (size_t)a->N, size = N * N, at = ((size_t)s * W + c) * N;
    int first = a->start[s], end = a->start[s + 1], chunks = (end - first + WKV_CHUNK - 1) / WKV_CHUNK;
    exact *kept = a->work, *S = kept + (size_t)chunks * size, *G = S + (WKV_CHUNK + 1) * size, *w = G + size;
    copy(S, a->begin ? a->begin + at : NULL, size);
    for (int r = first; r < end; r++) {                      /* the S before every chunk */
        if ((r - first) % WKV_CHUNK == 0) copy(kept + (size_t)((r - first) / WKV_CHUNK) * size, S, size);
        advance(a, S, S, w, (size_t)r * W + c, c);
    }
    copy(G, a->d_end ? a->d_end + at : NULL, size);
    for (int chunk = chunks; chunk-- > 0; ) {
        int low = first + chunk * WKV_CHUNK, high = low + WKV_CHUNK < end ? low + WKV_CHUNK : end;
        copy(S, kept + (size_t)chunk * size, size);
        for (int r = low; r < high; r++) advance(a, S + (size_t)(r - low + 1) * size, S + (size_t)(r - low) * size, w, (size_t)r * W + c, c);
        for (int r = high; r-- > low; ) step_back(a, S + (size_t)(r - low) * size, G, (size_t)r * W + c, c);
    }
    if (a->d_begin) copy(a->d_begin + at, G, size);
}

void ref_wkv6_backward(const wkv6_args *a)
{
    size_t W = (size_t)a->width;
    for (size_t c = 0; a->dbonus && !a->add_dbonus && c < W; c++) a->dbonus[c] = 0;
    for (size_t c = 0; a->ddecay && a->constant && !a->add_ddecay && c < W; c++) a->ddecay[c] = 0;
    for (size_t c = 0; c < W; c += (size_t)a->N)
        for (int s = 0; s < a->seqs; s++) sequence_back(a, s, c);
}

/* RWKV-7's time mix (Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic
 * State Evolution"), head by head: keys, scan, read-out.  Backward of the scan
 * carries G = dL/dS from the last token to the first and needs the S before each
 * token; they are recomputed from one that is kept every WKV_CHUNK rows, never by
 * undoing a step, which would divide by the decay. */
#include "kernels/ref/ref.h"
#include <math.h>

static const double SQRT_1_E = 0.60653065971263342360;      /* e^(-1/2) */
static const double SHORTEST = 1e-12;                       /* a key shorter than this is divided by it */

static void put(real *y, bool add, real value) { *y = add ? *y + value : value; }

/* ---- keys ---- */

static double length_of(const wkv7_keys_args *a, size_t i, size_t c)
{
    double sum = 0;
    for (int j = 0; j < a->N; j++) {
        double x = (double)(a->k[i + (size_t)j] * a->k_k[c + (size_t)j]);
        sum += x * x;
    }
    return sqrt(sum);
}

void ref_wkv7_keys(const wkv7_keys_args *a)
{
    size_t W = (size_t)a->width, N = (size_t)a->N;
    for (size_t i = 0; i < (size_t)a->rows * W; i += N) {
        size_t c = i % W;
        double length = fmax(length_of(a, i, c), SHORTEST);
        for (size_t j = 0; j < N; j++) {
            real k = a->k[i + j], rate = a->a[i + j], kappa = (real)((double)(k * a->k_k[c + j]) / length);
            a->key[i + j] = k * (1 + (rate - 1) * a->k_a[c + j]);
            a->removal[i + j] = kappa;
            a->written[i + j] = kappa * rate;
        }
    }
}

/* One head of one row: gradients of its elements; dk_k and dk_a of the channels join what is there. */
static void keys_head_backward(const wkv7_keys_args *a, size_t i, size_t c)
{
    double length = length_of(a, i, c), divisor = fmax(length, SHORTEST), along = 0;
    for (size_t j = 0; j < (size_t)a->N; j++) {
        double kappa = (double)(a->k[i + j] * a->k_k[c + j]) / divisor;
        along += kappa * (double)(a->dremoval[i + j] + a->dwritten[i + j] * a->a[i + j]);
    }
    for (size_t j = 0; j < (size_t)a->N; j++) {
        real k = a->k[i + j], rate = a->a[i + j], k_k = a->k_k[c + j], k_a = a->k_a[c + j], dkey = a->dkey[i + j];
        double kappa = (double)(k * k_k) / divisor, d = (double)(a->dremoval[i + j] + a->dwritten[i + j] * rate);
        real draw = length < SHORTEST ? 0 : (real)((d - kappa * along) / divisor);         /* of k * k_k */
        if (a->dk) put(&a->dk[i + j], a->add_dk, dkey * (1 + (rate - 1) * k_a) + draw * k_k);
        if (a->da) put(&a->da[i + j], a->add_da, a->dwritten[i + j] * (real)kappa + dkey * k * k_a);
        if (a->dk_k) a->dk_k[c + j] += draw * k;
        if (a->dk_a) a->dk_a[c + j] += dkey * k * (rate - 1);
    }
}

static void clear(real *x, bool keep, size_t n)
{
    for (size_t i = 0; x && !keep && i < n; i++) x[i] = 0;
}

void ref_wkv7_keys_backward(const wkv7_keys_args *a)
{
    size_t W = (size_t)a->width;
    clear(a->dk_k, a->add_dk_k, W);
    clear(a->dk_a, a->add_dk_a, W);
    for (size_t i = 0; i < (size_t)a->rows * W; i += (size_t)a->N) keys_head_backward(a, i, i % W);
}

/* ---- the scan ---- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static real decay_of(real x) { return (real)exp(-SQRT_1_E * sigmoid((double)x)); }

static real dot(const real *a, const real *b, size_t n)
{
    real sum = 0;
    for (size_t j = 0; j < n; j++) sum += a[j] * b[j];
    return sum;
}

/* S after the row that begins at i, from S before it; next may be S.  w: room for the row's decays. */
static void advance(const wkv7_args *a, exact *next, const exact *S, real *w, size_t i)
{
    size_t N = (size_t)a->N;
    for (size_t j = 0; j < N; j++) w[j] = decay_of(a->decay[i + j]);
    for (size_t x = 0; x < N; x++) {
        real forgotten = -dot(S + x * N, a->removal + i, N);
        for (size_t j = 0; j < N; j++)
            next[x * N + j] = S[x * N + j] * w[j] + forgotten * a->written[i + j] + a->v[i + x] * a->key[i + j];
    }
}

static void copy(exact *to, const exact *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from ? from[i] : 0;
}

void ref_wkv7(const wkv7_args *a)
{
    size_t W = (size_t)a->width, N = (size_t)a->N;
    for (int s = 0; s < a->seqs; s++) {
        if (a->start[s] == a->start[s + 1]) continue;
        for (size_t c = 0; c < W; c += N) {
            const exact *old = a->state && a->from[s] >= 0 ? a->state + ((size_t)a->from[s] * W + c) * N : NULL;
            copy(a->work, old, N * N);
            for (int r = a->start[s]; r < a->start[s + 1]; r++) {
                size_t i = (size_t)r * W + c;
                advance(a, a->work, a->work, a->work + N * N, i);
                for (size_t x = 0; x < N; x++) a->y[i + x] = dot(a->work + x * N, a->r + i, N);
            }
            if (a->state) copy(a->state + ((size_t)a->to[s] * W + c) * N, a->work, N * N);
        }
    }
}

/* Sums over values x of P[x,j] u[x], and over keys j of P[x,j] u[j]. */
static real down(const exact *P, const real *u, size_t j, size_t N)
{
    real sum = 0;
    for (size_t x = 0; x < N; x++) sum += P[x * N + j] * u[x];
    return sum;
}

/* The row at i: S before it, S after it, G = dL/d(after) but for this row's y; leaves dL/d(before) in G. */
static void step_back(const wkv7_args *a, const exact *before, const exact *after, exact *G, real *forgotten, real *dforgotten, size_t i)
{
    size_t N = (size_t)a->N;
    for (size_t j = 0; j < N; j++)
        if (a->dr) put(&a->dr[i + j], a->add_dr, down(after, a->dy + i, j, N));
    for (size_t x = 0; x < N; x++) {
        for (size_t j = 0; j < N; j++) G[x * N + j] += a->dy[i + x] * a->r[i + j];
        forgotten[x] = -dot(before + x * N, a->removal + i, N);
        dforgotten[x] = dot(G + x * N, a->written + i, N);
        if (a->dv) put(&a->dv[i + x], a->add_dv, dot(G + x * N, a->key + i, N));
    }
    for (size_t j = 0; j < N; j++) {
        double s = sigmoid((double)a->decay[i + j]), w = exp(-SQRT_1_E * s), sum = 0;
        for (size_t x = 0; x < N; x++) sum += (double)(G[x * N + j] * before[x * N + j]);
        if (a->ddecay) put(&a->ddecay[i + j], a->add_ddecay, (real)(-sum * w * SQRT_1_E * s * (1 - s)));
        if (a->dkey) put(&a->dkey[i + j], a->add_dkey, down(G, a->v + i, j, N));
        if (a->dwritten) put(&a->dwritten[i + j], a->add_dwritten, down(G, forgotten, j, N));
        if (a->dremoval) put(&a->dremoval[i + j], a->add_dremoval, -down(before, dforgotten, j, N));
        for (size_t x = 0; x < N; x++) G[x * N + j] = G[x * N + j] * (real)w - dforgotten[x] * a->removal[i + j];
    }
}

static void sequence_back(const wkv7_args *a, int s, size_t c)
{
    size_t W = (size_t)a->width, N = (size_t)a->N, size = N * N;
    int first = a->start[s], end = a->start[s + 1], chunks = (end - first + WKV_CHUNK - 1) / WKV_CHUNK;
    /* S: of a chunk's rows, one more */
    exact *kept = a->work, *S = kept + (size_t)chunks * size, *G = S + (WKV_CHUNK + 1) * size, *w = G + size + 2 * N;
    size_t at = ((size_t)s * W + c) * N;                    /* of this head in the states of all sequences */
    copy(S, a->begin ? a->begin + at : NULL, size);
    for (int r = first; r < end; r++) {                      /* the S before every chunk */
        if ((r - first) % WKV_CHUNK == 0) copy(kept + (size_t)((r - first) / WKV_CHUNK) * size, S, size);
        advance(a, S, S, w, (size_t)r * W + c);
    }
    copy(G, a->d_end ? a->d_end + at : NULL, size);
    for (int chunk = chunks; chunk-- > 0; ) {
        int low = first + chunk * WKV_CHUNK, high = low + WKV_CHUNK < end ? low + WKV_CHUNK : end;
        copy(S, kept + (size_t)chunk * size, size);
        for (int r = low; r < high; r++) advance(a, S + (size_t)(r - low + 1) * size, S + (size_t)(r - low) * size, w, (size_t)r * W + c);
        for (int r = high; r-- > low; )
            step_back(a, S + (size_t)(r - low) * size, S + (size_t)(r - low + 1) * size, G, G + size, G + size + N, (size_t)r * W + c);
    }
    if (a->d_begin) copy(a->d_begin + at, G, size);
}

void ref_wkv7_backward(const wkv7_args *a)
{
    for (size_t c = 0; c < (size_t)a->width; c += (size_t)a->N)
        for (int s = 0; s < a->seqs; s++) sequence_back(a, s, c);
}

/* ---- read-out ---- */

typedef struct { double mean, rstd, weight; } head_sums;     /* weight: of v */

static head_sums sums_of(const wkv7_read_args *a, size_t i, size_t c)
{
    head_sums h = { 0 };
    size_t N = (size_t)a->N;
    double square = 0;
    for (size_t j = 0; j < N; j++) h.mean += (double)a->y[i + j] / (double)N;
    for (size_t j = 0; j < N; j++) {
        double d = (double)a->y[i + j] - h.mean;
        square += d * d / (double)N;
        if (a->bonus) h.weight += (double)(a->r[i + j] * a->key[i + j] * a->bonus[c + j]);
    }
    h.rstd = 1 / sqrt(square + (double)a->eps);
    return h;
}

void ref_wkv7_read(const wkv7_read_args *a)
{
    size_t W = (size_t)a->width, N = (size_t)a->N;
    for (size_t i = 0; i < (size_t)a->rows * W; i += N) {
        size_t c = i % W;
        head_sums h = sums_of(a, i, c);
        for (size_t j = 0; j < N; j++)
            a->out[i + j] = (real)(((double)a->y[i + j] - h.mean) * h.rstd) * a->w[c + j] + a->b[c + j] + (a->bonus ? (real)h.weight * a->v[i + j] : 0);
    }
}

static void read_head_backward(const wkv7_read_args *a, size_t i, size_t c)
{
    size_t N = (size_t)a->N;
    head_sums h = sums_of(a, i, c);
    double sum = 0, along = 0, dweight = 0;
    for (size_t j = 0; j < N; j++) {
        double dn = (double)(a->dout[i + j] * a->w[c + j]), n = ((double)a->y[i + j] - h.mean) * h.rstd;
        sum += dn / (double)N;
        along += dn * n / (double)N;
        if (a->bonus) dweight += (double)(a->dout[i + j] * a->v[i + j]);
    }
    for (size_t j = 0; j < N; j++) {
        double dn = (double)(a->dout[i + j] * a->w[c + j]), n = ((double)a->y[i + j] - h.mean) * h.rstd;
        if (a->dy) put(&a->dy[i + j], a->add_dy, (real)(h.rstd * (dn - sum - n * along)));
        if (a->dw) a->dw[c + j] += a->dout[i + j] * (real)n;
        if (a->db) a->db[c + j] += a->dout[i + j];
        if (!a->bonus) continue;
        real r = a->r[i + j], key = a->key[i + j], bonus = a->bonus[c + j], dw = (real)dweight;
        if (a->dr) put(&a->dr[i + j], a->add_dr, dw * key * bonus);
        if (a->dkey) put(&a->dkey[i + j], a->add_dkey, dw * r * bonus);
        if (a->dv) put(&a->dv[i + j], a->add_dv, (real)h.weight * a->dout[i + j]);
        if (a->dbonus) a->dbonus[c + j] += dw * r * key;
    }
}

void ref_wkv7_read_backward(const wkv7_read_args *a)
{
    size_t W = (size_t)a->width;
    clear(a->dw, a->add_dw, W);
    clear(a->db, a->add_db, W);
    clear(a->dbonus, a->add_dbonus, W);
    for (size_t i = 0; i < (size_t)a->rows * W; i += (size_t)a->N) read_head_backward(a, i, i % W);
}

/* RWKV-7's scan (definition in ref/wkv7_ref.c), a head of a sequence a task.  The
 * outermost loop is over a few registers of values, whose columns of S stay in the
 * first cache for a chunk of rows; one sweep down them forgets, unlearns, learns,
 * reads the row and begins what the next row unlearns. */
#include "kernels/ref/ref.h"
#include "kernels/vector/vector.h"
#include "kernels/vector/wkv_head.h"

static const float SQRT_1_E = 0.606530660f;                 /* e^(-1/2) */

/* Decays of `rows` rows of a head. */
static void decays(const wkv7_args *a, float *w, size_t i, int rows)
{
    for (int r = 0; r < rows; r++, i += (size_t)a->width)
        for (int j = 0; j < a->N; j += VW)
            vstore(w + r * padded(a->N) + j, vexp(vmul(vset1(-SQRT_1_E), vsigmoid(vload_n(a->decay + i + j, a->N - j)))));
}

/* Row i of `count` registers from value x on: gone[q] is minus what the row unlearns there, and becomes the next row's.
 * next: the next row's removal key. */
INLINE void scan_row(const wkv7_args *a, float *S, const float *w, const float *next, size_t i, int x, vec *gone, const int count)
{
    const int N = a->N;
    const float *r = a->r + i, *key = a->key + i, *written = a->written + i;
    const float *const all[8] = { a->r, a->decay, a->key, a->v, a->removal, a->written, a->y };
    vec v[WKV_GROUPS], y[WKV_GROUPS], n[WKV_GROUPS];
    for (int q = 0; q < count; q++) {
        v[q] = vload_n(a->v + i + x + q * VW, N - x - q * VW);
        y[q] = n[q] = vzero();
    }
    for (int j = 0; j < N; j++) {
        if (x == 0) prefetch_piece(all, i + (size_t)WKV_CHUNK * (size_t)a->width, j);
        vec wj = vset1(w[j]), kj = vset1(key[j]), bj = vset1(written[j]), rj = vset1(r[j]), nj = vset1(next[j]);
        for (int q = 0; q < count; q++) {
            float *at = S + (size_t)j * (size_t)padded(N) + q * VW;
            vec s = vfma(v[q], kj, vfma(gone[q], bj, vmul(vload(at), wj)));
            vstore(at, s);
            y[q] = vfma(s, rj, y[q]);
            n[q] = vfma(s, nj, n[q]);
        }
    }
    for (int q = 0; q < count; q++) {
        vstore_n(a->y + i + x + q * VW, N - x - q * VW, y[q]);
        gone[q] = vneg(n[q]);
    }
}

INLINE void scan_values(const wkv7_args *a, float *S, const float *w, size_t i, int rows, int x, const int count)
{
    vec gone[WKV_GROUPS];
    for (int q = 0; q < count; q++) {
        vec n = vzero();
        for (int j = 0; j < a->N; j++) n = vfma(vload(S + (size_t)j * (size_t)padded(a->N) + q * VW), vset1(a->removal[i + (size_t)j]), n);
        gone[q] = vneg(n);
    }
    for (int r = 0; r < rows; r++, i += (size_t)a->width) {
        scan_row(a, S, w + r * padded(a->N), a->removal + (r + 1 < rows ? i + (size_t)a->width : i), i, x, gone, count);
    }
}

static void scan_head(void *context, int task)
{
    const wkv7_args *a = context;
    const int N = a->N, heads = a->width / N, s = task / heads, end = a->start[s + 1];
    const size_t c = (size_t)(task % heads) * (size_t)N, W = (size_t)a->width;
    float *S = thread_scratch(), *w = S + (size_t)padded(N) * (size_t)N;
    if (a->start[s] == end) return;
    columns_load(S, a->state && a->from[s] >= 0 ? a->state + ((size_t)a->from[s] * W + c) * (size_t)N : NULL, N);
    for (int first = a->start[s]; first < end; first += WKV_CHUNK) {
        int rows = lesser(WKV_CHUNK, end - first), x = 0;
        size_t i = (size_t)first * W + c;
        decays(a, w, i, rows);
        for (; x + (WKV_GROUPS - 1) * VW < N; x += WKV_GROUPS * VW) scan_values(a, S + x, w, i, rows, x, WKV_GROUPS);
        for (; x < N; x += VW) scan_values(a, S + x, w, i, rows, x, 1);
    }
    if (a->state) columns_store(S, a->state + ((size_t)a->to[s] * W + c) * (size_t)N, N);
}

void LEVEL(wkv7)(const wkv7_args *a)
{
    if (a->N > WKV_MOST_FORWARD) { ref_wkv7(a); return; }
    wkv7_args copy = *a;
    parallel_for(a->seqs * (a->width / a->N), scan_head, &copy);
}

/* ---- backward ---- */

enum { R, W, KEY, REMOVAL, WRITTEN, VECTORS };              /* what a chunk holds of each row, padded */

typedef struct {
    const wkv7_args *a;
    int N, P;                                               /* channels of a head; padded */
    /* (WKV_CHUNK + 1, N, P) (N, P) (WKV_CHUNK, VECTORS, P) (WKV_CHUNK, P) (P) (P) */
    float *states, *G, *rows, *forgotten, *dforgotten, *dv;
} head;

static head head_in_scratch(const wkv7_args *a)
{
    head h = { .a = a, .N = a->N, .P = padded(a->N), .states = thread_scratch() };
    size_t size = (size_t)h.N * (size_t)h.P;
    h.G = h.states + (WKV_CHUNK + 1) * size;
    h.rows = h.G + size;
    h.forgotten = h.rows + (size_t)WKV_CHUNK * VECTORS * (size_t)h.P;
    h.dforgotten = h.forgotten + (size_t)WKV_CHUNK * (size_t)h.P;
    h.dv = h.dforgotten + h.P;
    return h;
}

static float *row_of(const head *h, int r, int which) { return h->rows + (size_t)(r * VECTORS + which) * (size_t)h->P; }
static float *state_of(const head *h, int r) { return h->states + (size_t)r * (size_t)h->N * (size_t)h->P; }

static void read_chunk(const head *h, size_t i, int rows)
{
    const wkv7_args *a = h->a;
    for (int r = 0; r < rows; r++, i += (size_t)a->width) {
        pad_row(row_of(h, r, R), a->r + i, h->N);
        pad_row(row_of(h, r, KEY), a->key + i, h->N);
        pad_row(row_of(h, r, REMOVAL), a->removal + i, h->N);
        pad_row(row_of(h, r, WRITTEN), a->written + i, h->N);
        for (int j = 0; j < h->N; j += VW) vstore(row_of(h, r, W) + j, vexp(vmul(vset1(-SQRT_1_E), vsigmoid(vload_n(a->decay + i + j, h->N - j)))));
    }
}

/* Rows x .. x+count-1 of S after row r of the chunk, whose elements begin at i; next may be S. */
INLINE void advance_rows(const head *h, float *next, const float *S, int r, size_t i, int x, const int count)
{
    const int P = h->P;
    const float *w = row_of(h, r, W), *key = row_of(h, r, KEY), *written = row_of(h, r, WRITTEN), *removal = row_of(h, r, REMOVAL);
    float *forgotten = h->forgotten + r * P + x;
    vec sum[4] = { vzero(), vzero(), vzero(), vzero() }, gone[4], v[4];
    for (int j = 0; j < P; j += VW)
        for (int q = 0; q < count; q++) sum[q] = vfma(vload(S + (x + q) * P + j), vload(removal + j), sum[q]);
    store_sums(forgotten, sum, count);
    for (int q = 0; q < count; q++) gone[q] = vset1(-forgotten[q]), v[q] = vset1(h->a->v[i + (size_t)(x + q)]);
    for (int j = 0; j < P; j += VW)
        for (int q = 0; q < count; q++)
            vstore(next + (x + q) * P + j, vfma(v[q], vload(key + j), vfma(gone[q], vload(written + j), vmul(vload(S + (x + q) * P + j), vload(w + j)))));
}

static void advance(const head *h, float *next, const float *S, int r, size_t i)
{
    int x = 0;
    for (; x + 4 <= h->N; x += 4) advance_rows(h, next, S, r, i, x, 4);
    for (; x < h->N; x++) advance_rows(h, next, S, r, i, x, 1);
}

/* G of rows x .. x+count-1 takes in what the row's result says of it; what it says of what the row unlearnt, and of
 * its values. */
INLINE void values_back(const head *h, int r, size_t i, int x, const int count)
{
    const int P = h->P;
    const float *read = row_of(h, r, R), *key = row_of(h, r, KEY), *written = row_of(h, r, WRITTEN);
    vec unlearnt[4] = { vzero(), vzero(), vzero(), vzero() }, value[4] = { vzero(), vzero(), vzero(), vzero() }, dy[4];
    for (int q = 0; q < count; q++) dy[q] = vset1(h->a->dy[i + (size_t)(x + q)]);
    for (int j = 0; j < P; j += VW)
        for (int q = 0; q < count; q++) {
            float *at = h->G + (x + q) * P + j;
            vec g = vfma(dy[q], vload(read + j), vload(at));
            vstore(at, g);
            unlearnt[q] = vfma(g, vload(written + j), unlearnt[q]);
            value[q] = vfma(g, vload(key + j), value[q]);
        }
    store_sums(h->dforgotten + x, unlearnt, count);
    store_sums(h->dv + x, value, count);
}

/* Gradients of `count` registers of keys from j on of row r, whose elements begin at i, and G of the state before
 * the row. */
INLINE void keys_back(const head *h, int r, size_t i, int j, const int count)
{
    const wkv7_args *a = h->a;
    const int P = h->P;
    const float *before = state_of(h, r) + j, *after = state_of(h, r + 1) + j, *forgotten = h->forgotten + r * P;
    const float *decay = row_of(h, r, W) + j, *removal = row_of(h, r, REMOVAL) + j;
    float *G = h->G + j;
    vec dr[WKV_GROUPS], dkey[WKV_GROUPS], dw[WKV_GROUPS], dwritten[WKV_GROUPS], dremoval[WKV_GROUPS];
    for (int q = 0; q < count; q++) dr[q] = dkey[q] = dw[q] = dwritten[q] = dremoval[q] = vzero();
    for (int x = 0; x < h->N; x++, before += P, after += P, G += P) {
        vec dy = vset1(a->dy[i + (size_t)x]), v = vset1(a->v[i + (size_t)x]), gone = vset1(forgotten[x]), dgone = vset1(h->dforgotten[x]);
        for (int q = 0; q < count; q++) {
            vec g = vload(G + q * VW), s = vload(before + q * VW);
            dr[q] = vfma(vload(after + q * VW), dy, dr[q]);
            dkey[q] = vfma(g, v, dkey[q]);
            dw[q] = vfma(g, s, dw[q]);
            dwritten[q] = vfma(g, gone, dwritten[q]);
            dremoval[q] = vfma(s, dgone, dremoval[q]);
            vstore(G + q * VW, vfnma(dgone, vload(removal + q * VW), vmul(g, vload(decay + q * VW))));
        }
    }
    for (int q = 0; q < count; q++) {
        int n = h->N - j - q * VW;
        size_t at = i + (size_t)(j + q * VW);
        vec faded = vmul(dw[q], vmul(vload(decay + q * VW), vset1(-SQRT_1_E)));
        if (a->dr) vstore_add(a->dr + at, n, a->add_dr, dr[q]);
        if (a->dkey) vstore_add(a->dkey + at, n, a->add_dkey, dkey[q]);
        if (a->dwritten) vstore_add(a->dwritten + at, n, a->add_dwritten, vneg(dwritten[q]));
        if (a->dremoval) vstore_add(a->dremoval + at, n, a->add_dremoval, vneg(dremoval[q]));
        if (a->ddecay) vstore_add(a->ddecay + at, n, a->add_ddecay, vmul(faded, vsigmoid_slope(vload_n(a->decay + at, n))));
    }
}

/* Row r of the chunk, whose elements begin at i. */
static void step_back(const head *h, int r, size_t i)
{
    const wkv7_args *a = h->a;
    int x = 0, j = 0;
    for (; x + 4 <= h->N; x += 4) values_back(h, r, i, x, 4);
    for (; x < h->N; x++) values_back(h, r, i, x, 1);
    for (x = 0; a->dv && x < h->N; x += VW) vstore_add(a->dv + i + x, h->N - x, a->add_dv, vload(h->dv + x));
    for (; j + WKV_GROUPS * VW <= h->P; j += WKV_GROUPS * VW) keys_back(h, r, i, j, WKV_GROUPS);
    for (; j < h->P; j += VW) keys_back(h, r, i, j, 1);
}

static void head_back(void *context, int task)
{
    const wkv7_args *a = context;
    const int N = a->N, heads = a->width / N, s = task / heads, first = a->start[s], end = a->start[s + 1];
    const size_t W_all = (size_t)a->width, c = (size_t)(task % heads) * (size_t)N, at = ((size_t)s * W_all + c) * (size_t)N, size = (size_t)N * (size_t)N;
    float *kept = kept_of(a->work, a->start, s, heads, task % heads, N);
    head h = head_in_scratch(a);
    rows_load(h.states, a->begin ? a->begin + at : NULL, N);
    for (int low = first; low < end; low += WKV_CHUNK) {
        rows_store(h.states, kept + (size_t)((low - first) / WKV_CHUNK) * size, N);
        if (low + WKV_CHUNK >= end) break;
        read_chunk(&h, (size_t)low * W_all + c, WKV_CHUNK);
        for (int r = 0; r < WKV_CHUNK; r++) advance(&h, h.states, h.states, r, (size_t)(low + r) * W_all + c);
    }
    rows_load(h.G, a->d_end ? a->d_end + at : NULL, N);
    for (int chunk = (end - first + WKV_CHUNK - 1) / WKV_CHUNK; chunk-- > 0; ) {
        int low = first + chunk * WKV_CHUNK, rows = lesser(WKV_CHUNK, end - low);
        rows_load(h.states, kept + (size_t)chunk * size, N);
        read_chunk(&h, (size_t)low * W_all + c, rows);
        for (int r = 0; r < rows; r++) advance(&h, state_of(&h, r + 1), state_of(&h, r), r, (size_t)(low + r) * W_all + c);
        for (int r = rows; r-- > 0; ) step_back(&h, r, (size_t)(low + r) * W_all + c);
    }
    if (a->d_begin) rows_store(h.G, a->d_begin + at, N);
}

void LEVEL(wkv7_backward)(const wkv7_args *a)
{
    if (a->N > WKV_MOST_BACKWARD) { ref_wkv7_backward(a); return; }
    wkv7_args copy = *a;
    parallel_for(a->seqs * (a->width / a->N), head_back, &copy);
}

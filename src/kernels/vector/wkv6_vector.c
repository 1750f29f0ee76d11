/* The scan of RWKV-5 and 6 (definition in ref/wkv6_ref.c), a head of a sequence
 * a task: forward a few registers of values and a chunk of rows at a time, one sweep
 * that reads and then renews. */
#include "kernels/ref/ref.h"
#include "kernels/vector/vector.h"
#include "kernels/vector/wkv_head.h"

typedef struct {
    const wkv6_args *a;
    float *S, *w, own[WKV_CHUNK];       /* columns; (WKV_CHUNK, padded N) decays; what each row adds of its own value */
} scan;

/* Decays and own shares of `rows` rows of the head at column c; constant decays are there from the first chunk on. */
static void prepare(scan *h, size_t i, size_t c, int rows, bool first)
{
    const wkv6_args *a = h->a;
    for (int r = 0; r < rows; r++, i += (size_t)a->width) {
        const float *decay = a->decay + (a->constant ? c : i);
        vec sum = vzero();
        for (int j = 0; j < a->N; j += VW) {
            int n = a->N - j;
            sum = vfma(vmul(vload_n(a->r + i + j, n), vload_n(a->bonus + c + j, n)), vload_n(a->key + i + j, n), sum);
            if (first || !a->constant) vstore(h->w + r * padded(a->N) + j, vexp(vneg(vexp(vload_n(decay + j, n)))));
        }
        h->own[r] = vsum(sum);
    }
}

INLINE void scan_row(const scan *h, float *S, int r, size_t i, int x, const int count)
{
    const wkv6_args *a = h->a;
    const int N = a->N;
    const float *w = h->w + r * padded(N), *key = a->key + i, *read = a->r + i;
    const float *const all[8] = { a->r, a->key, a->v, a->y, a->constant ? NULL : a->decay };
    vec v[WKV_GROUPS], y[WKV_GROUPS];
    for (int q = 0; q < count; q++) {
        v[q] = vload_n(a->v + i + x + q * VW, N - x - q * VW);
        y[q] = vzero();
    }
    for (int j = 0; j < N; j++) {
        if (x == 0) prefetch_piece(all, i + (size_t)WKV_CHUNK * (size_t)a->width, j);
        vec wj = vset1(w[j]), kj = vset1(key[j]), rj = vset1(read[j]);
        for (int q = 0; q < count; q++) {
            float *at = S + (size_t)j * (size_t)padded(N) + q * VW;
            vec s = vload(at);
            y[q] = vfma(s, rj, y[q]);
            vstore(at, vfma(v[q], kj, vmul(s, wj)));
        }
    }
    for (int q = 0; q < count; q++) vstore_n(a->y + i + x + q * VW, N - x - q * VW, vfma(vset1(h->own[r]), v[q], y[q]));
}

static void scan_head(void *context, int task)
{
    const wkv6_args *a = context;
    const int N = a->N, heads = a->width / N, s = task / heads, end = a->start[s + 1];
    const size_t c = (size_t)(task % heads) * (size_t)N, W = (size_t)a->width;
    scan h = { .a = a, .S = thread_scratch() };
    h.w = h.S + (size_t)padded(N) * (size_t)N;
    if (a->start[s] == end) return;
    columns_load(h.S, a->state && a->from[s] >= 0 ? a->state + ((size_t)a->from[s] * W + c) * (size_t)N : NULL, N);
    for (int first = a->start[s]; first < end; first += WKV_CHUNK) {
        int rows = lesser(WKV_CHUNK, end - first), x = 0;
        size_t i = (size_t)first * W + c;
        prepare(&h, i, c, rows, first == a->start[s]);
        for (; x + (WKV_GROUPS - 1) * VW < N; x += WKV_GROUPS * VW)
            for (int r = 0; r < rows; r++) scan_row(&h, h.S + x, r, i + (size_t)r * W, x, WKV_GROUPS);
        for (; x < N; x += VW)
            for (int r = 0; r < rows; r++) scan_row(&h, h.S + x, r, i + (size_t)r * W, x, 1);
    }
    if (a->state) columns_store(h.S, a->state + ((size_t)a->to[s] * W + c) * (size_t)N, N);
}

void LEVEL(wkv6)(const wkv6_args *a)
{
    if (a->N > WKV_MOST_FORWARD) { ref_wkv6(a); return; }
    wkv6_args copy = *a;
    parallel_for(a->seqs * (a->width / a->N), scan_head, &copy);
}

/* ---- backward ---- */

enum { R, W, KEY, VECTORS };                                /* what a chunk holds of each row, padded */

typedef struct {
    const wkv6_args *a;
    int N, P;
    size_t c;
    float *states, *G, *rows, *dv;                          /* (WKV_CHUNK, N, P) (N, P) (WKV_CHUNK, VECTORS, P) (P) */
    float *dbonus, *ddecay;                                 /* (P) sums over the sequence's rows */
} head;

static head head_in_scratch(const wkv6_args *a, size_t c)
{
    head h = { .a = a, .N = a->N, .P = padded(a->N), .c = c, .states = thread_scratch() };
    size_t size = (size_t)h.N * (size_t)h.P;
    h.G = h.states + WKV_CHUNK * size;
    h.rows = h.G + size;
    h.dv = h.rows + (size_t)WKV_CHUNK * VECTORS * (size_t)h.P;
    h.dbonus = h.dv + h.P;
    h.ddecay = h.dbonus + h.P;
    memset(h.dbonus, 0, 2 * (size_t)h.P * sizeof *h.dbonus);
    return h;
}

static float *row_of(const head *h, int r, int which) { return h->rows + (size_t)(r * VECTORS + which) * (size_t)h->P; }
static float *state_of(const head *h, int r) { return h->states + (size_t)r * (size_t)h->N * (size_t)h->P; }
static const float *decay_of(const head *h, size_t i) { return h->a->decay + (h->a->constant ? h->c : i); }

static void read_chunk(const head *h, size_t i, int rows)
{
    const wkv6_args *a = h->a;
    for (int r = 0; r < rows; r++, i += (size_t)a->width) {
        pad_row(row_of(h, r, R), a->r + i, h->N);
        pad_row(row_of(h, r, KEY), a->key + i, h->N);
        for (int j = 0; j < h->N; j += VW) vstore(row_of(h, r, W) + j, vexp(vneg(vexp(vload_n(decay_of(h, i) + j, h->N - j)))));
    }
}

/* S after row r of the chunk, whose elements begin at i; next may be S. */
static void advance(const head *h, float *next, const float *S, int r, size_t i)
{
    const int P = h->P;
    const float *w = row_of(h, r, W), *key = row_of(h, r, KEY), *v = h->a->v + i;
    for (int x = 0; x < h->N; x++) {
        vec vx = vset1(v[x]);
        for (int j = 0; j < P; j += VW) vstore(next + x * P + j, vfma(vx, vload(key + j), vmul(vload(S + x * P + j), vload(w + j))));
    }
}

/* What the row at i adds of its own value, and how much its result wants of it: sums of r bonus key, of dy v. */
typedef struct { float share, want; } own_value;
static own_value own_of(const head *h, size_t i)
{
    const wkv6_args *a = h->a;
    vec share = vzero(), want = vzero();
    for (int j = 0; j < h->N; j += VW) {
        int n = h->N - j;
        share = vfma(vmul(vload_n(a->r + i + j, n), vload_n(a->bonus + h->c + j, n)), vload_n(a->key + i + j, n), share);
        want = vfma(vload_n(a->dy + i + j, n), vload_n(a->v + i + j, n), want);
    }
    return (own_value){ vsum(share), vsum(want) };
}

/* Values: their gradients are what G holds of the row's key, and the row's own share of its result. */
INLINE void values_back(const head *h, int r, int x, const int count)
{
    vec sum[4] = { vzero(), vzero(), vzero(), vzero() };
    const float *key = row_of(h, r, KEY);
    for (int j = 0; j < h->P; j += VW)
        for (int q = 0; q < count; q++) sum[q] = vfma(vload(h->G + (x + q) * h->P + j), vload(key + j), sum[q]);
    store_sums(h->dv + x, sum, count);
}

/* What `count` registers of keys from j on of the row r get: gradients of r, key and decay, of which the bonus and
 * constant decays keep sums. */
INLINE void keys_done(const head *h, int r, size_t i, int j, float want, const vec *dr, const vec *dkey, const vec *dw, const int count)
{
    const wkv6_args *a = h->a;
    const float *decay = decay_of(h, i);
    vec own = vset1(want);
    for (int q = 0; q < count; q++, j += VW) {
        int n = h->N - j;
        size_t at = i + (size_t)j;
        vec read = vload(row_of(h, r, R) + j), key = vload(row_of(h, r, KEY) + j), bonus = vmul(vload_n(a->bonus + h->c + j, n), own), e = vload_n(decay + j, n);
        vec ddecay = vneg(vmul(dw[q], vexp(vsub(e, vexp(e)))));          /* dw/dx = -e^x w, finite where e^x is not */
        if (a->dr) vstore_add(a->dr + at, n, a->add_dr, vfma(bonus, key, dr[q]));
        if (a->dkey) vstore_add(a->dkey + at, n, a->add_dkey, vfma(bonus, read, dkey[q]));
        if (a->ddecay && !a->constant) vstore_add(a->ddecay + at, n, a->add_ddecay, ddecay);
        vstore(h->dbonus + j, vfma(vmul(read, key), own, vload(h->dbonus + j)));
        vstore(h->ddecay + j, vadd(ddecay, vload(h->ddecay + j)));
    }
}

/* Keys from j on of row r: their gradients, and G of the state before the row. */
INLINE void keys_back(const head *h, int r, size_t i, int j, float want, const int count)
{
    const wkv6_args *a = h->a;
    const int P = h->P;
    const float *before = state_of(h, r) + j, *decay = row_of(h, r, W) + j, *read = row_of(h, r, R) + j;
    float *G = h->G + j;
    vec dr[WKV_GROUPS], dkey[WKV_GROUPS], dw[WKV_GROUPS];
    for (int q = 0; q < count; q++) dr[q] = dkey[q] = dw[q] = vzero();
    for (int x = 0; x < h->N; x++, before += P, G += P) {
        vec dy = vset1(a->dy[i + (size_t)x]), v = vset1(a->v[i + (size_t)x]);
        for (int q = 0; q < count; q++) {
            vec g = vload(G + q * VW), s = vload(before + q * VW);
            dr[q] = vfma(s, dy, dr[q]);
            dkey[q] = vfma(g, v, dkey[q]);
            dw[q] = vfma(g, s, dw[q]);
            vstore(G + q * VW, vfma(dy, vload(read + q * VW), vmul(g, vload(decay + q * VW))));
        }
    }
    keys_done(h, r, i, j, want, dr, dkey, dw, count);
}

static void step_back(const head *h, int r, size_t i)
{
    const wkv6_args *a = h->a;
    own_value own = own_of(h, i);
    int x = 0, j = 0;
    for (; x + 4 <= h->N; x += 4) values_back(h, r, x, 4);
    for (; x < h->N; x++) values_back(h, r, x, 1);
    for (x = 0; a->dv && x < h->N; x += VW)
        vstore_add(a->dv + i + x, h->N - x, a->add_dv, vfma(vset1(own.share), vload_n(a->dy + i + x, h->N - x), vload(h->dv + x)));
    for (; j + WKV_GROUPS * VW <= h->P; j += WKV_GROUPS * VW) keys_back(h, r, i, j, own.want, WKV_GROUPS);
    for (; j < h->P; j += VW) keys_back(h, r, i, j, own.want, 1);
}

/* The sums over the rows are left where the first kept matrix was. */
static void head_back(void *context, int task)
{
    const wkv6_args *a = context;
    const int N = a->N, heads = a->width / N, s = task / heads, first = a->start[s], end = a->start[s + 1];
    const size_t W_all = (size_t)a->width, c = (size_t)(task % heads) * (size_t)N, at = ((size_t)s * W_all + c) * (size_t)N, size = (size_t)N * (size_t)N;
    float *kept = kept_of(a->work, a->start, s, heads, task % heads, N);
    head h = head_in_scratch(a, c);
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
        for (int r = 0; r + 1 < rows; r++) advance(&h, state_of(&h, r + 1), state_of(&h, r), r, (size_t)(low + r) * W_all + c);
        for (int r = rows; r-- > 0; ) step_back(&h, r, (size_t)(low + r) * W_all + c);
    }
    if (a->d_begin) rows_store(h.G, a->d_begin + at, N);
    if (first == end) return;
    memcpy(kept, h.dbonus, (size_t)N * sizeof *kept);
    memcpy(kept + N, h.ddecay, (size_t)N * sizeof *kept);
}

static void put_sum(float *d, bool add, double sum) { if (d) *d = (add ? *d : 0) + (float)sum; }

/* Bonuses and constant decays of a head, over the sequences in order. */
static void sums_of_head(void *context, int task)
{
    const wkv6_args *a = context;
    const int N = a->N, heads = a->width / N;
    for (int j = 0; j < N; j++) {
        double dbonus = 0, ddecay = 0;
        for (int s = 0; s < a->seqs; s++) {
            if (a->start[s] == a->start[s + 1]) continue;
            const float *sums = kept_of(a->work, a->start, s, heads, task, N);
            dbonus += (double)sums[j];
            ddecay += (double)sums[N + j];
        }
        size_t c = (size_t)task * (size_t)N + (size_t)j;
        put_sum(a->dbonus ? a->dbonus + c : NULL, a->add_dbonus, dbonus);
        put_sum(a->ddecay && a->constant ? a->ddecay + c : NULL, a->add_ddecay, ddecay);
    }
}

void LEVEL(wkv6_backward)(const wkv6_args *a)
{
    /* A matrix holds two sums of a channel from 2 on. */
    if (a->N > WKV_MOST_BACKWARD || a->N < 2) { ref_wkv6_backward(a); return; }
    wkv6_args copy = *a;
    parallel_for(a->seqs * (a->width / a->N), head_back, &copy);
    parallel_for(a->width / a->N, sums_of_head, &copy);
}

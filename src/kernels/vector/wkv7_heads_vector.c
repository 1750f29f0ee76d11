/* Keys and read-out of RWKV-7 (definitions in ref/wkv7_ref.c), head by head.  Sums over a
 * head are sums of lanes; a task of backward is a head of all rows, so that the sums over
 * rows have one order: in float over ROWS rows, then in double. */
#include "base/threads.h"
#include "kernels/ref/ref.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

/* Rows summed in float; channels of a head that are summed here; sums of a channel. */
enum { ROWS = 64, MOST = 256, SUMS = 3 };

/* Sums over rows of `count` numbers for each channel of a head. */
typedef struct { float part[SUMS][MOST]; double total[SUMS][MOST]; int rows; } row_sums;

static void fold(row_sums *s, int N)
{
    for (int k = 0; k < SUMS; k++)
        for (int j = 0; j < N; j++) {
            s->total[k][j] += (double)s->part[k][j];
            s->part[k][j] = 0;
        }
}

INLINE void join(row_sums *s, int k, int j, int n, vec d) { vstore_n(s->part[k] + j, n, vadd(vload_n(s->part[k] + j, n), d)); }
static void row_done(row_sums *s, int N) { if (++s->rows % ROWS == 0) fold(s, N); }

static void put_sums(float *d, bool add, const double *total, int N)
{
    for (int j = 0; d && j < N; j++) d[j] = (add ? d[j] : 0) + (float)total[j];
}

/* ---- keys ---- */

/* 1 / max(length, SHORTEST) of a head of k * k_k. */
static const float SHORTEST = 1e-12f;
INLINE float length_of(const wkv7_keys_args *a, size_t i, size_t c)
{
    vsum2 sum = vsum2_zero();
    for (int j = 0; j < a->N; j += VW) {
        vec x = vmul(vload_n(a->k + i + j, a->N - j), vload_n(a->k_k + c + j, a->N - j));
        vsum2_fma(&sum, x, x);
    }
    return (float)sqrt(vsum2_total(sum));
}

static void keys_rows(void *context, int task)
{
    const wkv7_keys_args *a = context;
    const size_t W = (size_t)a->width, N = (size_t)a->N;
    int block = rows_in_piece(a->width), end = lesser(a->rows, (task + 1) * block);
    for (size_t i = (size_t)(task * block) * W; i < (size_t)end * W; i += N) {
        size_t c = i % W;
        vec length = vmax(vset1(SHORTEST), vset1(length_of(a, i, c))), one = vset1(1.0f);
        for (int j = 0; j < a->N; j += VW) {
            int n = a->N - j;
            vec k = vload_n(a->k + i + j, n), rate = vload_n(a->a + i + j, n), kappa = vdiv(vmul(k, vload_n(a->k_k + c + j, n)), length);
            vstore_n(a->key + i + j, n, vmul(k, vfma(vsub(rate, one), vload_n(a->k_a + c + j, n), one)));
            vstore_n(a->removal + i + j, n, kappa);
            vstore_n(a->written + i + j, n, vmul(kappa, rate));
        }
    }
}

void LEVEL(wkv7_keys)(const wkv7_keys_args *a)
{
    wkv7_keys_args copy = *a;
    parallel_for(pieces((size_t)a->rows, (size_t)rows_in_piece(a->width)), keys_rows, &copy);
}

static void keys_row_back(const wkv7_keys_args *a, size_t i, size_t c, row_sums *sums)
{
    float size = length_of(a, i, c);
    vec length = vmax(vset1(SHORTEST), vset1(size)), one = vset1(1.0f);
    vsum2 product = vsum2_zero();
    for (int j = 0; j < a->N; j += VW) {
        int n = a->N - j;
        vec kappa = vdiv(vmul(vload_n(a->k + i + j, n), vload_n(a->k_k + c + j, n)), length);
        vsum2_fma(&product, kappa, vfma(vload_n(a->dwritten + i + j, n), vload_n(a->a + i + j, n), vload_n(a->dremoval + i + j, n)));
    }
    vec along = vset1((float)vsum2_total(product));
    for (int j = 0; j < a->N; j += VW) {
        int n = a->N - j;
        size_t at = i + (size_t)j;
        vec k = vload_n(a->k + at, n), rate = vload_n(a->a + at, n), k_k = vload_n(a->k_k + c + j, n), k_a = vload_n(a->k_a + c + j, n);
        vec dkey = vload_n(a->dkey + at, n), dwritten = vload_n(a->dwritten + at, n), kappa = vdiv(vmul(k, k_k), length);
        vec d = vfma(dwritten, rate, vload_n(a->dremoval + at, n)), less = vsub(rate, one), dkey_k = vmul(dkey, k);
        vec draw = size < SHORTEST ? vzero() : vdiv(vfnma(kappa, along, d), length);         /* of k * k_k */
        if (a->dk) vstore_add(a->dk + at, n, a->add_dk, vfma(dkey, vfma(less, k_a, one), vmul(draw, k_k)));
        if (a->da) vstore_add(a->da + at, n, a->add_da, vfma(dwritten, kappa, vmul(dkey_k, k_a)));
        join(sums, 0, j, n, vmul(draw, k));
        join(sums, 1, j, n, vmul(dkey_k, less));
    }
}

static void keys_head_back(void *context, int task)
{
    const wkv7_keys_args *a = context;
    const size_t c = (size_t)task * (size_t)a->N;
    row_sums sums = { .rows = 0 };
    for (int r = 0; r < a->rows; r++) {
        keys_row_back(a, (size_t)r * (size_t)a->width + c, c, &sums);
        row_done(&sums, a->N);
    }
    fold(&sums, a->N);
    put_sums(a->dk_k ? a->dk_k + c : NULL, a->add_dk_k, sums.total[0], a->N);
    put_sums(a->dk_a ? a->dk_a + c : NULL, a->add_dk_a, sums.total[1], a->N);
}

void LEVEL(wkv7_keys_backward)(const wkv7_keys_args *a)
{
    if (a->N > MOST) { ref_wkv7_keys_backward(a); return; }
    wkv7_keys_args copy = *a;
    parallel_for(a->width / a->N, keys_head_back, &copy);
}

/* ---- read-out ---- */

typedef struct { vec mean, rstd, weight; } head_sums;        /* weight: of v */

INLINE head_sums sums_of(const wkv7_read_args *a, size_t i, size_t c)
{
    const int N = a->N;
    vsum2 sum = vsum2_zero(), square = vsum2_zero(), weight = vsum2_zero();
    for (int j = 0; j < N; j += VW) vsum2_add(&sum, vload_n(a->y + i + j, N - j));
    float mean = (float)(vsum2_total(sum) / N);
    for (int j = 0; j < N; j += VW) {
        vec d = vsub(vload_or(a->y + i + j, N - j, mean), vset1(mean));
        vsum2_fma(&square, d, d);
        if (a->bonus) vsum2_fma(&weight, vmul(vload_n(a->r + i + j, N - j), vload_n(a->key + i + j, N - j)), vload_n(a->bonus + c + j, N - j));
    }
    return (head_sums){ vset1(mean), vset1((float)(1 / sqrt(vsum2_total(square) / N + (double)a->eps))), vset1((float)vsum2_total(weight)) };
}

static void read_rows(void *context, int task)
{
    const wkv7_read_args *a = context;
    const size_t W = (size_t)a->width, N = (size_t)a->N;
    int block = rows_in_piece(a->width), end = lesser(a->rows, (task + 1) * block);
    for (size_t i = (size_t)(task * block) * W; i < (size_t)end * W; i += N) {
        size_t c = i % W;
        head_sums h = sums_of(a, i, c);
        for (int j = 0; j < a->N; j += VW) {
            int n = a->N - j;
            vec y = vfma(vmul(vsub(vload_n(a->y + i + j, n), h.mean), h.rstd), vload_n(a->w + c + j, n), vload_n(a->b + c + j, n));
            vstore_n(a->out + i + j, n, a->bonus ? vfma(h.weight, vload_n(a->v + i + j, n), y) : y);
        }
    }
}

void LEVEL(wkv7_read)(const wkv7_read_args *a)
{
    wkv7_read_args copy = *a;
    parallel_for(pieces((size_t)a->rows, (size_t)rows_in_piece(a->width)), read_rows, &copy);
}

/* Sums over dout: its mean, its product with the normalised y, and its product with v. */
typedef struct { vec mean, along, dweight; } gradient_sums;

INLINE gradient_sums gradient_sums_of(const wkv7_read_args *a, size_t i, size_t c, const head_sums *h)
{
    const int N = a->N;
    vsum2 mean = vsum2_zero(), along = vsum2_zero(), dweight = vsum2_zero();
    for (int j = 0; j < N; j += VW) {
        int n = N - j;
        vec dout = vload_n(a->dout + i + j, n), d = vmul(dout, vload_n(a->w + c + j, n));
        vsum2_add(&mean, d);
        vsum2_fma(&along, d, vmul(vsub(vload_n(a->y + i + j, n), h->mean), h->rstd));
        if (a->bonus) vsum2_fma(&dweight, dout, vload_n(a->v + i + j, n));
    }
    return (gradient_sums){ vset1((float)(vsum2_total(mean) / N)), vset1((float)(vsum2_total(along) / N)), vset1((float)vsum2_total(dweight)) };
}

static void read_row_back(const wkv7_read_args *a, size_t i, size_t c, row_sums *sums)
{
    head_sums h = sums_of(a, i, c);
    gradient_sums g = gradient_sums_of(a, i, c, &h);
    for (int j = 0; j < a->N; j += VW) {
        int n = a->N - j;
        size_t at = i + (size_t)j;
        vec dout = vload_n(a->dout + at, n), normal = vmul(vsub(vload_n(a->y + at, n), h.mean), h.rstd), d = vmul(dout, vload_n(a->w + c + j, n));
        if (a->dy) vstore_add(a->dy + at, n, a->add_dy, vmul(h.rstd, vfnma(normal, g.along, vsub(d, g.mean))));
        join(sums, 0, j, n, vmul(dout, normal));
        join(sums, 1, j, n, dout);
        if (!a->bonus) continue;
        vec r = vload_n(a->r + at, n), key = vload_n(a->key + at, n), bonus = vmul(g.dweight, vload_n(a->bonus + c + j, n));
        if (a->dr) vstore_add(a->dr + at, n, a->add_dr, vmul(bonus, key));
        if (a->dkey) vstore_add(a->dkey + at, n, a->add_dkey, vmul(bonus, r));
        if (a->dv) vstore_add(a->dv + at, n, a->add_dv, vmul(h.weight, dout));
        join(sums, 2, j, n, vmul(vmul(g.dweight, r), key));
    }
}

static void read_head_back(void *context, int task)
{
    const wkv7_read_args *a = context;
    const size_t c = (size_t)task * (size_t)a->N;
    row_sums sums = { .rows = 0 };
    for (int r = 0; r < a->rows; r++) {
        read_row_back(a, (size_t)r * (size_t)a->width + c, c, &sums);
        row_done(&sums, a->N);
    }
    fold(&sums, a->N);
    put_sums(a->dw ? a->dw + c : NULL, a->add_dw, sums.total[0], a->N);
    put_sums(a->db ? a->db + c : NULL, a->add_db, sums.total[1], a->N);
    put_sums(a->dbonus ? a->dbonus + c : NULL, a->add_dbonus, sums.total[2], a->N);
}

void LEVEL(wkv7_read_backward)(const wkv7_read_args *a)
{
    if (a->N > MOST) { ref_wkv7_read_backward(a); return; }
    wkv7_read_args copy = *a;
    parallel_for(a->width / a->N, read_head_back, &copy);
}

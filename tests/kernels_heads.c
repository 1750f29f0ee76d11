/* The kernels before and after RWKV's scans, at every level against ref: keys,
 * read-out with and without a bonus, mixtures of two rows, token shift whose
 * mixes are rows of their own, at head sizes and widths of all kinds. */
#include "kernels_check.h"
#include <stdlib.h>

static void against(const char *what, const real *got, const real *want, size_t n) { expect(what, got, doubles(want, n), n, 5e-6); }

static void keys_once(const kernels *k, int N)
{
    int W = N * (1 + below(3)), rows = size_up_to(140);
    size_t n = (size_t)rows * (size_t)W, w = (size_t)W;
    bool add = below(2);
    wkv7_keys_args a = { .rows = rows, .width = W, .N = N, .k = filled(n, 1), .a = filled(n, 1), .k_k = filled(w, 1), .k_a = filled(w, 1),
                         .key = blank(n), .removal = blank(n), .written = blank(n), .dkey = filled(n, 1), .dremoval = filled(n, 1), .dwritten = filled(n, 1),
                         .dk = target(n, add), .da = target(n, !add), .dk_k = target(w, add), .dk_a = target(w, !add),
                         .add_dk = add, .add_da = !add, .add_dk_k = add, .add_dk_a = !add }, b = a;
    if (N > 1) memset((real *)(uintptr_t)a.k, 0, (size_t)N * sizeof(real));             /* a head without a direction */
    b.key = blank(n), b.removal = blank(n), b.written = blank(n), b.dk = copy_of(a.dk, n), b.da = copy_of(a.da, n), b.dk_k = copy_of(a.dk_k, w), b.dk_a = copy_of(a.dk_a, w);
    const kernels *ref = kernels_level("ref");
    k->wkv7_keys(&a), ref->wkv7_keys(&b);
    against("wkv7_keys", a.key, b.key, n), against("wkv7_keys, removal", a.removal, b.removal, n), against("wkv7_keys, written", a.written, b.written, n);
    k->wkv7_keys_backward(&a), ref->wkv7_keys_backward(&b);
    size_t head = N > 1 ? (size_t)N : 0;                     /* whose gradient of k is over nearly nothing */
    against("wkv7_keys_backward, k", a.dk + head, b.dk + head, n - head), against("wkv7_keys_backward, a", a.da, b.da, n);
    against("wkv7_keys_backward, k_k", a.dk_k, b.dk_k, w), against("wkv7_keys_backward, k_a", a.dk_a, b.dk_a, w);
}

static void read_once(const kernels *k, int N, bool bonus)
{
    int W = N * (1 + below(3)), rows = size_up_to(140);
    size_t n = (size_t)rows * (size_t)W, w = (size_t)W;
    bool add = below(2);
    wkv7_read_args a = { .rows = rows, .width = W, .N = N, .eps = (real)64e-5, .y = filled(n, 1), .w = filled(w, 1), .b = filled(w, 1), .out = blank(n),
                         .dout = filled(n, 1), .dy = target(n, add), .dw = target(w, !add), .db = target(w, add), .add_dy = add, .add_dw = !add, .add_db = add,
                         .add_dr = add, .add_dkey = !add, .add_dv = add, .add_dbonus = !add };
    if (bonus) {
        a.r = filled(n, 1), a.key = filled(n, 1), a.v = filled(n, 1), a.bonus = filled(w, 1);
        a.dr = target(n, add), a.dkey = target(n, !add), a.dv = target(n, add), a.dbonus = target(w, !add);
    }
    wkv7_read_args b = a;
    b.out = blank(n), b.dy = copy_of(a.dy, n), b.dw = copy_of(a.dw, w), b.db = copy_of(a.db, w);
    if (bonus) b.dr = copy_of(a.dr, n), b.dkey = copy_of(a.dkey, n), b.dv = copy_of(a.dv, n), b.dbonus = copy_of(a.dbonus, w);
    const kernels *ref = kernels_level("ref");
    k->wkv7_read(&a), ref->wkv7_read(&b);
    against("wkv7_read", a.out, b.out, n);
    k->wkv7_read_backward(&a), ref->wkv7_read_backward(&b);
    /* Of one or two channels nothing but rounding is left. */
    if (N > 2) against("wkv7_read_backward, y", a.dy, b.dy, n);
    against("wkv7_read_backward, w", a.dw, b.dw, w), against("wkv7_read_backward, b", a.db, b.db, w);
    if (!bonus) return;
    against("wkv7_read_backward, r", a.dr, b.dr, n), against("wkv7_read_backward, key", a.dkey, b.dkey, n);
    against("wkv7_read_backward, v", a.dv, b.dv, n), against("wkv7_read_backward, bonus", a.dbonus, b.dbonus, w);
}

void heads_of_shapes(const kernels *k)
{
    static const int heads[] = { 1, 2, 7, 8, 15, 16, 17, 33, 64, 70 };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        keys_once(k, heads[i]);
        EACH_FLAG(bonus) read_once(k, heads[i], bonus);
    }
}

static void lerp_once(const kernels *k, bool add)
{
    size_t n = (size_t)size_up_to(40000);
    real *a = filled(n, 1), *b = filled(n, 1), *m = filled(n, 1), *dy = filled(n, 1), *y = blank(n), *d[3], *e[3];
    double *want = doubles(NULL, n);
    for (int i = 0; i < 3; i++) d[i] = target(n, add), e[i] = copy_of(d[i], n);
    for (size_t i = 0; i < n; i++) want[i] = (double)a[i] + ((double)b[i] - (double)a[i]) * (double)m[i];
    k->lerp(y, a, b, m, n);
    expect("lerp", y, want, n, TOLERANCE);
    k->lerp_backward(d[0], add, d[1], add, d[2], add, dy, a, b, m, n);
    kernels_level("ref")->lerp_backward(e[0], add, e[1], add, e[2], add, dy, a, b, m, n);
    for (int i = 0; i < 3; i++) against("lerp_backward", d[i], e[i], n);
}

static void shift_by_rows(const kernels *k, bool past)
{
    enum { MIXES = 5 };
    int W = size_up_to(200), start[] = { 0, size_up_to(70), 0, 0 };
    start[2] = start[1], start[3] = start[2] + size_up_to(70);
    size_t n = (size_t)start[3] * (size_t)W;
    bool add = below(2);
    token_shift_args a = { .seqs = 3, .width = W, .mixes = MIXES, .start = start, .past = past, .per_row = true, .x = filled(n, 1), .dx = target(n, add), .add_dx = add }, b = a;
    b.dx = copy_of(a.dx, n);
    for (int m = 0; m < MIXES; m++) {
        a.mix[m] = b.mix[m] = filled(n, 1), a.y[m] = blank(n), b.y[m] = blank(n), a.dy[m] = b.dy[m] = filled(n, 1);
        a.dmix[m] = target(n, add), b.dmix[m] = copy_of(a.dmix[m], n), a.add_dmix[m] = b.add_dmix[m] = add;
    }
    const kernels *ref = kernels_level("ref");
    k->token_shift(&a), ref->token_shift(&b);
    k->token_shift_backward(&a), ref->token_shift_backward(&b);
    against("token_shift_backward by rows", a.dx, b.dx, n);
    for (int m = 0; m < MIXES; m++) against("token_shift by rows", a.y[m], b.y[m], n), against("token_shift_backward by rows, mix", a.dmix[m], b.dmix[m], n);
}

void mixtures_of_shapes(const kernels *k)
{
    for (int i = 0; i < 3; i++) EACH_FLAG(flag) lerp_once(k, flag), shift_by_rows(k, flag);
}

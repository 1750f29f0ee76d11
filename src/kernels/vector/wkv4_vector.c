/* RWKV-4's average (definition in ref/rwkv_ref.c), channels on the lanes, a block
 * of channels a task.  Of two exponents over their larger one is e^0, so one
 * exponential serves both. */
#include "base/threads.h"
#include "kernels/vector/vec_math.h"
#include "kernels/vector/vec_row.h"
#include "kernels/vector/vector.h"

enum { BLOCK = 64, PARTS = BLOCK / VW };                    /* channels of a task, registers of them */

typedef struct { vec a, b, m; } average;

static const float EMPTY = -1e38f;                          /* the maximum over no exponents */

/* e^(x - m) and e^(y + z - m) for m = max(x, y + z), which goes to *m.  The rounding error of y + z is corrected in the
 * factors: at exponents of 1e4 it would be a thousandth of a weight. */
INLINE void over_larger(vec x, vec y, vec z, vec *ex, vec *eyz, vec *m)
{
    vec sum = vadd(y, z), lost = vadd(vsub(y, sum), z), one = vset1(1.0f), factor = vfma(lost, vfma(lost, vset1(0.5f), one), one);
    vec difference = vsub(vsub(x, y), z);
    vmask less = vless(x, sum);
    vec e = vexp(vselect(less, difference, vneg(difference))); /* where both are nearly equal, it is a little above 1 */
    *ex = vselect(less, vmul(e, factor), one);
    *eyz = vselect(less, factor, e);
    *m = vselect(less, sum, x);
}

/* The sums after one step, and the factor on the old ones. */
INLINE vec pass(average *p, vec w, vec k, vec v)
{
    vec old, new;
    over_larger(k, p->m, w, &new, &old, &p->m);
    p->a = vfma(old, p->a, vmul(new, v));
    p->b = vfma(old, p->b, new);
    return old;
}

INLINE average average_at(const exact *state, size_t W, int n)
{
    if (!state) return (average){ vzero(), vzero(), vset1(EMPTY) };
    return (average){ vload_n(state, n), vload_n(state + W, n), vload_n(state + 2 * W, n) };
}

static void scan_block(void *context, int task)
{
    const wkv4_args *a = context;
    const size_t W = (size_t)a->width;
    const int blocks = pieces(W, BLOCK), s = task / blocks, c = task % blocks * BLOCK, parts = (lesser(BLOCK, a->width - c) + VW - 1) / VW;
    average p[PARTS];
    vec w[PARTS], u[PARTS];
    if (a->start[s] == a->start[s + 1]) return;
    for (int q = 0; q < parts; q++) {
        size_t at = (size_t)(c + q * VW);
        int n = a->width - (int)at;
        p[q] = average_at(a->state && a->from[s] >= 0 ? a->state + (size_t)a->from[s] * 3 * W + at : NULL, W, n);
        w[q] = vneg(vexp(vload_n(a->decay + at, n)));
        u[q] = vload_n(a->bonus + at, n);
    }
    for (int r = a->start[s]; r < a->start[s + 1]; r++)
        for (int q = 0; q < parts; q++) {
            size_t at = (size_t)r * W + (size_t)(c + q * VW);
            int n = a->width - c - q * VW;
            vec k = vload_n(a->k + at, n), v = vload_n(a->v + at, n), e1, e2, most;
            over_larger(p[q].m, k, u[q], &e1, &e2, &most);
            vstore_n(a->y + at, n, vdiv(vfma(e1, p[q].a, vmul(e2, v)), vfma(e1, p[q].b, e2)));
            pass(&p[q], w[q], k, v);
        }
    for (int q = 0; q < parts && a->state; q++) {
        exact *end = a->state + (size_t)a->to[s] * 3 * W + (size_t)(c + q * VW);
        int n = a->width - c - q * VW;
        vstore_n(end, n, p[q].a), vstore_n(end + W, n, p[q].b), vstore_n(end + 2 * W, n, p[q].m);
    }
}

void LEVEL(wkv4)(const wkv4_args *a)
{
    wkv4_args copy = *a;
    parallel_for(a->seqs * pieces((size_t)a->width, BLOCK), scan_block, &copy);
}

/* ---- backward ---- */

typedef struct { const wkv4_args *a; int s, n; size_t c; vec w, u; } channels;           /* VW of them, or n */

static const exact *of_sequence(const exact *states, const channels *h) { return states ? states + (size_t)h->s * 3 * (size_t)h->a->width + h->c : NULL; }

/* Adds to d/dw and d/du; leaves dy over the denominator's share and the maximum in work.  The end's maximum. */
static vec sweep_forward(const channels *h, vec *dw, vec *du)
{
    const wkv4_args *a = h->a;
    const size_t W = (size_t)a->width, rows = (size_t)a->start[a->seqs];
    const exact *d_end = of_sequence(a->d_end, h);
    average p = average_at(of_sequence(a->begin, h), W, h->n);
    vec da = vzero(), db = vzero();                         /* d a / d w, d b / d w over e^m */
    for (int r = a->start[h->s]; r < a->start[h->s + 1]; r++) {
        size_t i = (size_t)r * W + h->c;
        vec k = vload_n(a->k + i, h->n), v = vload_n(a->v + i, h->n), y = vload_n(a->y + i, h->n), e1, e2, most;
        over_larger(p.m, k, h->u, &e1, &e2, &most);
        vec share = vdiv(vload_n(a->dy + i, h->n), vfma(e1, p.b, e2));
        vstore_n(a->work + i, h->n, share);
        vstore_n(a->work + rows * W + i, h->n, most);
        *dw = vfma(vmul(vfnma(db, y, da), e1), share, *dw);
        *du = vfma(vmul(vsub(v, y), e2), share, *du);
        average before = p;
        vec old = pass(&p, h->w, k, v);
        da = vmul(old, vadd(before.a, da));
        db = vmul(old, vadd(before.b, db));
    }
    if (d_end) *dw = vfma(da, vload_n(d_end, h->n), vfma(db, vload_n(d_end + W, h->n), *dw));
    return p.m;
}

/* g: gradients of numerator and denominator, over e^m. */
static void sweep_back(const channels *h, average g)
{
    const wkv4_args *a = h->a;
    const size_t W = (size_t)a->width, rows = (size_t)a->start[a->seqs];
    for (int r = a->start[h->s + 1]; r-- > a->start[h->s]; ) {
        size_t i = (size_t)r * W + h->c;
        vec k = vload_n(a->k + i, h->n), v = vload_n(a->v + i, h->n), y = vload_n(a->y + i, h->n);
        vec share = vload_n(a->work + i, h->n), q = vload_n(a->work + rows * W + i, h->n), c1, c2;
        vec e1 = vmul(share, vexp(vadd(vsub(k, q), h->u))), e2 = vexp(vadd(k, g.m));
        if (a->dk) vstore_add(a->dk + i, h->n, a->add_dk, vfma(e1, vsub(v, y), vmul(e2, vfma(g.a, v, g.b))));
        if (a->dv) vstore_add(a->dv + i, h->n, a->add_dv, vfma(e2, g.a, e1));
        over_larger(vneg(q), g.m, h->w, &c2, &c1, &g.m);
        c2 = vmul(share, c2);
        g.a = vfma(c1, g.a, c2);
        g.b = vfnma(c2, y, vmul(c1, g.b));
    }
    if (!a->d_begin) return;
    exact *d = a->d_begin + (size_t)h->s * 3 * W + h->c;
    vec e = vexp(vadd(g.m, average_at(of_sequence(a->begin, h), W, h->n).m));
    vstore_n(d, h->n, vmul(e, g.a)), vstore_n(d + W, h->n, vmul(e, g.b)), vstore_n(d + 2 * W, h->n, vzero());
}

/* All sequences of VW channels, so that sums over them have one order. */
static void channels_back(void *context, int task)
{
    const wkv4_args *a = context;
    const size_t W = (size_t)a->width;
    channels h = { .a = a, .c = (size_t)task * VW, .n = a->width - task * VW };
    vec dw = vzero(), du = vzero();
    h.w = vneg(vexp(vload_n(a->decay + h.c, h.n)));
    h.u = vload_n(a->bonus + h.c, h.n);
    for (h.s = 0; h.s < a->seqs; h.s++) {
        vec m = sweep_forward(&h, &dw, &du);
        const exact *d = of_sequence(a->d_end, &h);
        sweep_back(&h, d ? (average){ vload_n(d, h.n), vload_n(d + W, h.n), vneg(m) } : (average){ vzero(), vzero(), vset1(EMPTY) });
    }
    if (a->ddecay) vstore_add(a->ddecay + h.c, h.n, a->add_ddecay, vmul(dw, h.w));
    if (a->dbonus) vstore_add(a->dbonus + h.c, h.n, a->add_dbonus, du);
}

void LEVEL(wkv4_backward)(const wkv4_args *a)
{
    wkv4_args copy = *a;
    parallel_for(pieces((size_t)a->width, VW), channels_back, &copy);
}

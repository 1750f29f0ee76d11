/* The scans of RWKV-5, 6 and 7 with states that go in and gradients that come
 * out of them: a plain one in double and central differences of it; every level
 * against ref at shapes of all kinds; and windows of a sequence that pass their
 * states on and the states' gradients back, which are the whole sequence. */
#include "kernels_check.h"
#include <math.h>
#include <stdlib.h>

enum { R, DECAY, KEY, V, BONUS, REMOVAL = BONUS, WRITTEN, INPUTS, SEQS = 3 };

typedef struct {
    bool seven, constant;
    int N, W, start[SEQS + 1];
    size_t n[INPUTS], states;                   /* elements of each input; of the states of all sequences */
    real *in[INPUTS], *d[INPUTS], *y, *dy, *begin, *end, *d_end, *d_begin;
    bool add;
} problem;

static int inputs_of(const problem *p) { return p->seven ? 6 : 5; }

static void allocate(problem *p, int rows)
{
    size_t all = (size_t)rows * (size_t)p->W;
    p->states = (size_t)SEQS * (size_t)p->W * (size_t)p->N;
    for (int i = 0; i < inputs_of(p); i++) {
        bool one = !p->seven && (i == BONUS || (i == DECAY && p->constant));
        p->n[i] = one ? (size_t)p->W : all;
        p->in[i] = filled(p->n[i], i == DECAY ? 2 : 1);
        p->d[i] = target(p->n[i], p->add);
    }
    /* As version 7 makes them: what is removed is no more than there is. */
    for (size_t i = 0; p->seven && i < all; i++) {
        p->in[REMOVAL][i] /= (real)sqrt(p->N);
        p->in[WRITTEN][i] = p->in[REMOVAL][i] * (real)uniform(0, 1);
    }
    p->y = blank(all), p->dy = filled(all, 1);
    p->begin = filled(p->states, 1), p->d_end = filled(p->states, 1), p->end = copy_of(p->begin, p->states), p->d_begin = blank(p->states);
}

/* ---- the kernels ---- */

static const int SLOTS[SEQS] = { 0, 1, 2 };

static exact *work_of(const problem *p) { return blank((size_t)wkv_work_rows(p->start[SEQS], SEQS, p->W / p->N) * (size_t)p->N * (size_t)p->N); }

static wkv6_args six(const problem *p)
{
    return (wkv6_args){ .seqs = SEQS, .width = p->W, .N = p->N, .start = p->start, .state = p->end, .from = SLOTS, .to = SLOTS, .constant = p->constant,
                        .r = p->in[R], .decay = p->in[DECAY], .key = p->in[KEY], .v = p->in[V], .bonus = p->in[BONUS], .y = p->y, .work = work_of(p),
                        .begin = p->begin, .d_end = p->d_end, .d_begin = p->d_begin, .dy = p->dy, .dr = p->d[R], .ddecay = p->d[DECAY], .dkey = p->d[KEY],
                        .dv = p->d[V], .dbonus = p->d[BONUS], .add_dr = p->add, .add_ddecay = p->add, .add_dkey = p->add, .add_dv = p->add, .add_dbonus = p->add };
}

static wkv7_args seven(const problem *p)
{
    return (wkv7_args){ .seqs = SEQS, .width = p->W, .N = p->N, .start = p->start, .state = p->end, .from = SLOTS, .to = SLOTS,
                        .r = p->in[R], .decay = p->in[DECAY], .key = p->in[KEY], .v = p->in[V], .removal = p->in[REMOVAL], .written = p->in[WRITTEN],
                        .y = p->y, .work = work_of(p), .begin = p->begin, .d_end = p->d_end, .d_begin = p->d_begin, .dy = p->dy, .dr = p->d[R],
                        .ddecay = p->d[DECAY], .dkey = p->d[KEY], .dv = p->d[V], .dremoval = p->d[REMOVAL], .dwritten = p->d[WRITTEN],
                        .add_dr = p->add, .add_ddecay = p->add, .add_dkey = p->add, .add_dv = p->add, .add_dremoval = p->add, .add_dwritten = p->add };
}

static void forward(const kernels *k, const problem *p)
{
    if (p->seven) k->wkv7(&(wkv7_args[]){ seven(p) }[0]);
    else k->wkv6(&(wkv6_args[]){ six(p) }[0]);
}

static void backward(const kernels *k, const problem *p)
{
    if (p->seven) k->wkv7_backward(&(wkv7_args[]){ seven(p) }[0]);
    else k->wkv6_backward(&(wkv6_args[]){ six(p) }[0]);
}

/* ---- in double ---- */

typedef struct { const problem *p; double *in[INPUTS], *S, *y; } plain;

static double fading(const plain *q, int i, int c)
{
    double x = q->in[DECAY][q->p->constant ? c : i];
    return q->p->seven ? exp(-exp(-0.5) / (1 + exp(-x))) : exp(-exp(x));
}

/* Value x of the head whose channels begin at i (c in its row): S is its row of the state. */
static void plain_value(const plain *q, double *S, int i, int c, int x)
{
    const int N = q->p->N;
    double removed = 0, y = 0;
    for (int j = 0; j < N && q->p->seven; j++) removed += S[j] * q->in[REMOVAL][i + j];
    for (int j = 0; j < N; j++) {
        double w = fading(q, i + j, c + j), kv = q->in[KEY][i + j] * q->in[V][i + x];
        if (!q->p->seven) y += q->in[R][i + j] * (S[j] + q->in[BONUS][c + j] * kv);
        S[j] = S[j] * w + kv - (q->p->seven ? removed * q->in[WRITTEN][i + j] : 0);
        if (q->p->seven) y += q->in[R][i + j] * S[j];
    }
    q->y[i + x] = y;
}

/* The loss: results and states at the end, weighed. */
static double plain_loss(const plain *q)
{
    const problem *p = q->p;
    double loss = 0;
    for (size_t i = 0; i < p->states; i++) q->S[i] = (double)p->begin[i];
    for (int s = 0; s < SEQS; s++)
        for (int r = p->start[s]; r < p->start[s + 1]; r++)
            for (int c = 0; c < p->W; c++) {
                int N = p->N, h = c / N * N;
                plain_value(q, q->S + (s * p->W + c) * N, r * p->W + h, h, c - h);
                loss += q->y[r * p->W + c] * (double)p->dy[r * p->W + c];
            }
    for (size_t i = 0; i < p->states; i++) loss += q->S[i] * (double)p->d_end[i];
    return loss;
}

static void differences(const kernels *k, bool version7, bool constant)
{
    problem p = { .seven = version7, .constant = constant, .N = 3, .W = 6, .start = { 0, 35, 35, 40 }, .add = below(2) };
    allocate(&p, 40);
    plain q = { .p = &p, .S = doubles(NULL, p.states), .y = doubles(NULL, 40 * 6) };
    double *slope[INPUTS] = { 0 };
    for (int i = 0; i < inputs_of(&p); i++) q.in[i] = doubles(p.in[i], p.n[i]), slope[i] = prior(p.d[i], p.n[i], p.add);
    for (int i = 0; i < inputs_of(&p); i++)
        for (size_t j = 0; j < p.n[i]; j++) {
            double kept = q.in[i][j], h = 1e-5, up;
            q.in[i][j] = kept + h, up = plain_loss(&q);
            q.in[i][j] = kept - h, slope[i][j] += (up - plain_loss(&q)) / (2 * h);
            q.in[i][j] = kept;
        }
    double *dbegin = doubles(NULL, p.states);
    for (size_t j = 0; j < p.states; j++) {                 /* the loss is linear in them */
        real kept = p.begin[j];
        p.begin[j] = kept + (real)0.5, dbegin[j] = plain_loss(&q);
        p.begin[j] = kept - (real)0.5, dbegin[j] -= plain_loss(&q);
        p.begin[j] = kept;
    }
    plain_loss(&q);
    forward(k, &p);
    expect("scan", p.y, q.y, 40 * 6, TOLERANCE);
    expect("scan, state", p.end, q.S, p.states, TOLERANCE);
    backward(k, &p);
    static const char *const names[] = { "scan_backward, r", "scan_backward, decay", "scan_backward, key", "scan_backward, v", "scan_backward, bonus or removal", "scan_backward, written" };
    for (int i = 0; i < inputs_of(&p); i++) expect(names[i], p.d[i], slope[i], p.n[i], 1e-5);
    expect("scan_backward, begin", p.d_begin, dbegin, p.states, 1e-5);
}

void scans_by_differences(const kernels *k)
{
    differences(k, true, false);
    EACH_FLAG(constant) differences(k, false, constant);
}

/* ---- every level against ref ---- */

static problem problem_copy(const problem *p)
{
    problem c = *p;
    for (int i = 0; i < inputs_of(p); i++) c.d[i] = copy_of(p->d[i], p->n[i]);
    c.y = blank((size_t)p->start[SEQS] * (size_t)p->W), c.end = copy_of(p->begin, p->states), c.d_begin = blank(p->states);
    return c;
}

static void shape_once(const kernels *k, bool version7, int N)
{
    problem p = { .seven = version7, .constant = !version7 && below(2), .N = N, .W = N * (1 + below(3)), .add = below(2) };
    for (int s = 0; s < SEQS; s++) p.start[s + 1] = p.start[s] + (s == 1 ? below(2) : size_up_to(40));
    allocate(&p, p.start[SEQS]);
    problem ref = problem_copy(&p);
    size_t all = (size_t)p.start[SEQS] * (size_t)p.W;
    forward(kernels_level("ref"), &ref), forward(k, &p);
    expect("scan against ref", p.y, doubles(ref.y, all), all, 2e-6);
    expect("scan against ref, state", p.end, doubles(ref.end, p.states), p.states, 2e-6);
    backward(kernels_level("ref"), &ref), backward(k, &p);
    for (int i = 0; i < inputs_of(&p); i++) expect("scan_backward against ref", p.d[i], doubles(ref.d[i], p.n[i]), p.n[i], 5e-6);
    expect("scan_backward against ref, begin", p.d_begin, doubles(ref.d_begin, p.states), p.states, 5e-6);
}

void scans_of_shapes(const kernels *k)
{
    static const int heads[] = { 1, 2, 7, 8, 15, 16, 17, 24, 32, 33, 64, 70 };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) EACH_FLAG(version7) shape_once(k, version7, heads[i]);
}

/* ---- windows ---- */

/* Sequences cut at a row each: the first windows' end begins the second ones, whose gradient of it goes back into the
 * first. */
static void windows_once(const kernels *k, bool version7)
{
    enum { T = 45, N = 8, W = 16, CUT = 21 };
    problem p = { .seven = version7, .N = N, .W = W, .start = { 0, T, T, T } };
    allocate(&p, T);
    forward(k, &p), backward(k, &p);
    problem first = problem_copy(&p), second;
    first.start[1] = first.start[2] = first.start[3] = CUT;
    forward(k, &first);
    expect_same("scan in windows", first.y, p.y, CUT * W);
    second = first;
    for (int i = 0; i < inputs_of(&p); i++) {
        second.in[i] += p.n[i] == T * W ? CUT * W : 0, second.d[i] = blank(p.n[i]);
        second.n[i] = first.n[i] = p.n[i];
    }
    second.start[1] = second.start[2] = second.start[3] = T - CUT;
    second.dy += CUT * W, second.y = blank(T * W), second.begin = first.end, second.end = copy_of(first.end, p.states), second.d_begin = blank(p.states);
    forward(k, &second);
    expect_same("scan in windows", second.y, p.y + CUT * W, (T - CUT) * W);
    expect_same("scan in windows, state", second.end, p.end, W * N);
    backward(k, &second);
    first.d_end = second.d_begin;
    backward(k, &first);
    for (int i = 0; i < inputs_of(&p); i++) {
        bool shared = p.n[i] == W;
        for (int c = 0; shared && c < W; c++) first.d[i][c] += second.d[i][c];
        expect("windows of a scan", first.d[i], doubles(p.d[i], p.n[i]), shared ? W : CUT * W, 1e-5);
        if (!shared) expect("windows of a scan", second.d[i], doubles(p.d[i] + CUT * W, (T - CUT) * W), (T - CUT) * W, 1e-5);
    }
    expect("windows of a scan, begin", first.d_begin, doubles(p.d_begin, p.states), p.states, 1e-5);
}

static void windows_of_averages(const kernels *k)
{
    enum { T = 37, W = 21, CUT = 14 };
    const int whole[] = { 0, T }, first[] = { 0, CUT }, rest[] = { 0, T - CUT }, slot[] = { 0 };
    real *d[4], *part[4], *again[4], *state = filled(3 * W, 1), *d_end = filled(3 * W, 1), *end = copy_of(state, 3 * W);
    wkv4_args a = { .seqs = 1, .width = W, .start = whole, .state = end, .from = slot, .to = slot, .k = filled(T * W, 3), .v = filled(T * W, 2),
                    .decay = filled(W, 2), .bonus = filled(W, 1), .y = blank(T * W), .dy = filled(T * W, 1), .work = blank(2 * T * W), .begin = state, .d_end = d_end };
    for (int c = 0; c < W; c++) state[W + c] = end[W + c] = 1 + state[W + c] * state[W + c];       /* a denominator */
    for (int i = 0; i < 4; i++) d[i] = blank(i < 2 ? T * W : W), part[i] = blank(i < 2 ? T * W : W), again[i] = blank(W);
    a.dk = d[0], a.dv = d[1], a.ddecay = d[2], a.dbonus = d[3], a.d_begin = blank(3 * W);
    k->wkv4(&a), k->wkv4_backward(&a);
    wkv4_args x = a, z = a;
    x.start = first, x.state = copy_of(state, 3 * W), x.dk = part[0], x.dv = part[1], x.ddecay = part[2], x.dbonus = part[3], x.y = blank(T * W), x.d_begin = blank(3 * W);
    k->wkv4(&x);
    z.start = rest, z.begin = x.state, z.state = copy_of(x.state, 3 * W), z.k += CUT * W, z.v += CUT * W, z.dy += CUT * W, z.y = x.y + CUT * W;
    z.dk = part[0] + CUT * W, z.dv = part[1] + CUT * W, z.ddecay = again[2], z.dbonus = again[3], z.d_begin = blank(3 * W);
    k->wkv4(&z), k->wkv4_backward(&z);
    expect_same("wkv4 in windows", x.y, a.y, T * W);
    x.d_end = z.d_begin;
    k->wkv4_backward(&x);
    for (int i = 2; i < 4; i++)
        for (int c = 0; c < W; c++) part[i][c] += again[i][c];
    for (int i = 0; i < 4; i++) expect("windows of wkv4", part[i], doubles(d[i], i < 2 ? T * W : W), i < 2 ? T * W : W, 1e-5);
    expect("windows of wkv4, begin", x.d_begin, doubles(a.d_begin, 3 * W), 3 * W, 1e-5);
}

static void windows_of_shifts(const kernels *k)
{
    enum { T = 19, W = 37, CUT = 8 };
    const int whole[] = { 0, T }, first[] = { 0, CUT }, rest[] = { 0, T - CUT }, slot[] = { 0 };
    EACH_FLAG(per_row) {
        size_t m = per_row ? T * W : W;
        real *last = filled(W, 1), *d_end = filled(W, 1), *dmix = blank(m), *again = blank(W);
        token_shift_args a = { .seqs = 1, .width = W, .mixes = 1, .start = whole, .before = last, .from = slot, .begin = last, .past = true, .per_row = per_row,
                               .x = filled(T * W, 1), .mix = { filled(m, 1) }, .y = { blank(T * W) }, .dy = { filled(T * W, 1) }, .dx = blank(T * W),
                               .dmix = { blank(m) }, .d_end = d_end, .d_begin = blank(W) };
        k->token_shift(&a), k->token_shift_backward(&a);
        token_shift_args x = a, z = a;
        x.start = first, x.y[0] = blank(T * W), x.dx = blank(T * W), x.dmix[0] = dmix, x.d_begin = blank(W);
        z.start = rest, z.x += CUT * W, z.y[0] = x.y[0] + CUT * W, z.dy[0] += CUT * W, z.dx = x.dx + CUT * W, z.d_begin = blank(W);
        z.before = z.begin = a.x + (CUT - 1) * W, z.mix[0] += per_row ? CUT * W : 0, z.dmix[0] = per_row ? dmix + CUT * W : again;
        k->token_shift(&x), k->token_shift(&z), k->token_shift_backward(&z);
        x.d_end = z.d_begin;
        k->token_shift_backward(&x);
        for (int c = 0; !per_row && c < W; c++) dmix[c] += again[c];
        expect_same("token_shift in windows", x.y[0], a.y[0], T * W);
        expect("windows of token_shift", x.dx, doubles(a.dx, T * W), T * W, 1e-5);
        expect("windows of token_shift, mix", dmix, doubles(a.dmix[0], m), m, 1e-5);
        expect("windows of token_shift, begin", x.d_begin, doubles(a.d_begin, W), W, 1e-5);
    }
}

void windows_are_the_whole(const kernels *k)
{
    EACH_FLAG(version7) windows_once(k, version7);
    windows_of_averages(k);
    windows_of_shifts(k);
}

/* Every kernel at every level this machine has: against sums in double written
 * here, with random shapes, canaries around every buffer, NaN where a result must
 * overwrite; and the bytes for any number of threads. */
#include "kernels_check.h"
#include "kernels/half.h"
#include <math.h>
#include <stdlib.h>

static const double slope_tolerance = sizeof(real) == 8 ? 1e-10 : 1e-5;      /* finite differences of plain_slope */

/* ---- rows -------------------------------------------------------------------------------- */

static void gather(const kernels *k)
{
    EACH_FLAG(add) {
        int rows = size_up_to(300), width = size_up_to(200), table = size_up_to(50);
        size_t n = (size_t)rows * (size_t)width;
        real *x = filled((size_t)table * (size_t)width, 1), *y = target(n, add);
        int *index = indices((size_t)rows, table);
        double *want = prior(y, n, add);
        for (size_t i = 0; i < n; i++) want[i] += (double)x[(size_t)index[i / (size_t)width] * (size_t)width + i % (size_t)width];
        k->gather(y, add, (stored){ .data = x }, index, rows, width);
        expect("gather", y, want, n, TOLERANCE);
    }
}

/* Numbers of a 16-bit type at an odd address, and what they are. */
static stored halves(stored_type type, size_t n, double *values)
{
    unsigned char *bytes = (unsigned char *)keys(n / 4 + 2) + 1;
    for (size_t i = 0; i < n; i++) {
        float x = (float)(uniform(-1, 1) * (below(4) ? 1 : 0x1p-17));      /* some below float16's normal numbers */
        uint16_t half = type == STORED_F16 ? f16_from_float(x) : bf16_from_float(x);
        memcpy(bytes + i * sizeof half, &half, sizeof half);
        values[i] = (double)(type == STORED_F16 ? float_from_f16(half) : float_from_bf16(half));
    }
    return (stored){ .type = type, .data = bytes };
}

static void stored_rows(const kernels *k)
{
    for (stored_type type = STORED_F16; type <= STORED_BF16; type++)
        EACH_FLAG(add) {
            int rows = size_up_to(300), width = size_up_to(200), count = size_up_to(50);
            size_t n = (size_t)rows * (size_t)width, size = (size_t)count * (size_t)width;
            double *values = doubles(NULL, size), *want;
            stored table = halves(type, size, values);
            real *y = target(n, add), *all = blank(size);
            int *index = indices((size_t)rows, count);
            want = prior(y, n, add);
            for (size_t i = 0; i < n; i++) want[i] += values[(size_t)index[i / (size_t)width] * (size_t)width + i % (size_t)width];
            k->gather(y, add, table, index, rows, width);
            expect("gather of a stored type", y, want, n, add ? TOLERANCE : 0);
            k->widen(all, table, size);
            expect("widen", all, values, size, 0);
        }
}

static void scatter(const kernels *k)
{
    EACH_FLAG(add) {
        int rows = size_up_to(300), width = size_up_to(200), table = size_up_to(50);
        size_t n = (size_t)table * (size_t)width;
        real *dy = filled((size_t)rows * (size_t)width, 1), *dtable = target(n, add);
        int *index = indices((size_t)rows, table);
        double *want = prior(dtable, n, add);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < width; c++) want[index[r] * width + c] += (double)dy[r * width + c];
        k->scatter(dtable, add, dy, index, rows, width, table);
        expect("scatter", dtable, want, n, TOLERANCE);
    }
}

/* Of the numbers of 16 bits none is nearer than the one that is stored; what lies between rows stays. */
static void put_halves(const kernels *k, const real *src, size_t src_stride, int rows, int width)
{
    size_t stride = (size_t)width + 3, n = (size_t)rows * stride;
    uint16_t *dst = malloc(n * sizeof *dst);
    int *index = indices((size_t)rows, 1);
    for (int r = 0; r < rows; r++) index[r] = rows - 1 - r;
    memset(dst, 0x55, n * sizeof *dst);
    k->put_rows(dst, STORED_F16, stride, index, src, src_stride, rows, width);
    for (int r = 0; r < rows; r++)
        for (size_t c = 0; c < stride; c++) {
            uint16_t x = dst[(size_t)index[r] * stride + c];
            if (c >= (size_t)width) { CHECK_MSG(x == 0x5555, "put_rows wrote after row %d", r); continue; }
            double want = (double)src[(size_t)r * src_stride + c], off = fabs(float_from_f16(x) - want);
            CHECK_MSG(off <= fabs(float_from_f16((uint16_t)(x + 1)) - want) && off <= fabs(float_from_f16((uint16_t)(x ? x - 1 : 0)) - want),
                      "put_rows of %g as f16 gives %g", want, (double)float_from_f16(x));
        }
    free(dst);
}

/* A number in a block of q8_0 is off by half a step at most: the largest of the block has 127 steps. */
static void put_blocks(const kernels *k, int rows, int width)
{
    size_t n = (size_t)rows * (size_t)width;
    real *src = filled(n, 2), *back = blank(n);
    void *dst = malloc(stored_bytes(STORED_Q8_0, n));
    int *index = indices((size_t)rows, 1);
    for (int r = 0; r < rows; r++) index[r] = r;
    k->put_rows(dst, STORED_Q8_0, (size_t)width, index, src, (size_t)width, rows, width);
    k->widen(back, (stored){ .type = STORED_Q8_0, .data = dst }, n);
    for (size_t i = 0; i < n; i += 32) {
        double most = 0;
        for (size_t j = i; j < i + 32; j++) most = fmax(most, fabs((double)src[j]));
        for (size_t j = i; j < i + 32; j++)
            CHECK_MSG(fabs((double)back[j] - (double)src[j]) <= most / 127 * 0.501 + most * 0x1p-11, "put_rows of %g as q8_0 gives %g", (double)src[j], (double)back[j]);
    }
    free(dst);
}

static void put_rows(const kernels *k)
{
    int rows = size_up_to(40), width = size_up_to(200), table = rows + below(20), stride = width + below(9), from_stride = width + below(9);
    size_t n = (size_t)table * (size_t)stride;
    real *dst = filled(n, 1), *src = filled((size_t)rows * (size_t)from_stride, 1);
    int *index = indices((size_t)rows, 1), first = below(table - rows + 1);
    double *want = doubles(dst, n);
    for (int r = 0; r < rows; r++) {
        index[r] = first + rows - 1 - r;
        for (int c = 0; c < width; c++) want[index[r] * stride + c] = (double)src[r * from_stride + c];
    }
    k->put_rows(dst, STORED_REAL, (size_t)stride, index, src, (size_t)from_stride, rows, width);
    expect("put_rows", dst, want, n, 0);
    put_halves(k, src, (size_t)from_stride, rows, width);
    put_blocks(k, rows, 32 * (1 + width / 32));
}

static void dropout(const kernels *k)
{
    static const double rates[] = { 0, 0.1, 0.5, 0.9 };
    EACH_FLAG(add) {
        int rows = size_up_to(60), width = size_up_to(300);
        size_t n = (size_t)rows * (size_t)width;
        real *x = filled(n, 1), *y = target(n, add), p = (real)rates[below(4)];
        uint64_t *row_key = keys((size_t)rows), layer = 17;
        double *want = prior(y, n, add);
        for (size_t i = 0; i < n; i++)
            if (random_unit(key_of(row_key[i / (size_t)width], layer), i % (size_t)width) >= (double)p) want[i] += (double)x[i] / (1 - (double)p);
        k->dropout(y, add, x, p, row_key, layer, rows, width);
        expect("dropout", y, want, n, TOLERANCE);
    }
}

/* ---- elementwise ------------------------------------------------------------------------- */

static void copy_and_sum(const kernels *k)
{
    EACH_FLAG(add) {
        size_t n = (size_t)size_up_to(50000);
        real *a = filled(n, 1), *b = filled(n, 1), *y = target(n, add), *z = blank(n);
        double *want = prior(y, n, add), *total = doubles(a, n);
        for (size_t i = 0; i < n; i++) want[i] += (double)a[i], total[i] += (double)b[i];
        k->copy(y, add, a, n);
        k->sum(z, a, b, n);
        expect("copy", y, want, n, TOLERANCE);
        expect("sum", z, total, n, TOLERANCE);
        k->sum(a, a, b, n);
        expect_same("sum in place", a, z, n);
    }
}

static void activations(const kernels *k)
{
    EACH_ACT(act) EACH_FLAG(add) {
        size_t n = (size_t)size_up_to(40000);
        real *x = filled(n, 7), *dy = filled(n, 1), *y = blank(n), *dx = target(n, add);
        double *value = doubles(NULL, n), *gradient = prior(dx, n, add);
        for (size_t i = 0; i < n; i++) {
            value[i] = plain_act(act, (double)x[i]);
            gradient[i] += (double)dy[i] * plain_slope(act, (double)x[i]);
        }
        k->act(y, x, act, n);
        k->act_backward(dx, add, dy, x, act, n);
        expect("act", y, value, n, TOLERANCE);
        expect("act_backward", dx, gradient, n, slope_tolerance);
        if (!add) k->act_backward(dy, false, dy, x, act, n), expect_same("act_backward in place", dy, dx, n);
    }
}

/* Halves of one row, and a gap after them, give the bytes of two tensors. */
static void side_by_side(const kernels *k, activation act, const real *gate, const real *up, const real *dy, int rows, int width)
{
    size_t W = (size_t)width, n = (size_t)rows * W, stride = 2 * W + (size_t)below(3);
    real *x = filled((size_t)rows * stride, 1), *dx = filled((size_t)rows * stride, 1), *y = blank(n), *both = blank(n), *dgate = blank(n), *dup = blank(n);
    for (size_t r = 0; r < (size_t)rows; r++) memcpy(x + r * stride, gate + r * W, W * sizeof *x), memcpy(x + r * stride + W, up + r * W, W * sizeof *x);
    k->glu(both, x, x + W, stride, act, rows, width);
    k->glu(y, gate, up, W, act, rows, width);
    expect_same("glu side by side", both, y, n);
    k->glu_backward(dx, false, dx + W, false, dy, x, x + W, stride, act, rows, width);
    k->glu_backward(dgate, false, dup, false, dy, gate, up, W, act, rows, width);
    for (size_t r = 0; r < (size_t)rows; r++) {
        expect_same("glu_backward side by side, gate", dx + r * stride, dgate + r * W, W);
        expect_same("glu_backward side by side, up", dx + r * stride + W, dup + r * W, W);
    }
}

static void gated(const kernels *k)
{
    EACH_ACT(act) EACH_FLAG(add) {
        int width = size_up_to(3000), rows = size_up_to(20);
        size_t n = (size_t)rows * (size_t)width;
        bool add_up = below(2);
        real *gate = filled(n, 7), *up = filled(n, 1), *dy = filled(n, 1), *y = blank(n), *dgate = target(n, add), *dup = target(n, add_up);
        double *value = doubles(NULL, n), *want_gate = prior(dgate, n, add), *want_up = prior(dup, n, add_up);
        for (size_t i = 0; i < n; i++) {
            value[i] = plain_act(act, (double)gate[i]) * (double)up[i];
            want_gate[i] += (double)dy[i] * (double)up[i] * plain_slope(act, (double)gate[i]);
            want_up[i] += (double)dy[i] * plain_act(act, (double)gate[i]);
        }
        k->glu(y, gate, up, (size_t)width, act, rows, width);
        k->glu_backward(dgate, add, dup, add_up, dy, gate, up, (size_t)width, act, rows, width);
        expect("glu", y, value, n, TOLERANCE);
        expect("glu_backward, gate", dgate, want_gate, n, slope_tolerance);
        expect("glu_backward, up", dup, want_up, n, TOLERANCE);
        side_by_side(k, act, gate, up, dy, rows, width);
    }
}

/* Far out, at NaN, and within 2e-7 of the exact GELU. */
static void activation_limits(const kernels *k)
{
    enum { N = 20001 };
    real *x = blank(N), *y = blank(N), *dx = blank(N), *one = filled(N, 1);
    for (int i = 0; i < N; i++) x[i] = (real)((i - N / 2) * 6.0 / (N / 2)), one[i] = 1;
    k->act(y, x, ACT_GELU_ERF, N);
    double worst = 0;
    for (int i = 0; i < N; i++) worst = fmax(worst, fabs((double)y[i] - plain_act(ACT_GELU_ERF, (double)x[i])) - (fabs((double)x[i]) > 4 ? 6e-8 * fabs((double)x[i]) : 0));
    CHECK_MSG(worst <= 2e-7, "GELU at %s is off by %.3g", k->name, worst);
    static const double far[] = { 1e4, -1e4, 1e15, -1e15, 90, -90, 0, NAN };
    for (activation act = ACT_NONE; act <= ACT_RELU; act++) {
        for (int i = 0; i < 8; i++) x[i] = (real)far[i];
        k->act(y, x, act, 8);
        k->act_backward(dx, false, one, x, act, 8);
        for (int i = 0; i < 6; i += 2) CHECK_MSG(y[i] == x[i] && dx[i] == 1, "act %d at %s: %g %g", act, k->name, (double)y[i], (double)dx[i]);
        for (int i = 1; act && i < 6; i += 2) CHECK_MSG(fabs((double)y[i]) < 1e-30 && fabs((double)dx[i]) < 1e-30, "act %d at %s: %g %g", act, k->name, (double)y[i], (double)dx[i]);
        CHECK(y[6] == 0 && isnan(y[7]));
    }
}

/* ---- positions --------------------------------------------------------------------------- */

static void rope(const kernels *k)
{
    EACH_FLAG(add) EACH_FLAG(inverse) {
        int rows = size_up_to(60), heads = size_up_to(5), rotated = below(2) ? heads : below(heads), half = size_up_to(40), D = 2 * half + size_up_to(20) - 1, length = 50;
        size_t n = (size_t)rows * (size_t)heads * (size_t)D;
        real *x = filled(n, 1), *y = target(n, add);
        exact *table = blank((size_t)(length * 2 * half));
        int *pos = indices((size_t)rows, length);
        double *want = prior(y, n, add), sign = inverse ? -1 : 1;
        for (int p = 0; p < length; p++)
            for (int i = 0; i < half; i++) {
                double angle = p * pow(10000, -(double)i / half);
                table[p * 2 * half + i] = (exact)cos(angle);
                table[p * 2 * half + half + i] = (exact)sin(angle);
            }
        for (size_t at = 0; at < n; at += (size_t)D)
            for (int i = 0; i < D; i++) {
                const exact *angle = table + pos[at / (size_t)(heads * D)] * 2 * half;
                const real *v = x + at;
                if (at / (size_t)D % (size_t)heads >= (size_t)rotated) want[at + (size_t)i] += (double)v[i];
                else if (i < half)     want[at + (size_t)i] += (double)v[i] * (double)angle[i] - sign * (double)v[i + half] * (double)angle[half + i];
                else if (i < 2 * half) want[at + (size_t)i] += (double)v[i] * (double)angle[i - half] + sign * (double)v[i - half] * (double)angle[i];
                else                   want[at + (size_t)i] += (double)v[i];
            }
        k->rope(y, add, x, table, pos, inverse, rows, heads, rotated, D, 2 * half);
        expect("rope", y, want, n, TOLERANCE);
        if (!add) k->rope(x, false, x, table, pos, inverse, rows, heads, rotated, D, 2 * half), expect_same("rope in place", x, y, n);
    }
}

/* ---- loss -------------------------------------------------------------------------------- */

static void cross_entropy(const kernels *k)
{
    static const int vocabs[] = { 1, 2, 77, 1000, 50257 };
    for (int v = 0; v < 5; v++) EACH_FLAG(weighted) {
        int rows = v == 4 ? 3 : size_up_to(70), vocab = vocabs[v], *wanted = indices((size_t)rows, vocab);
        size_t n = (size_t)rows * (size_t)vocab;
        real *x = filled(n, 10), *weight = weighted ? filled((size_t)rows, 1) : NULL, scale = (real)0.37;
        if (weighted) weight[0] = 0, wanted[0] = -100;
        exact *loss = blank((size_t)rows), *again = blank((size_t)rows);
        double *want_loss = doubles(NULL, (size_t)rows), *want = doubles(NULL, n);
        for (int r = 0; r < rows; r++) {
            double max = -INFINITY, sum = 0, w = weighted ? (double)weight[r] : 1;
            const real *row = x + (size_t)r * (size_t)vocab;
            for (int i = 0; i < vocab; i++) max = fmax(max, (double)row[i]);
            for (int i = 0; i < vocab; i++) sum += exp((double)row[i] - max);
            if (w != 0) want_loss[r] = w * (max + log(sum) - (double)row[wanted[r]]);
            for (int i = 0; i < vocab; i++)
                want[(size_t)r * (size_t)vocab + (size_t)i] = (double)scale * w * (exp((double)row[i] - max) / sum - (i == wanted[r]));
        }
        real *before = copy_of(x, n);
        k->cross_entropy(x, again, wanted, weight, false, scale, rows, vocab);
        expect_same("logits only read", x, before, n);
        k->cross_entropy(x, loss, wanted, weight, true, scale, rows, vocab);
        expect_same("loss with and without backward", loss, again, (size_t)rows);
        if (vocab > 1) expect("cross_entropy", loss, want_loss, (size_t)rows, TOLERANCE);
        if (vocab > 1) expect("cross_entropy, gradient", x, want, n, TOLERANCE);
    }
}

/* ---- parameters -------------------------------------------------------------------------- */

static void adamw(const kernels *k)
{
    for (int step = 1; step < 4; step++) {
        size_t n = (size_t)size_up_to(40000);
        real *w = filled(n, 1), *m = filled(n, 0.1), *v = filled(n, 0.1), *g = filled(n, 1), *start = copy_of(w, n);
        adamw_args a = { .lr = (real)1e-2, .beta1 = (real)0.9, .beta2 = (real)0.95, .eps = (real)1e-8, .weight_decay = (real)0.1, .scale = (real)0.5 };
        a.correction1 = (real)(1 - pow((double)a.beta1, step));
        a.correction2 = (real)(1 - pow((double)a.beta2, step));
        for (size_t i = 0; i < n; i++) v[i] *= v[i];
        double *want_w = doubles(w, n), *want_m = doubles(m, n), *want_v = doubles(v, n);
        for (size_t i = 0; i < n; i++) {
            double d = (double)g[i] * (double)a.scale;
            want_m[i] += (1 - (double)a.beta1) * (d - want_m[i]);
            want_v[i] += (1 - (double)a.beta2) * (d * d - want_v[i]);
            double u = want_m[i] / (double)a.correction1 / (sqrt(want_v[i] / (double)a.correction2) + (double)a.eps);
            want_w[i] = -(double)a.lr * (u + (double)a.weight_decay * want_w[i]);
        }
        k->adamw(w, m, v, g, n, &a);
        for (size_t i = 0; i < n; i++) want_w[i] += (double)start[i];
        expect("adamw", w, want_w, n, TOLERANCE / 10);
        expect("adamw, m", m, want_m, n, TOLERANCE);
        expect("adamw, v", v, want_v, n, TOLERANCE);
    }
}

static void sum_of_squares(const kernels *k)
{
    for (int i = 0; i < 6; i++) {
        size_t n = i ? (size_t)size_up_to(200000) : 5000000;
        real *x = filled(n, 1), *y = blank(n + 100);
        double want = 0;
        for (size_t j = 0; j < n; j++) want += (double)x[j] * (double)x[j];
        double got = k->sum_of_squares(x, n);
        real rounded = (real)got;
        expect("sum_of_squares", &rounded, &want, 1, sizeof(real) == 8 ? 1e-12 : 1e-7);
        for (size_t j = 0; j < n + 100; j++) y[j] = j < n ? x[j] : 0;
        CHECK_MSG(k->sum_of_squares(y, n + 100) == got, "zeros after change the sum of %zu squares at %s", n, k->name);
        x[n - 1] = (real)NAN;
        CHECK(isnan(k->sum_of_squares(x, n)));
        x[n - 1] = (real)INFINITY;
        CHECK(isinf(k->sum_of_squares(x, n)));
    }
}

/* ---- the law of order -------------------------------------------------------------------- */

/* A row computed alone has the bytes it has among others. */
static void rows_alone(const kernels *k)
{
    enum { ROWS = 40, WIDTH = 333, N = ROWS * WIDTH };
    real *x = filled(N, 3), *dy = filled(N, 1), *y = blank(N), *dx = blank(N), *y1 = blank(WIDTH), *dx1 = blank(WIDTH);
    exact *stat = blank(ROWS), *stat2 = blank(ROWS), *one = blank(1), *two = blank(1);
    for (int r = 0; r < ROWS; r += 13) {
        const real *xr = x + r * WIDTH, *dyr = dy + r * WIDTH;
        for (theta_kind kind = THETA_L2_GELU; kind <= THETA_SOFTMAX; kind++) {
            k->theta(y, stat, x, kind, WIDTH, ROWS, WIDTH);
            k->theta_backward(dx, dy, x, stat, kind, WIDTH, ROWS, WIDTH);
            k->theta(y1, one, xr, kind, WIDTH, 1, WIDTH);
            k->theta_backward(dx1, dyr, xr, one, kind, WIDTH, 1, WIDTH);
            expect_same("theta of a row alone", y1, y + r * WIDTH, WIDTH);
            expect_same("theta_backward of a row alone", dx1, dx + r * WIDTH, WIDTH);
        }
        k->layer_norm(y, stat, stat2, x, NULL, NULL, (real)1e-5, ROWS, WIDTH);
        k->layer_norm_backward(dx, false, NULL, NULL, false, dy, x, NULL, stat, stat2, ROWS, WIDTH);
        k->layer_norm(y1, one, two, xr, NULL, NULL, (real)1e-5, 1, WIDTH);
        k->layer_norm_backward(dx1, false, NULL, NULL, false, dyr, xr, NULL, one, two, 1, WIDTH);
        expect_same("layer_norm of a row alone", y1, y + r * WIDTH, WIDTH);
        expect_same("layer_norm_backward of a row alone", dx1, dx + r * WIDTH, WIDTH);
        k->rms_norm(y, stat, x, NULL, (real)1e-5, ROWS, WIDTH);
        k->rms_norm(y1, one, xr, NULL, (real)1e-5, 1, WIDTH);
        expect_same("rms_norm of a row alone", y1, y + r * WIDTH, WIDTH);
    }
}

/* Slots whose scores are 0, after the others and with their tau kept, change nothing:
 * what growing a Pattention relies on. */
static void zeros_after(const kernels *k)
{
    for (int i = 0; i < 8; i++) {
        int n = size_up_to(900), more = n + 1 + below(300);
        real *a = filled((size_t)n, 2), *ds = filled((size_t)n, 1), *s = blank((size_t)n), *da = blank((size_t)n);
        real *a2 = filled((size_t)more, 0), *ds2 = filled((size_t)more, 1), *s2 = blank((size_t)more), *da2 = blank((size_t)more);
        exact *stat = blank(1), *stat2 = blank(1);
        memcpy(a2, a, (size_t)n * sizeof *a);
        memcpy(ds2, ds, (size_t)n * sizeof *ds);
        for (theta_kind kind = THETA_L2_GELU; kind <= THETA_GELU_L2; kind++) {
            k->theta(s, stat, a, kind, (real)n, 1, n);
            k->theta(s2, stat2, a2, kind, (real)n, 1, more);
            k->theta_backward(da, ds, a, stat, kind, (real)n, 1, n);
            k->theta_backward(da2, ds2, a2, stat2, kind, (real)n, 1, more);
            expect_same("theta before zeros", s2, s, (size_t)n);
            expect_same("theta_backward before zeros", da2, da, (size_t)n);
            for (int j = n; j < more; j++) CHECK(s2[j] == 0);
        }
    }
}

/* ---- all of them, at every level --------------------------------------------------------- */

typedef void (*subject)(const kernels *k);
static const char *const levels[] = { KERNEL_WIDTHS(KERNEL_NAME, ) };

static void at_every_level(subject body)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const kernels *k = kernels_level(levels[i]);
        if (!k) continue;
        check_begin(k);
        body(k);
        check_end();
    }
}

#define AT_EVERY_LEVEL(body) static void test_##body(void) { at_every_level(body); }
AT_EVERY_LEVEL(gather) AT_EVERY_LEVEL(stored_rows) AT_EVERY_LEVEL(scatter) AT_EVERY_LEVEL(put_rows) AT_EVERY_LEVEL(dropout) AT_EVERY_LEVEL(copy_and_sum)
AT_EVERY_LEVEL(activations) AT_EVERY_LEVEL(gated) AT_EVERY_LEVEL(activation_limits) AT_EVERY_LEVEL(norms) AT_EVERY_LEVEL(rope)
AT_EVERY_LEVEL(series_branches) AT_EVERY_LEVEL(series_is_the_activation) AT_EVERY_LEVEL(series_identities) AT_EVERY_LEVEL(multiples)
AT_EVERY_LEVEL(theta) AT_EVERY_LEVEL(theta_identities) AT_EVERY_LEVEL(cross_entropy) AT_EVERY_LEVEL(adamw) AT_EVERY_LEVEL(sum_of_squares)
AT_EVERY_LEVEL(attention_forward) AT_EVERY_LEVEL(attention_gradient) AT_EVERY_LEVEL(attention_decoding) AT_EVERY_LEVEL(attention_dropout)
AT_EVERY_LEVEL(attention_near) AT_EVERY_LEVEL(attention_near_gradient) AT_EVERY_LEVEL(attention_shaped) AT_EVERY_LEVEL(attention_company)
AT_EVERY_LEVEL(shifts) AT_EVERY_LEVEL(averages) AT_EVERY_LEVEL(averages_go_on) AT_EVERY_LEVEL(scans) AT_EVERY_LEVEL(scans_go_on)
AT_EVERY_LEVEL(scans_by_differences) AT_EVERY_LEVEL(scans_of_shapes) AT_EVERY_LEVEL(windows_are_the_whole) AT_EVERY_LEVEL(heads_of_shapes) AT_EVERY_LEVEL(mixtures_of_shapes)
AT_EVERY_LEVEL(gradients_by_differences) AT_EVERY_LEVEL(rows_alone) AT_EVERY_LEVEL(zeros_after)
AT_EVERY_LEVEL(pools) AT_EVERY_LEVEL(correct_and_largest) AT_EVERY_LEVEL(squared_errors)

static void same_bytes_for_any_threads(const kernels *k)
{
    static const subject all[] = { gather, stored_rows, scatter, dropout, copy_and_sum, activations, gated, series_branches, multiples, norms, rope, theta, cross_entropy,
                                   adamw, sum_of_squares, attention_forward, attention_gradient, attention_dropout, attention_near, attention_near_gradient, attention_shaped,
                                   shifts, averages, scans, scans_of_shapes, windows_are_the_whole, heads_of_shapes, mixtures_of_shapes,
                                   pools, correct_and_largest, squared_errors };
    if (k == kernels_level("ref")) return;                  /* which has no threads */
    int step = k == kernels_level("avx512") ? 1 : 2;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t first = 0;
        for (int threads = 1; threads <= 4; threads += step) {
            threads_set(threads);
            check_begin(k);
            all[i](k);
            uint64_t digest = check_end();
            if (threads == 1) first = digest;
            CHECK_MSG(digest == first, "kernel test %zu at %s gives other bytes with %d threads", i, k->name, threads);
        }
    }
    threads_set(0);
    check_begin(k);
}
AT_EVERY_LEVEL(same_bytes_for_any_threads)

const test tests_kernels[] = {
    { "kernels: gather", test_gather }, { "kernels: rows as they are stored", test_stored_rows }, { "kernels: scatter", test_scatter }, { "kernels: put_rows", test_put_rows },
    { "kernels: dropout", test_dropout }, { "kernels: copy and sum", test_copy_and_sum }, { "kernels: activations", test_activations },
    { "kernels: gated linear units", test_gated }, { "kernels: activations far out", test_activation_limits },
    { "kernels: series", test_series_branches }, { "kernels: series and the plain activation", test_series_is_the_activation },
    { "kernels: series' identities", test_series_identities }, { "kernels: multiples", test_multiples },
    { "kernels: norms", test_norms }, { "kernels: rope", test_rope }, { "kernels: theta", test_theta },
    { "kernels: theta's identities", test_theta_identities }, { "kernels: cross-entropy", test_cross_entropy },
    { "kernels: adamw", test_adamw }, { "kernels: sum of squares", test_sum_of_squares },
    { "kernels: attention", test_attention_forward }, { "kernels: attention's gradient", test_attention_gradient },
    { "kernels: decoding equals the full pass", test_attention_decoding }, { "kernels: attention with dropout", test_attention_dropout },
    { "kernels: attention with ALiBi and windows", test_attention_near }, { "kernels: their gradient", test_attention_near_gradient },
    { "kernels: attention with learned biases or a cap, and its gradient", test_attention_shaped },
    { "kernels: attention's neighbours in a batch", test_attention_company },
    { "kernels: token shift", test_shifts }, { "kernels: wkv4", test_averages }, { "kernels: wkv4 goes on from a state", test_averages_go_on },
    { "kernels: wkv7", test_scans }, { "kernels: wkv7 goes on from a state", test_scans_go_on },
    { "kernels: scans, with states, by differences", test_scans_by_differences }, { "kernels: scans of all shapes", test_scans_of_shapes },
    { "kernels: heads before and after a scan", test_heads_of_shapes }, { "kernels: mixtures of rows", test_mixtures_of_shapes },
    { "kernels: windows that pass their states are the whole", test_windows_are_the_whole },
    { "kernels: one row for each sequence", test_pools }, { "kernels: correct targets and the largest", test_correct_and_largest },
    { "kernels: squared errors", test_squared_errors },
    { "kernels: a row alone", test_rows_alone }, { "kernels: zeros after", test_zeros_after },
    { "kernels: same bytes for any number of threads", test_same_bytes_for_any_threads },
    { "kernels: gradients by central differences", test_gradients_by_differences },
    { 0 }
};

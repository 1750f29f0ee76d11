/* Pattention.  Wang et al. 2024, "TokenFormer", section 3.2: tokens attend to
 * parameter tokens.  With raw scores A = X K', S = Theta(A) row-wise over the
 * slots, O = S V:
 *   dV = S' dO,  dS = dO V',  dA from dS by Theta,  dK = dA' X,  dX = dA K.
 * Rows are computed in tiles, so S never exists for a whole batch.  While
 * training, A is kept when it is small beside the other activations; a wide
 * (grown) Pattention recomputes it, one more product for 1/n of the memory. */
#include "ops/observe.h"
#include "ops/ops.h"
#include <math.h>
#include <stdlib.h>

enum { X, KEYS, VALUES, RESIDUAL };
enum { TILE = 256 };                                    /* constant: the sums of dK and dV have one order */
enum { KEEP_RATIO = 4 };                                /* scores are kept up to this many times the input's width */
enum { THETA, KEPT };

typedef struct { int rows, in, out, slots; } sizes;
static sizes sizes_of(const node *n) { return (sizes){ live_rows(n->out[0]), n->in[X]->width, n->out[0]->width, n->in[KEYS]->rows }; }

/* A tile's raw scores (m, slots). */
static void raw_scores(const node *n, const kernels *k, const real *x, int m, real *a)
{
    sizes z = sizes_of(n);
    k->gemm(&(gemm_args){ .M = m, .N = z.slots, .K = z.in, .type = compute(n), .a = x, .lda = (size_t)z.in,
                          .b = in_stored(n, KEYS), .ldb = (size_t)z.in, .tb = true, .packed = packed_weight(n, n->in[KEYS], true),
                          .c = a, .ldc = (size_t)z.slots });
}

static void forward(const node *n, const kernels *k)
{
    sizes z = sizes_of(n);
    real *s = work_data(n), *kept = n->out[1] ? n->out[1]->data : NULL;
    exact *stat = save_data(n, 0);
    int tile = n->out[0]->rows < TILE ? n->out[0]->rows : TILE;
    exact *own_stat = stat ? NULL : (exact *)(s + (size_t)tile * (size_t)z.slots);         /* scoring: after the tile */
    for (int r = 0; r < z.rows; r += TILE) {
        int m = z.rows - r < TILE ? z.rows - r : TILE;
        real *a = kept ? kept + (size_t)r * (size_t)z.slots : s;
        raw_scores(n, k, in_data(n, X) + (size_t)r * (size_t)z.in, m, a);
        k->theta(s, stat ? stat + r : own_stat, a, (theta_kind)n->i[THETA], n->f[0], m, z.slots);
        const real *residual = in_data(n, RESIDUAL);
        k->gemm(&(gemm_args){ .M = m, .N = z.out, .K = z.slots, .type = compute(n), .a = s, .lda = (size_t)z.slots,
                              .b = in_stored(n, VALUES), .ldb = (size_t)z.out, .packed = packed_weight(n, n->in[VALUES], false),
                              .c = out_data(n, 0) + (size_t)r * (size_t)z.out, .ldc = (size_t)z.out,
                              .residual = residual ? residual + (size_t)r * (size_t)z.out : NULL, .ldr = (size_t)z.out });
    }
}

static void backward(const node *n, const kernels *k)
{
    sizes z = sizes_of(n);
    theta_kind theta = (theta_kind)n->i[THETA];
    bool join_x, join_keys, join_values, join;
    const real *d_o = grad_out(n, 0);
    real *dresidual = n->in[RESIDUAL] ? grad_in(n, RESIDUAL, &join) : NULL;
    if (dresidual) k->copy(dresidual, join, d_o, (size_t)z.rows * (size_t)z.out);
    real *dx = grad_in(n, X, &join_x), *dk = grad_in(n, KEYS, &join_keys), *dv = grad_in(n, VALUES, &join_values);

    size_t tile = (size_t)TILE * (size_t)z.slots;
    real *s = work_data(n), *ds = s + tile, *made = ds + tile;
    for (int r = 0; r == 0 || r < z.rows; r += TILE) {       /* once even without rows, so that gradients become zero */
        int m = z.rows - r < TILE ? z.rows - r : TILE;
        const real *x = in_data(n, X) + (size_t)r * (size_t)z.in, *d = d_o + (size_t)r * (size_t)z.out;
        const real *a = n->i[KEPT] ? out_data(n, 1) + (size_t)r * (size_t)z.slots : made;
        exact *stat = save_data(n, 0) + r;
        if (!n->i[KEPT]) raw_scores(n, k, x, m, made);
        if (dv) {
            k->theta(s, stat, a, theta, n->f[0], m, z.slots);
            k->gemm(&(gemm_args){ .M = z.slots, .N = z.out, .K = m, .type = compute(n), .add = join_values || r, .a = s, .lda = (size_t)z.slots, .ta = true,
                                  .b.data = d, .ldb = (size_t)z.out, .c = dv, .ldc = (size_t)z.out });
        }
        if (!dk && !dx) continue;
        k->gemm(&(gemm_args){ .M = m, .N = z.slots, .K = z.out, .type = compute(n), .a = d, .lda = (size_t)z.out,
                              .b = in_stored(n, VALUES), .ldb = (size_t)z.out, .tb = true, .packed = packed_weight(n, n->in[VALUES], true),
                              .c = ds, .ldc = (size_t)z.slots });
        k->theta_backward(ds, ds, a, stat, theta, n->f[0], m, z.slots);
        if (dk) k->gemm(&(gemm_args){ .M = z.slots, .N = z.in, .K = m, .type = compute(n), .add = join_keys || r, .a = ds, .lda = (size_t)z.slots, .ta = true,
                                      .b.data = x, .ldb = (size_t)z.in, .c = dk, .ldc = (size_t)z.in });
        if (dx) k->gemm(&(gemm_args){ .M = m, .N = z.in, .K = z.slots, .type = compute(n), .add = join_x, .a = ds, .lda = (size_t)z.slots,
                                      .b = in_stored(n, KEYS), .ldb = (size_t)z.in, .packed = packed_weight(n, n->in[KEYS], false),
                                      .c = dx + (size_t)r * (size_t)z.in, .ldc = (size_t)z.in });
    }
}

static double flops(const node *n)
{
    return 2.0 * capacity_rows(n->out[0]) * n->in[KEYS]->rows * (n->in[X]->width + n->out[0]->width);
}

static const op op_pattention = { .name = "pattention", .weights = IN(KEYS) | IN(VALUES), .forward = forward, .backward = backward,
                                  .reads = IN(X) | IN(KEYS) | IN(VALUES) | OUT(1) | SAVE(0), .flops = flops };

tensor *pattention(graph *g, tensor *x, tensor *keys, tensor *values, pattention_options o)
{
    if (!graph_ok(g)) return NULL;
    int slots = keys->rows;
    require(g, keys->width == x->width, "pattention: keys are %d wide, their input %d", keys->width, x->width);
    require(g, values->rows == slots, "pattention: %d keys for %d values", slots, values->rows);
    require(g, !o.residual || o.residual->width == values->width, "pattention: the residual is %d wide, the output %d",
            o.residual ? o.residual->width : 0, values->width);
    node *n = append(g, &op_pattention, (tensor *[]){ x, keys, values, o.residual }, 4);
    if (!n) return NULL;
    n->i[THETA] = (int)o.theta;
    n->f[0] = (real)(o.tau2 > 0 ? o.tau2 : slots);
    save(n, 0, x->space, 1);                                /* the row's norm (or log-sum-exp) */
    pack(n, keys, true, x->width, slots);
    pack(n, values, false, slots, values->width);
    if (training(g)) {
        pack(n, keys, false, slots, x->width);
        pack(n, values, true, values->width, slots);
    }
    tensor *y = output(n, 0, x->space, x->rows, values->width);
    n->i[KEPT] = training(g) && slots <= KEEP_RATIO * x->width;
    if (n->i[KEPT]) output(n, 1, x->space, x->rows, slots);
    int stat_rows = (TILE + slots - 1) / slots;
    workspace(n, training(g) ? (n->i[KEPT] ? 2 : 3) * TILE : (x->rows < TILE ? x->rows : TILE) + stat_rows, slots);
    return y;
}

/* ---- the use of slots ---- */

int pattention_slots(const node *n) { return n->op == &op_pattention ? n->in[KEYS]->rows : 0; }
const char *pattention_name(const node *n) { return n->in[KEYS]->name; }

/* Adds the absolute weights of all rows to sum (slots). */
static void add_weights(const node *n, const kernels *k, double *sum)
{
    sizes z = sizes_of(n);
    real *s = work_data(n);
    int tile = n->out[0]->rows < TILE ? n->out[0]->rows : TILE;
    exact *stat = (exact *)(s + (size_t)tile * (size_t)z.slots);
    for (int r = 0; r < z.rows; r += TILE) {
        int m = z.rows - r < TILE ? z.rows - r : TILE;
        raw_scores(n, k, in_data(n, X) + (size_t)r * (size_t)z.in, m, s);
        k->theta(s, stat, s, (theta_kind)n->i[THETA], n->f[0], m, z.slots);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < z.slots; j++) sum[j] += fabs((double)s[(size_t)i * (size_t)z.slots + (size_t)j]);
    }
}

bool pattention_use(const node *n, const kernels *k, double *use)
{
    sizes z = sizes_of(n);
    const tensor *values = n->in[VALUES];
    double *sum = xalloc((size_t)z.slots + 1, sizeof *sum);
    real *row = xalloc((size_t)z.out + 1, sizeof *row);
    if (sum && row) add_weights(n, k, sum);
    for (int j = 0; sum && row && j < z.slots; j++) {
        double squares = 0;
        if (values->param) weight_read(&values->param->weight, (size_t)j * (size_t)z.out, (size_t)z.out, row);
        const real *v = values->param ? row : values->data + (size_t)j * (size_t)z.out;
        for (int c = 0; c < z.out; c++) squares += (double)v[c] * (double)v[c];
        use[j] += sum[j] * sqrt(squares);
    }
    bool there = sum && row;
    free(sum);
    free(row);
    return there;
}

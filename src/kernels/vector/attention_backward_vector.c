/* The backward of attention (equations in ref/attention_ref.c).  A task is a key head of
 * a sequence.  For each block of keys, K^T and V^T are laid out once and used for all tiles
 * of queries that attend to it; p is recomputed from the stored log-sum-exp:
 *
 *     S = Q K^T,  P = exp(scale S - slope |p - j| - lse),  D = dO V^T,  dS = scale P (m D - delta)
 *     dV += (m P)^T dO,  dK += dS^T Q,  dQ += dS K
 *
 * A capped score has the slope 1 - (score / cap)^2, a factor of dS.  Learned biases get dS / scale, and one
 * task goes through all sequences of a key head, in their order.
 * dK and dV of the block stay in scratch; dQ is added to block after block. */
#include "kernels/vector/attention_tile.h"
#include "kernels/vector/vector.h"
#include <string.h>

typedef struct {
    const attention_args *a;
    int row0, rows, kv_head;                    /* the sequence's first row and their number */
    size_t width;                               /* head_dim in whole registers */
    /* (head_dim, TILE) twice, (TILE queries, TILE keys) twice, (TILE, width) twice */
    float *kt, *vt, *p, *ds, *dk, *dv;
    int key, keys;                              /* the block */
    tile_mode mode;                             /* of dk and dv: FRESH for the first tile of a block */
    edges sees, seen;                           /* where a mask cuts a tile: keys of a query, queries of a key */
} gradient;

static const float ramp[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void open_gradient(gradient *g, const attention_args *a, int task)
{
    int seq = task / a->kv_heads;
    *g = (gradient){ .a = a, .row0 = a->start[seq], .rows = a->start[seq + 1] - a->start[seq], .kv_head = task % a->kv_heads };
    g->width = (size_t)pieces((size_t)a->head_dim, VW) * VW;
    g->kt = thread_scratch();
    g->vt = g->kt + a->head_dim * TILE;
    g->p = g->vt + a->head_dim * TILE;
    g->ds = g->p + TILE * TILE;
    g->dk = g->ds + TILE * TILE;
    g->dv = g->dk + TILE * g->width;
}

static float row_dot(const float *x, const float *y, int n)
{
    vec sum = vzero();
    for (int i = 0; i < n; i += VW) sum = vfma(vload_n(x + i, n - i), vload_n(y + i, n - i), sum);
    return vsum(sum);
}

static void store_delta(const gradient *g)
{
    const attention_args *a = g->a;
    int group = a->heads / a->kv_heads;
    for (int r = g->row0; r < g->row0 + g->rows; r++)
        for (int h = g->kv_head * group; h < (g->kv_head + 1) * group; h++) {
            size_t at = (size_t)r * a->o_stride + (size_t)h * (size_t)a->head_dim;
            a->delta[(size_t)r * (size_t)a->heads + (size_t)h] = row_dot(a->o + at, a->d_o + at, a->head_dim);
        }
}

static void open_block(gradient *g, int key)
{
    const attention_args *a = g->a;
    const float *k[TILE], *v[TILE];
    g->key = key;
    g->keys = lesser(TILE, g->rows - key);
    g->mode = FRESH;
    for (int j = 0; j < g->keys; j++) {
        size_t row = (size_t)(g->row0 + key + j), column = (size_t)g->kv_head * (size_t)a->head_dim;
        k[j] = (const float *)a->k.data + row * a->k_stride + column;
        v[j] = (const float *)a->v.data + row * a->v_stride + column;
    }
    transpose_tile(g->kt, k, g->keys, a->head_dim);
    transpose_tile(g->vt, v, g->keys, a->head_dim);
}

static bool find_edges(gradient *g, int first, int n)
{
    for (int i = 0; i < n; i++) {
        g->sees.from[i] = first_key(g->a, first + i) - g->key;
        g->sees.until[i] = last_key(g->a, first + i, g->rows) - g->key + 1;
    }
    if (g->sees.from[n - 1] <= 0 && g->sees.until[0] >= g->keys) return false;
    turn_edges(&g->seen, g->keys, &g->sees, n);
    return true;
}

INLINE vec first_lanes(int n, vec yes, vec no) { return vselect(vtail(n > 0 ? n : 0), yes, no); }

/* From S to the exponent of P, with a learned bias or a cap; *slope: of a capped score. */
INLINE vec shaped(const attention_args *a, vec s, const float *bias, int left, vec lse, vec *slope)
{
    vec x = vmul(s, vset1(a->scale)), cap = vset1(a->cap);
    *slope = vset1(1);
    if (bias) return vsub(vadd(x, vload_n(bias, left)), lse);
    vec part = vtanh(vmul(x, vset1(1 / a->cap)));
    *slope = vfnma(part, part, vset1(1));
    return vfma(cap, part, vneg(lse));
}

/* From S to m P (in p) and from D to dS, of one query: row r of the sequence, i of the tile. */
static void score_row(const gradient *g, int r, int i, int head)
{
    const attention_args *a = g->a;
    size_t stat = (size_t)(g->row0 + r) * (size_t)a->heads + (size_t)head;
    vec scale = vset1(a->scale), lse = vset1(a->lse[stat]), delta = vset1(a->delta[stat]), kept = vset1(1 / (1 - a->dropout));
    uint64_t key = a->dropout > 0 ? attention_key(a, g->row0 + r, head) : 0, least = keep_from(a->dropout);
    vec slope = vset1(a->alibi ? a->alibi[head] : 0), at = vsub(vset1((float)(r - g->key)), vload(ramp));
    const size_t biases = (size_t)head * (size_t)(2 * a->reach + 1) + (size_t)(a->reach + g->key - r);
    const bool is_shaped = a->bias || a->cap > 0;
    int from = first_key(a, r) - g->key, until = lesser(g->keys, last_key(a, r, g->rows) - g->key + 1);
    for (int j = 0; j < g->keys; j += VW) {
        float *p_at = g->p + i * TILE + j, *ds_at = g->ds + i * TILE + j;
        vec rise = vset1(1), s = is_shaped ? shaped(a, vload(p_at), a->bias ? a->bias + biases + j : NULL, g->keys - j, lse, &rise) : vfma(vload(p_at), scale, vneg(lse));
        if (a->alibi) s = vfnma(slope, vabs(vsub(at, vset1((float)j))), s);
        vec p = first_lanes(until - j, first_lanes(from - j, vzero(), vexp(s)), vzero());
        vec d = vload(ds_at), mp = p;
        if (a->dropout > 0) {
            vec m = vselect(keep_run(key, (uint64_t)(g->key + j), least), kept, vzero());
            mp = vmul(p, m);
            d = vmul(d, m);
        }
        vstore(p_at, mp);
        d = vmul(vmul(is_shaped ? vmul(scale, rise) : scale, p), vsub(d, delta));
        d = first_lanes(until - j, first_lanes(from - j, vzero(), d), vzero());
        vstore(ds_at, d);
        if (a->dbias) vstore_add(a->dbias + biases + j, g->keys - j, true, vmul(d, vset1(1 / a->scale)));
    }
}

/* Queries first .. first+n-1 of the sequence under one head. */
static void query_tile(gradient *g, int first, int head)
{
    const attention_args *a = g->a;
    int n = lesser(TILE, g->rows - first), D = a->head_dim;
    size_t row = (size_t)(g->row0 + first), column = (size_t)head * (size_t)D;
    const float *q = a->q + row * a->q_stride + column, *d_o = a->d_o + row * a->o_stride + column;
    const float *k = (const float *)a->k.data + (size_t)(g->row0 + g->key) * a->k_stride + (size_t)g->kv_head * (size_t)D;
    bool masked = find_edges(g, first, n);
    const edges *sees = masked ? &g->sees : NULL, *seen = masked ? &g->seen : NULL;
    product_part((tile_product){ .M = n, .N = g->keys, .K = D, .a = q, .a_row = a->q_stride, .a_col = 1,
                                 .b = g->kt, .ldb = TILE, .c = g->p, .ldc = TILE }, COLUMNS, sees);
    product_part((tile_product){ .M = n, .N = g->keys, .K = D, .a = d_o, .a_row = a->o_stride, .a_col = 1,
                                 .b = g->vt, .ldb = TILE, .c = g->ds, .ldc = TILE }, COLUMNS, sees);
    for (int i = 0; i < n; i++) score_row(g, first + i, i, head);
    product_part((tile_product){ .M = g->keys, .N = D, .K = n, .a = g->p, .a_row = 1, .a_col = TILE,
                                 .b = d_o, .ldb = a->o_stride, .c = g->dv, .ldc = g->width, .mode = g->mode }, TERMS, seen);
    product_part((tile_product){ .M = g->keys, .N = D, .K = n, .a = g->ds, .a_row = 1, .a_col = TILE,
                                 .b = q, .ldb = a->q_stride, .c = g->dk, .ldc = g->width, .mode = g->mode }, TERMS, seen);
    product_part((tile_product){ .M = n, .N = D, .K = g->keys, .a = g->ds, .a_row = TILE, .a_col = 1, .b = k, .ldb = a->k_stride,
                                 .c = a->dq + row * a->q_stride + column, .ldc = a->q_stride,
                                 .mode = g->key > first_key(a, first) / TILE * TILE || a->add_dq ? JOIN : FRESH }, TERMS, sees);
    g->mode = JOIN;
}

static void close_block(const gradient *g)
{
    const attention_args *a = g->a;
    for (int j = 0; j < g->keys; j++) {
        size_t row = (size_t)(g->row0 + g->key + j), column = (size_t)g->kv_head * (size_t)a->head_dim, from = (size_t)j * g->width;
        for (int i = 0; i < a->head_dim; i += VW) {
            vstore_add(a->dk + row * a->k_stride + column + i, a->head_dim - i, a->add_dk, vload(g->dk + from + i));
            vstore_add(a->dv + row * a->v_stride + column + i, a->head_dim - i, a->add_dv, vload(g->dv + from + i));
        }
    }
}

/* The tiles of queries that attend to keys of the block; like blocks they begin at multiples of TILE. */
static int first_tile(const gradient *g) { return g->a->causal ? g->key : first_key(g->a, g->key) / TILE * TILE; }
static int last_query(const gradient *g)
{
    int last_of_block = g->key + g->keys - 1, w = g->a->window;
    return w > 0 && g->rows - 1 - last_of_block > w ? last_of_block + w : g->rows - 1;
}

static void differentiate(const attention_args *a, int task)
{
    gradient g;
    open_gradient(&g, a, task);
    store_delta(&g);
    int group = a->heads / a->kv_heads;
    for (int key = 0; key < g.rows; key += TILE) {
        open_block(&g, key);
        for (int h = g.kv_head * group; h < (g.kv_head + 1) * group; h++)
            for (int first = first_tile(&g); first <= last_query(&g); first += TILE) query_tile(&g, first, h);
        close_block(&g);
    }
}

static void each_sequence(void *context, int task) { differentiate(context, task); }

/* Of a key head, all sequences. */
static void each_head(void *context, int kv_head)
{
    const attention_args *a = context;
    size_t count = (size_t)(a->heads / a->kv_heads) * (size_t)(2 * a->reach + 1);
    if (!a->add_dbias) memset(a->dbias + (size_t)kv_head * count, 0, count * sizeof *a->dbias);
    for (int s = 0; s < a->seqs; s++) differentiate(a, s * a->kv_heads + kv_head);
}

void LEVEL(attention_backward)(const attention_args *a)
{
    attention_args copy = *a;
    if (a->head_dim > HEAD_DIM_MAX) { ref_attention_backward(a); return; }
    if (a->dbias) parallel_for(a->kv_heads, each_head, &copy);
    else parallel_for(a->seqs * a->kv_heads, each_sequence, &copy);
}

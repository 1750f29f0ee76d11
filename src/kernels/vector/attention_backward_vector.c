/* Attention's backward (equations in ref/attention_ref.c).  A task is a key head of
 * a sequence.  For each block of keys, with K^T and V^T laid out once, all tiles
 * of queries that see it, p anew from the stored log-sum-exp:
 *
 *     S = Q K^T,  P = exp(scale S - lse),  D = dO V^T,  dS = scale P (m D - delta)
 *     dV += (m P)^T dO,  dK += dS^T Q,  dQ += dS K
 *
 * dK and dV of the block stay in scratch; dQ is added to block after block. */
#include "kernels/vector/attention_tile.h"
#include "kernels/vector/vector.h"

typedef struct {
    const attention_args *a;
    int row0, rows, kv_head;                    /* the sequence's first row and their number */
    size_t width;                               /* head_dim in whole registers */
    float *kt, *vt, *p, *ds, *dk, *dv;          /* (head_dim, TILE) twice, (TILE queries, TILE keys) twice, (TILE, width) twice */
    int key, keys;                              /* the block */
    tile_mode mode;                             /* of dk and dv: FRESH for the first tile of a block */
    int reach[TILE], seen_from[TILE];           /* on the diagonal: keys a query sees, first query that sees a key */
} gradient;

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
        k[j] = a->k + row * a->k_stride + column;
        v[j] = a->v + row * a->v_stride + column;
    }
    for (int i = 0; i < TILE; i++) g->reach[i] = i + 1, g->seen_from[i] = i;       /* tiles of queries begin where blocks of keys do */
    transpose_tile(g->kt, k, g->keys, a->head_dim);
    transpose_tile(g->vt, v, g->keys, a->head_dim);
}

/* From S to m P (in p) and from D to dS, of one query: row r of the sequence, i of the tile. */
static void score_row(const gradient *g, int r, int i, int head)
{
    const attention_args *a = g->a;
    size_t stat = (size_t)(g->row0 + r) * (size_t)a->heads + (size_t)head;
    vec scale = vset1(a->scale), lse = vset1(a->lse[stat]), delta = vset1(a->delta[stat]), kept = vset1(1 / (1 - a->dropout));
    uint64_t key = a->dropout > 0 ? attention_key(a, g->row0 + r, head) : 0, from = keep_from(a->dropout);
    int sees = a->causal ? lesser(g->keys, r - g->key + 1) : g->keys;
    for (int j = 0; j < g->keys; j += VW) {
        float *p_at = g->p + i * TILE + j, *ds_at = g->ds + i * TILE + j;
        vmask seen = vtail(sees > j ? sees - j : 0);
        vec p = vselect(seen, vexp(vfma(vload(p_at), scale, vneg(lse))), vzero());
        vec d = vload(ds_at), mp = p;
        if (a->dropout > 0) {
            vec m = vselect(keep_run(key, (uint64_t)(g->key + j), from), kept, vzero());
            mp = vmul(p, m);
            d = vmul(d, m);
        }
        vstore(p_at, mp);
        vstore(ds_at, vselect(seen, vmul(vmul(scale, p), vsub(d, delta)), vzero()));
    }
}

/* Queries first .. first+n-1 of the sequence under one head. */
static void query_tile(gradient *g, int first, int head)
{
    const attention_args *a = g->a;
    int n = lesser(TILE, g->rows - first), D = a->head_dim;
    size_t row = (size_t)(g->row0 + first), column = (size_t)head * (size_t)D;
    const float *q = a->q + row * a->q_stride + column, *d_o = a->d_o + row * a->o_stride + column;
    const float *k = a->k + (size_t)(g->row0 + g->key) * a->k_stride + (size_t)g->kv_head * (size_t)D;
    const int *reach = a->causal && first == g->key ? g->reach : NULL, *seen_from = reach ? g->seen_from : NULL;
    product_part((tile_product){ .M = n, .N = g->keys, .K = D, .a = q, .a_row = a->q_stride, .a_col = 1,
                                 .b = g->kt, .ldb = TILE, .c = g->p, .ldc = TILE }, COLUMNS_UNTIL, reach);
    product_part((tile_product){ .M = n, .N = g->keys, .K = D, .a = d_o, .a_row = a->o_stride, .a_col = 1,
                                 .b = g->vt, .ldb = TILE, .c = g->ds, .ldc = TILE }, COLUMNS_UNTIL, reach);
    for (int i = 0; i < n; i++) score_row(g, first + i, i, head);
    product_part((tile_product){ .M = g->keys, .N = D, .K = n, .a = g->p, .a_row = 1, .a_col = TILE,
                                 .b = d_o, .ldb = a->o_stride, .c = g->dv, .ldc = g->width, .mode = g->mode }, TERMS_FROM, seen_from);
    product_part((tile_product){ .M = g->keys, .N = D, .K = n, .a = g->ds, .a_row = 1, .a_col = TILE,
                                 .b = q, .ldb = a->q_stride, .c = g->dk, .ldc = g->width, .mode = g->mode }, TERMS_FROM, seen_from);
    product_part((tile_product){ .M = n, .N = D, .K = g->keys, .a = g->ds, .a_row = TILE, .a_col = 1, .b = k, .ldb = a->k_stride,
                                 .c = a->dq + row * a->q_stride + column, .ldc = a->q_stride,
                                 .mode = g->key || a->add_dq ? JOIN : FRESH }, TERMS_UNTIL, reach);
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

static void differentiate(void *context, int task)
{
    const attention_args *a = context;
    gradient g;
    open_gradient(&g, a, task);
    store_delta(&g);
    int group = a->heads / a->kv_heads;
    for (int key = 0; key < g.rows; key += TILE) {
        open_block(&g, key);
        for (int h = g.kv_head * group; h < (g.kv_head + 1) * group; h++)
            for (int first = a->causal ? key : 0; first < g.rows; first += TILE) query_tile(&g, first, h);
        close_block(&g);
    }
}

void LEVEL(attention_backward)(const attention_args *a)
{
    attention_args copy = *a;
    if (a->head_dim > HEAD_DIM_MAX) { ref_attention_backward(a); return; }
    parallel_for(a->seqs * a->kv_heads, differentiate, &copy);
}

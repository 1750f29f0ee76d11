/* Attention (equations in kernels.h), forward.  A task is a tile of up to TILE
 * (query row, head) pairs that share a key head; a lane is such a pair, so the
 * running maximum and sum need nothing from other lanes.  For each block of keys:
 *
 *     S (keys, lanes) = K Q^T;  P = exp(scale S - max);  O (lanes, head_dim) = O exp(old max - max) + P^T V */
#include "kernels/vector/attention_tile.h"
#include "kernels/vector/vector.h"

typedef struct { const attention_args *a; int slots; } work;

typedef struct {
    const attention_args *a;
    int seq, kv_head, first, lanes, keys;       /* first: pair of lane 0; keys: what the last lane sees */
    size_t width;                               /* of a row of out: head_dim in whole registers */
    float *q, *s, *out;                         /* (head_dim, TILE), (TILE keys, TILE lanes), (TILE lanes, width) */
    float max[TILE], sum[TILE], factor[TILE], limit[TILE];      /* limit: the last key a lane sees */
    int reach[TILE], seen_from[TILE];           /* in a block that not all see: keys a lane sees, first lane that sees a key */
    uint64_t key[TILE];
} tile;

static int group_of(const attention_args *a) { return a->heads / a->kv_heads; }
static int row_of(const tile *t, int lane)   { return t->a->start[t->seq] + (t->first + lane) / group_of(t->a); }
static int head_of(const tile *t, int lane)  { return t->kv_head * group_of(t->a) + (t->first + lane) % group_of(t->a); }

/* Tiles are numbered across sequences with one to spare for each, so that a
 * tile's sequence is found by bisection. */
static int first_slot(const attention_args *a, int seq)
{
    return (int)((int64_t)(a->start[seq] - a->start[0]) * group_of(a) / TILE) + seq;
}

static bool find_tile(tile *t, int slot)
{
    const attention_args *a = t->a;
    int low = 0, high = a->seqs;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (first_slot(a, middle) <= slot) low = middle;
        else high = middle;
    }
    int pairs = (a->start[low + 1] - a->start[low]) * group_of(a);
    t->seq = low;
    t->first = (slot - first_slot(a, low)) * TILE;
    t->lanes = lesser(pairs - t->first, TILE);
    return t->lanes > 0;
}

static void open_tile(tile *t)
{
    const attention_args *a = t->a;
    const float *row[TILE];
    int queries = a->start[t->seq + 1] - a->start[t->seq];
    for (int i = 0; i < t->lanes; i++) {
        int r = row_of(t, i), h = head_of(t, i);
        int sees = a->past[t->seq] + (a->causal ? r - a->start[t->seq] + 1 : queries);
        row[i] = a->q + (size_t)r * a->q_stride + (size_t)h * (size_t)a->head_dim;
        t->keys = sees;
        t->limit[i] = (float)(sees - 1);
        t->key[i] = a->dropout > 0 ? attention_key(a, r, h) : 0;
    }
    for (int i = 0; i < TILE; i++) {
        t->max[i] = -INFINITY;
        t->sum[i] = 0;
        if (i >= t->lanes) t->limit[i] = t->limit[t->lanes - 1], t->key[i] = 0;
    }
    t->width = (size_t)pieces((size_t)a->head_dim, VW) * VW;
    t->q = thread_scratch();
    t->s = t->q + a->head_dim * TILE;
    t->out = t->s + TILE * TILE;
    transpose_tile(t->q, row, t->lanes, a->head_dim);
}

static bool find_edges(tile *t, int first, int n)
{
    if ((float)(first + n - 1) <= t->limit[0]) return false;
    for (int i = 0; i < t->lanes; i++) t->reach[i] = (int)t->limit[i] - first + 1;
    for (int j = 0, lane = 0; j < n; j++) {
        while (t->reach[lane] <= j) lane++;
        t->seen_from[j] = lane;
    }
    return true;
}

/* From S to P for the lanes i .. i+VW-1 and the keys first .. first+n-1. */
static void softmax_lanes(tile *t, int i, int first, int n, bool masked)
{
    vec scale = vset1(t->a->scale), before = vload(t->max + i), max = before, sum = vzero();
    vec limit = vsub(vload(t->limit + i), vset1((float)first));
    for (int j = 0; j < n; j++) {
        float *s = t->s + j * TILE + i;
        vec x = vmul(vload(s), scale);
        if (masked) x = vselect(vless(limit, vset1((float)j)), vset1(-INFINITY), x);
        max = vmax(max, x);
        vstore(s, x);
    }
    for (int j = 0; j < n; j++) {
        float *s = t->s + j * TILE + i;
        vec p = vexp(vsub(vload(s), max));
        sum = vadd(sum, p);
        vstore(s, p);
    }
    vec factor = vexp(vsub(before, max));
    vstore(t->max + i, max);
    vstore(t->factor + i, factor);
    vstore(t->sum + i, vfma(vload(t->sum + i), factor, sum));
}

static void drop_lanes(tile *t, int i, int first, int n)
{
    uint64_t from = keep_from(t->a->dropout);
    vec kept = vset1(1 / (1 - t->a->dropout));
    for (int j = 0; j < n; j++) {
        float *p = t->s + j * TILE + i;
        vstore(p, vselect(keep_across(t->key + i, (uint64_t)(first + j), from), vmul(vload(p), kept), vzero()));
    }
}

static void key_block(tile *t, int first)
{
    const attention_args *a = t->a;
    int n = lesser(TILE, t->keys - first);
    bool masked = find_edges(t, first, n);
    size_t row = (size_t)(a->kv_start[t->seq] + first), column = (size_t)t->kv_head * (size_t)a->head_dim;
    product_part((tile_product){ .M = n, .N = t->lanes, .K = a->head_dim, .a = a->k + row * a->k_stride + column, .a_row = a->k_stride,
                                 .a_col = 1, .b = t->q, .ldb = TILE, .c = t->s, .ldc = TILE },
                 COLUMNS_FROM, masked ? t->seen_from : NULL);
    for (int i = 0; i < t->lanes; i += VW) {
        softmax_lanes(t, i, first, n, masked);
        if (a->dropout > 0) drop_lanes(t, i, first, n);
    }
    product_part((tile_product){ .M = t->lanes, .N = a->head_dim, .K = n, .a = t->s, .a_row = 1, .a_col = TILE,
                                 .b = a->v + row * a->v_stride + column, .ldb = a->v_stride, .c = t->out, .ldc = t->width,
                                 .mode = first ? JOIN : FRESH, .factor = t->factor },
                 TERMS_UNTIL, masked ? t->reach : NULL);
}

static void close_tile(const tile *t)
{
    const attention_args *a = t->a;
    for (int lane = 0; lane < t->lanes; lane++) {
        int r = row_of(t, lane), h = head_of(t, lane);
        float *o = a->o + (size_t)r * a->o_stride + (size_t)h * (size_t)a->head_dim;
        vec part = vset1(1 / t->sum[lane]);
        for (int i = 0; i < a->head_dim; i += VW)
            vstore_n(o + i, a->head_dim - i, vmul(vload(t->out + (size_t)lane * t->width + i), part));
        if (a->lse) a->lse[(size_t)r * (size_t)a->heads + (size_t)h] = (float)((double)t->max[lane] + log((double)t->sum[lane]));
    }
}

static void attend(void *context, int task)
{
    const work *w = context;
    tile t = { .a = w->a, .kv_head = task % w->a->kv_heads };
    if (!find_tile(&t, w->slots - 1 - task / w->a->kv_heads)) return;          /* the longest first */
    open_tile(&t);
    for (int first = 0; first < t.keys; first += TILE) key_block(&t, first);
    close_tile(&t);
}

void LEVEL(attention)(const attention_args *a)
{
    work w = { a, first_slot(a, a->seqs) };
    if (a->head_dim > HEAD_DIM_MAX) { ref_attention(a); return; }
    parallel_for(w.slots * a->kv_heads, attend, &w);
}

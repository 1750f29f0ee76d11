/* Attention (equations in kernels.h), forward.  A task is a tile of up to TILE
 * (query row, head) pairs that share a key head; a lane is such a pair, so the
 * running maximum and sum need nothing from other lanes.  For each block of keys:
 *
 *     S (keys, lanes) = K Q^T;  P = exp(scale S - slope |p - j| - max)
 *     O (lanes, head_dim) = O exp(old max - max) + P^T V
 *
 * Biases of distances, ALiBi's or learned ones, are added to scale S, or it is capped.
 * Blocks begin at multiples of TILE whatever the window, and one that a lane sees
 * nothing of leaves its maximum, sum and O as they are: so a lane's bytes do not
 * depend on the others of its tile. */
#include "kernels/vector/attention_tile.h"
#include "kernels/vector/vec_stored.h"
#include "kernels/vector/vector.h"
#include <float.h>

typedef struct { const attention_args *a; int slots; } work;

typedef struct {
    const attention_args *a;
    int seq, kv_head, first, lanes;             /* first: pair of lane 0 */
    int from, until;                            /* the keys of all blocks */
    size_t width;                               /* of a row of out: head_dim in whole registers */
    float *q, *s, *out;                         /* (head_dim, TILE), (TILE keys, TILE lanes), (TILE lanes, width) */
    float *keys, *values;                       /* (TILE, head_dim) each, of a block that is not stored as floats */
    float *bias;                                /* (TILE keys, TILE lanes), learned ones of a block */
    const float *biases[TILE];                  /* a lane's, from that of key 0 on */
    float max[TILE], sum[TILE], factor[TILE];
    /* Position and slope of a lane, first and last key it sees. */
    float at[TILE], slope[TILE], least[TILE], limit[TILE];
    edges sees, seen;                           /* in a block that not all see whole: keys of a lane, lanes of a key */
    uint64_t key[TILE];
} tile;

/* What stands between scale S and the softmax. */
typedef enum { SCORE_PLAIN, SCORE_ALIBI, SCORE_BIASED, SCORE_CAPPED } score_kind;
static score_kind kind_of(const attention_args *a) { return a->alibi ? SCORE_ALIBI : a->bias ? SCORE_BIASED : a->cap > 0 ? SCORE_CAPPED : SCORE_PLAIN; }

static int group_of(const attention_args *a) { return a->heads / a->kv_heads; }
static int row_of(const tile *t, int lane)   { return t->a->start[t->seq] + (t->first + lane) / group_of(t->a); }
static int head_of(const tile *t, int lane)  { return t->kv_head * group_of(t->a) + (t->first + lane) % group_of(t->a); }

/* Tiles are numbered across sequences with one unused number for each, so that a
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
        int p = a->past[t->seq] + r - a->start[t->seq], last = last_key(a, p, a->past[t->seq] + queries);
        row[i] = a->q + (size_t)r * a->q_stride + (size_t)h * (size_t)a->head_dim;
        if (i == 0) t->from = first_key(a, p) / TILE * TILE;
        t->until = last + 1;
        t->at[i] = (float)p, t->slope[i] = a->alibi ? a->alibi[h] : 0;
        t->least[i] = (float)first_key(a, p), t->limit[i] = (float)last;
        t->biases[i] = a->bias ? a->bias + (size_t)h * (size_t)(2 * a->reach + 1) + a->reach - p : NULL;
        t->key[i] = a->dropout > 0 ? attention_key(a, r, h) : 0;
    }
    for (int i = 0; i < TILE; i++) {
        t->max[i] = -FLT_MAX;                   /* not infinite: see softmax_lanes */
        t->sum[i] = 0;
        if (i < t->lanes) continue;
        int last = t->lanes - 1;
        t->at[i] = t->at[last], t->slope[i] = 0, t->least[i] = t->least[last], t->limit[i] = t->limit[last], t->key[i] = 0;
    }
    t->width = (size_t)pieces((size_t)a->head_dim, VW) * VW;
    t->q = thread_scratch();
    t->s = t->q + a->head_dim * TILE;
    t->out = t->s + TILE * TILE;
    t->keys = t->out + TILE * t->width;
    t->values = t->keys + TILE * a->head_dim;
    t->bias = t->values + TILE * a->head_dim;
    transpose_tile(t->q, row, t->lanes, a->head_dim);
}

static bool find_edges(tile *t, int first, int n)
{
    if ((float)(first + n - 1) <= t->limit[0] && t->least[t->lanes - 1] <= (float)first) return false;
    for (int i = 0; i < t->lanes; i++) t->sees.from[i] = (int)t->least[i] - first, t->sees.until[i] = (int)t->limit[i] - first + 1;
    turn_edges(&t->seen, n, &t->sees, t->lanes);
    return true;
}

/* Scaled scores of the lanes i .. i+VW-1 and the keys first .. first+n-1, and their maximum.  The position of a
 * distance is whole and exact, and fnma rounds once. */
INLINE vec score_lanes(tile *t, int i, int first, int n, bool masked, score_kind kind)
{
    vec cap = vset1(t->a->cap), inverse = vset1(kind == SCORE_CAPPED ? 1 / t->a->cap : 0);
    vec scale = vset1(t->a->scale), max = vload(t->max + i), from = vset1((float)first);
    vec at = vsub(vload(t->at + i), from), slope = vload(t->slope + i);
    vec least = vsub(vload(t->least + i), from), limit = vsub(vload(t->limit + i), from);
    for (int j = 0; j < n; j++) {
        float *s = t->s + j * TILE + i;
        vec x = vmul(vload(s), scale), key = vset1((float)j);
        if (kind == SCORE_ALIBI) x = vfnma(slope, vabs(vsub(at, key)), x);
        if (kind == SCORE_BIASED) x = vadd(x, vload(t->bias + j * TILE + i));
        if (kind == SCORE_CAPPED) x = vmul(cap, vtanh(vmul(x, inverse)));
        if (masked) x = vselect(vless(limit, key), vset1(-INFINITY), vselect(vless(key, least), vset1(-INFINITY), x));
        max = vmax(max, x);
        vstore(s, x);
    }
    return max;
}

static vec score_any(tile *t, int i, int first, int n, bool masked)
{
    switch (kind_of(t->a)) {
    case SCORE_ALIBI:  return score_lanes(t, i, first, n, masked, SCORE_ALIBI);
    case SCORE_BIASED: return score_lanes(t, i, first, n, masked, SCORE_BIASED);
    case SCORE_CAPPED: return score_lanes(t, i, first, n, masked, SCORE_CAPPED);
    default:           return score_lanes(t, i, first, n, masked, SCORE_PLAIN);
    }
}

/* From S to P.  A lane that has seen no key yet has the least finite maximum, under which masked scores become 0 and
 * not NaN. */
static void softmax_lanes(tile *t, int i, int first, int n, bool masked)
{
    vec before = vload(t->max + i), sum = vzero();
    vec max = score_any(t, i, first, n, masked);
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

typedef struct { const float *data; size_t stride; } floats;

/* The head's columns of `rows` rows of keys or values: where they lie, or widened to `room`. */
static floats block_of(const tile *t, stored x, size_t stride, int first, int rows, float *room)
{
    int width = t->a->head_dim;
    size_t at = (size_t)(t->a->kv_start[t->seq] + first) * stride + (size_t)t->kv_head * (size_t)width;
    if (x.type == STORED_REAL) return (floats){ (const float *)x.data + at, stride };
    x = stored_from(x, at);
    const char *ahead = (const char *)x.data + AHEAD * stored_bytes(x.type, stride);
    for (int r = 0; r < rows; r++, ahead += stored_bytes(x.type, stride)) {
        for (size_t i = 0; i < stored_bytes(x.type, (size_t)width); i += 64) FETCH_L1(ahead + i);
        widen_run(WIDEN, room + r * width, stored_from(x, (size_t)r * stride), width);
    }
    return (floats){ room, (size_t)width };
}

/* Learned biases of the keys first .. first+n-1 for each lane that sees one of them. */
static void lay_biases(const tile *t, int first, int n)
{
    for (int j = 0; j < n; j++)
        for (int i = 0; i < t->lanes; i++) {
            float *to = t->bias + j * TILE + i;
            *to = first + j <= (int)t->limit[i] ? t->biases[i][first + j] : 0;
        }
}

static void key_block(tile *t, int first)
{
    const attention_args *a = t->a;
    int n = lesser(TILE, t->until - first);
    bool masked = find_edges(t, first, n);
    floats k = block_of(t, a->k, a->k_stride, first, n, t->keys), v = block_of(t, a->v, a->v_stride, first, n, t->values);
    product_part((tile_product){ .M = n, .N = t->lanes, .K = a->head_dim, .a = k.data, .a_row = k.stride,
                                 .a_col = 1, .b = t->q, .ldb = TILE, .c = t->s, .ldc = TILE },
                 COLUMNS, masked ? &t->seen : NULL);
    if (a->bias) lay_biases(t, first, n);
    for (int i = 0; i < t->lanes; i += VW) {
        softmax_lanes(t, i, first, n, masked);
        if (a->dropout > 0) drop_lanes(t, i, first, n);
    }
    product_part((tile_product){ .M = t->lanes, .N = a->head_dim, .K = n, .a = t->s, .a_row = 1, .a_col = TILE,
                                 .b = v.data, .ldb = v.stride, .c = t->out, .ldc = t->width,
                                 .mode = first > t->from ? JOIN : FRESH, .factor = t->factor },
                 TERMS, masked ? &t->sees : NULL);
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
    for (int first = t.from; first < t.until; first += TILE) key_block(&t, first);
    close_tile(&t);
}

void LEVEL(attention)(const attention_args *a)
{
    work w = { a, first_slot(a, a->seqs) };
    if (a->head_dim > HEAD_DIM_MAX) { ref_attention(a); return; }
    parallel_for(w.slots * a->kv_heads, attend, &w);
}

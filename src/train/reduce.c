/* Sums of many numbers over all ranks, bucket by bucket (train/shares.h): each rank receives the others' numbers for
 * its share of a bucket and adds rank 0's, rank 1's, ... in this order, so sums do not depend on when messages come.
 * Buckets are begun as they become ready, and moved by whichever thread has time.
 * Invariant: all ranks begin the same buckets in the same order. */
#include "train/transfers.h"
#include "base/arena.h"
#include "kernels/half.h"
#include <stdlib.h>
#include <string.h>

/* Buckets that are exchanged at the same time. */
enum { FLIGHTS = 4 };

/* A bucket that is being exchanged.  from: (count, part) what the other ranks have for this rank's share; to: (bucket)
 * what goes out, where that is not the array itself. */
typedef struct { size_t bucket; transfers x; char *from, *to; } flight;

typedef struct reducing {
    real *x; shares shares; wire_type wire;
    bool open;                       /* buckets may begin */
    bool *ready; size_t *queue, queued, begun, done;            /* [buckets]; of the queue */
    flight flights[FLIGHTS];
    bool failed;
} reducing;

static size_t length(range s) { return s.end - s.first; }
static size_t wire_bytes(wire_type w) { return w == WIRE_BF16 ? sizeof(uint16_t) : sizeof(real); }
static size_t part_most(const shares *s) { return (s->bucket + SHARE_UNIT - 1) / SHARE_UNIT / (size_t)s->count * SHARE_UNIT + SHARE_UNIT; }

shares ranks_shares(const lithe_ranks *r, size_t n) { return shares_of(n, r ? r->transport.count : 1, r ? r->transport.rank : 0); }

/* ---- one bucket ------------------------------------------------------------------------------ */

static const void *outgoing(const reducing *q, flight *f, range theirs)
{
    if (q->wire != WIRE_BF16) return q->x + theirs.first;
    uint16_t *to = (uint16_t *)(void *)f->to + (theirs.first - bucket_range(&q->shares, f->bucket).first);
    for (size_t i = 0, n = length(theirs); i < n; i++) to[i] = bf16_from_float((float)q->x[theirs.first + i]);
    return to;
}

static void begin_bucket(lithe_ranks *r, reducing *q, flight *f, size_t bucket)
{
    const shares *s = &q->shares;
    size_t own = length(share_in(s, bucket, s->rank)), bytes = wire_bytes(q->wire);
    f->bucket = bucket;
    f->x.n = 0;
    for (int k = 0; k < s->count; k++)
        if (k != s->rank) get(r, &f->x, k, CHANNEL_GRADIENTS, f->from + (size_t)k * part_most(s) * bytes, own * bytes);
    for (int k = 0; k < s->count; k++) {
        range theirs = share_in(s, bucket, k);
        if (k != s->rank) put(r, &f->x, k, CHANNEL_GRADIENTS, outgoing(q, f, theirs), length(theirs) * bytes);
    }
}

/* all (n) becomes what rank k has for numbers at .. at + n - 1 of this rank's share, or has it added. */
static void add_from(const reducing *q, const flight *f, int k, size_t at, size_t n, real *all)
{
    const shares *s = &q->shares;
    const real *own = q->x + share_in(s, f->bucket, s->rank).first + at, *from = k == s->rank ? own : (const real *)(const void *)f->from + (size_t)k * part_most(s) + at;
    const uint16_t *halves = (const uint16_t *)(const void *)f->from + (size_t)k * part_most(s) + at;
    if (q->wire == WIRE_BF16 && k != s->rank) for (size_t i = 0; i < n; i++) all[i] = (k ? all[i] : 0) + (real)float_from_bf16(halves[i]);
    else for (size_t i = 0; i < n; i++) all[i] = k ? all[i] + from[i] : from[i];
}

static void end_bucket(const reducing *q, const flight *f)
{
    enum { BLOCK = 1024 };
    const shares *s = &q->shares;
    real all[BLOCK];
    range own = share_in(s, f->bucket, s->rank);
    for (size_t at = 0, count = length(own); at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK;
        for (int k = 0; k < s->count; k++) add_from(q, f, k, at, n, all);
        memcpy(q->x + own.first + at, all, n * sizeof *all);
    }
}

/* ---- all buckets ------------------------------------------------------------------------------- */

/* The buckets of the queue are in flight in order, so the oldest is the next to end. */
static bool move_some(lithe_ranks *r, reducing *q)
{
    bool moved = false;
    while (q->done < q->begun) {
        flight *f = &q->flights[q->done % FLIGHTS];
        int left = transfers_left(r, &f->x);
        if (left < 0) q->failed = true;
        if (left) break;
        end_bucket(q, f);
        q->done++;
        moved = true;
    }
    for (; q->begun < q->queued && q->begun - q->done < FLIGHTS && !q->failed; q->begun++, moved = true)
        begin_bucket(r, q, &q->flights[q->begun % FLIGHTS], q->queue[q->begun]);
    return moved;
}

static bool reduce_move(lithe_ranks *r)
{
    reducing *q = r->reducing;
    if (!q || !q->open || q->failed) return false;
    while (move_some(r, q) && !q->failed) { }
    return q->done < q->queued && !q->failed;
}

static int buckets_left(lithe_ranks *r, void *context)
{
    reducing *q = context;
    reduce_move(r);
    return q->failed ? -1 : (int)(q->queued - q->done);
}

static void release(reducing *q)
{
    for (int i = 0; i < FLIGHTS; i++) {
        free(q->flights[i].from);
        free(q->flights[i].to);
        free(q->flights[i].x.p);
    }
    free(q->ready);
    free(q->queue);
    *q = (reducing){ 0 };
}

void reduce_close(lithe_ranks *r)
{
    if (r->reducing) release(r->reducing);
    free(r->reducing);
    r->reducing = NULL;
}

/* Makes memory for arrays of this size, unless it is there. */
static int prepare(reducing *q, const shares *s, wire_type wire, lithe_error *err)
{
    size_t count = (size_t)s->count, buckets = shares_buckets(s);
    if (q->ready && q->shares.n == s->n && q->wire == wire) return LITHE_OK;
    release(q);
    q->shares = *s;
    q->wire = wire;
    q->ready = xalloc(buckets + 1, sizeof *q->ready);
    q->queue = xalloc(buckets + 1, sizeof *q->queue);
    bool memory = q->ready && q->queue;
    for (int i = 0; i < FLIGHTS && memory; i++) {
        flight *f = &q->flights[i];
        f->from = xalloc(count * part_most(s), wire_bytes(wire));
        if (wire == WIRE_BF16) f->to = xalloc(s->bucket, wire_bytes(wire));
        f->x.p = xalloc(2 * count, sizeof *f->x.p);
        memory = f->from && f->x.p && (f->to || wire != WIRE_BF16);
    }
    if (memory) return LITHE_OK;
    release(q);
    return fail(err, LITHE_ENOMEM, "not enough memory for the gradients of %d ranks", s->count);
}

int ranks_reduce_open(lithe_ranks *r, real *x, size_t n, wire_type wire, lithe_error *err)
{
    if (!together(r)) return LITHE_OK;
    if (failed(err)) return err->status;
    const shares s = ranks_shares(r, n);
    pthread_mutex_lock(&r->lock);
    if (!r->reducing) r->reducing = xalloc(1, sizeof *r->reducing);
    int status = r->reducing ? prepare(r->reducing, &s, wire, err) : fail(err, LITHE_ENOMEM, "not enough memory for the gradients of %d ranks", s.count);
    if (!status) {
        reducing *q = r->reducing;
        q->x = x;
        q->open = true;
        r->moves = reduce_move;
        q->queued = q->begun = q->done = 0;
        for (size_t i = 0; i < shares_buckets(&s); i++) q->ready[i] = false;
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

void ranks_reduce_begin(lithe_ranks *r, size_t bucket)
{
    if (!together(r)) return;
    pthread_mutex_lock(&r->lock);
    reducing *q = r->reducing;
    if (q && q->open && !q->ready[bucket]) {
        q->ready[bucket] = true;
        q->queue[q->queued++] = bucket;
        pthread_cond_signal(&r->wake);
    }
    pthread_mutex_unlock(&r->lock);
}

int ranks_reduce_end(lithe_ranks *r, lithe_error *err)
{
    if (!together(r)) return LITHE_OK;
    if (failed(err)) return err->status;
    reducing *q = r->reducing;
    for (size_t i = 0; i < shares_buckets(&q->shares); i++) ranks_reduce_begin(r, i);
    int status = ranks_wait(r, buckets_left, q, err);
    pthread_mutex_lock(&r->lock);
    q->open = false;
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* ---- shares go out -------------------------------------------------------------------------------- */

/* Begins to send this rank's share of a bucket to all ranks, or to rank 0, and to receive theirs. */
static void begin_share(lithe_ranks *r, transfers *t, const shares *s, size_t bucket, real *x, bool to_all)
{
    const range own = share_in(s, bucket, s->rank);
    t->n = 0;
    pthread_mutex_lock(&r->lock);
    for (int k = 0; k < s->count; k++) {
        range theirs = share_in(s, bucket, k);
        if (k != s->rank && (to_all || !s->rank)) get(r, t, k, CHANNEL_GRADIENTS, x + theirs.first, length(theirs) * sizeof *x);
        if (k != s->rank && (to_all || !k)) put(r, t, k, CHANNEL_GRADIENTS, x + own.first, length(own) * sizeof *x);
    }
    pthread_mutex_unlock(&r->lock);
}

static int share_out(lithe_ranks *r, real *x, size_t n, bool to_all, lithe_error *err)
{
    if (!together(r)) return LITHE_OK;
    if (failed(err)) return err->status;
    const shares s = ranks_shares(r, n);
    const size_t buckets = shares_buckets(&s), most = 2 * (size_t)s.count;
    transfers flying[FLIGHTS] = { 0 };
    pending *p = xalloc(FLIGHTS * most, sizeof *p);
    int status = p ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", s.count);
    for (size_t b = 0; b < buckets + FLIGHTS && !status; b++) {
        transfers *t = &flying[b % FLIGHTS];                /* of bucket b - FLIGHTS, then of b */
        t->p = p + b % FLIGHTS * most;
        status = transfers_wait(r, t, err);
        if (b < buckets && !status) begin_share(r, t, &s, b, x, to_all);
        else t->n = 0;
    }
    free(p);
    return status;
}

int ranks_spread(lithe_ranks *r, real *x, size_t n, lithe_error *err) { return share_out(r, x, n, true, err); }
int ranks_gather(lithe_ranks *r, real *x, size_t n, lithe_error *err) { return share_out(r, x, n, false, err); }

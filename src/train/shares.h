/* An array of n numbers is cut into buckets, which are exchanged one after the other, and each bucket into a share for
 * each rank, which that rank sums and updates.  Of one process: one bucket, which is all its own. */
#ifndef TRAIN_SHARES_H
#define TRAIN_SHARES_H

#include <stddef.h>

typedef struct { size_t n, bucket; int count, rank; } shares;      /* bucket: numbers in each but the last */
typedef struct { size_t first, end; } range;

/* How numbers travel between ranks: as they are, or rounded to bf16. */
typedef enum { WIRE_F32, WIRE_BF16 } wire_type;

enum { SHARE_UNIT = 64, BUCKETS = 128, BUCKET_LEAST = 1 << 14, BUCKET_MOST = 1 << 22 };

static inline shares shares_of(size_t n, int count, int rank)
{
    size_t size = count > 1 ? n / BUCKETS / SHARE_UNIT * SHARE_UNIT : n;
    if (count > 1 && size < BUCKET_LEAST) size = BUCKET_LEAST;
    if (count > 1 && size > BUCKET_MOST) size = BUCKET_MOST;
    return (shares){ n, size, count, rank };
}

static inline size_t shares_buckets(const shares *s) { return s->n ? (s->n + s->bucket - 1) / s->bucket : 0; }

static inline range bucket_range(const shares *s, size_t bucket)
{
    size_t first = bucket * s->bucket;
    return (range){ first, s->n - first < s->bucket ? s->n : first + s->bucket };
}

/* The share of a rank in a bucket, empty in a small one. */
static inline range share_in(const shares *s, size_t bucket, int rank)
{
    range b = bucket_range(s, bucket);
    size_t units = (b.end - b.first + SHARE_UNIT - 1) / SHARE_UNIT, count = (size_t)s->count, at = (size_t)rank;
    size_t first = b.first + units * at / count * SHARE_UNIT, end = b.first + units * (at + 1) / count * SHARE_UNIT;
    return (range){ first < b.end ? first : b.end, end < b.end ? end : b.end };
}

#endif

/* Windows of the two shards (data/text_data.h).  Invariant: a window is a function of
 * (shard, seed, sample, ctx), in O(ctx) and without state. */
#include "base/random.h"
#include "data/text_data.h"
#include <assert.h>

uint64_t text_windows(const text_data *d, int ctx)
{
    uint64_t tokens = d->train.header.tokens, whole;
    if (ctx < 1 || tokens < 2) return 0;
    whole = (tokens - 1) / (uint64_t)ctx;
    return whole > 1 ? whole - 1 : whole;       /* one less leaves a whole window of room for the offset */
}

int text_check(const text_data *d, int ctx, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (text_windows(d, ctx)) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "the text to train on has %llu tokens, a context of %d needs at least %lld: give more text or a smaller context",
                (unsigned long long)d->train.header.tokens, ctx, (long long)ctx + 1);
}

/* Sequences of the stretch [first, first + n): its start, and each document's. */
static int find_starts(const text_data *d, const shard *s, uint64_t first, int n, int32_t *starts)
{
    int count = 1;
    starts[0] = 0;
    if (!d->reset_attention) return count;
    for (uint64_t k = shard_documents_before(s, first); k < s->header.documents; k++) {
        uint64_t begin = shard_document_end(s, k);
        if (begin >= first + (uint64_t)n) break;
        if (begin > first + (uint64_t)starts[count - 1]) starts[count++] = (int32_t)(begin - first);
    }
    return count;
}

static int read_stretch(const text_data *d, const shard *s, uint64_t first, int n, int32_t *ids, int32_t *targets, int32_t *starts)
{
    shard_ids(s, first, (size_t)n, ids);
    shard_ids(s, first + 1, (size_t)n, targets);
    return find_starts(d, s, first, n, starts);
}

int text_window(const text_data *d, uint64_t seed, uint64_t sample, int ctx, int32_t *ids, int32_t *targets, int32_t *starts)
{
    uint64_t windows = text_windows(d, ctx);
    assert(windows);
    uint64_t epoch = sample / windows, room = d->train.header.tokens - 1 - windows * (uint64_t)ctx;
    uint64_t offset = random_u64(key_of_name(seed, "window offset"), epoch) % (room + 1);
    uint64_t window = permuted(sample % windows, windows, key_of(key_of_name(seed, "window order"), epoch));
    return read_stretch(d, &d->train, offset + window * (uint64_t)ctx, ctx, ids, targets, starts);
}

static uint64_t stride_of(int ctx, int stride) { return (uint64_t)(stride < 1 || stride > ctx ? ctx : stride); }

/* The first window predicts ctx tokens, each later one stride more, the last what is left. */
uint64_t text_valid_windows(const text_data *d, int ctx, int stride)
{
    uint64_t predictions = d->valid.header.tokens ? d->valid.header.tokens - 1 : 0, step = stride_of(ctx, stride);
    if (predictions <= (uint64_t)ctx) return predictions > 0;
    return 1 + (predictions - (uint64_t)ctx + step - 1) / step;
}

valid_window text_valid_window(const text_data *d, uint64_t i, int ctx, int stride, int32_t *ids, int32_t *targets, int32_t *starts)
{
    assert(i < text_valid_windows(d, ctx, stride));
    uint64_t step = stride_of(ctx, stride), first = i * step, left = d->valid.header.tokens - 1 - first;
    int length = left < (uint64_t)ctx ? (int)left : ctx;
    return (valid_window){ .length = length, .scored = i ? ctx - (int)step : 0,
                           .sequences = read_stretch(d, &d->valid, first, length, ids, targets, starts) };
}

/* Counter-based random numbers: normal deviates and a seekable permutation. */
#include "base/random.h"
#include <assert.h>
#include <math.h>

uint64_t key_of_name(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;                    /* FNV-1a, 64 bits */
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) hash = (hash ^ *p) * 0x100000001b3u;
    return key_of(seed, hash);
}

double random_normal(uint64_t key, uint64_t counter)
{
    const double two_pi = 6.283185307179586476925;
    double u = 1.0 - random_unit(key, 2 * counter);         /* (0, 1]: its logarithm is finite */
    double v = random_unit(key, 2 * counter + 1);
    return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

/* Luby and Rackoff's construction on two halves of `half` bits each. */
static uint64_t feistel(uint64_t x, int half, uint64_t key)
{
    enum { ROUNDS = 6 };
    uint64_t mask = ((uint64_t)1 << half) - 1, left = x >> half, right = x & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t next = left ^ (key_of(key_of(key, round), right) & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

/* The domain is the smallest power of four that holds n, so a walk along the
 * cycle leaves 0 .. n-1 for at most three steps on average before it is back. */
uint64_t permuted(uint64_t position, uint64_t n, uint64_t key)
{
    assert(position < n);
    int half = 1;
    while (half < 32 && ((uint64_t)1 << 2 * half) < n) half++;
    if (n <= 1) return 0;
    uint64_t x = position;
    do x = feistel(x, half, key);
    while (x >= n);
    return x;
}

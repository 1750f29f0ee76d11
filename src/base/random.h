/* Random numbers without state: a value is a function of a key and a counter,
 * so order of use, number of threads and resuming do not matter. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

static inline uint64_t mix64(uint64_t x)                    /* the finalizer of splitmix64 (Steele et al. 2014) */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t key_of(uint64_t a, uint64_t b) { return mix64(a ^ mix64(b)); }
uint64_t key_of_name(uint64_t seed, const char *name);

/* The counter-th value of the stream named by key. */
static inline uint64_t random_u64(uint64_t key, uint64_t counter) { return mix64(key + counter * 0xd1342543de82ef95u); }
static inline double   random_unit(uint64_t key, uint64_t counter)      /* [0, 1) */
{
    return (double)(random_u64(key, counter) >> 11) * 0x1p-53;
}
double random_normal(uint64_t key, uint64_t counter);       /* mean 0, standard deviation 1 */

/* A seekable permutation of 0 .. n-1: position -> element, O(1) memory
 * (Feistel network with cycle walking). */
uint64_t permuted(uint64_t position, uint64_t n, uint64_t key);

#endif

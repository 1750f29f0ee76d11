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

static double ratio(const double *numerator, const double *denominator, double x)       /* both of degree 7 */
{
    double n = numerator[7], d = denominator[7];
    for (int i = 6; i >= 0; i--) { n = n * x + numerator[i]; d = d * x + denominator[i]; }
    return n / d;
}

/* The inverse of the normal distribution function at one draw: Wichura 1988, algorithm AS 241 (PPND16). */
double random_normal(uint64_t key, uint64_t counter)
{
    static const double
        a[8] = { 3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
                 4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3 },
        b[8] = { 1, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
                 2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4, 5.2264952788528545610e+3 },
        c[8] = { 1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
                 1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4 },
        d[8] = { 1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                 1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9 },
        e[8] = { 6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
                 2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7 },
        f[8] = { 1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                 7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15 };
    double p = ((double)(random_u64(key, counter) >> 12) + 0.5) * 0x1p-52, q = p - 0.5;     /* in (0, 1), symmetric */
    if (fabs(q) <= 0.425) return q * ratio(a, b, 0.180625 - q * q);
    double r = sqrt(-log(q < 0 ? p : 1 - p)), tail = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
    return q < 0 ? -tail : tail;
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

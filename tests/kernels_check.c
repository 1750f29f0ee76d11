/* The kernel tests' instruments (kernels_check.h). */
#include "kernels_check.h"
#include <math.h>
#include <stdlib.h>

enum { GUARD = 32, BUFFERS = 4096 };
#define CANARY ((real)-7.25e11)

static struct { char *memory; real *values; size_t n; } buffers[BUFFERS];
static int count;
static uint64_t counter, digest;
static const char *level = "";

void check_begin(const kernels *k)
{
    counter = 0;
    digest = 1;
    level = k->name;
}

double uniform(double low, double high) { return low + (high - low) * random_unit(2024, counter++); }
int below(int n) { return (int)(random_u64(2024, counter++) % (uint64_t)n); }

int size_up_to(int n)
{
    static const int small[] = { 1, 2, 3, 5, 8, 15, 16, 17 };
    int pick = below(3);
    if (pick == 0) return n;
    if (pick == 1) { int s = small[below(8)]; return s < n ? s : n; }
    return 1 + below(n);
}

static void *keep(size_t bytes)
{
    void *memory = count < BUFFERS ? calloc(1, bytes ? bytes : 1) : NULL;
    if (!memory) abort();
    buffers[count++].memory = memory;
    return memory;
}

static real *guarded(size_t n)
{
    size_t shift = (size_t)below(7);                        /* nothing is aligned by luck */
    real *p = keep((n + 2 * GUARD + 8) * sizeof(real));
    real *values = p + GUARD + shift;
    for (size_t i = 0; i < GUARD; i++) values[n + i] = values[-1 - (int)i] = CANARY;
    buffers[count - 1].values = values;
    buffers[count - 1].n = n;
    return values;
}

real *filled(size_t n, double scale)
{
    real *p = guarded(n);
    for (size_t i = 0; i < n; i++) p[i] = (real)uniform(-scale, scale);
    return p;
}

real *blank(size_t n)
{
    real *p = guarded(n);
    for (size_t i = 0; i < n; i++) p[i] = (real)NAN;
    return p;
}

real *target(size_t n, bool add) { return add ? filled(n, 1) : blank(n); }

real *copy_of(const real *x, size_t n)
{
    real *p = guarded(n);
    memcpy(p, x, n * sizeof *p);
    return p;
}

double *doubles(const real *x, size_t n)
{
    double *p = keep(n * sizeof *p);
    for (size_t i = 0; x && i < n; i++) p[i] = (double)x[i];
    return p;
}

double *prior(const real *y, size_t n, bool add) { return doubles(add ? y : NULL, n); }

int *indices(size_t n, int limit)
{
    int *p = keep(n * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = below(limit);
    return p;
}

uint64_t *keys(size_t n)
{
    uint64_t *p = keep(n * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = random_u64(99, counter++);
    return p;
}

void expect(const char *what, const real *got, const double *want, size_t n, double tolerance)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - want[i];
        difference += d * d;
        norm += want[i] * want[i];
    }
    double error = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
    CHECK_MSG(error <= tolerance, "%s at %s: %zu elements, relative error %.3g > %.3g", what, level, n, error, tolerance);
    const unsigned char *bytes = (const void *)got;
    for (size_t i = 0; i < n * sizeof *got; i++) digest = (digest ^ bytes[i]) * 0x100000001b3u;
}

void expect_same(const char *what, const real *a, const real *b, size_t n)
{
    size_t i = 0;
    while (i < n && !memcmp(a + i, b + i, sizeof *a)) i++;
    CHECK_MSG(i == n, "%s at %s: element %zu of %zu is %.9g, not %.9g", what, level, i, n, (double)a[i], (double)b[i]);
}

uint64_t check_end(void)
{
    for (int b = 0; b < count; b++) {
        const real *v = buffers[b].values;
        for (int i = 0; v && i < GUARD; i++)
            CHECK_MSG(v[buffers[b].n + (size_t)i] == CANARY && v[-1 - i] == CANARY, "written outside a buffer of %zu at %s", buffers[b].n, level);
        free(buffers[b].memory);
        buffers[b].values = NULL;
    }
    count = 0;
    return digest;
}

static double plain_identity(double x)     { return x; }
static double plain_gelu_tanh(double x)    { return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * pow(x, 3)))); }
static double plain_gelu_erf(double x)     { return 0.5 * x * (1 + erf(x / sqrt(2))); }
static double plain_silu(double x)         { return x / (1 + exp(-x)); }
static double plain_relu(double x)         { return fmax(x, 0); }
static double plain_relu_squared(double x) { return fmax(x, 0) * fmax(x, 0); }
static double plain_sigmoid(double x)      { return 1 / (1 + exp(-x)); }
static double plain_tanh(double x)         { return tanh(x); }
static double plain_gelu_centred(double x) { return plain_gelu_erf(x) - 0.5 / sqrt(M_PI); }

/* An activation without a line above does not compile. */
double plain_act(activation act, double x)
{
#define PLAIN(constant, functions, name, others) [ACT_##constant] = plain_##functions,
    static double (*const plain[ACT_COUNT])(double) = { ACTIVATIONS(PLAIN) };
    return plain[act](x);
}

double plain_slope(activation act, double x)
{
    double h = 1e-4;                                        /* fourth order; relu is exact away from 0 */
    if (act == ACT_RELU) return x > 0;
    if (act == ACT_RELU_SQUARED) return 2 * fmax(x, 0);
    return (8 * (plain_act(act, x + h) - plain_act(act, x - h)) - (plain_act(act, x + 2 * h) - plain_act(act, x - 2 * h))) / (12 * h);
}

/* Whole tiny models against central differences of their own loss, with every
 * dead buffer poisoned: in double (ref kernels) each parameter tensor to 1e-6,
 * in float, at every level, the whole gradient to 1e-3. */
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

#ifdef LITHE_DOUBLE
static const double STEP = 1e-5, TOLERANCE = 1e-6;
#else
static const double STEP = 1e-3, TOLERANCE = 1e-3;
#endif

/* The loss along a direction: central difference of step h. */
static double slope(small_model *m, graph *g, const results *r, const small_batch *b, const double *direction, const real *at, double h)
{
    double loss[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < m->p->arena_count; i++) m->p->values[i] = (real)((double)at[i] + (side ? -h : h) * direction[i]);
        loss[side] = small_loss(g, r, b);
    }
    for (size_t i = 0; i < m->p->arena_count; i++) m->p->values[i] = at[i];
    return (loss[0] - loss[1]) / (2 * h);
}

/* Where the loss bends within a step: of fourth order (Richardson). */
static double fine_slope(small_model *m, graph *g, const results *r, const small_batch *b, const double *direction, const real *at, double h)
{
    return (4 * slope(m, g, r, b, direction, at, h / 2) - slope(m, g, r, b, direction, at, h)) / 3;
}

static void check_tensors(small_model *m, graph *g, const results *r, const small_batch *b, const real *at, const real *grad, const char *name)
{
    size_t n = m->p->arena_count;
    double *direction = malloc(n * sizeof *direction), norm = 0;
    for (size_t i = 0; i < n; i++) norm += (double)grad[i] * (double)grad[i];
    norm = sqrt(norm);
    for (int t = 0; t < m->p->count; t++) {
        const param *p = m->p->items[t];
        size_t offset = p->offset;
        double expected = 0, length = 0;
        for (size_t i = 0; i < n; i++) direction[i] = 0;
        for (size_t i = 0; i < p->count; i++) {
            direction[offset + i] = random_normal(77, i) / sqrt((double)p->count);
            expected += direction[offset + i] * (double)grad[offset + i];
            length += (double)grad[offset + i] * (double)grad[offset + i];
        }
        length = fmax(sqrt(length / (double)p->count), 1e-3 * norm / sqrt((double)p->count));
        double found = slope(m, g, r, b, direction, at, STEP);
        if (!(fabs(found - expected) <= TOLERANCE * length)) found = fine_slope(m, g, r, b, direction, at, STEP / 5);
        CHECK_MSG(fabs(found - expected) <= TOLERANCE * length, "%s: %s: %.12g by differences, %.12g by backward", name, p->name, found, expected);
    }
    free(direction);
}

static void check_whole(small_model *m, graph *g, const results *r, const small_batch *b, const real *at, const real *grad, const char *name)
{
    size_t n = m->p->arena_count;
    double *direction = malloc(n * sizeof *direction), norm = 0;
    for (size_t i = 0; i < n; i++) norm += (double)grad[i] * (double)grad[i];
    norm = sqrt(norm);
    for (size_t i = 0; i < n; i++) direction[i] = (double)grad[i] / norm;
    /* A step that moves the loss by a few hundredths: some are crooked along a long gradient. */
    double h = fmin(STEP / 2, 0.02 / norm);
    double found = fine_slope(m, g, r, b, direction, at, h);
    CHECK_MSG(fabs(found - norm) <= TOLERANCE * norm, "%s: %.9g by differences, %.9g by backward", name, found, norm);
    free(direction);
}

/* Where layers are run again, the head sees some of the rows only. */
static void one_case(const small_case *c, const char *level, bool recompute)
{
    small_model m = small_new(c->arch, c->config, 5);
    small_batch b;
    results r;
    small_fill_for(&b, &m, 11);
    if (recompute) m.selected = SMALL_SELECTED, small_select(&b);
    graph *g = small_graph(&m, GRAPH_TRAIN, recompute, level, &r);
    size_t n = m.p->arena_count;
    real *at = malloc(n * sizeof *at), *grad = malloc(n * sizeof *grad);
    memcpy(at, m.p->values, n * sizeof *at);
    for (int t = 0; t < m.p->count; t++)                /* the first writer of a gradient does not read what is there */
        for (size_t i = 0; i < m.p->items[t]->count; i++) m.p->items[t]->grad[i] = (real)NAN;
    CHECK(isfinite(small_loss(g, &r, &b)));
    memcpy(grad, m.p->grad, n * sizeof *grad);
    if (sizeof(real) == sizeof(double)) check_tensors(&m, g, &r, &b, at, grad, c->name);
    else check_whole(&m, g, &r, &b, at, grad, c->name);
    graph_close(g);
    free(at);
    free(grad);
    small_free(&m);
}

static void every_case(const char *level)
{
    if (!kernels_level(level)) test_skip("this machine has no %s", level);
    int count;
    const small_case *cases = small_cases(&count);
    for (int c = 0; c < count; c++)
        for (int recompute = 0; recompute < 2; recompute++) one_case(&cases[c], level, recompute);
}

/* Under L2-then-GELU the length of all keys of a Pattention together does not count: <K, dL/dK> = 0. */
static void keys_feel_no_scale(void)
{
    static const char *const models[][2] = { { "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") }, { "hybrid", SMALL_HYBRID ",\"mixer\":\"rwkv7\",\"projection\":\"pattention\",\"feed_forward\":\"pattention\"}" } };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        small_model m = small_new(models[i][0], models[i][1], 5);
        small_batch b;
        results r;
        int found = 0;
        small_fill(&b, 23, 11);
        graph *g = small_graph(&m, GRAPH_TRAIN, false, "ref", &r);
        small_loss(g, &r, &b);
        for (int t = 0; t < m.p->count; t++) {
            const param *p = m.p->items[t];
            double dot = 0, keys = 0, gradient = 0;
            if (!strstr(p->name, "key_param_tokens")) continue;
            for (size_t j = 0; j < p->count; j++) {
                dot += (double)p->weight.values[j] * (double)p->grad[j];
                keys += (double)p->weight.values[j] * (double)p->weight.values[j];
                gradient += (double)p->grad[j] * (double)p->grad[j];
            }
            found++;
            CHECK_MSG(gradient > 0 && fabs(dot) <= (sizeof(real) == sizeof(double) ? 1e-12 : 1e-5) * sqrt(keys * gradient), "%s: %s: %g of %g", models[i][0], p->name, dot, sqrt(keys * gradient));
        }
        CHECK(found == 10);                                  /* five Pattentions in two layers */
        graph_close(g);
        small_free(&m);
    }
}

#define AT(level, unused) static void at_##level(void) { every_case(#level); }
KERNEL_WIDTHS(AT, )
#define AT_ROW(level, unused) { "gradients." #level, at_##level },
#ifndef LITHE_DOUBLE
static void in_double(void)
{
    char command[8300];
    snprintf(command, sizeof command, "%s gradients", test_file("build/tests-double"));
    CHECK(system(command) == 0);
}
#endif

const test tests_gradients[] = {
    KERNEL_WIDTHS(AT_ROW, )
    { "gradients.keys feel no scale", keys_feel_no_scale },
#ifndef LITHE_DOUBLE
    { "gradients.in double, every tensor", in_double },
#endif
    { 0 }
};

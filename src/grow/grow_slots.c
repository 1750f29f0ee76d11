/* Appends parameter tokens to Pattention.  Method A is from Wang et al. 2024
 * (TokenFormer), appendix B; the others follow from the normalisation.  With n old slots,
 * N after growing, m = N - n, and tau^2 the squared scale:
 *   A  keys 0, values fresh; tau^2 stays         both L2 forms; new slots add exact zeros at the end
 *   B  copies of all keys, each row times +-1, values 0; tau^2 N/n      l2_norm_gelu: rows' norms grow by sqrt(N/n)
 *   C  sqrt(m/n) U K or sqrt(m/n) U R, K = Q R, U'U = 1, values 0; tau^2 N/n       l2_norm_gelu, m >= rank K
 *   D  copies of all keys, values shared out (shares sum to 1); tau^2 N/n          every form
 *   E  keys 0, values fresh, old values times sqrt(tau^2/N); tau^2 N                gelu_l2_norm
 *   F  fresh keys and values; tau^2 N                                   the released code: not preserving
 * A program that knows only tau^2 = N can read what B, C and D make of a model that it could
 * read, and what E and F make of any. */
#include "grow/grow.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* D: the shares have opposite signs, since Adam would change two equal copies in the same way */
static const double FIRST_SHARE = 1.3;

const slot_group *slot_group_of(const arch *a, const param *p)
{
    const char *name = p->name;
    size_t prefix = a->growth.keys.layer_prefix ? strlen(a->growth.keys.layer_prefix) : 0;
    if (!a->growth.slots || p->rule.axes[0].kind != AXIS_SLOT || strncmp(name, a->growth.keys.layer_prefix, prefix)) return NULL;
    const char *within = strchr(name + prefix, '.');
    for (const slot_group *s = a->growth.slots; within && s->slots_key; s++)
        for (const char *const *n = s->names; *n; n++)
            if (!strncmp(within + 1, *n, strlen(*n))) return s;
    return NULL;
}

bool slots_used(const growth *g, const slot_group *s)
{
    for (int i = 0; i < g->small->params->count; i++)
        if (slot_group_of(g->arch, g->small->params->items[i]) == s) return true;
    return false;
}

bool has_slots(const growth *g)
{
    for (const slot_group *s = g->arch->growth.slots; s && s->slots_key; s++)
        if (slots_used(g, s)) return true;
    return false;
}

static const char *theta_of(const growth *g)
{
    const char *name = json_string_value(json_object_get(g->before, "norm_activation_type"));
    return name ? name : "l2_norm_gelu";
}

static double old_tau2(const growth *g, const slot_group *s)
{
    double tau2 = config_real(g->before, s->tau2_key, 0);
    return tau2 > 0 ? tau2 : config_int(g->before, s->slots_key, 1);
}

/* Fails for a method whose conditions do not hold. */
static int check_method(const growth *g, const slot_group *s, int n, int N, lithe_growth *report, lithe_error *err)
{
    const char *theta = theta_of(g);
    bool l2_gelu = !strcmp(theta, "l2_norm_gelu"), gelu_l2 = !strcmp(theta, "gelu_l2_norm");
    if (g->method == METHOD_A && !l2_gelu && !gelu_l2)
        return fail(err, LITHE_EINVAL, "method A does not preserve %s: a zero key always takes a share; take method D", theta);
    if ((g->method == METHOD_B || g->method == METHOD_C) && !l2_gelu)
        return fail(err, LITHE_EINVAL, "method %s is for l2_norm_gelu, this model has %s; take method D", report->method, theta);
    if (g->method == METHOD_E && !gelu_l2)
        return fail(err, LITHE_EINVAL, "method E is for gelu_l2_norm, this model has %s; take method A", theta);
    if ((g->method == METHOD_B || g->method == METHOD_D) && N % n)
        return fail(err, LITHE_EINVAL, "method %s needs whole multiples: %s would go from %d to %d; take method A or C", report->method, s->slots_key, n, N);
    return 0;
}

int grow_slot_scales(growth *g, lithe_growth *report, lithe_error *err)
{
    for (const slot_group *s = g->arch->growth.slots; s && s->slots_key; s++) {
        int n = config_int(g->before, s->slots_key, 0), N = config_int(g->config, s->slots_key, 0);
        if (n == N || n < 1 || !slots_used(g, s)) continue;
        if (g->method < METHOD_A) return fail(err, LITHE_EINVAL, "slots grow by method A, B, C, D, E or F");
        int status = check_method(g, s, n, N, report, err);
        if (status) return status;
        double tau2 = old_tau2(g, s);
        if (g->method == METHOD_E || g->method == METHOD_F) tau2 = N;
        else if (g->method != METHOD_A) tau2 = tau2 * N / n;
        if (fabs(tau2 - N) < 1e-9 * N) json_object_del(g->config, s->tau2_key);
        else json_object_set_new(g->config, s->tau2_key, json_real(tau2));
        if (g->method == METHOD_F) not_preserved(report, "not preserved: new slots are fresh and the scale becomes sqrt(%d), as in the released code", N);

        json_t *history = json_object_get(g->config, "slots_history");
        if (!json_is_object(history)) { history = json_object(); json_object_set_new(g->config, "slots_history", history); }
        json_t *list = json_object_get(history, s->slots_key);
        if (!json_is_array(list)) { list = json_pack("[i]", n); json_object_set_new(history, s->slots_key, list); }
        json_array_append_new(list, json_integer(N));
    }
    return 0;
}

/* ---- new keys ------------------------------------------------------------------------- */

/* Makes the columns of a (rows, columns) orthonormal in place, in two passes because of rounding.  r (columns, columns)
 * or NULL receives the triangular factor of the first pass: a = q r.  A dependent column becomes 0. */
static void orthonormalize(double *a, int rows, int columns, double *r)
{
    for (int pass = 0; pass < 2; pass++)
        for (int j = 0; j < columns; j++) {
            double before = 0, after = 0;
            for (int i = 0; i < rows; i++) before += a[(size_t)i * (size_t)columns + (size_t)j] * a[(size_t)i * (size_t)columns + (size_t)j];
            for (int k = 0; k < j; k++) {
                double dot = 0;
                for (int i = 0; i < rows; i++) dot += a[(size_t)i * (size_t)columns + (size_t)k] * a[(size_t)i * (size_t)columns + (size_t)j];
                for (int i = 0; i < rows; i++) a[(size_t)i * (size_t)columns + (size_t)j] -= dot * a[(size_t)i * (size_t)columns + (size_t)k];
                if (r && pass == 0) r[(size_t)k * (size_t)columns + (size_t)j] = dot;
            }
            for (int i = 0; i < rows; i++) after += a[(size_t)i * (size_t)columns + (size_t)j] * a[(size_t)i * (size_t)columns + (size_t)j];
            double norm = after > 1e-24 * before ? sqrt(after) : 0;
            if (r && pass == 0) r[(size_t)j * (size_t)columns + (size_t)j] = norm;
            for (int i = 0; i < rows; i++) a[(size_t)i * (size_t)columns + (size_t)j] *= norm > 0 ? 1 / norm : 0;
        }
}

/* Computes extra (m, d) = sqrt(m/n) U K, or sqrt(m/n) U R where there are at least as many slots as columns. */
static int gram_matched(const param *keys, const real *values, int m, float *extra, uint64_t key, lithe_error *err)
{
    int n = keys->rule.dims[0], d = keys->rule.dims[1], rank = n < d ? n : d;
    if (m < rank) return fail(err, LITHE_EINVAL, "method C needs at least %d new slots for %s, %d are asked for; take method A", rank, keys->name, m);
    double *k = malloc((size_t)n * (size_t)d * sizeof *k), *r = calloc((size_t)d * (size_t)d + 1, sizeof *r), *u = malloc((size_t)m * (size_t)rank * sizeof *u);
    double *row = malloc((size_t)d * sizeof *row);
    int status = k && r && u && row ? 0 : fail(err, LITHE_ENOMEM, "not enough memory to grow %s", keys->name);
    for (size_t i = 0; !status && i < (size_t)n * (size_t)d; i++) k[i] = (double)values[i];
    for (size_t i = 0; !status && i < (size_t)m * (size_t)rank; i++) u[i] = random_normal(key, i);
    if (!status) {
        orthonormalize(u, m, rank, NULL);
        if (n >= d) orthonormalize(k, n, d, r);              /* K = Q R; R has the Gram matrix of K */
        const double *factor = n >= d ? r : k;
        double scale = sqrt((double)m / n);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < d; j++) row[j] = 0;
            for (int q = 0; q < rank; q++)
                for (int j = 0; j < d; j++) row[j] += u[(size_t)i * (size_t)rank + (size_t)q] * factor[(size_t)q * (size_t)d + (size_t)j];
            for (int j = 0; j < d; j++) extra[(size_t)i * (size_t)d + (size_t)j] = (float)(scale * row[j]);
        }
    }
    free(k);
    free(r);
    free(u);
    free(row);
    return status;
}

/* Copies rows of values (n, d), times scale; with flip in a random order and with random signs. */
static void copy_rows(const real *values, int n, size_t d, int m, float *extra, double scale, bool flip, uint64_t key)
{
    for (int i = 0; i < m; i++) {
        size_t from = flip ? (size_t)permuted((uint64_t)(i % n), (uint64_t)n, key_of(key, (uint64_t)(i / n))) : (size_t)(i % n);
        double sign = flip && (random_u64(key, (uint64_t)i) & 1) ? -scale : scale;
        for (size_t j = 0; j < d; j++) extra[(size_t)i * d + j] = (float)(sign * (double)values[from * d + j]);
    }
}

/* Makes m new rows from the old ones, in map->extra. */
static int make_rows(const growth *g, param_map *map, bool keys, int m, uint64_t key, lithe_error *err)
{
    const param *small = map->small;
    int n = small->rule.dims[0], status = 0, repeats = m / n > 0 ? m / n : 1;
    size_t d = (size_t)small->rule.dims[1];
    real *values = weight_copy(&small->weight, small->count);
    map->extra = xalloc((size_t)m * d, sizeof *map->extra);
    if (!values || !map->extra) status = fail(err, LITHE_ENOMEM, "not enough memory to grow %s", map->name);
    else if (g->method == METHOD_C) status = gram_matched(small, values, m, map->extra, key, err);
    else copy_rows(values, n, d, m, map->extra, keys ? 1 : (1 - FIRST_SHARE) / repeats, g->method == METHOD_B, key);
    free(values);
    return status;
}

int grow_slots(const growth *g, const param *large, param_map *map, lithe_error *err)
{
    const slot_group *s = slot_group_of(g->arch, large);
    if (!s || !map->small || large->rule.rank != 2 || large->rule.axes[0].kind != AXIS_SLOT) return 0;
    const param *small = map->small;
    bool keys = !large->rule.axes[0].read;
    int n = small->rule.dims[0], N = large->rule.dims[0], m = N - n;
    if (!m) return 0;
    uint64_t key = key_of_name(g->options.seed, large->name);
    axis_map *rows = &map->axes[0];
    map->zero = keys ? g->method == METHOD_A || g->method == METHOD_E : g->method == METHOD_B || g->method == METHOD_C;
    bool made = keys ? g->method == METHOD_B || g->method == METHOD_C || g->method == METHOD_D : g->method == METHOD_D;
    if (made && make_rows(g, map, keys, m, key, err)) return err ? (int)err->status : LITHE_ENOMEM;
    if (g->method == METHOD_D) {
        for (int i = 0; i < n; i++) {
            rows->scale[i] = keys ? 1 : FIRST_SHARE;
            rows->moment[i] = keys ? FIRST_SHARE : 1;
        }
        double std = keys && g->options.noise > 0 ? (double)g->options.noise * root_mean_square(small) : 0;
        for (size_t i = 0; std > 0 && i < (size_t)m * (size_t)small->rule.dims[1]; i++) map->extra[i] += (float)(std * random_normal(key_of(key, 1), i));
    }
    for (int i = 0; g->method == METHOD_E && !keys && i < n; i++) {
        rows->scale[i] = sqrt(old_tau2(g, s) / N);
        rows->moment[i] = 1 / rows->scale[i];
    }
    return 0;
}

/* Appends parameter tokens to Pattention.  Method A is from Wang et al. 2024
 * (TokenFormer), appendix B; the others follow from the normalisation.  With n old slots,
 * N after growing, m = N - n, and tau^2 the squared scale:
 *   A  keys 0, values fresh; tau^2 stays         both L2 forms; new slots add exact zeros at the end
 *   B  copies of all keys, each row times +-1, values 0; tau^2 N/n      l2_norm_gelu: rows' norms grow by sqrt(N/n)
 *   C  sqrt(f) U K or sqrt(f) U R, K = Q R, U'U = 1, f = N/tau^2 - 1, values 0; tau^2 N     l2_norm_gelu, m >= rank K
 *   D  copies of all keys, values shared out (shares sum to 1); tau^2 N/n          every form
 *   E  keys 0, values fresh, old values times sqrt(tau^2/N); tau^2 N                gelu_l2_norm
 *   F  fresh keys and values; tau^2 N                                   the released code: not preserving
 * A program that knows only tau^2 = N can read what B and D make of a model that it could read, and what C, E and F
 * make of any. */
#include "grow/grow.h"
#include "base/arena.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* D: the shares have opposite signs, since Adam would change two equal copies in the same way */
static const double FIRST_SHARE = 1.3;

const slot_group *slot_group_of(const arch *a, const param *p)
{
    const char *name = p->name, *layer = a->growth.keys.layer_prefix ? a->growth.keys.layer_prefix : "";
    size_t prefix = strlen(layer);
    if (!a->growth.slots || p->rule.axes[0].kind != AXIS_SLOT || strncmp(name, layer, prefix)) return NULL;
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

const char *any_number_of_slots(const growth *g)
{
    const char *theta = theta_of(g);
    if (!strcmp(theta, "l2_norm_gelu")) return g->options.portable ? ", or take method C" : ", or take method A or C";
    return strcmp(theta, "gelu_l2_norm") ? "; other methods do not preserve this form" : g->options.portable ? ", or take method E" : ", or take method A or E";
}

static double old_tau2(const growth *g, const slot_group *s)
{
    double tau2 = config_real(g->before, s->tau2_key, 0);
    return tau2 > 0 ? tau2 : config_int(g->before, s->slots_key, 1);
}

/* Fails for a method whose conditions do not hold. */
static int check_method(const growth *g, const slot_group *s, int n, int N, lithe_error *err)
{
    const char *theta = theta_of(g);
    bool l2_gelu = !strcmp(theta, "l2_norm_gelu"), gelu_l2 = !strcmp(theta, "gelu_l2_norm");
    if (g->method == METHOD_A && !l2_gelu && !gelu_l2)
        return fail(err, LITHE_EINVAL, "method A does not preserve %s: a zero key always takes a share; take method D", theta);
    if ((g->method == METHOD_B || g->method == METHOD_C) && !l2_gelu)
        return fail(err, LITHE_EINVAL, "method %s is for l2_norm_gelu, this model has %s; take method D", method_name(g->method), theta);
    if (g->method == METHOD_C && !(old_tau2(g, s) < N))
        return fail(err, LITHE_EINVAL, "the squared scale %g of %s is that of more than %d slots: take method A%s", old_tau2(g, s), s->slots_key, N, g->options.portable ? ", which other readers do not know, or add more slots" : "");
    if (g->method == METHOD_E && !gelu_l2)
        return fail(err, LITHE_EINVAL, "method E is for gelu_l2_norm, this model has %s; take method %s", theta, l2_gelu ? "C" : "D");
    if ((g->method == METHOD_B || g->method == METHOD_D) && N % n)
        return fail(err, LITHE_EINVAL, "method %s needs whole multiples: %s would go from %d to %d%s", method_name(g->method), s->slots_key, n, N, any_number_of_slots(g));
    return 0;
}

int grow_slot_scales(growth *g, lithe_growth *report, lithe_error *err)
{
    for (const slot_group *s = g->arch->growth.slots; s && s->slots_key; s++) {
        int n = config_int(g->before, s->slots_key, 0), N = config_int(g->config, s->slots_key, 0);
        if (n < 1 || !slots_used(g, s)) continue;
        if (g->options.portable && n == N && fabs(old_tau2(g, s) - N) > 1e-9 * N)
            return fail(err, LITHE_EINVAL, "%s keeps a squared scale of %g for %d slots, which other readers do not know: let it grow too, by method C", s->slots_key, old_tau2(g, s), N);
        if (n == N) continue;
        if (g->method < METHOD_A) return fail(err, LITHE_EINVAL, "slots grow by method A, B, C, D, E or F");
        int status = check_method(g, s, n, N, err);
        if (status) return status;
        double tau2 = old_tau2(g, s);
        if (g->method == METHOD_C || g->method == METHOD_E || g->method == METHOD_F) tau2 = N;
        else if (g->method != METHOD_A) tau2 = tau2 * N / n;
        if (g->options.portable && fabs(tau2 - N) > 1e-9 * N)
            return fail(err, LITHE_EINVAL, "method %s keeps a squared scale of %g for %d slots, which other readers do not know: take method C%s", method_name(g->method), tau2, N,
                        strcmp(theta_of(g), "gelu_l2_norm") ? "" : " or E");
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

/* The most rows that a basis of the keys can have. */
static int rank_of(const param *keys) { return keys->rule.dims[0] < keys->rule.dims[1] ? keys->rule.dims[0] : keys->rule.dims[1]; }

int check_gram(const growth *g, lithe_error *err)
{
    for (int i = 0; i < g->small->params->count; i++) {
        const param *p = g->small->params->items[i];
        const slot_group *s = slot_group_of(g->arch, p);
        int n = s ? p->rule.dims[0] : 0, N = s ? config_int(g->config, s->slots_key, n) : 0;
        if (N > n && !p->rule.axes[0].read && N - n < rank_of(p))
            return fail(err, LITHE_EINVAL, "method C needs at least %d new slots for %s, %d are asked for; take method A, unless the model must be portable", rank_of(p), p->name, N - n);
    }
    return LITHE_OK;
}

/* Computes extra (m, d) = sqrt(f) U K, or sqrt(f) U R where there are at least as many slots as columns: with f as the
 * ratio of the new keys' Gram matrix to that of the old ones. */
static int gram_matched(const param *keys, const real *values, int m, double f, float *extra, uint64_t key, lithe_error *err)
{
    int n = keys->rule.dims[0], d = keys->rule.dims[1], rank = rank_of(keys);
    double *k = xalloc((size_t)n * (size_t)d, sizeof *k), *r = xalloc((size_t)d * (size_t)d + 1, sizeof *r), *u = xalloc((size_t)m * (size_t)rank, sizeof *u);
    double *row = xalloc((size_t)d, sizeof *row);
    int status = k && r && u && row ? 0 : fail(err, LITHE_ENOMEM, "not enough memory to grow %s", keys->name);
    for (size_t i = 0; !status && i < (size_t)n * (size_t)d; i++) k[i] = (double)values[i];
    for (size_t i = 0; !status && i < (size_t)m * (size_t)rank; i++) u[i] = random_normal(key, i);
    if (!status) {
        orthonormalize(u, m, rank, NULL);
        if (n >= d) orthonormalize(k, n, d, r);              /* K = Q R; R has the Gram matrix of K */
        const double *factor = n >= d ? r : k;
        double scale = sqrt(f);
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

/* The old slot that the new slot i copies, and the sign of its key under B, which puts each round of copies in an order
 * of its own. */
typedef struct { size_t slot; double sign; } copied;
static copied copy_of(const growth *g, int n, int i, uint64_t key)
{
    if (g->method != METHOD_B) return (copied){ (size_t)(i % n), 1 };
    return (copied){ (size_t)permuted((uint64_t)(i % n), (uint64_t)n, key_of(key, (uint64_t)(i / n))), random_u64(key, (uint64_t)i) & 1 ? -1 : 1 };
}

/* Copies the old slots' rows (n, d) to m new ones, times scale and, for keys, the sign. */
static void copy_rows(const growth *g, const real *values, int n, size_t d, int m, float *extra, double scale, bool keys, uint64_t key)
{
    for (int i = 0; i < m; i++) {
        copied from = copy_of(g, n, i, key);
        for (size_t j = 0; j < d; j++) extra[(size_t)i * d + j] = (float)(scale * (keys ? from.sign : 1) * (double)values[from.slot * d + j]);
    }
}

/* Adds fresh values to those new slots that have the same key as another new one; the sum over equal keys is 0. */
static void part_values(const growth *g, int n, size_t d, int m, float *extra, double std, uint64_t key)
{
    double *sums = xalloc(2 * (size_t)n * d, sizeof *sums);
    int *counts = xalloc(2 * (size_t)n, sizeof *counts);
    for (int pass = 0; sums && counts && pass < 2; pass++)
        for (int i = 0; i < m; i++) {
            copied from = copy_of(g, n, i, key);
            size_t at = 2 * from.slot + (from.sign < 0);
            if (!pass) counts[at]++;
            for (size_t j = 0; j < d; j++) {
                double fresh = std * random_normal(key_of(key, 2), (uint64_t)i * d + j);
                if (!pass) sums[at * d + j] += fresh;
                else if (counts[at] > 1) extra[(size_t)i * d + j] += (float)(fresh - sums[at * d + j] / counts[at]);
            }
        }
    free(sums);
    free(counts);
}

/* Makes m new rows from the old ones, in map->extra. */
static int make_rows(const growth *g, const slot_group *s, param_map *map, bool keys, int m, uint64_t key, lithe_error *err)
{
    const param *small = map->small;
    int n = small->rule.dims[0], status = 0, repeats = m / n > 0 ? m / n : 1;
    size_t d = (size_t)small->rule.dims[1];
    real *values = weight_copy(&small->weight, small->count);
    map->extra = xalloc((size_t)m * d, sizeof *map->extra);
    if (!values || !map->extra) status = fail(err, LITHE_ENOMEM, "not enough memory to grow %s", map->name);
    else if (g->method == METHOD_C) status = gram_matched(small, values, m, (n + m) / old_tau2(g, s) - 1, map->extra, key, err);
    else copy_rows(g, values, n, d, m, map->extra, keys ? 1 : g->method == METHOD_B ? 0 : (1 - FIRST_SHARE) / repeats, keys, key);
    if (!status && !keys) part_values(g, n, d, m, map->extra, root_mean_square(small), key);
    free(values);
    return status;
}

static uint64_t key_of_layer(uint64_t seed, const char *name)
{
    char layer[256];
    const char *end = strrchr(name, '.');
    snprintf(layer, sizeof layer, "%.*s", end ? (int)(end - name) : 0, name);
    return key_of_name(seed, layer);
}

int grow_slots(const growth *g, const param *large, param_map *map, lithe_error *err)
{
    const slot_group *s = slot_group_of(g->arch, large);
    if (!s || !map->small || large->rule.rank != 2 || large->rule.axes[0].kind != AXIS_SLOT) return 0;
    const param *small = map->small;
    bool keys = !large->rule.axes[0].read;
    int n = small->rule.dims[0], N = large->rule.dims[0], m = N - n;
    if (!m) return 0;
    /* Keys and values of a layer have one, which is that of "....key_param_tokens" and "....value_param_tokens". */
    uint64_t key = key_of_layer(g->options.seed, large->name);
    axis_map *rows = &map->axes[0];
    rows->zero = keys ? g->method == METHOD_A || g->method == METHOD_E : g->method == METHOD_C;
    bool made = g->method == METHOD_B || g->method == METHOD_D || (keys && g->method == METHOD_C);
    if (made && make_rows(g, s, map, keys, m, key, err)) return err ? (int)err->status : LITHE_ENOMEM;
    if (g->method == METHOD_D) {
        for (int i = 0; i < n; i++) {
            rows->entries[i].scale = keys ? 1 : FIRST_SHARE;
            rows->entries[i].moment = keys ? FIRST_SHARE : 1;
        }
        double std = keys && g->options.noise > 0 ? (double)g->options.noise * root_mean_square(small) : 0;
        for (size_t i = 0; std > 0 && i < (size_t)m * (size_t)small->rule.dims[1]; i++) map->extra[i] += (float)(std * random_normal(key_of(key, 1), i));
    }
    for (int i = 0; g->method == METHOD_E && !keys && i < n; i++) {
        rows->entries[i].scale = sqrt(old_tau2(g, s) / N);
        rows->entries[i].moment = 1 / rows->entries[i].scale;
    }
    return 0;
}

#include "arch/rope_keys.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

/* The keys of each scaling; the newer names of llama3 and yarn differ. */
static const struct { const char *type, *ours, *theirs; } scaling_keys[] = {
    { NULL, "lithe_rope_factor", "factor" },
    { "llama3", "lithe_rope_low", "low_freq_factor" }, { "llama3", "lithe_rope_high", "high_freq_factor" }, { "llama3", "lithe_rope_original", "original_max_position_embeddings" },
    { "yarn", "lithe_rope_low", "beta_slow" }, { "yarn", "lithe_rope_high", "beta_fast" }, { "yarn", "lithe_rope_original", "original_max_position_embeddings" },
    { "yarn", "lithe_rope_attention", "attention_factor" },
    { "longrope", "lithe_rope_original", "original_max_position_embeddings" }, { "longrope", "lithe_rope_attention", "attention_factor" },
    { "longrope", "lithe_rope_short", "short_factor" }, { "longrope", "lithe_rope_long", "long_factor" },
};
enum { SCALING_KEYS = sizeof scaling_keys / sizeof *scaling_keys };

static bool is_of(int i, const char *type) { return !scaling_keys[i].type || (type && !strcmp(scaling_keys[i].type, type)); }

void bring_key(json_t *config, const char *ours, const json_t *from, const char *theirs)
{
    json_t *value = json_object_get(from, theirs);
    if (value && !json_is_null(value)) json_object_set(config, ours, value);
}

static double number_of(const json_t *keys, const char *key, double absent)
{
    const json_t *value = json_object_get(keys, key);
    return json_is_number(value) && json_number_value(value) > 0 ? json_number_value(value) : absent;
}

/* Peng et al. 2023, "YaRN": what keys mean that the file does not have; scores grow with the log of the factor. */
static void complete_yarn(json_t *config, const json_t *keys)
{
    const double length = number_of(config, "max_position_embeddings", 2048), original = number_of(keys, "original_max_position_embeddings", length);
    const double stretch = number_of(keys, "factor", length / original), usual = stretch > 1 ? log(stretch) / 10 : 0;
    const double m = number_of(keys, "mscale", 0), all = number_of(keys, "mscale_all_dim", 0), attention = m > 0 && all > 0 ? (m * usual + 1) / (all * usual + 1) : usual + 1;
    json_object_set_new(config, "lithe_rope_original", json_real(original));
    json_object_set_new(config, "lithe_rope_factor", json_real(stretch));
    json_object_set_new(config, "lithe_rope_low", json_real(number_of(keys, "beta_slow", 1)));
    json_object_set_new(config, "lithe_rope_high", json_real(number_of(keys, "beta_fast", 32)));
    json_object_set_new(config, "lithe_rope_attention", json_real(number_of(keys, "attention_factor", attention)));
    if (json_is_false(json_object_get(keys, "truncate"))) json_object_set_new(config, "lithe_rope_exact", json_true());
}

/* Ding et al. 2024, "LongRoPE": scores grow with the root of the logarithm of the factor, for all lengths. */
static void complete_long(json_t *config, const json_t *keys)
{
    const double length = number_of(config, "max_position_embeddings", 2048), said = number_of(config, "original_max_position_embeddings", length);
    const double original = number_of(keys, "original_max_position_embeddings", said), stretch = number_of(keys, "factor", length / original);
    const double usual = stretch > 1 && original > 1 ? sqrt(1 + log(stretch) / log(original)) : 1;
    json_object_set_new(config, "lithe_rope_original", json_real(original));
    json_object_set_new(config, "lithe_rope_factor", json_real(stretch));
    json_object_set_new(config, "lithe_rope_attention", json_real(number_of(keys, "attention_factor", usual)));
    bring_key(config, "lithe_rope_short", keys, "short_factor");
    bring_key(config, "lithe_rope_long", keys, "long_factor");
    bring_key(config, "lithe_rope_factors", config, json_is_true(json_object_get(config, "lithe_long_context")) ? "lithe_rope_long" : "lithe_rope_short");
}

int rope_context(rope_scaling scaling, double original, bool beyond, int most)
{
    return scaling == ROPE_LONG && !beyond && original < most ? (int)original : most;
}

int rope_check_factors(rope_scaling scaling, const double *factors, int channels, lithe_error *err)
{
    int n = 0;
    while (n < ROPE_FACTORS && factors[n] > 0) n++;
    return scaling != ROPE_LONG || n == channels / 2 ? LITHE_OK : fail(err, LITHE_ECONFIG, "longrope has %d factors for %d rotated channels, expected %d", n, channels, channels / 2);
}

/* Those of other scalings than the file's have no effect, in transformers either. */
static const known_key known[] = {
    { .key = "type" }, { .key = "rope_type" }, { .key = "rope_theta" }, { .key = "factor" }, { .key = "partial_rotary_factor" }, { .key = "original_max_position_embeddings" },
    { .key = "low_freq_factor" }, { .key = "high_freq_factor" }, { .key = "beta_slow" }, { .key = "beta_fast" }, { .key = "attention_factor" },
    { .key = "mscale" }, { .key = "mscale_all_dim" }, { .key = "truncate" }, { .key = "short_factor" }, { .key = "long_factor" },
    { "finetuned", "*" },                                       /* how the model was made */
    { 0 }
};

int rope_check_plain(const json_t *keys, const char *what, lithe_error *err)
{
    static const known_key plain[] = { { "rope_type", "\"default\"" }, { "type", "\"default\"" }, { .key = "rope_theta" }, { "partial_rotary_factor", "1|1.0|null" }, { 0 } };
    return keys_check(keys, plain, what, err);
}

static bool is_scaling(const char *type)
{
    static const char *const types[] = { "default", "linear", "dynamic", "llama3", "yarn", "longrope", "su" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) if (!strcmp(type, types[i])) return true;
    return false;
}

int rope_normalize(json_t *config, const char *base, lithe_error *err)
{
    json_t *scaling = json_object_get(config, "rope_scaling"), *newer = json_object_get(config, "rope_parameters");
    /* Where a file has both, the older one wins, unless it is empty, as transformers 5 decides. */
    const bool older = json_object_size(scaling) > 0;
    const json_t *keys = older ? scaling : json_is_object(newer) ? newer : NULL;
    if (!keys) return LITHE_OK;
    if (keys_check(keys, known, older ? "rope_scaling" : "rope_parameters", err)) return LITHE_ECONFIG;
    bring_key(config, base, keys, "rope_theta");
    bring_key(config, "lithe_rope_type", keys, "type");
    bring_key(config, "lithe_rope_type", keys, "rope_type");
    const char *type = json_string_value(json_object_get(config, "lithe_rope_type"));
    if (type && !is_scaling(type))
        return fail(err, LITHE_ECONFIG, "rope_type \"%.40s\" is not supported, only default, linear, dynamic, llama3, yarn and longrope (or su)", type);
    if (type && !strcmp(type, "su")) json_object_set_new(config, "lithe_rope_type", json_string("longrope"));
    if (type && (!strcmp(type, "su") || !strcmp(type, "longrope"))) complete_long(config, keys);
    else if (type && !strcmp(type, "yarn")) complete_yarn(config, keys);
    else for (int i = 0; i < SCALING_KEYS; i++) if (is_of(i, type)) bring_key(config, scaling_keys[i].ours, keys, scaling_keys[i].theirs);
    return LITHE_OK;
}

int rope_publish(json_t *config, const char *base, const json_t *more)
{
    static const char *const own[] = { "lithe_rope_type", "lithe_rope_factor", "lithe_rope_low", "lithe_rope_high", "lithe_rope_original", "lithe_rope_attention", "lithe_rope_exact",
                                       "lithe_rope_short", "lithe_rope_long", "lithe_rope_factors" };
    const char *type = json_string_value(json_object_get(config, "lithe_rope_type"));
    const bool scaled = type && strcmp(type, "default");
    json_t *newer = json_pack("{s:s,s:O}", "rope_type", scaled ? type : "default", "rope_theta", json_object_get(config, base));
    if (!newer) return LITHE_ENOMEM;
    if (more) json_object_update(newer, (json_t *)(uintptr_t)more);
    if (scaled) {
        json_t *older = json_pack("{s:s}", "rope_type", type);
        for (int i = 0; i < SCALING_KEYS; i++) if (is_of(i, type)) bring_key(older, scaling_keys[i].theirs, config, scaling_keys[i].ours);
        if (json_is_true(json_object_get(config, "lithe_rope_exact"))) json_object_set_new(older, "truncate", json_false());
        json_object_update(newer, older);
        json_object_set_new(config, "rope_scaling", older);
    }
    json_object_set_new(config, "rope_parameters", newer);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) json_object_del(config, own[i]);
    return 0;
}

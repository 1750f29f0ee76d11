#include "arch/rope_keys.h"
#include <stdint.h>
#include <string.h>

static const struct { const char *ours, *theirs; } scaling_keys[] = {
    { "lithe_rope_factor", "factor" }, { "lithe_rope_low", "low_freq_factor" }, { "lithe_rope_high", "high_freq_factor" },
    { "lithe_rope_original", "original_max_position_embeddings" },
};
enum { SCALING_KEYS = sizeof scaling_keys / sizeof *scaling_keys };

void bring_key(json_t *config, const char *ours, const json_t *from, const char *theirs)
{
    json_t *value = json_object_get(from, theirs);
    if (value && !json_is_null(value)) json_object_set(config, ours, value);
}

void rope_normalize(json_t *config, const char *base)
{
    json_t *scaling = json_object_get(config, "rope_scaling"), *newer = json_object_get(config, "rope_parameters");
    const json_t *keys = json_is_object(newer) ? newer : json_is_object(scaling) ? scaling : NULL;
    if (!keys) return;
    bring_key(config, base, keys, "rope_theta");
    bring_key(config, "lithe_rope_type", keys, "type");
    bring_key(config, "lithe_rope_type", keys, "rope_type");
    for (int i = 0; i < SCALING_KEYS; i++) bring_key(config, scaling_keys[i].ours, keys, scaling_keys[i].theirs);
}

int rope_publish(json_t *config, const char *base, const json_t *more)
{
    const char *type = json_string_value(json_object_get(config, "lithe_rope_type"));
    bool scaled = type && strcmp(type, "default"), llama3 = type && !strcmp(type, "llama3");
    json_t *newer = json_pack("{s:s,s:O}", "rope_type", scaled ? type : "default", "rope_theta", json_object_get(config, base));
    if (!newer) return LITHE_ENOMEM;
    if (more) json_object_update(newer, (json_t *)(uintptr_t)more);
    if (scaled) {
        json_t *older = json_pack("{s:s}", "rope_type", type);
        for (int i = 0; i < (llama3 ? SCALING_KEYS : 1); i++) bring_key(older, scaling_keys[i].theirs, config, scaling_keys[i].ours);
        json_object_update(newer, older);
        json_object_set_new(config, "rope_scaling", older);
    }
    json_object_set_new(config, "rope_parameters", newer);
    json_object_del(config, "lithe_rope_type");
    for (int i = 0; i < SCALING_KEYS; i++) json_object_del(config, scaling_keys[i].ours);
    return 0;
}

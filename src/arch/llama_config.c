/* How the families that share the LLaMA block say in config.json what they change in it.  Everything that stands in a
 * file's model_type, in objects or in lists becomes a field of `llama`, and is written back as the family says it.
 * Invariant: a key that changes the results of one family is refused in a file of another. */
#include "arch/llama.h"
#include <stdlib.h>
#include <string.h>

/* ---- families ----------------------------------------------------------------------- */

#define FAMILY(name, cls, ...) { .type = name, .class_name = cls, __VA_ARGS__ }
const llama_family llama_families[] = {
    FAMILY("llama", "LlamaForCausalLM", .norm = NORM_RMS, .norms_before = true),
    FAMILY("qwen3", "Qwen3ForCausalLM", .norm = NORM_RMS, .norms_before = true, .head_norms = true, .absent = { .head_dim = 128 }),
    FAMILY("smollm3", "SmolLM3ForCausalLM", .norm = NORM_RMS, .norms_before = true, .absent = { .rope_theta = 2e6, .plain_every = 4, .tied = true },
           .keys = NAMES("no_rope_layers", "no_rope_layer_interval")),
    FAMILY("olmo2", "Olmo2ForCausalLM", .norm = NORM_RMS, .norms_after = true, .whole_norms = true, .absent = { .norm_eps = 1e-5 }),
    FAMILY("granite", "GraniteForCausalLM", .norm = NORM_RMS, .norms_before = true, .absent = { .attention_multiplier = 1 },
           .keys = NAMES("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")),
    FAMILY("phi3", "Phi3ForCausalLM", .norm = NORM_RMS, .norms_before = true, .fused = true, .absent = { .norm_eps = 1e-5 }, .keys = NAMES("partial_rotary_factor")),
    FAMILY("gemma", "GemmaForCausalLM", .norms_before = true, .norm = NORM_RMS_SHIFTED, .root_embedding = true, .tanh_gelu = true,
           .absent = { .head_dim = 256, .tied = true }, .keys = NAMES("hidden_activation")),
    FAMILY("gemma3_text", "Gemma3ForCausalLM", .norms_before = true, .norms_after = true, .norm = NORM_RMS_SHIFTED, .head_norms = true, .root_embedding = true,
           .tanh_gelu = true, .absent = { .head_dim = 256, .window = 4096, .full_every = 6, .rope_theta = 1e6, .local_theta = 10000, .query_pre_attn_scalar = 256, .tied = true },
           .keys = NAMES("hidden_activation", "query_pre_attn_scalar", "rope_local_base_freq", "sliding_window_pattern", "_sliding_window_pattern")),
    FAMILY("stablelm", "StableLmForCausalLM", .norms_before = true, .norm = NORM_LAYER, .absent = { .norm_eps = 1e-5, .rotary = 0.25 },
           .keys = NAMES("layer_norm_eps", "use_qkv_bias", "partial_rotary_factor")),
    FAMILY("gemma2", "Gemma2ForCausalLM", .norms_before = true, .norms_after = true, .norm = NORM_RMS_SHIFTED, .root_embedding = true, .tanh_gelu = true,
           .absent = { .head_dim = 256, .window = 4096, .full_every = 2, .query_pre_attn_scalar = 256, .tied = true, .attention_cap = 50, .logits_cap = 30 },
           .keys = NAMES("hidden_activation", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping")),
};
enum { FAMILIES = sizeof llama_families / sizeof *llama_families };

const known_key llama_others[] = {
    { .key = "rope_scaling" }, { .key = "rope_parameters" }, { .key = "sliding_window" }, { .key = "use_sliding_window" }, { .key = "max_window_layers" },
    { .key = "layer_types" }, { .key = "no_rope_layers" }, { .key = "no_rope_layer_interval" }, { .key = "hidden_activation" }, { .key = "rope_local_base_freq" },
    { .key = "sliding_window_pattern" }, { .key = "_sliding_window_pattern" }, { .key = "layer_norm_eps" }, { .key = "use_qkv_bias" }, { .key = "bias" },
    { "attention_dropout", "0.0|0" }, { "hidden_dropout", "0.0|0" }, { "resid_pdrop", "0.0|0" }, { "embd_pdrop", "0.0|0" }, { "max_sequence_length", "*" },
    { "use_bidirectional_attention", "false|null" }, { "qk_layernorm", "false" },
    { "use_parallel_residual", "false" },
    { .key = "lithe_rope_short" }, { .key = "lithe_rope_long" },
    /* Of a scaling that is not the plain one: rope_parameters says it too. */
    { "original_max_position_embeddings", "*" },
    /* how keys are kept */
    { "cache_implementation", "*" },
    { 0 }
};

static const char *type_of(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type ? type : "llama";
}

/* Its place in the list; 0, LLaMA's, for all others. */
static int family_of(const char *type)
{
    for (int i = 0; i < FAMILIES; i++) if (!strcmp(llama_families[i].type, type)) return i;
    return 0;
}

/* PanGu-pi adds to a block of any family, which lithe_family names. */
static bool is_built_on(const char *type) { return !strcmp(type, "pangu_pi") || !strcmp(type, "pangu-pi"); }

static bool is_among(const char *const *names, const char *name)
{
    for (; names && *names; names++) if (!strcmp(*names, name)) return true;
    return false;
}

static bool has_effect(const json_t *value)
{
    if (json_is_number(value)) return json_number_value(value) < 1 || json_number_value(value) > 1;
    return value && !json_is_null(value) && !json_is_false(value);
}

/* Refuses keys of other families that have an effect there. */
static int check_family_keys(const json_t *config, const llama_family *own, const char *type, lithe_error *err)
{
    for (int i = 0; i < FAMILIES; i++)
        for (const char *const *key = llama_families[i].keys; key && *key; key++) {
            const json_t *value = json_object_get(config, *key);
            if (!has_effect(value) || is_among(own->keys, *key)) continue;
            char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
            fail(err, LITHE_ECONFIG, "\"%s\": %.80s is not known of a %.40s: it is a key of %s", *key, text ? text : "?", type, llama_families[i].type);
            free(text);
            return LITHE_ECONFIG;
        }
    return LITHE_OK;
}

/* Sets a key that the file does not have. */
static int set_absent(json_t *config, const char *key, json_t *value)
{
    const json_t *said = json_object_get(config, key);
    if (!value) return LITHE_ENOMEM;
    if (!said || json_is_null(said)) return json_object_set_new(config, key, value);
    json_decref(value);
    return 0;
}

/* A null says that there is no cap. */
static int set_cap(json_t *config, const char *key, double value)
{
    return json_object_get(config, key) ? 0 : json_object_set_new(config, key, json_real(value));
}

static int set_defaults(json_t *config, const llama_family *f)
{
    int bad = 0;
    if (f->absent.head_dim) bad |= set_absent(config, "head_dim", json_integer(f->absent.head_dim));
    if (f->absent.rope_theta > 0) bad |= set_absent(config, "rope_theta", json_real(f->absent.rope_theta));
    if (f->absent.norm_eps > 0) bad |= set_absent(config, "rms_norm_eps", json_real(f->absent.norm_eps));
    if (f->absent.rotary > 0) bad |= set_absent(config, "partial_rotary_factor", json_real(f->absent.rotary));
    if (f->absent.attention_multiplier > 0) bad |= set_absent(config, "attention_multiplier", json_real(f->absent.attention_multiplier));
    if (f->absent.query_pre_attn_scalar > 0) bad |= set_absent(config, "query_pre_attn_scalar", json_real(f->absent.query_pre_attn_scalar));
    if (f->absent.attention_cap > 0) bad |= set_cap(config, "attn_logit_softcapping", f->absent.attention_cap);
    if (f->absent.logits_cap > 0) bad |= set_cap(config, "final_logit_softcapping", f->absent.logits_cap);
    if (f->absent.tied) bad |= set_absent(config, "tie_word_embeddings", json_true());
    if (f->tanh_gelu) bad |= set_absent(config, "hidden_act", json_string("gelu_pytorch_tanh"));
    return bad;
}

/* Its tensors have names of their own (files/names_llama.c); it is written as a LLaMA, which other programs open
 * without code of the authors. */
static bool is_internlm(const char *type) { return !strcmp(type, "internlm2"); }

/* Spellings of single keys. */
static int rename_keys(json_t *config, const llama_family *f, const char *type, lithe_error *err)
{
    const bool said = !strcmp(type, "PanguEmbedded") || !strcmp(type, "openpangu_dense") || is_internlm(type);
    const char *act = json_string_value(json_object_get(config, "hidden_activation"));
    bring_key(config, "hidden_act", config, "hidden_activation");
    if (!act) act = json_string_value(json_object_get(config, "hidden_act"));
    if (f->tanh_gelu && act && !strcmp(act, "gelu")) json_object_set_new(config, "hidden_act", json_string("gelu_pytorch_tanh"));
    bring_key(config, "rms_norm_eps", config, "layer_norm_eps");
    bring_key(config, "lithe_qkv_bias", config, "use_qkv_bias");
    if (!strcmp(type, "qwen2")) json_object_set_new(config, "lithe_qkv_bias", json_true());
    if (said && !json_is_boolean(json_object_get(config, "bias")))
        return fail(err, LITHE_ECONFIG, "a %.40s says whether its attention has biases (\"bias\": true or false)", type);
    if (said) bring_key(config, "attention_bias", config, "bias");
    else if (json_object_get(config, "bias")) return fail(err, LITHE_ECONFIG, "\"bias\" is a key of openPangu and InternLM2, and not known of a %.40s", type);
    return LITHE_OK;
}

/* ---- layers: windows and positions ----------------------------------------------------- */

enum { MOST = 1 << 24, MOST_LAYERS = 1 << 10 };

typedef struct { int window, from, full_every; } layer_windows;

static bool has_window(const layer_windows *w, int layer) { return w->window && layer >= w->from && !(w->full_every && (layer + 1) % w->full_every == 0); }

/* layer_types must be what the other keys say. */
static int check_types(const json_t *types, const layer_windows *w, lithe_error *err)
{
    for (size_t l = 0; l < json_array_size(types); l++) {
        const char *type = json_string_value(json_array_get(types, l)), *expected = has_window(w, (int)l) ? "sliding_attention" : "full_attention";
        if (!type || strcmp(type, expected)) return fail(err, LITHE_ECONFIG, "layer_types has %.40s for layer %zu, the other keys say %s", type ? type : "no name", l, expected);
    }
    return LITHE_OK;
}

/* Mistral has its window in all layers, 4096 where the file does not say; Phi-3 if the file says one; Qwen2 and 3 the
 * same 4096 in the layers from max_window_layers (else 28) on, if use_sliding_window is true; Gemma 2 and 3 in all but
 * every second or sixth. */
static int read_window(json_t *config, const llama_family *f, const char *type, lithe_error *err)
{
    const json_t *said = json_object_get(config, "sliding_window");
    const bool asked = json_is_true(json_object_get(config, "use_sliding_window")), wanted = said && !json_is_null(said), built_on = is_built_on(type);
    const bool mistral = !strcmp(type, "mistral"), qwen = !strcmp(type, "qwen2") || !strcmp(type, "qwen3") || (built_on && asked);
    const bool everywhere = mistral || !strcmp(type, "phi3") || f->absent.full_every || (built_on && !asked);
    layer_windows w = { .window = !said ? mistral || (qwen && asked) ? 4096 : f->absent.window : 0, .from = qwen ? 28 : 0, .full_every = f->absent.full_every };
    int context = 0;
    if (json_object_get(config, "lithe_window")) return LITHE_OK;
    if (!everywhere && !qwen && (asked || wanted))
        return fail(err, LITHE_ECONFIG, "sliding_window is not supported for a %.40s", type);
    if ((everywhere || (qwen && asked)) && wanted && !json_int(config, "sliding_window", 2, MOST, &w.window))
        return fail(err, LITHE_ECONFIG, "sliding_window is no whole number from 2 to %d", MOST);
    if (w.window && qwen && json_object_get(config, "max_window_layers") && !json_int(config, "max_window_layers", 0, MOST_LAYERS, &w.from))
        return fail(err, LITHE_ECONFIG, "max_window_layers is no whole number from 0 to %d", MOST_LAYERS);
    if (w.full_every && !json_int(config, "_sliding_window_pattern", 1, MOST_LAYERS, &w.full_every)) json_int(config, "sliding_window_pattern", 1, MOST_LAYERS, &w.full_every);
    if (check_types(json_object_get(config, "layer_types"), &w, err)) return LITHE_ECONFIG;
    /* Every token sees all before it. */
    if (json_int(config, "max_position_embeddings", 1, MOST, &context) && w.window >= context) w.window = 0;
    bool bad = w.window && (json_object_set_new(config, "lithe_window", json_integer(w.window)) || json_object_set_new(config, "lithe_window_from", json_integer(w.from)));
    if (w.full_every) bad |= json_object_set_new(config, "lithe_full_every", json_integer(w.full_every)) != 0;
    return bad ? fail(err, LITHE_ENOMEM, "not enough memory to read it") : LITHE_OK;
}

/* no_rope_layers has 0 for a layer that rotates nothing: every no_rope_layer_interval-th. */
static int read_plain_layers(json_t *config, const llama_family *f, lithe_error *err)
{
    const json_t *list = json_object_get(config, "no_rope_layers");
    int every = f->absent.plain_every;
    if (!every) return LITHE_OK;
    json_int(config, "no_rope_layer_interval", 2, MOST_LAYERS, &every);
    for (size_t l = 0; l < json_array_size(list); l++)
        if ((json_integer_value(json_array_get(list, l)) == 0) != ((l + 1) % (size_t)every == 0))
            return fail(err, LITHE_ECONFIG, "no_rope_layers: layer %zu is not as every %d-th layer without rotation says: no other order is supported", l, every);
    return json_object_set_new(config, "lithe_plain_every", json_integer(every)) ? fail(err, LITHE_ENOMEM, "not enough memory to read it") : LITHE_OK;
}

/* Gemma 3 has rope_parameters of its own for each type of layer, or in older files the base of the layers with a
 * window. */
static int read_local_rotation(json_t *config, const llama_family *f, lithe_error *err)
{
    json_t *both = json_object_get(config, "rope_parameters"), *full = json_object_get(both, "full_attention");
    if (!(f->absent.local_theta > 0)) return LITHE_OK;
    json_object_set_new(config, "lithe_local_theta", json_real(f->absent.local_theta));
    bring_key(config, "lithe_local_theta", config, "rope_local_base_freq");
    bring_key(config, "lithe_local_theta", json_object_get(both, "sliding_attention"), "rope_theta");
    const int status = rope_check_plain(json_object_get(both, "sliding_attention"), "rope_parameters.sliding_attention", err);
    if (full) json_object_set(config, "rope_parameters", full);
    return status;
}

/* Phi-3 knows no scaling but longrope, which older files of it call yarn. */
static int read_phi3_rotation(json_t *config, lithe_error *err)
{
    json_t *older = json_object_get(config, "rope_scaling"), *said = json_object_size(older) ? older : json_object_get(config, "rope_parameters");
    const char *key = json_object_get(said, "rope_type") ? "rope_type" : "type", *type = json_string_value(json_object_get(said, key));
    if (!type || !strcmp(type, "default") || !strcmp(type, "longrope") || !strcmp(type, "su")) return LITHE_OK;
    if (strcmp(type, "yarn")) return fail(err, LITHE_ECONFIG, "rope_type \"%.40s\" is not supported for a phi3, only longrope (or su)", type);
    return json_object_set_new(said, key, json_string("longrope")) ? fail(err, LITHE_ENOMEM, "not enough memory to read it") : LITHE_OK;
}

int llama_normalize(json_t *config, lithe_error *err)
{
    const char *type = type_of(config), *name = json_string_value(json_object_get(config, "lithe_family"));
    const int place = family_of(name ? name : type);
    const llama_family *f = &llama_families[place];
    json_t *said = json_object_get(config, "rope_parameters");
    bring_key(config, "partial_rotary_factor", said, "partial_rotary_factor");
    int status = check_family_keys(config, f, type, err);
    if (!status) status = rename_keys(config, f, type, err);
    if (status) return status;
    if (!strcmp(f->type, "phi3") && read_phi3_rotation(config, err)) return LITHE_ECONFIG;
    if (read_local_rotation(config, f, err) || rope_normalize(config, "rope_theta", err)) return LITHE_ECONFIG;
    if (set_defaults(config, f) || (place && json_object_set_new(config, "lithe_family", json_string(f->type)))) return fail(err, LITHE_ENOMEM, "not enough memory to read it");
    status = read_window(config, f, type, err);
    return status ? status : read_plain_layers(config, f, err);
}

/* ---- the way back -------------------------------------------------------------------------- */

static int set_type(json_t *config, const char *type, const char *class_name)
{
    return json_object_set_new(config, "model_type", json_string(type)) || json_object_set_new(config, "architectures", json_pack("[s]", class_name));
}

/* layer_types and no_rope_layers are as long as there are layers. */
static int publish_layers(json_t *config, const layer_windows *w, int plain_every)
{
    const int layers = (int)json_integer_value(json_object_get(config, "num_hidden_layers"));
    json_t *types = json_object_get(config, "layer_types") || w->full_every ? json_array() : NULL, *rotates = plain_every ? json_array() : NULL;
    int bad = 0;
    for (int l = 0; l < layers; l++) {
        if (types) bad |= json_array_append_new(types, json_string(has_window(w, l) ? "sliding_attention" : "full_attention"));
        if (rotates) bad |= json_array_append_new(rotates, json_integer((l + 1) % plain_every != 0));
    }
    if (types) bad |= json_object_set_new(config, "layer_types", types);
    if (rotates) bad |= json_object_set_new(config, "no_rope_layers", rotates);
    return bad;
}

static int publish_window(json_t *config, const llama_family *f, const char *type)
{
    layer_windows w = { .window = (int)json_integer_value(json_object_get(config, "lithe_window")), .from = (int)json_integer_value(json_object_get(config, "lithe_window_from")),
                        .full_every = (int)json_integer_value(json_object_get(config, "lithe_full_every")) };
    const bool qwen2 = json_is_true(json_object_get(config, "lithe_qkv_bias")) && f == llama_families, plain = f == llama_families && !qwen2;
    int bad = 0;
    if (w.window) bad = json_object_set_new(config, "sliding_window", json_integer(w.window));
    if (w.window && (qwen2 || !strcmp(f->type, "qwen3")))
        bad |= json_object_set_new(config, "use_sliding_window", json_true()) || json_object_set_new(config, "max_window_layers", json_integer(w.from));
    if (w.window && plain && !is_built_on(type)) bad |= set_type(config, "mistral", "MistralForCausalLM");
    /* What the window was is still said; it reaches no token within the context. */
    if (!w.window && w.full_every) w.window = json_int(config, "sliding_window", 2, MOST, &w.window) ? w.window : 4096;
    return bad | publish_layers(config, &w, (int)json_integer_value(json_object_get(config, "lithe_plain_every")));
}

static int publish_rotation(json_t *config)
{
    json_t *part = json_object_get(config, "partial_rotary_factor"), *local = json_object_get(config, "lithe_local_theta");
    json_t *more = part ? json_pack("{s:O}", "partial_rotary_factor", part) : NULL;
    int bad = rope_publish(config, "rope_theta", more);
    json_decref(more);
    if (bad || !(json_number_value(local) > 0)) return bad;
    json_t *both = json_pack("{s:O, s:{s:s, s:O}}", "full_attention", json_object_get(config, "rope_parameters"), "sliding_attention", "rope_type", "default", "rope_theta", local);
    return json_object_set(config, "rope_local_base_freq", local) || json_object_set_new(config, "rope_parameters", both);
}

/* What normalize made goes, but for the family of an architecture that is none itself and is built on one. */
static void drop_own_keys(json_t *config, bool family_too)
{
    static const char *const own[] = { "lithe_qkv_bias", "lithe_window", "lithe_window_from", "lithe_full_every", "lithe_plain_every", "lithe_local_theta" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) json_object_del(config, own[i]);
    if (family_too) json_object_del(config, "lithe_family");
}

/* The name is Qwen2's when only q, k and v have biases. */
int llama_publish(json_t *config)
{
    const char *type = type_of(config), *name = json_string_value(json_object_get(config, "lithe_family"));
    const llama_family *f = &llama_families[name ? family_of(name) : 0];
    const bool built_on = is_built_on(type), qwen2 = f == llama_families && json_is_true(json_object_get(config, "lithe_qkv_bias"));
    int bad = 0;
    if (is_internlm(type)) bad = set_type(config, "llama", "LlamaForCausalLM") | json_object_del(config, "bias");
    if (!built_on && f != llama_families && strcmp(type, f->type)) bad = set_type(config, f->type, f->class_name);
    if (!built_on && qwen2 && strcmp(type, "qwen2")) bad |= set_type(config, "qwen2", "Qwen2ForCausalLM");
    bad |= publish_window(config, f, type) | publish_rotation(config);
    drop_own_keys(config, !built_on || f == llama_families);
    return bad ? LITHE_ENOMEM : 0;
}

/* How the parts of the named architectures are called in a hybrid (arch/hybrid.c), which computes the same with them.
 * Where a model has a part for which a hybrid has no name, the reason is said. */
#include "arch/hybrid_forms.h"
#include "arch/llama.h"
#include "base/keys.h"
#include <stdio.h>
#include <string.h>

/* The values that a key may have: other values mean other equations. */
typedef struct { const char *key, *values; } condition;

struct hybrid_form {
    const char *from, *to;
    const char *fixed;                        /* keys of the hybrid, as JSON */
    const name_pair *renamed;                 /* keys that both have under different names: theirs, ours */
    const condition *conditions;
    /* Other conditions, and keys of the hybrid that depend on several; or NULL. */
    int (*check)(const void *config, const json_t *before, json_t *hybrid, lithe_error *err);
    const named_part *parts;
};

#define PLACE(theirs, ours)   { theirs, ours, 0, 1, false, false }
#define TURNED(theirs, ours)  { theirs, ours, 0, 1, true, false }

/* ---- names of parameters ------------------------------------------------------------------- */

static const named_part GPT2[] = {
    PLACE("wte.weight", "embed_tokens.weight"), PLACE("wpe.weight", "embed_positions.weight"), PLACE("ln_f.@", "norm.@"),
    PLACE("layers.*.ln_1.@", "layers.*.mixer_norm.@"), PLACE("layers.*.ln_2.@", "layers.*.feed_forward_norm.@"),
    { "layers.*.attn.c_attn.weight", "layers.*.self_attn.q_proj.weight", 0, 3, true, false }, { "layers.*.attn.c_attn.weight", "layers.*.self_attn.k_proj.weight", 1, 3, true, false },
    { "layers.*.attn.c_attn.weight", "layers.*.self_attn.v_proj.weight", 2, 3, true, false },
    { "layers.*.attn.c_attn.bias", "layers.*.self_attn.q_proj.bias", 0, 3, false, false }, { "layers.*.attn.c_attn.bias", "layers.*.self_attn.k_proj.bias", 1, 3, false, false },
    { "layers.*.attn.c_attn.bias", "layers.*.self_attn.v_proj.bias", 2, 3, false, false },
    TURNED("layers.*.attn.c_proj.weight", "layers.*.self_attn.o_proj.weight"), PLACE("layers.*.attn.c_proj.bias", "layers.*.self_attn.o_proj.bias"),
    TURNED("layers.*.mlp.c_fc.weight", "layers.*.mlp.up_proj.weight"), PLACE("layers.*.mlp.c_fc.bias", "layers.*.mlp.up_proj.bias"),
    TURNED("layers.*.mlp.c_proj.weight", "layers.*.mlp.down_proj.weight"), PLACE("layers.*.mlp.c_proj.bias", "layers.*.mlp.down_proj.bias"),
    { 0 }
};

#define NEOX_PART(name, i) { "layers.*.attention.query_key_value.@", "layers.*.self_attn." name ".@", i, 3, false, false }
static const named_part GPT_NEOX[] = {
    PLACE("gpt_neox.embed_in.weight", "embed_tokens.weight"), PLACE("gpt_neox.final_layer_norm.@", "norm.@"), PLACE("embed_out.weight", "lm_head.weight"),
    PLACE("layers.*.input_layernorm.@", "layers.*.mixer_norm.@"), PLACE("layers.*.post_attention_layernorm.@", "layers.*.feed_forward_norm.@"),
    NEOX_PART("q_proj", 0), NEOX_PART("k_proj", 1), NEOX_PART("v_proj", 2), PLACE("layers.*.attention.dense.@", "layers.*.self_attn.o_proj.@"),
    PLACE("layers.*.mlp.dense_h_to_4h.@", "layers.*.mlp.up_proj.@"), PLACE("layers.*.mlp.dense_4h_to_h.@", "layers.*.mlp.down_proj.@"),
    { 0 }
};

static const named_part LLAMA[] = {
    PLACE("model.embed_tokens.weight", "embed_tokens.weight"), PLACE("model.norm.@", "norm.@"),
    PLACE("layers.*.input_layernorm.@", "layers.*.mixer_norm.@"), PLACE("layers.*.post_attention_layernorm.@", "layers.*.feed_forward_norm.@"),
    PLACE("layers.*.self_attn.aug.0.@", "layers.*.shortcut.@"),
    { 0 }
};

#define TOKENS \
    PLACE("layers.*.attention.query.@", "layers.*.self_attn.q_proj.@"), PLACE("layers.*.attention.key.@", "layers.*.self_attn.k_proj.@"), \
    PLACE("layers.*.attention.value.@", "layers.*.self_attn.v_proj.@"), PLACE("layers.*.attention.proj.@", "layers.*.self_attn.o_proj.@"), \
    PLACE("layers.*.mlp.@", "layers.*.mlp.tokens.@")
static const named_part TOKENFORMER[] = {
    PLACE("sequential.0.word_embeddings.weight", "embed_tokens.weight"), TOKENS,
    PLACE("sequential.*.norm.@", "norm.@"), PLACE("sequential.*.final_linear.weight", "lm_head.weight"),
    { 0 }
};
static const named_part TOKENFORMER_VIT[] = { TOKENS, PLACE("layernorm.@", "norm.@"), { 0 } };

static const named_part VIT[] = {
    PLACE("layernorm.@", "norm.@"),
    PLACE("layers.*.layernorm_before.@", "layers.*.mixer_norm.@"), PLACE("layers.*.layernorm_after.@", "layers.*.feed_forward_norm.@"),
    PLACE("layers.*.attention.attention.query.@", "layers.*.self_attn.q_proj.@"), PLACE("layers.*.attention.attention.key.@", "layers.*.self_attn.k_proj.@"),
    PLACE("layers.*.attention.attention.value.@", "layers.*.self_attn.v_proj.@"), PLACE("layers.*.attention.output.dense.@", "layers.*.self_attn.o_proj.@"),
    PLACE("layers.*.intermediate.dense.@", "layers.*.mlp.up_proj.@"), PLACE("layers.*.output.dense.@", "layers.*.mlp.down_proj.@"),
    { 0 }
};

/* Version 6 weighs the row before where version 4 weighs the row itself. */
#define RWKV_PLACES \
    PLACE("emb.weight", "embed_tokens.weight"), PLACE("ln_out.@", "norm.@"), PLACE("head.weight", "lm_head.weight"), PLACE("layers.*.ln0.@", "embed_norm.@"), \
    PLACE("layers.*.ln1.@", "layers.*.mixer_norm.@"), PLACE("layers.*.ln2.@", "layers.*.feed_forward_norm.@"), \
    { "layers.*.ffn.time_maa_k", "layers.*.ffn.time_mix_k", 0, 1, false, true }, { "layers.*.ffn.time_maa_r", "layers.*.ffn.time_mix_r", 0, 1, false, true }
static const named_part RWKV[] = { RWKV_PLACES, { 0 } };

/* ---- configurations ------------------------------------------------------------------------ */

static int no_name(const char *why, lithe_error *err) { return fail(err, LITHE_EINVAL, "a hybrid has no name for this model: %s", why); }

static int check_llama(const void *config, const json_t *before, json_t *hybrid, lithe_error *err)
{
    (void)before;
    const llama *c = config;
    const double factors = c->embedding_multiplier + c->residual_multiplier + c->attention_multiplier + c->logits_scaling + c->query_pre_attn_scalar;
    const char *what = c->lithe_family ? "it is of a family that changes the block" : c->lithe_window ? "its attention has a window"
                     : c->lithe_rope_type ? "its rotary positions are scaled" : c->lithe_plain_every ? "some of its layers rotate nothing"
                     : c->partial_rotary_factor > 0 || factors > 0 ? "it has factors of its own"
                     : c->head_dim && c->head_dim * c->num_attention_heads != c->hidden_size ? "its heads together are not as wide as the residual" : NULL;
    if (what) return no_name(what, err);
    return json_object_set_new(hybrid, "attention_bias", json_boolean(c->attention_bias || c->lithe_qkv_bias)) ? fail(err, LITHE_ENOMEM, "not enough memory to grow") : LITHE_OK;
}

static int whole(const json_t *config, const char *key) { return (int)json_integer_value(json_object_get(config, key)); }

static int check_pangu_pi(const void *config, const json_t *before, json_t *hybrid, lithe_error *err)
{
    const char *kind = json_string_value(json_object_get(before, "aug_kind"));
    const int branches = whole(before, "aug_branches"), width = whole(before, "aug_width");
    const bool none = !branches || (kind && !strcmp(kind, "none")), series = whole(before, "siaf_n") > 1;
    const char *what = series && !json_is_true(json_object_get(before, "siaf_gain")) ? "its series has no gains (siaf_gain)"
                     : series && json_object_get(before, "siaf_act") ? "its series names activations (siaf_act)"
                     : none ? NULL : branches > 1 ? "it has several shortcuts (aug_branches)" : json_is_true(json_object_get(before, "aug_ffn")) ? "it has shortcuts beside the feed-forward (aug_ffn)"
                     : width && width != bottleneck_width(whole(before, "hidden_size"), whole(before, "aug_reduction")) ? "its bottleneck has another width than aug_reduction says" : NULL;
    if (what) return no_name(what, err);
    json_object_set_new(hybrid, "series", json_string(series ? "on" : "off"));
    json_object_set_new(hybrid, "shortcut", json_string(none ? "identity" : "augmented"));
    return check_llama(config, before, hybrid, err);
}

#define PAIRS(...)      (const name_pair[]){ __VA_ARGS__, { 0 } }
#define CONDITIONS(...) (const condition[]){ __VA_ARGS__, { 0 } }
#define OF_TOKENS       "{\"projection\":\"pattention\",\"feed_forward\":\"pattention\",\"norm\":\"layer_norm_plain\",\"final_norm\":\"layer_norm\"}"
#define GATED_UNIT      "{\"feed_forward\":\"glu\",\"norm\":\"rms_norm\"}"
#define OF_RWKV(mixer, feed_forward) \
    "{\"mixer\":\"" mixer "\",\"feed_forward\":\"" feed_forward "\",\"activation\":\"relu2\",\"position\":\"none\",\"tie_word_embeddings\":false}"
#define RWKV_KEYS       PAIRS({ "context_length", "max_position_embeddings" }, { "layer_norm_epsilon", "norm_eps" }, { "head_size", "rwkv_head_dim" })
#define LLAMA_KEYS      PAIRS({ "hidden_act", "activation" }, { "rms_norm_eps", "norm_eps" })
#define IMAGE_KEYS      PAIRS({ "hidden_act", "activation" }, { "layer_norm_eps", "norm_eps" })

static const hybrid_form FORMS[] = {
    { "gpt2", "hybrid", "{\"position\":\"learned\",\"attention_bias\":true,\"mlp_bias\":true}",
      PAIRS({ "n_embd", "hidden_size" }, { "n_layer", "num_hidden_layers" }, { "n_head", "num_attention_heads" }, { "n_positions", "max_position_embeddings" },
            { "activation_function", "activation" }, { "layer_norm_epsilon", "norm_eps" }),
      CONDITIONS({ "scale_attn_weights", "true" }, { "scale_attn_by_inverse_layer_idx", "false" }), NULL, GPT2 },
    { "gpt_neox", "hybrid", "{\"mlp_bias\":true}", PAIRS({ "hidden_act", "activation" }, { "layer_norm_eps", "norm_eps" }, { "rotary_emb_base", "rope_theta" }),
      CONDITIONS({ "rope_scaling", "null" }), NULL, GPT_NEOX },
    { "llama", "hybrid", GATED_UNIT, LLAMA_KEYS, NULL, check_llama, LLAMA },
    { "pangu_pi", "hybrid", GATED_UNIT, LLAMA_KEYS,
      CONDITIONS({ "siaf_param", "\"channel\"" }, { "aug_act", "\"gelu\"" }, { "aug_act_pos", "\"between\"" }, { "aug_kind", "\"bottleneck\"|\"none\"" }, { "aug_input", "\"norm\"" },
                 { "aug_scale", "1|1.0" }), check_pangu_pi, LLAMA },
    { "tokenformer", "hybrid", OF_TOKENS,
      PAIRS({ "num_layers", "num_hidden_layers" }, { "layernorm_epsilon", "norm_eps" }, { "init_method_std", "initializer_range" }, { "rotary_emb_base", "rope_theta" }), NULL, NULL, TOKENFORMER },
    { "rwkv4", "hybrid", OF_RWKV("rwkv4", "gated_channel_mix"), RWKV_KEYS, NULL, NULL, RWKV },
    { "rwkv5", "hybrid", OF_RWKV("rwkv5", "gated_channel_mix"), RWKV_KEYS, CONDITIONS({ "version", "\"5.2\"" }), NULL, RWKV },
    { "rwkv6", "hybrid", OF_RWKV("rwkv6", "gated_channel_mix"), RWKV_KEYS, NULL, NULL, RWKV },
    { "rwkv7", "hybrid", OF_RWKV("rwkv7", "channel_mix"), PAIRS({ "head_dim", "rwkv_head_dim" }), NULL, NULL, RWKV },
    { "vit", "hybrid_vit", "{\"attention_bias\":true,\"mlp_bias\":true}", IMAGE_KEYS, NULL, NULL, VIT },
    { "tokenformer_vit", "hybrid_vit", OF_TOKENS, IMAGE_KEYS, NULL, NULL, TOKENFORMER_VIT },
};
enum { FORM_COUNT = sizeof FORMS / sizeof *FORMS };

bool is_hybrid(const arch *a)
{
    bool found = false;
    for (int i = 0; i < FORM_COUNT; i++) found |= !strcmp(FORMS[i].to, a->name);
    return found;
}

const hybrid_form *hybrid_form_of(const arch *from)
{
    for (int i = 0; i < FORM_COUNT; i++)
        if (!strcmp(FORMS[i].from, from->name)) return &FORMS[i];
    return NULL;
}

const char *hybrid_name(const hybrid_form *f) { return f->to; }
const named_part *hybrid_parts(const hybrid_form *f) { return f->parts; }

static int check_conditions(const hybrid_form *f, const json_t *before, lithe_error *err)
{
    for (const condition *c = f->conditions; c && c->key; c++) {
        const json_t *value = json_object_get(before, c->key);
        const known_key only = { c->key, c->values };
        lithe_error why = { 0 };
        if (value && key_check(c->key, value, &only, "a hybrid has no name for this model", &why)) return fail(err, LITHE_EINVAL, "%s", why.text);
    }
    return LITHE_OK;
}

/* Of the task and of the tokens. */
static const char *const KEPT[] = { "architectures", "id2label", "label2id", "num_labels", "problem_type", "bos_token_id", "eos_token_id", "pad_token_id", NULL };

/* Sets the key of the hybrid to the value of one of the model's, if it has one. */
static void take_key(json_t *hybrid, const char *ours, const json_t *before, const char *theirs)
{
    json_t *value = json_object_get(before, theirs);
    if (value && !json_is_null(value)) json_object_set(hybrid, ours, value);
}

json_t *hybrid_config(const hybrid_form *f, const void *config, const json_t *before, int inner, lithe_error *err)
{
    json_t *hybrid = json_object(), *fixed = json_loads(f->fixed, 0, NULL);
    int status = hybrid && fixed ? check_conditions(f, before, err) : fail(err, LITHE_ENOMEM, "not enough memory to grow");
    for (const field *own = arch_find(f->to)->config.fields; !status && own->key; own++) take_key(hybrid, own->key, before, own->key);
    for (const char *const *key = KEPT; !status && *key; key++) take_key(hybrid, *key, before, *key);
    for (const name_pair *p = f->renamed; !status && p->theirs; p++) take_key(hybrid, p->ours, before, p->theirs);
    if (!status && inner) json_object_set_new(hybrid, "intermediate_size", json_integer(inner));
    if (!status && json_is_true(json_object_get(before, "no_weight_tying"))) json_object_set_new(hybrid, "tie_word_embeddings", json_false());
    if (!status && json_object_update(hybrid, fixed)) status = fail(err, LITHE_ENOMEM, "not enough memory to grow");
    if (!status && f->check) status = f->check(config, before, hybrid, err);
    json_decref(fixed);
    if (!status) return hybrid;
    json_decref(hybrid);
    return NULL;
}

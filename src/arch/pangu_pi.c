/* PanGu-pi.  Wang et al. 2023, "PanGu-pi: Enhancing Language Model Architectures
 * via Nonlinearity Compensation": the LLaMA block, a series activation in its
 * feed-forward (ops/series.c) and small non-linear branches beside attention, T
 * of them (Tang et al. 2021, "Augmented Shortcuts for Vision Transformers"):
 *   x += Attn(RMS(x)) + sum over t of T_t(RMS(x));  x += W_down(S(W_gate h) * W_up h),
 *   T(h) = act(h D') U' through a bottleneck of k channels, or act(h Theta').
 * The paper leaves open what a branch reads (here the normalised rows), how many
 * there are (here one: T of width k are one of width T k) and their initial values.
 * Invariant: at initial values the additions have no effect but have gradients, so a
 * new block is LLaMA's and any LLaMA can be grown into this one; the first of a series
 * is the plain activation, the others have scale and bias 0 or, with gains, gain 0. */
#include "arch/llama.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    llama llama;                     /* first: LLAMA_FIELDS fill it */
    int siaf_n, siaf_param, siaf_gain, siaf_act[MAX_SERIES];
    int aug_branches, aug_reduction, aug_width, aug_act_pos, aug_kind, aug_input, aug_ffn, aug_init;
    activation aug_act;
    double aug_scale;
} pangu_pi;

enum { PARAM_CHANNEL, PARAM_SCALAR };
enum { POS_BETWEEN, POS_AFTER };
enum { KIND_BOTTLENECK, KIND_DENSE, KIND_NONE };
enum { INPUT_NORM, INPUT_RAW };
enum { BEGIN_ZERO, BEGIN_SMALL };

#define CONFIG pangu_pi
static const field fields[] = {
    LLAMA_FIELDS,
    INT(siaf_n, 2, .least = 1, .most = MAX_SERIES), CHOICE(siaf_param, "channel|scalar"), BOOL(siaf_gain, 0), ACTIVATIONS_UP_TO(siaf_act, MAX_SERIES),
    INT(aug_branches, 1, .least = 0, .most = 64), INT(aug_reduction, 32, WIDTH), INT(aug_width, 0, WIDTH),
    ACTIVATION(aug_act, ACT_GELU_ERF), CHOICE(aug_act_pos, "between|after"), CHOICE(aug_kind, "bottleneck|dense|none"), CHOICE(aug_input, "norm|raw"),
    REAL(aug_scale, 1, .least = 1e-3, .most = 1e3), BOOL(aug_ffn, 0), CHOICE(aug_init, "zero|small"),
    { 0 }
};

/* ---- configuration ------------------------------------------------------------------ */

static const known_key others[] = {
    { .key = "attn_bias" }, { .key = "qkv_bias" }, { .key = "rope_scaling" }, { .key = "rope_parameters" }, { "siaf_window", "null|0" },
    { "partial_rotary_factor", "1.0|1" }, { "attention_dropout", "0.0|0" }, { "hidden_dropout", "0.0|0" },
    { 0 }
};

static int normalize(json_t *config, lithe_error *err)
{
    json_t *bias = json_object_get(config, "attn_bias"), *qkv_bias = json_object_get(config, "qkv_bias");
    if (bias && !json_object_get(config, "attention_bias")) json_object_set(config, "attention_bias", bias);
    if (qkv_bias) json_object_set(config, "lithe_qkv_bias", qkv_bias);
    return llama_normalize(config, err);
}

/* With all additions off the model is a LLaMA, and is written as one. */
static void publish_plain(json_t *config)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(config, next, key, value)
        if (!strncmp(key, "siaf_", 5) || !strncmp(key, "aug_", 4) || !strcmp(key, "attn_bias")) json_object_del(config, key);
    json_object_set_new(config, "model_type", json_string("llama"));
    json_object_set_new(config, "architectures", json_pack("[s]", "LlamaForCausalLM"));
}

static int publish(json_t *config)
{
    const json_t *n = json_object_get(config, "siaf_n"), *branches = json_object_get(config, "aug_branches"), *scale = json_object_get(config, "aug_scale");
    const char *kind = json_string_value(json_object_get(config, "aug_kind"));
    bool shortcuts = json_integer_value(branches) > 0 && !(kind && !strcmp(kind, "none"));
    bool qkv_bias = json_is_true(json_object_get(config, "lithe_qkv_bias")), scaled = fabs(json_number_value(scale) - 1) > 0;
    if (qkv_bias) json_object_set_new(config, "qkv_bias", json_true());
    else json_object_del(config, "qkv_bias");
    if (json_integer_value(n) == 1 && !shortcuts && !scaled && !qkv_bias) publish_plain(config);
    return llama_publish(config);
}

static bool has_shortcuts(const pangu_pi *c) { return c->aug_branches > 0 && c->aug_kind != KIND_NONE; }

/* siaf_act names one activation for all branches or one for each. */
static activation series_act(const pangu_pi *c, int i)
{
    int said = c->siaf_act[1] < 0 ? c->siaf_act[0] : c->siaf_act[i];
    return said < 0 ? c->llama.hidden_act : (activation)said;
}

static int named_acts(const pangu_pi *c)
{
    int n = 0;
    while (n < MAX_SERIES && c->siaf_act[n] >= 0) n++;
    return n;
}

/* An activation without a slope at 0 gives no gradient to a branch that begins at 0; one with a value at 0 gives it an
 * effect. */
static bool flat_at_zero(activation a) { return !(fabs(act_slope(a, 0)) > 0); }
static bool zero_at_zero(activation a) { return !(fabs(act_value(a, 0)) > 0); }

static int check(const void *config, lithe_error *err)
{
    const pangu_pi *c = config;
    int status = llama_check(&c->llama, err);
    if (status) return status;
    if (c->siaf_n == 1 && named_acts(c)) return fail(err, LITHE_ECONFIG, "siaf_act is said for a single branch (siaf_n 1), which is the plain activation: hidden_act names that");
    if (named_acts(c) > 1 && named_acts(c) != c->siaf_n)
        return fail(err, LITHE_ECONFIG, "siaf_act names %d activations for %d branches (siaf_n)", named_acts(c), c->siaf_n);
    for (int i = 1; i < c->siaf_n && !c->siaf_gain; i++) {
        if (flat_at_zero(series_act(c, i)))
            return fail(err, LITHE_ECONFIG, "branch %d of the series (siaf_n %d) is a rectifier, which has no slope where it begins: name another in siaf_act or, in a new model, set siaf_gain to true", i + 1, c->siaf_n);
        for (int j = 1; j < i; j++)
            if (series_act(c, i) == series_act(c, j))
                return fail(err, LITHE_ECONFIG, "branches %d and %d of the series (siaf_n %d) begin alike and would stay alike: name another activation in siaf_act or, in a new model, set siaf_gain to true", j + 1, i + 1, c->siaf_n);
    }
    if (c->aug_kind == KIND_DENSE && c->aug_branches > 1 && c->aug_init == BEGIN_ZERO)
        return fail(err, LITHE_ECONFIG, "aug_branches is %d and aug_kind dense with aug_init zero: the branches begin alike and would stay alike; take aug_init small, or aug_kind bottleneck",
                    c->aug_branches);
    if (!has_shortcuts(c) || (c->aug_act_pos == POS_BETWEEN && c->aug_kind == KIND_BOTTLENECK)) return 0;
    if (!zero_at_zero(c->aug_act))
        return fail(err, LITHE_ECONFIG, "aug_act %s is not 0 at 0: it goes with aug_kind bottleneck and aug_act_pos between", activation_name(c->aug_act));
    if (flat_at_zero(c->aug_act))
        return fail(err, LITHE_ECONFIG, "aug_act %s has no slope where a branch begins: it goes with aug_kind bottleneck and aug_act_pos between", activation_name(c->aug_act));
    return 0;
}

/* ---- the series ---------------------------------------------------------------------- */

/* S(W_gate h) * W_up h */
static tensor *gated(graph *g, const pangu_pi *c, llama_sides s)
{
    if (c->siaf_n == 1) return glu(g, s.gate, s.up, c->llama.hidden_act);                              /* (tokens, F) */
    series_layer_options o = { .n = c->siaf_n, .scalar = c->siaf_param == PARAM_SCALAR, .gains = c->siaf_gain };
    for (int i = 0; i < c->siaf_n; i++) o.act[i] = series_act(c, i);
    return series_layer(g, s.gate, s.up, "mlp.siaf", o);                                               /* (tokens, F) */
}

/* ---- the shortcuts --------------------------------------------------------------------- */

/* x + T(h); the matrix that writes to x is initially zero, or small. */
static tensor *shortcut(graph *g, const pangu_pi *c, const char *name, tensor *x, tensor *h)
{
    const double std = c->llama.initializer_range, std_out = c->aug_init == BEGIN_SMALL ? std / sqrt(2.0 * c->llama.num_hidden_layers) : 0;
    const bool after = c->aug_act_pos == POS_AFTER;
    const dense_options whole = { .in = AXIS_RESIDUAL, .out = AXIS_RESIDUAL, .std = std_out, .act = c->aug_act };
    const bottleneck_options narrow = { .width = c->aug_width ? c->aug_width : bottleneck_width(c->llama.hidden_size, c->aug_reduction), .std = std, .std_out = std_out,
                                        .inner = after ? ACT_NONE : c->aug_act, .outer = after ? c->aug_act : ACT_NONE };
    /* (tokens, C) */
    return c->aug_kind == KIND_DENSE ? dense_add(g, x, h, name, whole) : bottleneck_add(g, x, h, name, narrow);
}

/* The whole sum - identity, module, branches - is scaled. */
static tensor *shortcuts(graph *g, const pangu_pi *c, const char *part, tensor *x, tensor *h)
{
    char name[64];
    for (int t = 0; t < c->aug_branches && c->aug_kind != KIND_NONE; t++) {
        snprintf(name, sizeof name, "%s.aug.%d", part, t);
        x = shortcut(g, c, name, x, h);                                                                /* (tokens, C) */
    }
    return times(g, x, c->aug_scale);                                                                  /* (tokens, C) */
}

static tensor *build(graph *g, const void *config)
{
    const pangu_pi *c = config;
    const llama *base = &c->llama;
    const bool raw = c->aug_input == INPUT_RAW;
    const llama_rotation angles = llama_angles(g, base);
    tensor *x = llama_embed(g, base);                                                                  /* (tokens, C) */
    for (int l = 0; l < base->num_hidden_layers; l++) {
        scope(g, "model.layers.%d.", l);
        tensor *h = llama_before_attention(g, base, x);                                                /* (tokens, C) */
        tensor *sum = llama_attend(g, base, x, h, angles, l);                                          /* (tokens, C) */
        x = tap(g, shortcuts(g, c, "self_attn", sum, raw ? x : h), "post_mix", l);                     /* (tokens, C) */
        h = llama_before_mlp(g, base, x);                                                              /* (tokens, C) */
        sum = llama_down(g, base, x, gated(g, c, llama_gate_up(g, base, h)));                          /* (tokens, C) */
        x = tap(g, c->aug_ffn ? shortcuts(g, c, "mlp", sum, raw ? x : h) : sum, "post_ffn", l);        /* (tokens, C) */
    }
    return llama_final_norm(g, base, x);                                                               /* (tokens, C) */
}

/* ---- growing --------------------------------------------------------------------------- */

static const char *block_changes(const void *config)
{
    const pangu_pi *c = config;
    return fabs(c->aug_scale - 1) > 0 ? "aug_scale scales what passes a block" : NULL;
}

static const char *additions_change(const void *config)
{
    const pangu_pi *c = config;
    if (has_shortcuts(c) && c->aug_init == BEGIN_SMALL) return "aug_init small gives the shortcuts a small output";
    return block_changes(config);
}

extern const arch arch_llama;

const arch arch_pangu_pi = {
    .name = "pangu_pi", .class_name = "PanguPiForCausalLM", .stem = "PanguPi",
    .summary = "PanGu-pi: LLaMA with a series activation and augmented shortcuts (Wang et al. 2023)",
    .config = { .size = sizeof(pangu_pi), .fields = fields, .others = others, .divides = NAMES("num_key_value_heads", "num_attention_heads"),
                .normalize = normalize, .publish = publish, .check = check, .sized = llama_sized, .aliases = NAMES("pangu-pi") },
    .equations = { .context = llama_context, .build = build, .language = llama_language },
    .files = { .names = NAME_PAIRS({ "@.rotary_emb.inv_freq", NULL }), .tied_head = "lm_head.weight",
               .tied_to = "model.embed_tokens.weight", .known_by = "model.layers.0.mlp.siaf.scale" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size",
                    .bottleneck = "aug_width", .layers = "num_hidden_layers", .layer_prefix = "model.layers." },
                .inner_keys = NAMES("intermediate_size"), .additions = NAMES("aug_branches", "siaf_n", "siaf_act"), .over = &arch_llama,
                .block_changes = block_changes, .layer_kind = llama_layer_kind, .additions_change = additions_change },
};

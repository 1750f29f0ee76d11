/* The LLaMA-style block.  Touvron et al. 2023, "LLaMA: Open and Efficient
 * Foundation Language Models": RMSNorm, rotary positions, SwiGLU, grouped
 * key/value heads.  Per layer x += Attn(RMS(x)); x += W_down(silu(W_gate h) * W_up h).
 * Names and keys are Hugging Face's; Mistral and Qwen2 files open where nothing
 * but biases differs. */
#include "arch/layers.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim;
    int hidden_act, max_position_embeddings, attention_bias, mlp_bias, qkv_bias, tie_word_embeddings, rope_type;
    double rms_norm_eps, rope_theta, rope_factor, rope_low, rope_high, rope_original, initializer_range;
} llama;

#define AT(member) offsetof(llama, member)
static const field fields[] = {
    { .key = "vocab_size",              .kind = FIELD_INT,  .offset = AT(vocab_size),          .value = 32000, .least = 1, .most = 1 << 24 },
    { .key = "hidden_size",             .kind = FIELD_INT,  .offset = AT(hidden_size),         .value = 4096,  .least = 1, .most = 1 << 16 },
    { .key = "intermediate_size",       .kind = FIELD_INT,  .offset = AT(intermediate_size),   .value = 11008, .least = 1, .most = 1 << 20 },
    { .key = "num_hidden_layers",       .kind = FIELD_INT,  .offset = AT(num_hidden_layers),   .value = 32,    .least = 1, .most = 1024 },
    { .key = "num_attention_heads",     .kind = FIELD_INT,  .offset = AT(num_attention_heads), .value = 32,    .least = 1, .most = 1 << 14 },
    { .key = "num_key_value_heads",     .kind = FIELD_INT,  .offset = AT(num_key_value_heads), .value = 0,     .least = 1, .most = 1 << 14 },
    { .key = "head_dim",                .kind = FIELD_INT,  .offset = AT(head_dim),            .value = 0,     .least = 1, .most = 1 << 12 },
    { .key = "hidden_act",              .kind = FIELD_CHOICE, .offset = AT(hidden_act),        .value = 0,     .choices = "silu|swish|gelu|gelu_pytorch_tanh" },
    { .key = "max_position_embeddings", .kind = FIELD_INT,  .offset = AT(max_position_embeddings), .value = 2048, .least = 1, .most = 1 << 24 },
    { .key = "rms_norm_eps",            .kind = FIELD_REAL, .offset = AT(rms_norm_eps),        .value = 1e-6,  .least = 0, .most = 1 },
    { .key = "rope_theta",              .kind = FIELD_REAL, .offset = AT(rope_theta),          .value = 10000, .least = 1, .most = 1e12 },
    { .key = "initializer_range",       .kind = FIELD_REAL, .offset = AT(initializer_range),   .value = 0.02,  .least = 0, .most = 10 },
    { .key = "attention_bias",          .kind = FIELD_BOOL, .offset = AT(attention_bias),      .value = 0 },
    { .key = "mlp_bias",                .kind = FIELD_BOOL, .offset = AT(mlp_bias),            .value = 0 },
    { .key = "tie_word_embeddings",     .kind = FIELD_BOOL, .offset = AT(tie_word_embeddings), .value = 0 },
    /* Inside rope_scaling or rope_parameters in a file; normalize() brings them here. */
    { .key = "lithe_rope_type",         .kind = FIELD_CHOICE, .offset = AT(rope_type),         .value = 0,     .choices = "default|linear|llama3" },
    { .key = "lithe_rope_factor",       .kind = FIELD_REAL, .offset = AT(rope_factor),         .value = 1,     .least = 1e-3, .most = 1e6 },
    { .key = "lithe_rope_low",          .kind = FIELD_REAL, .offset = AT(rope_low),            .value = 1,     .least = 1e-6, .most = 1e6 },
    { .key = "lithe_rope_high",         .kind = FIELD_REAL, .offset = AT(rope_high),           .value = 4,     .least = 1e-6, .most = 1e6 },
    { .key = "lithe_rope_original",     .kind = FIELD_REAL, .offset = AT(rope_original),       .value = 8192,  .least = 1, .most = 1e9 },
    { .key = "lithe_qkv_bias",          .kind = FIELD_BOOL, .offset = AT(qkv_bias),            .value = 0 },
    { 0 }
};

static const activation activations[] = { ACT_SILU, ACT_SILU, ACT_GELU_ERF, ACT_GELU_TANH };

static void bring(json_t *config, const char *ours, const json_t *from, const char *theirs)
{
    json_t *value = json_object_get(from, theirs);
    if (value && !json_is_null(value)) json_object_set(config, ours, value);
}

/* rope_scaling {type|rope_type, factor, ...} of older files, rope_parameters {rope_type, rope_theta, ...} of newer ones;
 * the families whose block is this one. */
static int normalize(json_t *config, lithe_error *err)
{
    json_t *scaling = json_object_get(config, "rope_scaling"), *newer = json_object_get(config, "rope_parameters");
    const json_t *rope_keys = json_is_object(newer) ? newer : json_is_object(scaling) ? scaling : NULL;
    if (rope_keys) {
        bring(config, "rope_theta", rope_keys, "rope_theta");
        bring(config, "lithe_rope_type", rope_keys, "type");
        bring(config, "lithe_rope_type", rope_keys, "rope_type");
        bring(config, "lithe_rope_factor", rope_keys, "factor");
        bring(config, "lithe_rope_low", rope_keys, "low_freq_factor");
        bring(config, "lithe_rope_high", rope_keys, "high_freq_factor");
        bring(config, "lithe_rope_original", rope_keys, "original_max_position_embeddings");
    }
    const char *type = json_string_value(json_object_get(config, "model_type"));
    if (type && !strcmp(type, "mistral")) {
        json_t *window = json_object_get(config, "sliding_window");
        if (window && !json_is_null(window)) return fail(err, LITHE_ECONFIG, "sliding_window attention is not supported: only files where it is null open");
    } else if (type && !strcmp(type, "qwen2")) {
        if (json_is_true(json_object_get(config, "use_sliding_window")))
            return fail(err, LITHE_ECONFIG, "use_sliding_window is not supported: only files where it is false open");
        json_object_set_new(config, "lithe_qkv_bias", json_true());
    }
    return 0;
}

static const char *const rope_types[] = { "default", "linear", "llama3" };
static const char *const made_here[] = { "lithe_rope_type", "lithe_rope_factor", "lithe_rope_low", "lithe_rope_high", "lithe_rope_original", "lithe_qkv_bias" };

/* Both spellings of the rotary options; Qwen2's name when only q, k, v carry biases. */
static int publish(json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "lithe_rope_type"));
    json_t *base = json_object_get(config, "rope_theta");
    json_t *newer = json_pack("{s:s,s:O}", "rope_type", type ? type : rope_types[ROPE_PLAIN], "rope_theta", base);
    if (!newer) return LITHE_ENOMEM;
    if (type && strcmp(type, rope_types[ROPE_PLAIN])) {
        json_t *older = json_pack("{s:s,s:O}", "rope_type", type, "factor", json_object_get(config, "lithe_rope_factor"));
        if (!strcmp(type, rope_types[ROPE_LLAMA3])) {
            bring(older, "low_freq_factor", config, "lithe_rope_low");
            bring(older, "high_freq_factor", config, "lithe_rope_high");
            bring(older, "original_max_position_embeddings", config, "lithe_rope_original");
        }
        json_object_update(newer, older);
        json_object_set_new(config, "rope_scaling", older);
    }
    json_object_set_new(config, "rope_parameters", newer);
    if (json_is_true(json_object_get(config, "lithe_qkv_bias"))) {
        json_object_set_new(config, "model_type", json_string("qwen2"));
        json_object_set_new(config, "architectures", json_pack("[s]", "Qwen2ForCausalLM"));
    }
    for (size_t i = 0; i < sizeof made_here / sizeof *made_here; i++) json_object_del(config, made_here[i]);
    return 0;
}

static int kv_heads(const llama *c) { return c->num_key_value_heads ? c->num_key_value_heads : c->num_attention_heads; }
static int head_width(const llama *c) { return c->head_dim ? c->head_dim : c->hidden_size / c->num_attention_heads; }

static int check(const void *config, lithe_error *err)
{
    const llama *c = config;
    if (!c->head_dim && c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    if (c->num_attention_heads % kv_heads(c))
        return fail(err, LITHE_ECONFIG, "num_key_value_heads is %d, which does not divide num_attention_heads %d", kv_heads(c), c->num_attention_heads);
    if (head_width(c) % 2) return fail(err, LITHE_ECONFIG, "heads of %d channels: rotary positions need an even number", head_width(c));
    return 0;
}

static tensor *table(graph *g, const llama *c)
{
    scope(g, "%s", "");
    return embedding_table(g, "model.embed_tokens.weight", c->vocab_size, c->hidden_size, AXIS_VOCAB, c->initializer_range, c->tie_word_embeddings);
}

static tensor *build(graph *g, const void *config)
{
    const llama *c = config;
    const int C = c->hidden_size, H = c->num_attention_heads, G = kv_heads(c), hd = head_width(c), inner = c->intermediate_size;
    const double eps = c->rms_norm_eps, std = c->initializer_range;
    const bool qkv_bias = c->attention_bias || c->qkv_bias;

    scope(g, "%s", "");
    const exact *turns = rope_table(g, (rope_options){ hd, c->rope_theta, (rope_scaling)c->rope_type, c->rope_factor, c->rope_low, c->rope_high, c->rope_original });
    tensor *x = embedding(g, table(g, c));

    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "model.layers.%d.", l);
        tensor *h = rms_norm_affine(g, x, "input_layernorm", eps, false);
        tensor *q = dense(g, h, "self_attn.q_proj", H * hd, (dense_options){ OUT_IN, qkv_bias, RESIDUAL_READ, HEAD_WRITE, std, ACT_NONE, NULL });
        tensor *k = dense(g, h, "self_attn.k_proj", G * hd, (dense_options){ OUT_IN, qkv_bias, RESIDUAL_READ, KV_HEAD_WRITE, std, ACT_NONE, NULL });
        tensor *v = dense(g, h, "self_attn.v_proj", G * hd, (dense_options){ OUT_IN, qkv_bias, RESIDUAL_READ, KV_HEAD_WRITE, std, ACT_NONE, NULL });
        q = rope(g, q, turns, hd, H);
        k = rope(g, k, turns, hd, G);
        tensor *a = attention(g, q, k, v, (attention_options){ H, G, hd, .causal = true });
        x = dense(g, a, "self_attn.o_proj", C, (dense_options){ OUT_IN, c->attention_bias, HEAD_READ, RESIDUAL_WRITE, std, ACT_NONE, x });

        h = rms_norm_affine(g, x, "post_attention_layernorm", eps, false);
        tensor *gate = dense(g, h, "mlp.gate_proj", inner, (dense_options){ OUT_IN, c->mlp_bias, RESIDUAL_READ, INNER_WRITE, std, ACT_NONE, NULL });
        tensor *up   = dense(g, h, "mlp.up_proj",   inner, (dense_options){ OUT_IN, c->mlp_bias, RESIDUAL_READ, INNER_WRITE, std, ACT_NONE, NULL });
        tensor *m = glu(g, gate, up, activations[c->hidden_act]);
        x = dense(g, m, "mlp.down_proj", C, (dense_options){ OUT_IN, c->mlp_bias, INNER_READ, RESIDUAL_WRITE, std, ACT_NONE, x });
    }
    scope(g, "%s", "");
    return rms_norm_affine(g, x, "model.norm", eps, c->tie_word_embeddings);
}

static head language(graph *g, const void *config, tensor *rows)
{
    const llama *c = config;
    return (head){ rows, c->tie_word_embeddings ? table(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range), NULL };
}

static int context(const void *config) { return ((const llama *)config)->max_position_embeddings; }
static int vocab(const void *config) { return ((const llama *)config)->vocab_size; }

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    int inner = (width * 8 / 3 + 31) / 32 * 32;
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:b}", "vocab_size", vocab_size, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", width % 64 ? width / 32 : width / 64, "intermediate_size", inner,
                     "rms_norm_eps", 1e-5, "tie_word_embeddings", 1);
}

const arch arch_llama = {
    .name = "llama", .class_name = "LlamaForCausalLM", .stem = "Llama",
    .summary = "LLaMA: RMSNorm, rotary positions, SwiGLU, grouped key/value heads (Touvron et al. 2023)",
    .config_size = sizeof(llama), .fields = fields, .normalize = normalize, .publish = publish, .check = check, .build = build, .language = language,
    .context = context, .vocab = vocab, .sized = sized,
    .ignored = (const char *const[]){ ".rotary_emb.inv_freq", NULL },
    .prefixes = (const char *const[]){ "", NULL },
    .tied_head = "lm_head.weight", .tied_to = "model.embed_tokens.weight",
    .aliases = (const char *const[]){ "mistral", "MistralForCausalLM", "qwen2", "Qwen2ForCausalLM", NULL },
    .inner_keys = (const char *const[]){ "intermediate_size", NULL },
    .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size",
              .layers = "num_hidden_layers", .layer_prefix = "model.layers." },
};

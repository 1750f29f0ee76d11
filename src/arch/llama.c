/* The LLaMA-style block.  Touvron et al. 2023, "LLaMA: Open and Efficient
 * Foundation Language Models": RMSNorm, rotary positions, SwiGLU, grouped
 * key/value heads.  Per layer x += Attn(RMS(x)); x += W_down(silu(W_gate h) * W_up h).
 * Names and keys are Hugging Face's; Mistral and Qwen2 files open where nothing
 * but biases differs. */
#include "arch/llama.h"
#include <math.h>
#include <string.h>

static const field fields[] = {
    LLAMA_FIELDS
    { 0 }
};

static void bring(json_t *config, const char *ours, const json_t *from, const char *theirs)
{
    json_t *value = json_object_get(from, theirs);
    if (value && !json_is_null(value)) json_object_set(config, ours, value);
}

/* rope_scaling {type|rope_type, factor, ...} of older files, rope_parameters {rope_type, rope_theta, ...} of newer ones;
 * the families whose block is this one. */
int llama_normalize(json_t *config, lithe_error *err)
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

int llama_publish(json_t *config)
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
    for (size_t i = 0; i < sizeof made_here / sizeof *made_here; i++) json_object_del(config, made_here[i]);
    return 0;
}

/* Qwen2's name when only q, k, v carry biases. */
static int publish(json_t *config)
{
    if (json_is_true(json_object_get(config, "lithe_qkv_bias"))) {
        json_object_set_new(config, "model_type", json_string("qwen2"));
        json_object_set_new(config, "architectures", json_pack("[s]", "Qwen2ForCausalLM"));
    }
    return llama_publish(config);
}

static int kv_heads(const llama *c) { return c->num_key_value_heads ? c->num_key_value_heads : c->num_attention_heads; }
static int head_width(const llama *c) { return c->head_dim ? c->head_dim : c->hidden_size / c->num_attention_heads; }

int llama_check(const void *config, lithe_error *err)
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

tensor *llama_embed(graph *g, const llama *c) { return embedding(g, table(g, c)); }

const exact *llama_turns(graph *g, const llama *c)
{
    scope(g, "%s", "");
    return rope_table(g, (rope_options){ head_width(c), c->rope_theta, (rope_scaling)c->rope_type, c->rope_factor, c->rope_low, c->rope_high, c->rope_original });
}

tensor *llama_attend(graph *g, const llama *c, tensor *h, tensor *x, const exact *turns)
{
    const int H = c->num_attention_heads, G = kv_heads(c), hd = head_width(c);
    const bool bias = c->attention_bias || c->qkv_bias;
    const double std = c->initializer_range;
    tensor *q = dense(g, h, "self_attn.q_proj", H * hd, (dense_options){ OUT_IN, bias, RESIDUAL_READ, HEAD_WRITE, std, ACT_NONE, NULL });
    tensor *k = dense(g, h, "self_attn.k_proj", G * hd, (dense_options){ OUT_IN, bias, RESIDUAL_READ, KV_HEAD_WRITE, std, ACT_NONE, NULL });
    tensor *v = dense(g, h, "self_attn.v_proj", G * hd, (dense_options){ OUT_IN, bias, RESIDUAL_READ, KV_HEAD_WRITE, std, ACT_NONE, NULL });
    q = rope(g, q, turns, hd, H);
    k = rope(g, k, turns, hd, G);
    tensor *a = attention(g, q, k, v, (attention_options){ H, G, hd, .causal = true });
    return dense(g, a, "self_attn.o_proj", c->hidden_size, (dense_options){ OUT_IN, c->attention_bias, HEAD_READ, RESIDUAL_WRITE, std, ACT_NONE, x });
}

llama_sides llama_spread(graph *g, const llama *c, tensor *h)
{
    const dense_options o = { OUT_IN, c->mlp_bias, RESIDUAL_READ, INNER_WRITE, c->initializer_range, ACT_NONE, NULL };
    tensor *gate = dense(g, h, "mlp.gate_proj", c->intermediate_size, o);
    return (llama_sides){ gate, dense(g, h, "mlp.up_proj", c->intermediate_size, o) };
}

tensor *llama_gather(graph *g, const llama *c, tensor *m, tensor *x)
{
    return dense(g, m, "mlp.down_proj", c->hidden_size, (dense_options){ OUT_IN, c->mlp_bias, INNER_READ, RESIDUAL_WRITE, c->initializer_range, ACT_NONE, x });
}

tensor *llama_final(graph *g, const llama *c, tensor *x)
{
    scope(g, "%s", "");
    return tap(g, rms_norm_affine(g, x, "model.norm", c->rms_norm_eps, c->tie_word_embeddings), "final_norm", -1);
}

static tensor *build(graph *g, const void *config)
{
    const llama *c = config;
    const exact *turns = llama_turns(g, c);
    tensor *x = tap(g, llama_embed(g, c), "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "model.layers.%d.", l);
        tensor *h = rms_norm_affine(g, x, "input_layernorm", c->rms_norm_eps, false);
        x = tap(g, llama_attend(g, c, h, x, turns), "post_mix", l);
        h = rms_norm_affine(g, x, "post_attention_layernorm", c->rms_norm_eps, false);
        llama_sides s = llama_spread(g, c, h);
        x = tap(g, llama_gather(g, c, glu(g, s.gate, s.up, c->hidden_act), x), "post_ffn", l);
    }
    return llama_final(g, c, x);
}

head llama_language(graph *g, const void *config, tensor *rows)
{
    const llama *c = config;
    return (head){ rows, c->tie_word_embeddings ? table(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range), NULL };
}

int llama_context(const void *config) { return ((const llama *)config)->max_position_embeddings; }
int llama_vocab(const void *config) { return ((const llama *)config)->vocab_size; }

json_t *llama_sized(int width, int layers, int vocab_size, int positions)
{
    int inner = (width * 8 / 3 + 31) / 32 * 32;
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:b}", "vocab_size", vocab_size, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", width % 64 ? width / 32 : width / 64, "intermediate_size", inner,
                     "rms_norm_eps", 1e-5, "tie_word_embeddings", 1);
}

const arch arch_llama = {
    .name = "llama", .class_name = "LlamaForCausalLM", .stem = "Llama",
    .summary = "LLaMA: RMSNorm, rotary positions, SwiGLU, grouped key/value heads (Touvron et al. 2023)",
    .config = { .size = sizeof(llama), .fields = fields, .normalize = llama_normalize, .publish = publish,
                .check = llama_check, .sized = llama_sized,
                .aliases = NAMES("mistral", "MistralForCausalLM", "qwen2", "Qwen2ForCausalLM") },
    .equations = { .build = build, .language = llama_language, .context = llama_context, .vocab = llama_vocab },
    .files = { .prefixes = NAMES(""), .tied_head = "lm_head.weight",
               .tied_to = "model.embed_tokens.weight",
               .ignored = NAMES(".rotary_emb.inv_freq") },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size",
                    .layers = "num_hidden_layers", .layer_prefix = "model.layers." },
                .inner_keys = NAMES("intermediate_size") },
};

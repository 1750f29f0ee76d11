/* The LLaMA-style block.  Touvron et al. 2023, "LLaMA: Open and Efficient
 * Foundation Language Models": RMSNorm, rotary positions, SwiGLU, grouped
 * key/value heads.  Per layer x += Attn(RMS(x)); x += W_down(silu(W_gate h) * W_up h).
 * Names and keys are Hugging Face's; Mistral and Qwen2 files open where nothing
 * but biases differs. */
#include "arch/llama.h"
#include <math.h>
#include <string.h>

static const field fields[] = { LLAMA_FIELDS, { 0 } };

/* Turns the scaling of rotary positions into fields of its own, and accepts or refuses what differs in Mistral and
 * Qwen2. */
int llama_normalize(json_t *config, lithe_error *err)
{
    rope_normalize(config, "rope_theta");
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

int llama_publish(json_t *config)
{
    json_object_del(config, "lithe_qkv_bias");
    return rope_publish(config, "rope_theta", NULL);
}

/* The name is Qwen2's when only q, k and v have biases. */
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
    return check_pairs(head_width(c), err);
}

static tensor *words(graph *g, const llama *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "model.embed_tokens.weight", c->vocab_size, c->hidden_size, o);          /* (vocab, C) */
}

tensor *llama_embed(graph *g, const llama *c) { return tap(g, embedding(g, words(g, c)), "embed", -1); }

rope_angles llama_angles(graph *g, const llama *c)
{
    return rope_table(g, (rope_options){ .dims = head_width(c), .base = c->rope_theta, .scaling = (rope_scaling)c->lithe_rope_type, .factor = c->lithe_rope_factor,
                                         .low = c->lithe_rope_low, .high = c->lithe_rope_high, .original = c->lithe_rope_original });
}

tensor *llama_norm(graph *g, const llama *c, tensor *x, const char *name)
{
    return norm(g, x, name, (norm_options){ .kind = NORM_RMS, .eps = c->rms_norm_eps });
}

tensor *llama_attend(graph *g, const llama *c, tensor *x, tensor *h, rope_angles angles)
{
    const int H = c->num_attention_heads, G = kv_heads(c), D = head_width(c);
    const bool bias = c->attention_bias || c->lithe_qkv_bias;
    const double std = c->initializer_range;
    const dense_options to_q  = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .heads = H, .bias = bias, .std = std };
    const dense_options to_kv = { .in = AXIS_RESIDUAL, .out = AXIS_KV_HEAD, .heads = G, .bias = bias, .std = std };
    const dense_options to_x  = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = c->attention_bias, .std = std };

    tensor *q = rope(g, dense(g, h, "self_attn.q_proj", H * D, to_q), angles, H);                   /* (tokens, H D) */
    tensor *k = rope(g, dense(g, h, "self_attn.k_proj", G * D, to_kv), angles, G);                  /* (tokens, G D) */
    tensor *v = dense(g, h, "self_attn.v_proj", G * D, to_kv);                                      /* (tokens, G D) */
    /* (tokens, H D) */
    tensor *a = attention(g, q, k, v, (attention_options){ .heads = H, .kv_heads = G, .causal = true });
    return dense_add(g, x, a, "self_attn.o_proj", to_x);                                               /* (tokens, C) */
}

llama_sides llama_gate_up(graph *g, const llama *c, tensor *h)
{
    const dense_options o = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = c->mlp_bias, .std = c->initializer_range };
    tensor *gate = dense(g, h, "mlp.gate_proj", c->intermediate_size, o);                              /* (tokens, F) */
    tensor *up = dense(g, h, "mlp.up_proj", c->intermediate_size, o);                                  /* (tokens, F) */
    return (llama_sides){ gate, up };
}

tensor *llama_down(graph *g, const llama *c, tensor *x, tensor *m)
{
    const dense_options o = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = c->mlp_bias, .std = c->initializer_range };
    return dense_add(g, x, m, "mlp.down_proj", o);                                                     /* (tokens, C) */
}

tensor *llama_final_norm(graph *g, const llama *c, tensor *x)
{
    unscope(g);
    const norm_options rms = { .kind = NORM_RMS, .eps = c->rms_norm_eps, .before_tied_head = c->tie_word_embeddings };
    return tap(g, norm(g, x, "model.norm", rms), "final_norm", -1);                                    /* (tokens, C) */
}

static tensor *build(graph *g, const void *config)
{
    const llama *c = config;
    const rope_angles angles = llama_angles(g, c);
    tensor *x = llama_embed(g, c);                                                                     /* (tokens, C) */
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "model.layers.%d.", l);
        tensor *h = llama_norm(g, c, x, "input_layernorm");                                     /* (tokens, C) */
        x = tap(g, llama_attend(g, c, x, h, angles), "post_mix", l);                            /* (tokens, C) */
        h = llama_norm(g, c, x, "post_attention_layernorm");                                    /* (tokens, C) */
        llama_sides s = llama_gate_up(g, c, h);                                                 /* (tokens, F) twice */
        x = tap(g, llama_down(g, c, x, glu(g, s.gate, s.up, c->hidden_act)), "post_ffn", l);    /* (tokens, C) */
    }
    return llama_final_norm(g, c, x);
}

head llama_language(graph *g, const void *config, tensor *rows)
{
    const llama *c = config;
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range);
    return (head){ .hidden = rows, .weight = w };
}

json_t *llama_sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", glu_width(width),
                     "rms_norm_eps", 1e-5, "tie_word_embeddings", 1);
}

const arch arch_llama = {
    .name = "llama", .class_name = "LlamaForCausalLM", .stem = "Llama",
    .summary = "LLaMA: RMSNorm, rotary positions, SwiGLU, grouped key/value heads (Touvron et al. 2023)",
    .config = { .size = sizeof(llama), .fields = fields, .divides = NAMES("num_key_value_heads", "num_attention_heads"),
                .normalize = llama_normalize, .publish = publish, .check = llama_check, .sized = llama_sized,
                .aliases = NAMES("mistral", "MistralForCausalLM", "qwen2", "Qwen2ForCausalLM") },
    .equations = { .build = build, .language = llama_language },
    .files = { .names = NAME_PAIRS({ "@.rotary_emb.inv_freq", NULL }),
               .tied_head = "lm_head.weight", .tied_to = "model.embed_tokens.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size",
                    .layers = "num_hidden_layers", .layer_prefix = "model.layers." },
                .inner_keys = NAMES("intermediate_size") },
};

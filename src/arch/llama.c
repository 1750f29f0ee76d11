/* The LLaMA-style block.  Touvron et al. 2023, "LLaMA: Open and Efficient
 * Foundation Language Models": RMSNorm, rotary positions, SwiGLU, grouped
 * key/value heads.  Per layer x += Attn(RMS(x)); x += W_down(silu(W_gate h) * W_up h).
 * Names and keys are Hugging Face's.  Many published families change little in it
 * (llama_config.c): norms of q and k, norms of what a part gives, factors, caps, windows. */
#include "arch/llama.h"
#include <math.h>
#include <string.h>

static const field fields[] = { LLAMA_FIELDS, { 0 } };

static const llama_family *family(const llama *c) { return &llama_families[c->lithe_family]; }
static int kv_heads(const llama *c) { return c->num_key_value_heads ? c->num_key_value_heads : c->num_attention_heads; }
static int head_width(const llama *c) { return c->head_dim ? c->head_dim : c->hidden_size / c->num_attention_heads; }
static int rotated_width(const llama *c) { return c->partial_rotary_factor > 0 ? rotary_channels(c->partial_rotary_factor, head_width(c)) : head_width(c); }
static double factor(double x) { return x > 0 ? x : 1; }

int llama_check(const void *config, lithe_error *err)
{
    const llama *c = config;
    int status = c->head_dim ? LITHE_OK : check_divides("num_attention_heads", c->num_attention_heads, "hidden_size", c->hidden_size, err);
    if (!status) status = check_pairs(rotated_width(c), err);
    return status ? status : rope_check_factors((rope_scaling)c->lithe_rope_type, c->lithe_rope_factors, rotated_width(c), err);
}

int llama_context(const void *config)
{
    const llama *c = config;
    return rope_context((rope_scaling)c->lithe_rope_type, c->lithe_rope_original, c->lithe_long_context, c->max_position_embeddings);
}

/* ---- ends -------------------------------------------------------------------- */

static tensor *words(graph *g, const llama *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "model.embed_tokens.weight", c->vocab_size, c->hidden_size, o);          /* (vocab, C) */
}

/* (tokens, C) */
tensor *llama_embed(graph *g, const llama *c)
{
    const double scale = family(c)->root_embedding ? sqrt(c->hidden_size) : factor(c->embedding_multiplier);
    return tap(g, times(g, embedding(g, words(g, c)), scale), "embed", -1);
}

static tensor *normalize(graph *g, const llama *c, tensor *x, const char *name)
{
    return norm(g, x, name, (norm_options){ .kind = family(c)->norm, .eps = c->rms_norm_eps });        /* (tokens, C) */
}

tensor *llama_final_norm(graph *g, const llama *c, tensor *x)
{
    unscope(g);
    const norm_options o = { .kind = family(c)->norm, .eps = c->rms_norm_eps, .before_tied_head = c->tie_word_embeddings };
    return tap(g, norm(g, x, "model.norm", o), "final_norm", -1);                                      /* (tokens, C) */
}

head llama_language(graph *g, const void *config, tensor *rows)
{
    const llama *c = config;
    /* (vocab, C) */
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range);
    return (head){ .hidden = times(g, rows, 1 / factor(c->logits_scaling)), .weight = w, .cap = c->final_logit_softcapping };
}

/* ---- attention ----------------------------------------------------------------- */

static rope_angles angles_of(graph *g, const llama *c, double theta, rope_scaling scaling)
{
    rope_options o = { ROPE_OPTIONS_OF(c), .dims = rotated_width(c), .base = theta };
    o.scaling = scaling;
    return rope_table(g, o);
}

llama_rotation llama_angles(graph *g, const llama *c)
{
    const rope_angles full = angles_of(g, c, c->rope_theta, (rope_scaling)c->lithe_rope_type);
    return (llama_rotation){ full, c->lithe_local_theta > 0 ? angles_of(g, c, c->lithe_local_theta, ROPE_PLAIN) : full };
}

static bool is_every(int n, int layer) { return n && (layer + 1) % n == 0; }

static rope_angles layer_angles(const llama *c, llama_rotation angles, int layer)
{
    const rope_angles none = { 0 };
    return is_every(c->lithe_plain_every, layer) ? none : is_every(c->lithe_full_every, layer) ? angles.full : angles.local;
}

static attention_options attention_of(const llama *c, int layer)
{
    const bool windowed = c->lithe_window && layer >= c->lithe_window_from && !is_every(c->lithe_full_every, layer);
    const double scale = c->attention_multiplier > 0 ? c->attention_multiplier : c->query_pre_attn_scalar > 0 ? 1 / sqrt(c->query_pre_attn_scalar) : 0;
    return (attention_options){ .heads = c->num_attention_heads, .kv_heads = kv_heads(c), .causal = true, .scale = scale,
                                .cap = c->attn_logit_softcapping, .window = windowed ? c->lithe_window - 1 : 0 };
}

uint64_t llama_layer_kind(const void *config, int layer)
{
    const llama *c = config;
    return (uint64_t)(attention_of(c, layer).window > 0) | (uint64_t)is_every(c->lithe_plain_every, layer) << 1 | (uint64_t)is_every(c->lithe_full_every, layer) << 2;
}

static dense_options projection(const llama *c, axis_kind out, int heads)
{
    return (dense_options){ .in = AXIS_RESIDUAL, .out = out, .heads = heads, .bias = c->attention_bias || c->lithe_qkv_bias, .std = c->initializer_range };
}

/* q or k: (tokens, heads D), normalized where the family does so, then rotated. */
static tensor *rotated(graph *g, const llama *c, tensor *x, const char *norm_name, rope_angles angles, axis_kind over, int heads)
{
    const norm_options o = { .kind = family(c)->norm, .eps = c->rms_norm_eps, .over = over, .heads = family(c)->head_norms ? heads : 0 };
    if (family(c)->head_norms || family(c)->whole_norms) x = norm(g, x, norm_name, o);           /* (tokens, heads D) */
    return rope(g, x, angles, heads);                                                            /* (tokens, heads D) */
}

/* (tokens, H D) */
static tensor *attend_apart(graph *g, const llama *c, tensor *h, rope_angles angles, int layer)
{
    const int H = c->num_attention_heads, G = kv_heads(c), D = head_width(c);
    tensor *q = dense(g, h, "self_attn.q_proj", H * D, projection(c, AXIS_HEAD, H));                /* (tokens, H D) */
    tensor *k = dense(g, h, "self_attn.k_proj", G * D, projection(c, AXIS_KV_HEAD, G));             /* (tokens, G D) */
    tensor *v = dense(g, h, "self_attn.v_proj", G * D, projection(c, AXIS_KV_HEAD, G));             /* (tokens, G D) */
    q = rotated(g, c, q, "self_attn.q_norm", angles, AXIS_HEAD, H);                                 /* (tokens, H D) */
    k = rotated(g, c, k, "self_attn.k_norm", angles, AXIS_KV_HEAD, G);                              /* (tokens, G D) */
    return attention(g, q, k, v, attention_of(c, layer));                                           /* (tokens, H D) */
}

/* (tokens, H D) */
static tensor *attend_fused(graph *g, const llama *c, tensor *h, rope_angles angles, int layer)
{
    const int H = c->num_attention_heads, G = kv_heads(c), D = head_width(c);
    /* (tokens, (H + 2 G) D) */
    tensor *qkv = dense(g, h, "self_attn.qkv_proj", (H + 2 * G) * D, projection(c, AXIS_NONE, 0));
    qkv = rope_first(g, qkv, angles, H + 2 * G, H + G);                                 /* (tokens, (H + 2 G) D) */
    return attention(g, qkv, NULL, NULL, attention_of(c, layer));                                   /* (tokens, H D) */
}

/* x + what a part gives: the matrix `name` of m, normalized where the family does so, times the factor. */
static tensor *add_part(graph *g, const llama *c, tensor *x, tensor *m, const char *name, dense_options o, const char *after)
{
    const double r = factor(c->residual_multiplier);
    const bool plain = !family(c)->norms_after && !(r < 1) && !(r > 1);
    if (plain) return dense_add(g, x, m, name, o);                                                  /* (tokens, C) */
    tensor *y = dense(g, m, name, width_of(x), o);                                                  /* (tokens, C) */
    if (family(c)->norms_after) y = normalize(g, c, y, after);                                      /* (tokens, C) */
    return add(g, x, times(g, y, r));                                                               /* (tokens, C) */
}

tensor *llama_before_attention(graph *g, const llama *c, tensor *x) { return family(c)->norms_before ? normalize(g, c, x, "input_layernorm") : x; }

tensor *llama_attend(graph *g, const llama *c, tensor *x, tensor *h, llama_rotation angles, int layer)
{
    const dense_options to_x = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = c->attention_bias, .std = c->initializer_range };
    const rope_angles here = layer_angles(c, angles, layer);
    /* (tokens, H D) */
    tensor *a = family(c)->fused ? attend_fused(g, c, h, here, layer) : attend_apart(g, c, h, here, layer);
    return add_part(g, c, x, a, "self_attn.o_proj", to_x, "post_attention_layernorm");              /* (tokens, C) */
}

/* ---- feed-forward --------------------------------------------------------------- */

/* Where a norm comes after attention too, it has the name of the one before the feed-forward. */
tensor *llama_before_mlp(graph *g, const llama *c, tensor *x)
{
    if (!family(c)->norms_before) return x;
    return normalize(g, c, x, family(c)->norms_after ? "pre_feedforward_layernorm" : "post_attention_layernorm");
}

llama_sides llama_gate_up(graph *g, const llama *c, tensor *h)
{
    const dense_options o = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = c->mlp_bias, .std = c->initializer_range };
    tensor *gate = dense(g, h, "mlp.gate_proj", c->intermediate_size, o);                              /* (tokens, F) */
    tensor *up = dense(g, h, "mlp.up_proj", c->intermediate_size, o);                                  /* (tokens, F) */
    return (llama_sides){ gate, up };
}

/* (tokens, F) */
static tensor *gated(graph *g, const llama *c, tensor *h)
{
    const dense_options both = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .parts = 2, .std = c->initializer_range };
    if (family(c)->fused) return glu_halves(g, dense(g, h, "mlp.gate_up_proj", 2 * c->intermediate_size, both), c->hidden_act);
    llama_sides s = llama_gate_up(g, c, h);
    return glu(g, s.gate, s.up, c->hidden_act);
}

tensor *llama_down(graph *g, const llama *c, tensor *x, tensor *m)
{
    const dense_options o = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = c->mlp_bias, .std = c->initializer_range };
    return add_part(g, c, x, m, "mlp.down_proj", o, "post_feedforward_layernorm");                     /* (tokens, C) */
}

static tensor *build(graph *g, const void *config)
{
    const llama *c = config;
    const llama_rotation angles = llama_angles(g, c);
    tensor *x = llama_embed(g, c);                                                                     /* (tokens, C) */
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "model.layers.%d.", l);
        tensor *h = llama_before_attention(g, c, x);                                                   /* (tokens, C) */
        x = tap(g, llama_attend(g, c, x, h, angles, l), "post_mix", l);                                /* (tokens, C) */
        h = llama_before_mlp(g, c, x);                                                                 /* (tokens, C) */
        x = tap(g, llama_down(g, c, x, gated(g, c, h)), "post_ffn", l);                                /* (tokens, C) */
    }
    return llama_final_norm(g, c, x);                                                                  /* (tokens, C) */
}

json_t *llama_sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", glu_width(width),
                     "rms_norm_eps", 1e-5, "tie_word_embeddings", 1, "initializer_range", sized_std(STD_TEXT, width));
}

const arch arch_llama = {
    .name = "llama", .class_name = "LlamaForCausalLM", .stem = "Llama",
    .summary = "LLaMA: RMSNorm, rotary positions, SwiGLU, grouped key/value heads (Touvron et al. 2023)",
    .config = { .size = sizeof(llama), .fields = fields, .others = llama_others, .divides = NAMES("num_key_value_heads", "num_attention_heads"),
                .normalize = llama_normalize, .publish = llama_publish, .check = llama_check, .sized = llama_sized,
                .aliases = NAMES("mistral", "MistralForCausalLM", "qwen2", "Qwen2ForCausalLM", "qwen3", "Qwen3ForCausalLM", "smollm3", "SmolLM3ForCausalLM",
                                 "olmo2", "Olmo2ForCausalLM", "granite", "GraniteForCausalLM", "phi3", "Phi3ForCausalLM", "gemma", "GemmaForCausalLM",
                                 "gemma2", "Gemma2ForCausalLM", "gemma3_text", "Gemma3ForCausalLM", "stablelm", "StableLmForCausalLM", "PanguEmbedded", "openpangu_dense", "PanguEmbeddedForCausalLM",
                                 "internlm2", "InternLM2ForCausalLM"), .families = true },
    .equations = { .build = build, .language = llama_language, .context = llama_context },
    /* Bare bodies, as embedders are saved, have no "model." */
    .files = { .names = NAME_PAIRS({ "@.rotary_emb.inv_freq", NULL }, { "layers.@", "model.layers.@" }, { "embed_tokens.weight", "model.embed_tokens.weight" },
                                   { "norm.@", "model.norm.@" }),
               .tied_head = "lm_head.weight", .tied_to = "model.embed_tokens.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size",
                    .layers = "num_hidden_layers", .layer_prefix = "model.layers." },
                .inner_keys = NAMES("intermediate_size"), .layer_kind = llama_layer_kind },
};

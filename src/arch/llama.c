/* The LLaMA-style block.  Touvron et al. 2023, "LLaMA: Open and Efficient
 * Foundation Language Models": RMSNorm, rotary positions, SwiGLU, grouped
 * key/value heads.  Per layer x += Attn(RMS(x)); x += W_down(silu(W_gate h) * W_up h).
 * Names and keys are Hugging Face's; Mistral and Qwen2 files open where nothing
 * but biases differs. */
#include "arch/llama.h"
#include <math.h>
#include <string.h>

static const field fields[] = { LLAMA_FIELDS, { 0 } };

const known_key llama_others[] = {
    { .key = "rope_scaling" }, { .key = "rope_parameters" }, { .key = "sliding_window" }, { .key = "use_sliding_window" }, { .key = "max_window_layers" },
    { .key = "layer_types" },
    { "partial_rotary_factor", "1.0|1" }, { "attention_dropout", "0.0|0" }, { "hidden_dropout", "0.0|0" }, { "max_sequence_length", "*" },
    { 0 }
};

/* ---- sliding windows ---- */

/* layer_types must be what the other keys say: windows in the layers from `from` on if there is a window, else none. */
static int check_types(const json_t *types, int window, int from, lithe_error *err)
{
    for (size_t l = 0; l < json_array_size(types); l++) {
        const char *type = json_string_value(json_array_get(types, l)), *expected = window && (int)l >= from ? "sliding_attention" : "full_attention";
        if (!type || strcmp(type, expected)) return fail(err, LITHE_ECONFIG, "layer_types has %.40s for layer %zu, the other keys say %s", type ? type : "no name", l, expected);
    }
    return LITHE_OK;
}

/* Mistral has its window in all layers, 4096 where the file does not say; Qwen2 in those from max_window_layers on, if
 * use_sliding_window is true. */
static int read_window(json_t *config, const char *type, lithe_error *err)
{
    enum { LEAST = 2, MOST = 1 << 24, MOST_LAYERS = 1 << 10 };
    const json_t *said = json_object_get(config, "sliding_window");
    const bool mistral = type && !strcmp(type, "mistral"), qwen2 = type && !strcmp(type, "qwen2"), asked = json_is_true(json_object_get(config, "use_sliding_window"));
    int window = mistral && !said ? 4096 : 0, from = 0, context = 0;
    if (json_object_get(config, "lithe_window")) return LITHE_OK;
    if (type && !mistral && !qwen2 && (asked || (said && !json_is_null(said)))) return fail(err, LITHE_ECONFIG, "sliding_window is not supported for a %.40s", type);
    if ((mistral || (qwen2 && asked)) && said && !json_is_null(said) && !json_int(config, "sliding_window", LEAST, MOST, &window))
        return fail(err, LITHE_ECONFIG, "sliding_window is no whole number from %d to %d", LEAST, MOST);
    if (window && qwen2 && !json_int(config, "max_window_layers", 0, MOST_LAYERS, &from))
        return fail(err, LITHE_ECONFIG, "max_window_layers is no whole number from 0 to %d", MOST_LAYERS);
    if (check_types(json_object_get(config, "layer_types"), window, from, err)) return LITHE_ECONFIG;
    /* Every token sees all before it. */
    if (json_int(config, "max_position_embeddings", 1, MOST, &context) && window >= context) window = 0;
    if (!window) return LITHE_OK;
    bool bad = json_object_set_new(config, "lithe_window", json_integer(window)) || json_object_set_new(config, "lithe_window_from", json_integer(from));
    return bad ? fail(err, LITHE_ENOMEM, "not enough memory to read it") : LITHE_OK;
}

static int publish_window(json_t *config, bool qwen2)
{
    json_t *window = json_object_get(config, "lithe_window"), *from = json_object_get(config, "lithe_window_from");
    int bad = 0;
    if (json_integer_value(window) > 0) {
        bad = json_object_set(config, "sliding_window", window);
        if (qwen2) bad |= json_object_set_new(config, "use_sliding_window", json_true()) || json_object_set(config, "max_window_layers", from);
        else bad |= json_object_set_new(config, "model_type", json_string("mistral")) || json_object_set_new(config, "architectures", json_pack("[s]", "MistralForCausalLM"));
    }
    json_object_del(config, "lithe_window");
    json_object_del(config, "lithe_window_from");
    return bad ? LITHE_ENOMEM : 0;
}

/* ---- config.json ---- */

/* Brings to fields of its own what stands elsewhere in a file: the scaling of rotary positions, windows, Qwen2's
 * biases. */
int llama_normalize(json_t *config, lithe_error *err)
{
    rope_normalize(config, "rope_theta");
    const char *type = json_string_value(json_object_get(config, "model_type"));
    if (type && !strcmp(type, "qwen2")) json_object_set_new(config, "lithe_qkv_bias", json_true());
    return read_window(config, type, err);
}

int llama_publish(json_t *config)
{
    bool biases = json_is_true(json_object_get(config, "lithe_qkv_bias"));
    json_object_del(config, "lithe_qkv_bias");
    return publish_window(config, biases) ? LITHE_ENOMEM : rope_publish(config, "rope_theta", NULL);
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
    int status = c->head_dim ? LITHE_OK : check_divides("num_attention_heads", c->num_attention_heads, "hidden_size", c->hidden_size, err);
    return status ? status : check_pairs(head_width(c), err);
}

static tensor *words(graph *g, const llama *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "model.embed_tokens.weight", c->vocab_size, c->hidden_size, o);          /* (vocab, C) */
}

/* (tokens, C) */
tensor *llama_embed(graph *g, const llama *c) { return tap(g, embedding(g, words(g, c)), "embed", -1); }

rope_angles llama_angles(graph *g, const llama *c)
{
    return rope_table(g, (rope_options){ .dims = head_width(c), .base = c->rope_theta, .scaling = (rope_scaling)c->lithe_rope_type, .factor = c->lithe_rope_factor,
                                         .low = c->lithe_rope_low, .high = c->lithe_rope_high, .original = c->lithe_rope_original });
}

tensor *llama_norm(graph *g, const llama *c, tensor *x, const char *name)
{
    return norm(g, x, name, (norm_options){ .kind = NORM_RMS, .eps = c->rms_norm_eps });               /* (tokens, C) */
}

tensor *llama_attend(graph *g, const llama *c, tensor *x, tensor *h, rope_angles angles, int layer)
{
    const int H = c->num_attention_heads, G = kv_heads(c), D = head_width(c);
    const bool bias = c->attention_bias || c->lithe_qkv_bias;
    const double std = c->initializer_range;
    const int before = c->lithe_window && layer >= c->lithe_window_from ? c->lithe_window - 1 : 0;
    const dense_options to_q  = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .heads = H, .bias = bias, .std = std };
    const dense_options to_kv = { .in = AXIS_RESIDUAL, .out = AXIS_KV_HEAD, .heads = G, .bias = bias, .std = std };
    const dense_options to_x  = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = c->attention_bias, .std = std };

    tensor *q = rope(g, dense(g, h, "self_attn.q_proj", H * D, to_q), angles, H);                   /* (tokens, H D) */
    tensor *k = rope(g, dense(g, h, "self_attn.k_proj", G * D, to_kv), angles, G);                  /* (tokens, G D) */
    tensor *v = dense(g, h, "self_attn.v_proj", G * D, to_kv);                                      /* (tokens, G D) */
    /* (tokens, H D) */
    tensor *a = attention(g, q, k, v, (attention_options){ .heads = H, .kv_heads = G, .causal = true, .window = before });
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
        tensor *h = llama_norm(g, c, x, "input_layernorm");                                            /* (tokens, C) */
        x = tap(g, llama_attend(g, c, x, h, angles, l), "post_mix", l);                             /* (tokens, C) */
        h = llama_norm(g, c, x, "post_attention_layernorm");                                    /* (tokens, C) */
        llama_sides s = llama_gate_up(g, c, h);                                                 /* (tokens, F) twice */
        x = tap(g, llama_down(g, c, x, glu(g, s.gate, s.up, c->hidden_act)), "post_ffn", l);    /* (tokens, C) */
    }
    return llama_final_norm(g, c, x);                                                                  /* (tokens, C) */
}

head llama_language(graph *g, const void *config, tensor *rows)
{
    const llama *c = config;
    /* (vocab, C) */
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range);
    return (head){ .hidden = rows, .weight = w };
}

json_t *llama_sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", glu_width(width),
                     "rms_norm_eps", 1e-5, "tie_word_embeddings", 1, "initializer_range", sized_std(width));
}

const arch arch_llama = {
    .name = "llama", .class_name = "LlamaForCausalLM", .stem = "Llama",
    .summary = "LLaMA: RMSNorm, rotary positions, SwiGLU, grouped key/value heads (Touvron et al. 2023)",
    .config = { .size = sizeof(llama), .fields = fields, .others = llama_others, .divides = NAMES("num_key_value_heads", "num_attention_heads"),
                .normalize = llama_normalize, .publish = publish, .check = llama_check, .sized = llama_sized,
                .aliases = NAMES("mistral", "MistralForCausalLM", "qwen2", "Qwen2ForCausalLM") },
    .equations = { .build = build, .language = llama_language },
    .files = { .names = NAME_PAIRS({ "@.rotary_emb.inv_freq", NULL }),
               .tied_head = "lm_head.weight", .tied_to = "model.embed_tokens.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size",
                    .layers = "num_hidden_layers", .layer_prefix = "model.layers." },
                .inner_keys = NAMES("intermediate_size") },
};

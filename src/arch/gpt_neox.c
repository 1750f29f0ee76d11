/* GPT-NeoX.  Black et al. 2022, "GPT-NeoX-20B: An Open-Source Autoregressive
 * Language Model"; Pythia (Biderman et al. 2023) has the same equations.  A
 * pre-norm decoder with rotary positions on the first channels of each head,
 * attention and feed-forward in parallel or in sequence:
 *
 *     x + Attn(LN1(x)) + W2 gelu(W1 LN2(x))            use_parallel_residual
 *     y + W2 gelu(W1 LN2(y)),  y = x + Attn(LN1(x))
 *
 * Published files keep q, k and v of each head together.  Names and keys are
 * those of Hugging Face. */
#include "arch/layers.h"
#include "arch/rope_keys.h"

typedef struct {
    int vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings;
    activation hidden_act;
    int use_parallel_residual, attention_bias, tie_word_embeddings, lithe_rope_type, lithe_rope_exact;
    double rotary_pct, rotary_emb_base, lithe_rope_factor, lithe_rope_low, lithe_rope_high, lithe_rope_original, lithe_rope_attention, lithe_rope_factors[ROPE_FACTORS];
    double layer_norm_eps, hidden_dropout, attention_dropout, initializer_range;
} gpt_neox;

#define CONFIG gpt_neox
static const field fields[] = {
    INT(vocab_size, 50432, VOCABULARY), INT(hidden_size, 6144, WIDTH), INT(num_hidden_layers, 44, LAYERS), INT(num_attention_heads, 64, HEADS),
    INT(intermediate_size, 24576, INNER), INT(max_position_embeddings, 2048, LENGTH), ACTIVATION(hidden_act, ACT_GELU_ERF),
    BOOL(use_parallel_residual, 1), BOOL(attention_bias, 1), BOOL(tie_word_embeddings, 0),
    REAL(rotary_pct, 0.25, .least = 1e-3, .most = 1), REAL(rotary_emb_base, 10000, ROPE_BASE), ROPE_FIELDS_OF(gpt_neox),
    REAL(layer_norm_eps, 1e-5, EPSILON), REAL(hidden_dropout, 0, RATE), REAL(attention_dropout, 0, RATE), REAL(initializer_range, 0.02, DEVIATION),
    { 0 }
};

static const known_key others[] = {
    { "attention_probs_dropout_prob", "0|0.0" }, { "hidden_dropout_prob", "0|0.0" }, { .key = "rope_scaling" }, { .key = "rope_parameters" }, { .key = "rope_theta" }, { .key = "partial_rotary_factor" },
    { 0 }
};

static int head_width(const gpt_neox *c) { return c->hidden_size / c->num_attention_heads; }

static int check(const void *config, lithe_error *err)
{
    const gpt_neox *c = config;
    if (c->lithe_rope_type == ROPE_LONG) return fail(err, LITHE_ECONFIG, "rope_type longrope is not supported for gpt_neox");
    return check_rotary(c->rotary_pct, head_width(c), 2, err);
}

/* Newer files say partial_rotary_factor and rope_theta, in rope_parameters or beside the older keys, which then win. */
static int normalize(json_t *config, lithe_error *err)
{
    if (!json_object_get(config, "rotary_pct")) bring_key(config, "rotary_pct", config, "partial_rotary_factor");
    if (!json_object_get(config, "rotary_emb_base")) bring_key(config, "rotary_emb_base", config, "rope_theta");
    bring_key(config, "rotary_pct", json_object_get(config, "rope_parameters"), "partial_rotary_factor");
    return rope_normalize(config, "rotary_emb_base", err);
}

static int publish(json_t *config)
{
    json_t *newer = json_pack("{s:O}", "partial_rotary_factor", json_object_get(config, "rotary_pct"));
    int status = newer ? rope_publish(config, "rotary_emb_base", newer) : LITHE_ENOMEM;
    json_decref(newer);
    return status;
}

static tensor *words(graph *g, const gpt_neox *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "gpt_neox.embed_in.weight", c->vocab_size, c->hidden_size, o);            /* (vocab, C) */
}

static rope_angles angles_of(graph *g, const gpt_neox *c)
{
    return rope_table(g, (rope_options){ .dims = rotary_channels(c->rotary_pct, head_width(c)), .base = c->rotary_emb_base,
                                         ROPE_OPTIONS_OF(c) });
}

static tensor *build(graph *g, const void *config)
{
    const gpt_neox *c = config;
    const int C = c->hidden_size, F = c->intermediate_size, H = c->num_attention_heads;
    const double std = c->initializer_range, drop = c->hidden_dropout;
    const attention_options heads = { .heads = H, .causal = true, .dropout = c->attention_dropout };
    const norm_options ln = { .eps = c->layer_norm_eps }, ln_f = { .eps = ln.eps, .before_tied_head = c->tie_word_embeddings };
    const dense_options fused = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .parts = 3, .heads = H, .by_head = true, .bias = c->attention_bias, .std = std };
    const dense_options proj  = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = c->attention_bias, .std = std, .dropout = drop };
    const dense_options up    = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = true, .std = std, .act = c->hidden_act };
    const dense_options down  = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = true, .std = std, .dropout = drop };

    const rope_angles angles = angles_of(g, c);
    tensor *x = tap(g, dropout(g, embedding(g, words(g, c)), drop), "embed", -1);                   /* (tokens, C) */
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "gpt_neox.layers.%d.", l);
        tensor *h = norm(g, x, "input_layernorm", ln);                                              /* (tokens, C) */
        /* (tokens, 3 C) */
        tensor *qkv = rope_fused(g, dense(g, h, "attention.query_key_value", 3 * C, fused), angles, H);
        tensor *a = attention(g, qkv, NULL, NULL, heads);                                           /* (tokens, C) */
        tensor *y = tap(g, dense_add(g, x, a, "attention.dense", proj), "post_mix", l);             /* (tokens, C) */
        h = norm(g, c->use_parallel_residual ? x : y, "post_attention_layernorm", ln);              /* (tokens, C) */
        h = dense(g, h, "mlp.dense_h_to_4h", F, up);                                                /* (tokens, F) */
        x = tap(g, dense_add(g, y, h, "mlp.dense_4h_to_h", down), "post_ffn", l);                   /* (tokens, C) */
    }
    unscope(g);
    return tap(g, norm(g, x, "gpt_neox.final_layer_norm", ln_f), "final_norm", -1);                 /* (tokens, C) */
}

static head language(graph *g, const void *config, tensor *rows)
{
    const gpt_neox *c = config;
    /* (vocab, C) */
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "embed_out.weight", c->vocab_size, c->hidden_size, c->initializer_range);
    return (head){ .hidden = rows, .weight = w };
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", 4 * width, "tie_word_embeddings", 1,
                     "initializer_range", sized_std(STD_TEXT, width));
}

const arch arch_gpt_neox = {
    .name = "gpt_neox", .class_name = "GPTNeoXForCausalLM", .stem = "GPTNeoX",
    .summary = "GPT-NeoX and Pythia: attention beside the feed-forward, partly rotated heads (Black et al. 2022)",
    .config = { .size = sizeof(gpt_neox), .fields = fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"), .check = check,
                .normalize = normalize, .publish = publish, .sized = sized },
    .equations = { .build = build, .language = language },
    .files = { .names = NAME_PAIRS({ "@.attention.bias", NULL }, { "@.attention.masked_bias", NULL }, { "@.rotary_emb.inv_freq", NULL },
                                   { "embed_in.@", "gpt_neox.embed_in.@" }, { "layers.@", "gpt_neox.layers.@" },
                                   { "final_layer_norm.@", "gpt_neox.final_layer_norm.@" }),
               .tied_head = "embed_out.weight", .tied_to = "gpt_neox.embed_in.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers",
                          .layer_prefix = "gpt_neox.layers." },
                .inner_keys = NAMES("intermediate_size") },
};

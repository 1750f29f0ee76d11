/* OPT.  Zhang et al. 2022, "OPT: Open Pre-trained Transformer Language Models" (arXiv
 * 2205.01068).  A decoder with ReLU and learned positions, of which two rows stand before
 * position 0.  Norms come before each part, in the 350M model after each sum, whose embedding
 * is narrower than its layers, with a matrix into them and one out of them.
 * Names and keys are those of the published checkpoints. */
#include "arch/fields.h"
#include "arch/layers.h"
#include <string.h>

typedef struct {
    int vocab_size, max_position_embeddings, hidden_size, num_hidden_layers, num_attention_heads, ffn_dim, word_embed_proj_dim;
    int do_layer_norm_before, _remove_final_layer_norm, enable_bias, layer_norm_elementwise_affine, tie_word_embeddings;
    activation activation_function;
    double dropout, attention_dropout, init_std;
} opt;
enum { FIRST = 2 };                 /* the row of position 0 */

#define CONFIG opt
static const field fields[] = {
    INT(vocab_size, 50272, VOCABULARY), INT(max_position_embeddings, 2048, POSITIONS), INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, LAYERS),
    INT(num_attention_heads, 12, HEADS), INT(ffn_dim, 3072, INNER), INT(word_embed_proj_dim, 0, WIDTH), BOOL(do_layer_norm_before, 1),
    BOOL(_remove_final_layer_norm, 0), BOOL(enable_bias, 1), BOOL(layer_norm_elementwise_affine, 1), BOOL(tie_word_embeddings, 1),
    ACTIVATION(activation_function, ACT_RELU), REAL(dropout, 0.1, RATE), REAL(attention_dropout, 0, RATE), REAL(init_std, 0.02, DEVIATION),
    { 0 }
};

static const known_key others[] = {
    { "activation_dropout", "0.0|0" }, { "prefix", "*" },
    { 0 }
};

static bool is_narrow(const opt *c) { return c->word_embed_proj_dim && c->word_embed_proj_dim != c->hidden_size; }
static int narrow_width(const opt *c) { return is_narrow(c) ? c->word_embed_proj_dim : c->hidden_size; }

/* (vocab, P): of embedding or head; P is the residual width but for narrow embeddings. */
static tensor *vocabulary(graph *g, const opt *c, const char *name, bool shared)
{
    const axis width = is_narrow(c) ? writes(AXIS_NONE) : (axis){ AXIS_RESIDUAL, !strcmp(name, "lm_head.weight"), 1 };
    return parameter(g, name, (param_rule){ .dims = { c->vocab_size, narrow_width(c) }, .axes = { writes(AXIS_VOCAB), width }, .init = INIT_NORMAL,
                                            .std = c->init_std, .decay = true, .shared_read = shared });
}

static tensor *words(graph *g, const opt *c) { return vocabulary(g, c, "embed_tokens.weight", c->tie_word_embeddings); }

/* (tokens, C) */
static tensor *embed(graph *g, const opt *c)
{
    const dense_options wider = { .out = AXIS_RESIDUAL, .std = c->init_std };
    /* (positions, C) */
    tensor *positions = embedding_table(g, "embed_positions.weight", c->max_position_embeddings + FIRST, c->hidden_size,
                                        (table_options){ .rows = AXIS_POSITION, .std = c->init_std });
    tensor *x = embedding(g, words(g, c));                                                           /* (tokens, P) */
    if (is_narrow(c)) x = dense(g, x, "project_in", c->hidden_size, wider);                          /* (tokens, C) */
    return tap(g, add_positions_from(g, x, positions, FIRST), "embed", -1);
}

static tensor *layer(graph *g, const opt *c, tensor *x, int l)
{
    const int C = c->hidden_size;
    const bool before = c->do_layer_norm_before, bias = c->enable_bias;
    const norm_options ln = { .kind = c->layer_norm_elementwise_affine ? NORM_LAYER : NORM_LAYER_PLAIN, .eps = 1e-5 };
    const attention_options heads = { .heads = c->num_attention_heads, .causal = true, .dropout = c->attention_dropout };
    const dense_options qkv  = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .bias = bias, .std = c->init_std };
    const dense_options proj = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = bias, .std = c->init_std, .dropout = c->dropout };
    const dense_options up   = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = bias, .std = c->init_std, .act = c->activation_function };
    const dense_options down = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = bias, .std = c->init_std, .dropout = c->dropout };

    tensor *h = before ? norm(g, x, "self_attn_layer_norm", ln) : x;                                 /* (tokens, C) */
    tensor *q = dense(g, h, "self_attn.q_proj", C, qkv);                                             /* (tokens, C) */
    tensor *k = dense(g, h, "self_attn.k_proj", C, qkv);                                             /* (tokens, C) */
    tensor *v = dense(g, h, "self_attn.v_proj", C, qkv);                                             /* (tokens, C) */
    x = dense_add(g, x, attention(g, q, k, v, heads), "self_attn.out_proj", proj);                   /* (tokens, C) */
    if (!before) x = norm(g, x, "self_attn_layer_norm", ln);                                         /* (tokens, C) */
    tap(g, x, "post_mix", l);
    h = before ? norm(g, x, "final_layer_norm", ln) : x;                                             /* (tokens, C) */
    x = dense_add(g, x, dense(g, h, "fc1", c->ffn_dim, up), "fc2", down);                            /* (tokens, C) */
    return tap(g, before ? x : norm(g, x, "final_layer_norm", ln), "post_ffn", l);                   /* (tokens, C) */
}

static tensor *build(graph *g, const void *config)
{
    const opt *c = config;
    const norm_options ln_f = { .kind = c->layer_norm_elementwise_affine ? NORM_LAYER : NORM_LAYER_PLAIN, .eps = 1e-5, .before_tied_head = c->tie_word_embeddings && !is_narrow(c) };
    const dense_options narrower = { .in = AXIS_RESIDUAL, .std = c->init_std };
    tensor *x = embed(g, c);                                                                         /* (tokens, C) */
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "layers.%d.", l);
        x = layer(g, c, x, l);                                                                       /* (tokens, C) */
    }
    unscope(g);
    if (c->do_layer_norm_before && !c->_remove_final_layer_norm) x = norm(g, x, "final_layer_norm", ln_f);
    if (is_narrow(c)) x = dense(g, x, "project_out", narrow_width(c), narrower);                     /* (tokens, P) */
    return tap(g, x, "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows)
{
    const opt *c = config;
    return (head){ .hidden = rows, .weight = c->tie_word_embeddings ? words(g, c) : vocabulary(g, c, "lm_head.weight", false) };
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "ffn_dim", 4 * width, "dropout", 0.0, "init_std", sized_std(STD_TEXT, width));
}

static const char *block_changes(const void *config) { return ((const opt *)config)->do_layer_norm_before ? NULL : "a norm stands after each sum"; }

const arch arch_opt = {
    .name = "opt", .class_name = "OPTForCausalLM", .stem = "OPT",
    .summary = "OPT: a decoder with ReLU and learned positions (Zhang et al. 2022)",
    .config = { .size = sizeof(opt), .fields = fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"), .sized = sized },
    .equations = { .build = build, .language = language },
    .files = { .prefix = "model.decoder.", .names = NAME_PAIRS({ "model.decoder.@", "@" }, { "decoder.@", "@" }),
               .tied_head = "lm_head.weight", .tied_to = "embed_tokens.weight", .known_by = "layers.0.self_attn_layer_norm.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "ffn_dim", .layers = "num_hidden_layers", .layer_prefix = "layers." },
                .inner_keys = NAMES("ffn_dim"), .block_changes = block_changes },
};

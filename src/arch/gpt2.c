/* GPT-2.  Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners".  Pre-norm Transformer decoder with learned positions and a tied
 * head; names, layouts (in,out) and keys are those of the published checkpoints. */
#include "arch/fields.h"
#include "arch/layers.h"
#include <math.h>

typedef struct {
    int vocab_size, n_positions, n_embd, n_layer, n_head, n_inner;
    activation activation_function;
    double resid_pdrop, embd_pdrop, attn_pdrop, layer_norm_epsilon, initializer_range;
    int scale_attn_weights, scale_attn_by_inverse_layer_idx, tie_word_embeddings;
} gpt2;

#define CONFIG gpt2
static const field fields[] = {
    INT(vocab_size, 50257, VOCABULARY), INT(n_positions, 1024, POSITIONS), INT(n_embd, 768, WIDTH), INT(n_layer, 12, LAYERS), INT(n_head, 12, HEADS),
    INT(n_inner, 0, INNER), ACTIVATION(activation_function, ACT_GELU_TANH),
    REAL(resid_pdrop, 0.1, RATE), REAL(embd_pdrop, 0.1, RATE), REAL(attn_pdrop, 0.1, RATE),
    REAL(layer_norm_epsilon, 1e-5, EPSILON), REAL(initializer_range, 0.02, DEVIATION),
    BOOL(scale_attn_weights, 1), BOOL(scale_attn_by_inverse_layer_idx, 0), BOOL(tie_word_embeddings, 1),
    { 0 }
};

static const known_key others[] = {
    { .key = "n_ctx" }, { "reorder_and_upcast_attn", "*" },                             /* of half precision alone */
    { "summary_type", "*" }, { "summary_use_proj", "*" }, { "summary_activation", "*" }, { "summary_proj_to_labels", "*" }, { "summary_first_dropout", "*" },
    { "n_special", "*" }, { "predict_special_tokens", "*" },
    { 0 }
};

static tensor *words(graph *g, const gpt2 *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "wte.weight", c->vocab_size, c->n_embd, o);                /* (vocab, C) */
}

static attention_options heads(const gpt2 *c, int l)
{
    const int width = c->n_embd / c->n_head;
    double scale = c->scale_attn_weights ? 1 / sqrt(width) : 1;
    if (c->scale_attn_by_inverse_layer_idx) scale /= l + 1;
    return (attention_options){ .heads = c->n_head, .causal = true, .scale = scale, .dropout = c->attn_pdrop };
}

static uint64_t layer_kind(const void *config, int l) { return ((const gpt2 *)config)->scale_attn_by_inverse_layer_idx ? (uint64_t)l : 0; }

static tensor *build(graph *g, const void *config)
{
    const gpt2 *c = config;
    const int C = c->n_embd, F = c->n_inner ? c->n_inner : 4 * C;
    const double std = c->initializer_range, std_out = std / sqrt(2.0 * c->n_layer), drop = c->resid_pdrop;
    const norm_options ln = { .eps = c->layer_norm_epsilon }, ln_f = { .eps = ln.eps, .before_tied_head = c->tie_word_embeddings };
    const dense_options attn = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .parts = 3, .layout = IN_OUT, .bias = true, .std = std };
    const dense_options proj = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .layout = IN_OUT, .bias = true, .std = std_out, .dropout = drop };
    const dense_options up   = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .layout = IN_OUT, .bias = true, .std = std, .act = c->activation_function };
    const dense_options down = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .layout = IN_OUT, .bias = true, .std = std_out, .dropout = drop };

    /* (positions, C) */
    tensor *wpe = embedding_table(g, "wpe.weight", c->n_positions, C, (table_options){ .rows = AXIS_POSITION, .std = std });
    tensor *x = add_positions(g, embedding(g, words(g, c)), wpe);                  /* (tokens, C) */
    x = tap(g, dropout(g, x, c->embd_pdrop), "embed", -1);                         /* (tokens, C) */
    for (int l = 0; l < c->n_layer; l++) {
        scope(g, "h.%d.", l);
        tensor *h = norm(g, x, "ln_1", ln);                                        /* (tokens, C) */
        tensor *qkv = dense(g, h, "attn.c_attn", 3 * C, attn);                     /* (tokens, 3 C) */
        tensor *a = attention(g, qkv, NULL, NULL, heads(c, l));                    /* (tokens, C) */
        x = tap(g, dense_add(g, x, a, "attn.c_proj", proj), "post_mix", l);        /* (tokens, C) */
        h = norm(g, x, "ln_2", ln);                                                /* (tokens, C) */
        h = dense(g, h, "mlp.c_fc", F, up);                                        /* (tokens, F) */
        x = tap(g, dense_add(g, x, h, "mlp.c_proj", down), "post_ffn", l);         /* (tokens, C) */
    }
    unscope(g);
    return tap(g, norm(g, x, "ln_f", ln_f), "final_norm", -1);                     /* (tokens, C) */
}

static head language(graph *g, const void *config, tensor *rows)
{
    const gpt2 *c = config;
    /* (vocab, C) */
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->n_embd, c->initializer_range);
    return (head){ .hidden = rows, .weight = w };
}

static int context(const void *config) { return ((const gpt2 *)config)->n_positions; }

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f}", "vocab_size", vocab, "n_positions", positions, "n_embd", width, "n_layer", layers,
                     "n_head", usual_heads(width), "n_inner", 4 * width, "resid_pdrop", 0.0, "embd_pdrop", 0.0, "attn_pdrop", 0.0,
                     "initializer_range", sized_std(STD_TEXT, width));
}

/* llama.cpp's converter reads n_ctx, which newer files have dropped. */
static int publish(json_t *config) { return json_object_set(config, "n_ctx", json_object_get(config, "n_positions")); }

/* Files older than n_positions say n_ctx alone. */
static int normalize(json_t *config, lithe_error *err)
{
    (void)err;
    json_t *n_ctx = json_object_get(config, "n_ctx");
    if (n_ctx && !json_object_get(config, "n_positions")) json_object_set(config, "n_positions", n_ctx);
    return 0;
}

const arch arch_gpt2 = {
    .name = "gpt2", .class_name = "GPT2LMHeadModel", .stem = "GPT2",
    .summary = "GPT-2: pre-norm Transformer with learned positions (Radford et al. 2019)",
    .config = { .size = sizeof(gpt2), .fields = fields, .others = others, .divides = NAMES("n_head", "n_embd"),
                .normalize = normalize, .publish = publish, .sized = sized },
    .equations = { .build = build, .language = language, .context = context },
    .files = { .names = NAME_PAIRS({ "transformer.@", "@" }, { "@.attn.bias", NULL }, { "@.attn.masked_bias", NULL }),
               .tied_head = "lm_head.weight", .tied_to = "wte.weight" },
    .growth = { .keys = { .width = "n_embd", .heads = "n_head", .inner = "n_inner", .layers = "n_layer", .layer_prefix = "h." },
                .inner_keys = NAMES("n_inner"), .layer_kind = layer_kind },
};

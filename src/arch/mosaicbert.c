/* MosaicBERT.  Portes et al. 2023, "MosaicBERT: A Bidirectional Encoder
 * Optimized for Fast Pretraining".  BERT's post-norm layers without positions:
 *
 *     x = norm(x + Attn(x)), scores less m_h |i - j| (ALiBi, symmetric)
 *     x = norm(x + W2 (gelu(Wg x) * (Wu x))), Wg and Wu one matrix without bias
 *
 * Its files say model_type "bert"; they are recognised by alibi_starting_size, which only sized a table, and by their
 * tensors.  The weights limit no length. */
#include "arch/encoder.h"
#include <string.h>

typedef struct {
    int vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    activation hidden_act;
    int max_position_embeddings, type_vocab_size, alibi_starting_size, tie_word_embeddings;
    double hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, layer_norm_eps, initializer_range;
} mosaicbert;

#define CONFIG mosaicbert
static const field fields[] = {
    INT(vocab_size, 30528, VOCABULARY), INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, ENCODER_LAYERS), INT(num_attention_heads, 12, HEADS),
    INT(intermediate_size, 3072, INNER), ACTIVATION(hidden_act, ACT_GELU_ERF), INT(max_position_embeddings, 512, POSITIONS), INT(type_vocab_size, 2, WIDTH),
    INT(alibi_starting_size, 512, POSITIONS), BOOL(tie_word_embeddings, 1), REAL(hidden_dropout_prob, 0.1, RATE), REAL(attention_probs_dropout_prob, 0, RATE),
    REAL(classifier_dropout, -1, RATE), REAL(layer_norm_eps, 1e-12, EPSILON), REAL(initializer_range, 0.02, DEVIATION),
    { 0 }
};

static const known_key others[] = {
    { "position_embedding_type", "*" },                         /* "absolute" in files whose positions are ALiBi's */
    { "directionality", "*" },
    { 0 }
};

/* Whether the configuration has a key that the authors added to BERT's, or their code in auto_map. */
static bool claims(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const json_t *map = json_object_get(config, "auto_map"), *masked = json_object_get(map, "AutoModelForMaskedLM");
    if (!type || strcmp(type, "bert")) return false;
    return json_object_get(config, "alibi_starting_size") || (json_is_string(masked) && strstr(json_string_value(masked), "bert_layers."));
}

static tensor *words(graph *g, const mosaicbert *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "embeddings.word_embeddings.weight", c->vocab_size, c->hidden_size, o);   /* (vocab, C) */
}

/* The feed-forward has dropout before its second matrix, and none after it. */
static tensor *layer(graph *g, const mosaicbert *c, tensor *x, int l)
{
    const int C = c->hidden_size, F = c->intermediate_size;
    const double std = c->initializer_range, drop = c->hidden_dropout_prob;
    const norm_options ln = { .eps = c->layer_norm_eps };
    const attention_options heads = { .heads = c->num_attention_heads, .alibi = true, .dropout = c->attention_probs_dropout_prob };
    const dense_options to_qkv = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .parts = 3, .bias = true, .std = std };
    const dense_options proj   = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = true, .std = std, .dropout = drop };
    const dense_options gates  = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .parts = 2, .std = std };
    const dense_options down   = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = true, .std = std };

    tensor *qkv = dense(g, x, "attention.self.Wqkv", 3 * C, to_qkv);                                 /* (tokens, 3 C) */
    tensor *a = attention(g, qkv, NULL, NULL, heads);                                                  /* (tokens, C) */
    x = norm(g, dense_add(g, x, a, "attention.output.dense", proj), "attention.output.LayerNorm", ln); /* (tokens, C) */
    tap(g, x, "post_mix", l);
    tensor *h = glu_halves(g, dense(g, x, "mlp.gated_layers", 2 * F, gates), ACT_GELU_ERF);            /* (tokens, F) */
    x = norm(g, dense_add(g, x, dropout(g, h, drop), "mlp.wo", down), "mlp.layernorm", ln);            /* (tokens, C) */
    return tap(g, x, "post_ffn", l);                                                                   /* (tokens, C) */
}

static tensor *build(graph *g, const void *config)
{
    const mosaicbert *c = config;
    /* (types, C) */
    tensor *types = embedding_table(g, "embeddings.token_type_embeddings.weight", c->type_vocab_size, c->hidden_size, (table_options){ .std = c->initializer_range });
    tensor *x = add_types(g, embedding(g, words(g, c)), types);                                        /* (tokens, C) */
    x = norm(g, x, "embeddings.LayerNorm", (norm_options){ .eps = c->layer_norm_eps });                /* (tokens, C) */
    x = tap(g, dropout(g, x, c->hidden_dropout_prob), "embed", -1);                                    /* (tokens, C) */
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        x = layer(g, c, x, l);                                                                         /* (tokens, C) */
    }
    return x;
}

/* The authors' head has an epsilon of its own, whatever layer_norm_eps says. */
static encoder shape(const mosaicbert *c)
{
    return (encoder){ .width = c->hidden_size, .vocab = c->vocab_size, .std = c->initializer_range, .act = c->hidden_act, .ln = { .eps = 1e-12 } };
}

static head language(graph *g, const void *config, tensor *rows)
{
    const mosaicbert *c = config;
    const encoder e = shape(c);
    return masked_head(g, &e, rows, (masked_head_names){ "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder.bias",
                                                         "cls.predictions.decoder.weight", c->tie_word_embeddings ? words(g, c) : NULL });
}

static head classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const mosaicbert *c = config;
    const encoder e = shape(c);
    return bert_labels(g, &e, rows, t, c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout);
}

static const char *slopes_change(const void *config) { (void)config; return "ALiBi's slopes are those of the number of heads"; }

enum { LONGEST = 1 << 16 };                     /* a bound of memory, not of the weights */
static int context(const void *config) { (void)config; return LONGEST; }

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f}", "vocab_size", (vocab + 63) / 64 * 64, "max_position_embeddings", positions,
                     "alibi_starting_size", positions, "hidden_size", width, "num_hidden_layers", layers,
                     "num_attention_heads", usual_heads(width), "intermediate_size", 4 * width,
                     "hidden_dropout_prob", 0.0, "attention_probs_dropout_prob", 0.0, "initializer_range", sized_std(STD_TEXT, width));
}

const arch arch_mosaicbert = {
    .name = "mosaicbert", .class_name = "BertForMaskedLM", .stem = "Bert",
    .summary = "MosaicBERT: encoder with ALiBi and gated feed-forward (Portes et al. 2023)",
    .vocabulary = "wordpiece",
    .recipe = &(const recipe){ .lr = 5e-4, .floor = 0.02, .warmup = 0.06, .schedule = "linear", .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 1e-5,
                               .decoupled = true, .mask = "each", .mask_rate = 0.3 },
    .config = { .size = sizeof(mosaicbert), .fields = fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"),
                .sized = sized, .claims = claims, .aliases = NAMES("bert") },
    .equations = { .build = build, .language = language, .classify = classify, .encoder = always,
                   .context = context },
    .files = { .prefix = "bert.",
               .names = NAME_PAIRS({ "bert.@", "@" }, { "model.@", "@" }, { "cls.predictions.bias", "cls.predictions.decoder.bias" },
                                   { "@position_ids", NULL }, { "pooler.dense.@", NULL }),
               .heads = NAMES("cls.", "classifier.", "qa_outputs."),
               .tied_head = "cls.predictions.decoder.weight", .tied_to = "embeddings.word_embeddings.weight",
               .known_by = "encoder.layer.0.attention.self.Wqkv.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("intermediate_size"),
                .block_changes = post_norm_changes, .heads_change = slopes_change },
};

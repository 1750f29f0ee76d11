/* MPNet.  Song et al. 2020, "MPNet: Masked and Permuted Pre-training for Language
 * Understanding" (arXiv 2004.09297).  BERT's layers without token types; positions begin after
 * the padding row as in RoBERTa, and all layers share learned biases of distances (Raffel et al. 2020).
 * Names and keys are those of the published checkpoints. */
#include "arch/encoder.h"

typedef struct {
    int vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings, tie_word_embeddings;
    activation hidden_act;
    double hidden_dropout_prob, attention_probs_dropout_prob, layer_norm_eps, initializer_range;
} mpnet;

#define CONFIG mpnet
static const field fields[] = {
    INT(vocab_size, 30527, VOCABULARY), INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, ENCODER_LAYERS), INT(num_attention_heads, 12, HEADS),
    INT(intermediate_size, 3072, INNER), ACTIVATION(hidden_act, ACT_GELU_ERF), INT(max_position_embeddings, 512, .least = 3, .most = 1 << 20),
    BOOL(tie_word_embeddings, 1), REAL(hidden_dropout_prob, 0.1, RATE), REAL(attention_probs_dropout_prob, 0.1, RATE), REAL(layer_norm_eps, 1e-12, EPSILON),
    REAL(initializer_range, 0.02, DEVIATION),
    { 0 }
};
enum { FIRST = 2 };                 /* the row of position 0: padding has row 1 whatever its id is */

static const known_key others[] = {
    { "relative_attention_num_buckets", "32" },
    { 0 }
};

static tensor *words(graph *g, const mpnet *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "embeddings.word_embeddings.weight", c->vocab_size, c->hidden_size, o);  /* (vocab, C) */
}

static int context(const void *config) { return ((const mpnet *)config)->max_position_embeddings - FIRST; }

/* (heads, distances) */
static tensor *biases(graph *g, const mpnet *c)
{
    const param_rule rule = { .dims = { DISTANCE_BUCKETS, c->num_attention_heads }, .axes = { { 0 }, writes(AXIS_HEAD) }, .init = INIT_NORMAL, .std = c->initializer_range, .decay = true };
    return distance_bias(g, parameter(g, "encoder.relative_attention_bias.weight", rule), context(c) - 1);
}

static encoder shape(const mpnet *c)
{
    return (encoder){ .width = c->hidden_size, .vocab = c->vocab_size, .heads = c->num_attention_heads, .inner = c->intermediate_size, .std = c->initializer_range,
                      .act = c->hidden_act, .ln = { .eps = c->layer_norm_eps }, .dropout = c->hidden_dropout_prob, .attention_dropout = c->attention_probs_dropout_prob };
}

static tensor *build(graph *g, const void *config)
{
    static const post_norm_names parts = { "attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o", "attention.LayerNorm",
                                           "intermediate.dense", "output.dense", "output.LayerNorm" };
    const mpnet *c = config;
    const table_options position = { .rows = AXIS_POSITION, .std = c->initializer_range };
    encoder e = shape(c);
    e.bias = biases(g, c);
    /* (positions, C) */
    tensor *positions = embedding_table(g, "embeddings.position_embeddings.weight", c->max_position_embeddings, c->hidden_size, position);
    tensor *x = add_positions_from(g, embedding(g, words(g, c)), positions, FIRST);                    /* (tokens, C) */
    x = dropout(g, norm(g, x, "embeddings.LayerNorm", e.ln), c->hidden_dropout_prob);                  /* (tokens, C) */
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        x = post_norm_layer(g, &e, &parts, x, l);                                                      /* (tokens, C) */
    }
    return x;
}

static head language(graph *g, const void *config, tensor *rows)
{
    const mpnet *c = config;
    const encoder e = shape(c);
    return roberta_head(g, &e, rows, c->tie_word_embeddings ? words(g, c) : NULL);
}

static head classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const mpnet *c = config;
    const encoder e = shape(c);
    require(g, t->kind != TASK_PRETRAIN, "mpnet does not predict the next sentence");
    return roberta_labels(g, &e, rows, t, c->hidden_dropout_prob);
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f}", "vocab_size", vocab, "max_position_embeddings", positions + FIRST, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", 4 * width,
                     "hidden_dropout_prob", 0.0, "attention_probs_dropout_prob", 0.0, "layer_norm_eps", 1e-5,
                     "initializer_range", sized_std(STD_TEXT, width));
}

const arch arch_mpnet = {
    .name = "mpnet", .class_name = "MPNetForMaskedLM", .stem = "MPNet",
    .summary = "MPNet: BERT's layers with learned biases of distances (Song et al. 2020)",
    .vocabulary = "wordpiece", .recipe = &bert_recipe,
    .config = { .size = sizeof(mpnet), .fields = fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"), .sized = sized },
    .equations = { .build = build, .language = language, .classify = classify, .forms = true, .encoder = always, .context = context },
    .files = { .prefix = "mpnet.", .names = NAME_PAIRS({ "mpnet.@", "@" }, { "lm_head.decoder.bias", "lm_head.bias" }, { "@position_ids", NULL }, { "pooler.dense.@", NULL }),
               .heads = NAMES("lm_head.", "classifier.", "qa_outputs."),
               .tied_head = "lm_head.decoder.weight", .tied_to = "embeddings.word_embeddings.weight", .known_by = "encoder.relative_attention_bias.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("intermediate_size"), .block_changes = post_norm_changes },
};

/* DistilBERT.  Sanh et al. 2019, "DistilBERT, a distilled version of BERT" (arXiv
 * 1910.01108).  BERT's layers without token types and without a pooler: a class
 * reads the first token through a ReLU layer.
 * Names and keys are those of the published checkpoints. */
#include "arch/encoder.h"

typedef struct {
    int vocab_size, dim, n_layers, n_heads, hidden_dim, max_position_embeddings, tie_word_embeddings;
    activation activation;
    double dropout, attention_dropout, qa_dropout, seq_classif_dropout, initializer_range;
} distilbert;

#define CONFIG distilbert
static const field fields[] = {
    INT(vocab_size, 30522, VOCABULARY), INT(dim, 768, WIDTH), INT(n_layers, 6, ENCODER_LAYERS), INT(n_heads, 12, HEADS), INT(hidden_dim, 3072, INNER),
    ACTIVATION(activation, ACT_GELU_ERF), INT(max_position_embeddings, 512, POSITIONS), BOOL(tie_word_embeddings, 1),
    REAL(dropout, 0.1, RATE), REAL(attention_dropout, 0.1, RATE), REAL(qa_dropout, 0.1, RATE), REAL(seq_classif_dropout, 0.2, RATE),
    REAL(initializer_range, 0.02, DEVIATION),
    { 0 }
};

static const known_key others[] = {
    { "sinusoidal_pos_embds", "*" },            /* of initial values: a file holds its positions */
    { "tie_weights_", "true" },                 /* the older tie_word_embeddings */
    { 0 }
};

static tensor *words(graph *g, const distilbert *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "embeddings.word_embeddings.weight", c->vocab_size, c->dim, o);          /* (vocab, C) */
}

static encoder shape(const distilbert *c)
{
    return (encoder){ .width = c->dim, .vocab = c->vocab_size, .heads = c->n_heads, .inner = c->hidden_dim, .std = c->initializer_range, .act = c->activation,
                      .ln = { .eps = 1e-12 }, .dropout = c->dropout, .attention_dropout = c->attention_dropout };
}

static tensor *build(graph *g, const void *config)
{
    static const post_norm_names parts = { "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
                                           "ffn.lin1", "ffn.lin2", "output_layer_norm" };
    const distilbert *c = config;
    const encoder e = shape(c);
    const table_options position = { .rows = AXIS_POSITION, .std = c->initializer_range };
    /* (positions, C) */
    tensor *positions = embedding_table(g, "embeddings.position_embeddings.weight", c->max_position_embeddings, c->dim, position);
    tensor *x = add_positions(g, embedding(g, words(g, c)), positions);                                /* (tokens, C) */
    x = dropout(g, norm(g, x, "embeddings.LayerNorm", e.ln), c->dropout);                              /* (tokens, C) */
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->n_layers; l++) {
        scope(g, "transformer.layer.%d.", l);
        x = post_norm_layer(g, &e, &parts, x, l);                                                      /* (tokens, C) */
    }
    return x;
}

static head language(graph *g, const void *config, tensor *rows)
{
    const distilbert *c = config;
    const encoder e = shape(c);
    return masked_head(g, &e, rows, (masked_head_names){ "vocab_transform", "vocab_layer_norm", "vocab_projector.bias", "vocab_projector.weight",
                                                         c->tie_word_embeddings ? words(g, c) : NULL });
}

static head classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const distilbert *c = config;
    const encoder e = shape(c);
    require(g, t->kind != TASK_PRETRAIN && t->form != FORM_NEXT, "distilbert does not predict the next sentence");
    if (t->kind == TASK_SPAN) return label_head(g, &e, dropout(g, rows, c->qa_dropout), "qa_outputs", t->labels);
    if (t->kind != TASK_SEQUENCE) return label_head(g, &e, dropout(g, rows, c->dropout), "classifier", t->labels);
    /* (sequences, C) */
    rows = square_dense(g, &e, rows, "pre_classifier", ACT_RELU);
    return label_head(g, &e, dropout(g, rows, c->seq_classif_dropout), "classifier", t->labels);
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "dim", width, "n_layers", layers,
                     "n_heads", usual_heads(width), "hidden_dim", 4 * width, "dropout", 0.0, "attention_dropout", 0.0, "initializer_range", sized_std(STD_TEXT, width));
}

const arch arch_distilbert = {
    .name = "distilbert", .class_name = "DistilBertForMaskedLM", .stem = "DistilBert",
    .summary = "DistilBERT: BERT's layers without token types (Sanh et al. 2019)",
    .vocabulary = "wordpiece", .recipe = &bert_recipe,
    .config = { .size = sizeof(distilbert), .fields = fields, .others = others, .divides = NAMES("n_heads", "dim"), .sized = sized },
    .equations = { .build = build, .language = language, .classify = classify, .forms = true, .encoder = always },
    .files = { .prefix = "distilbert.", .names = NAME_PAIRS({ "distilbert.@", "@" }, { "@LayerNorm.gamma", "@LayerNorm.weight" }, { "@LayerNorm.beta", "@LayerNorm.bias" },
                                                            { "@position_ids", NULL }),
               .heads = NAMES("vocab_", "pre_classifier.", "classifier.", "qa_outputs."),
               .tied_head = "vocab_projector.weight", .tied_to = "embeddings.word_embeddings.weight",
               .known_by = "transformer.layer.0.attention.q_lin.weight" },
    .growth = { .keys = { .width = "dim", .heads = "n_heads", .inner = "hidden_dim", .layers = "n_layers", .layer_prefix = "transformer.layer." },
                .inner_keys = NAMES("hidden_dim"), .block_changes = post_norm_changes },
};

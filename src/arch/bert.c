/* BERT.  Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional
 * Transformers".  Embeddings of tokens, positions and types, normed; then per layer
 *
 *     x = norm(x + Attn(x));  x = norm(x + W2 gelu(W1 x))
 *
 * RoBERTa (Liu et al. 2019) is the same equations: its positions begin after
 * the padding row, one type row stands for all, and its heads are named and wired
 * otherwise.  XLM-RoBERTa (Conneau et al. 2020) and CamemBERT (Martin et al. 2020) are RoBERTa
 * with vocabularies of their own.  Names and keys are those of the published checkpoints. */
#include "arch/encoder.h"

typedef struct {
    int vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    activation hidden_act;
    int max_position_embeddings, type_vocab_size, pad_token_id, position_embedding_type, tie_word_embeddings;
    double hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, layer_norm_eps, initializer_range;
} bert;

#define CONFIG bert
#define FIELDS(vocabulary) \
    INT(vocab_size, vocabulary, VOCABULARY), INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, ENCODER_LAYERS), INT(num_attention_heads, 12, HEADS), \
    INT(intermediate_size, 3072, INNER), ACTIVATION(hidden_act, ACT_GELU_ERF), INT(max_position_embeddings, 512, POSITIONS), INT(type_vocab_size, 2, WIDTH), \
    CHOICE(position_embedding_type, "absolute"), BOOL(tie_word_embeddings, 1), REAL(hidden_dropout_prob, 0.1, RATE), \
    REAL(attention_probs_dropout_prob, 0.1, RATE), REAL(classifier_dropout, -1, RATE), REAL(layer_norm_eps, 1e-12, EPSILON), REAL(initializer_range, 0.02, DEVIATION)

static const field bert_fields[] = { FIELDS(30522), { 0 } };
static const field roberta_fields[] = { FIELDS(50265), INT(pad_token_id, 1, .least = 0, .most = 1 << 20), { 0 } };
static const known_key others[] = {
    { "position_embedding_type", "\"absolute\"" }, { "directionality", "*" },
    { "pooler_fc_size", "*" }, { "pooler_num_attention_heads", "*" }, { "pooler_num_fc_layers", "*" }, { "pooler_size_per_head", "*" }, { "pooler_type", "*" },
    { 0 }
};

static int normalize(json_t *config, lithe_error *err)
{
    if (json_is_true(json_object_get(config, "is_decoder")))
        return fail(err, LITHE_ECONFIG, "is_decoder is true: this architecture is bidirectional, only files where it is false open");
    return 0;
}

static int roberta_check(const void *config, lithe_error *err)
{
    const bert *c = config;
    if (c->pad_token_id + 1 < c->max_position_embeddings) return 0;
    return fail(err, LITHE_ECONFIG, "max_position_embeddings is %d, but positions begin after pad_token_id %d", c->max_position_embeddings, c->pad_token_id);
}

/* ---- the layers --------------------------------------------------------------------- */

static tensor *words(graph *g, const bert *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "embeddings.word_embeddings.weight", c->vocab_size, c->hidden_size, o);   /* (vocab, C) */
}

/* first: the row of position 0. */
static tensor *embed(graph *g, const bert *c, int first)
{
    const table_options position = { .rows = AXIS_POSITION, .std = c->initializer_range }, type = { .std = c->initializer_range };
    /* (positions, C) */
    tensor *positions = embedding_table(g, "embeddings.position_embeddings.weight", c->max_position_embeddings, c->hidden_size, position);
    /* (types, C) */
    tensor *types = embedding_table(g, "embeddings.token_type_embeddings.weight", c->type_vocab_size, c->hidden_size, type);
    tensor *x = embedding(g, words(g, c));                                                             /* (tokens, C) */
    x = add_types(g, add_positions_from(g, x, positions, first), types);                               /* (tokens, C) */
    x = norm(g, x, "embeddings.LayerNorm", (norm_options){ .eps = c->layer_norm_eps });                /* (tokens, C) */
    return tap(g, dropout(g, x, c->hidden_dropout_prob), "embed", -1);                                 /* (tokens, C) */
}

static const post_norm_names parts = { "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "attention.output.LayerNorm",
                                       "intermediate.dense", "output.dense", "output.LayerNorm" };

static encoder shape(const bert *c)
{
    return (encoder){ .width = c->hidden_size, .vocab = c->vocab_size, .heads = c->num_attention_heads, .inner = c->intermediate_size, .std = c->initializer_range,
                      .act = c->hidden_act, .ln = { .eps = c->layer_norm_eps }, .dropout = c->hidden_dropout_prob, .attention_dropout = c->attention_probs_dropout_prob };
}

static tensor *body(graph *g, const bert *c, int first)
{
    const encoder e = shape(c);
    tensor *x = embed(g, c, first);                                                                    /* (tokens, C) */
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        x = post_norm_layer(g, &e, &parts, x, l);                                                      /* (tokens, C) */
    }
    return x;
}

/* (tokens, C) each */
static tensor *bert_build(graph *g, const void *config)    { return body(g, config, 0); }
static tensor *roberta_build(graph *g, const void *config) { return body(g, config, ((const bert *)config)->pad_token_id + 1); }

/* ---- the heads ------------------------------------------------------------------------ */

static double label_dropout(const bert *c) { return c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout; }

static head bert_language(graph *g, const void *config, tensor *rows)
{
    const bert *c = config;
    const encoder e = shape(c);
    return masked_head(g, &e, rows, (masked_head_names){ "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias",
                                                         "cls.predictions.decoder.weight", c->tie_word_embeddings ? words(g, c) : NULL });
}

static head bert_classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const encoder e = shape(config);
    return bert_labels(g, &e, rows, t, label_dropout(config));
}

static head roberta_language(graph *g, const void *config, tensor *rows)
{
    const bert *c = config;
    const encoder e = shape(c);
    return roberta_head(g, &e, rows, c->tie_word_embeddings ? words(g, c) : NULL);
}

static head roberta_classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const encoder e = shape(config);
    require(g, t->kind != TASK_PRETRAIN, "roberta does not predict the next sentence");
    return roberta_labels(g, &e, rows, t, label_dropout(config));
}

/* ---- the two ---------------------------------------------------------------------------- */

static int roberta_context(const void *config)
{
    const bert *c = config;
    return c->max_position_embeddings - c->pad_token_id - 1;
}

static json_t *bert_sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", 4 * width,
                     "hidden_dropout_prob", 0.0, "attention_probs_dropout_prob", 0.0, "initializer_range", sized_std(STD_TEXT, width));
}

static json_t *roberta_sized(int width, int layers, int vocab, int positions)
{
    json_t *config = bert_sized(width, layers, vocab, positions + 2);
    json_object_set_new(config, "type_vocab_size", json_integer(1));
    json_object_set_new(config, "layer_norm_eps", json_real(1e-5));
    return config;
}

/* gamma and beta are TensorFlow's; Hugging Face keeps the head's bias under both names. */
#define COMMON_NAMES { "@LayerNorm.gamma", "@LayerNorm.weight" }, { "@LayerNorm.beta", "@LayerNorm.bias" }, \
                     { "@position_ids", NULL }, { "pooler.dense.@", NULL }
static const name_pair bert_names[] = { { "bert.@", "@" }, { "model.@", "@" }, { "cls.predictions.decoder.bias", "cls.predictions.bias" }, COMMON_NAMES, { 0 } };
static const name_pair roberta_names[] = { { "roberta.@", "@" }, { "lm_head.decoder.bias", "lm_head.bias" }, COMMON_NAMES, { 0 } };
static const char *const inner_keys[] = { "intermediate_size", NULL };
#define KEYS { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." }

/* The learning rate is of small models and batches. */
static const recipe roberta_recipe = { .lr = 1e-3, .warmup = 0.06, .schedule = "linear", .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1,
                                       .mask = "each", .mask_rate = 0.15, .sentences = true };

const arch arch_bert = {
    .name = "bert", .class_name = "BertForMaskedLM", .stem = "Bert",
    .summary = "BERT: post-norm encoder with learned positions (Devlin et al. 2019)",
    .vocabulary = "wordpiece", .recipe = &bert_recipe,
    .config = { .size = sizeof(bert), .fields = bert_fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"),
                .normalize = normalize, .sized = bert_sized },
    .equations = { .build = bert_build, .language = bert_language, .classify = bert_classify, .forms = true, .encoder = always },
    .files = { .prefix = "bert.", .names = bert_names,
               .heads = NAMES("cls.", "classifier.", "qa_outputs."),
               .tied_head = "cls.predictions.decoder.weight", .tied_to = "embeddings.word_embeddings.weight" },
    .growth = { .keys = KEYS, .inner_keys = inner_keys, .block_changes = post_norm_changes },
};

const arch arch_roberta = {
    .name = "roberta", .class_name = "RobertaForMaskedLM", .stem = "Roberta",
    .summary = "RoBERTa: BERT's encoder without pairs, positions after the padding (Liu et al. 2019)",
    .vocabulary = "roberta", .recipe = &roberta_recipe,
    .config = { .size = sizeof(bert), .fields = roberta_fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"),
                .normalize = normalize, .check = roberta_check, .sized = roberta_sized, .aliases = NAMES("xlm-roberta", "XLMRobertaForMaskedLM", "camembert", "CamembertForMaskedLM") },
    .equations = { .build = roberta_build, .language = roberta_language, .classify = roberta_classify,
                   .forms = true, .encoder = always, .context = roberta_context },
    .files = { .prefix = "roberta.", .names = roberta_names,
               .heads = NAMES("lm_head.", "classifier.", "qa_outputs."),
               .tied_head = "lm_head.decoder.weight", .tied_to = "embeddings.word_embeddings.weight" },
    .growth = { .keys = KEYS, .inner_keys = inner_keys, .block_changes = post_norm_changes },
};

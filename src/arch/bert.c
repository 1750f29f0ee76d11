/* BERT.  Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional
 * Transformers".  Embeddings of tokens, positions and types, normed; then per layer
 *
 *     x = norm(x + Attn(x));  x = norm(x + W2 gelu(W1 x))
 *
 * RoBERTa (Liu et al. 2019) is the same equations: its positions begin behind
 * the padding row, one type row stands for all, and its heads are named and wired
 * otherwise.  Names and keys are those of the published checkpoints. */
#include "arch/encoder.h"
#include <stddef.h>

typedef struct {
    int vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    int max_position_embeddings, type_vocab_size, pad_token_id, position_embedding_type, tie_word_embeddings;
    activation hidden_act;
    double hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, layer_norm_eps, initializer_range;
} bert;

#define AT(member) offsetof(bert, member)
#define FIELDS(vocabulary) \
    { .key = "vocab_size",              .kind = FIELD_INT,  .offset = AT(vocab_size),              .value = vocabulary, .least = 1, .most = 1 << 24 }, \
    { .key = "hidden_size",             .kind = FIELD_INT,  .offset = AT(hidden_size),             .value = 768,   .least = 1, .most = 1 << 16 }, \
    { .key = "num_hidden_layers",       .kind = FIELD_INT,  .offset = AT(num_hidden_layers),       .value = 12,    .least = 1, .most = 1024 }, \
    { .key = "num_attention_heads",     .kind = FIELD_INT,  .offset = AT(num_attention_heads),     .value = 12,    .least = 1, .most = 1 << 14 }, \
    { .key = "intermediate_size",       .kind = FIELD_INT,  .offset = AT(intermediate_size),       .value = 3072,  .least = 1, .most = 1 << 20 }, \
    { .key = "hidden_act",              .kind = FIELD_CHOICE, .offset = AT(hidden_act),            .value = ACT_GELU_ERF }, \
    { .key = "hidden_dropout_prob",     .kind = FIELD_REAL, .offset = AT(hidden_dropout_prob),     .value = 0.1,   .least = 0, .most = 0.99 }, \
    { .key = "attention_probs_dropout_prob", .kind = FIELD_REAL, .offset = AT(attention_probs_dropout_prob), .value = 0.1, .least = 0, .most = 0.99 }, \
    { .key = "classifier_dropout",      .kind = FIELD_REAL, .offset = AT(classifier_dropout),      .value = -1,    .least = 0, .most = 0.99 }, \
    { .key = "max_position_embeddings", .kind = FIELD_INT,  .offset = AT(max_position_embeddings), .value = 512,   .least = 1, .most = 1 << 20 }, \
    { .key = "type_vocab_size",         .kind = FIELD_INT,  .offset = AT(type_vocab_size),         .value = 2,     .least = 1, .most = 1 << 16 }, \
    { .key = "position_embedding_type", .kind = FIELD_CHOICE, .offset = AT(position_embedding_type), .value = 0,   .choices = "absolute" }, \
    { .key = "layer_norm_eps",          .kind = FIELD_REAL, .offset = AT(layer_norm_eps),          .value = 1e-12, .least = 0, .most = 1 }, \
    { .key = "initializer_range",       .kind = FIELD_REAL, .offset = AT(initializer_range),       .value = 0.02,  .least = 0, .most = 10 }, \
    { .key = "tie_word_embeddings",     .kind = FIELD_BOOL, .offset = AT(tie_word_embeddings),     .value = 1 }

static const field bert_fields[] = { FIELDS(30522), { 0 } };
static const field roberta_fields[] = {
    FIELDS(50265),
    { .key = "pad_token_id", .kind = FIELD_INT, .offset = AT(pad_token_id), .value = 1, .least = 0, .most = 1 << 20 },
    { 0 }
};

static int normalize(json_t *config, lithe_error *err)
{
    if (json_is_true(json_object_get(config, "is_decoder")))
        return fail(err, LITHE_ECONFIG, "is_decoder is true: this architecture looks both ways, only files where it is false open");
    return 0;
}

static int check(const void *config, lithe_error *err)
{
    const bert *c = config;
    if (c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    return 0;
}

static int roberta_check(const void *config, lithe_error *err)
{
    const bert *c = config;
    if (c->pad_token_id + 1 >= c->max_position_embeddings)
        return fail(err, LITHE_ECONFIG, "max_position_embeddings is %d, but positions begin behind pad_token_id %d", c->max_position_embeddings, c->pad_token_id);
    return check(config, err);
}

static encoder shape(const bert *c)
{
    return (encoder){ c->hidden_size, c->vocab_size, c->initializer_range, c->layer_norm_eps, c->hidden_dropout_prob, c->hidden_act, 0 };
}

static double label_dropout(const bert *c) { return c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout; }

/* ---- the layers --------------------------------------------------------------------- */

static tensor *words(graph *g, const bert *c)
{
    scope(g, "%s", "");
    return embedding_table(g, "embeddings.word_embeddings.weight", c->vocab_size, c->hidden_size, AXIS_VOCAB, c->initializer_range, c->tie_word_embeddings);
}

static tensor *layer(graph *g, const bert *c, tensor *x, int l)
{
    const encoder e = shape(c);
    const int d = c->hidden_size, H = c->num_attention_heads;
    dense_options in = { OUT_IN, true, RESIDUAL_READ, HEAD_WRITE, e.std, ACT_NONE, NULL };
    tensor *q = dense(g, x, "attention.self.query", d, in), *k = dense(g, x, "attention.self.key", d, in), *v = dense(g, x, "attention.self.value", d, in);
    tensor *a = attention(g, q, k, v, (attention_options){ H, H, d / H, .dropout = c->attention_probs_dropout_prob });
    x = tap(g, post_norm(g, &e, x, a, "attention.output.dense", "attention.output.LayerNorm", HEAD_READ), "post_mix", l);
    tensor *h = dense(g, x, "intermediate.dense", c->intermediate_size, (dense_options){ OUT_IN, true, RESIDUAL_READ, INNER_WRITE, e.std, e.act, NULL });
    return tap(g, post_norm(g, &e, x, h, "output.dense", "output.LayerNorm", INNER_READ), "post_ffn", l);
}

/* first: the row of position 0. */
static tensor *body(graph *g, const bert *c, int first)
{
    const int d = c->hidden_size;
    tensor *x = embedding(g, words(g, c));
    x = add_positions_from(g, x, embedding_table(g, "embeddings.position_embeddings.weight", c->max_position_embeddings, d, AXIS_POSITION, c->initializer_range, false), first);
    x = add_types(g, x, embedding_table(g, "embeddings.token_type_embeddings.weight", c->type_vocab_size, d, AXIS_NONE, c->initializer_range, false));
    x = dropout(g, layer_norm_affine(g, x, "embeddings.LayerNorm", c->layer_norm_eps, false), c->hidden_dropout_prob);
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        x = layer(g, c, x, l);
    }
    return x;
}

static tensor *bert_build(graph *g, const void *config)    { return body(g, config, 0); }
static tensor *roberta_build(graph *g, const void *config) { return body(g, config, ((const bert *)config)->pad_token_id + 1); }

/* ---- the heads ------------------------------------------------------------------------ */

static head bert_language(graph *g, const void *config, tensor *rows)
{
    const bert *c = config;
    const encoder e = shape(c);
    return masked_head(g, &e, rows, (masked_head_names){ "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias",
                                                         "cls.predictions.decoder.weight", c->tie_word_embeddings ? words(g, c) : NULL, e.eps });
}

static head bert_classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const bert *c = config;
    const encoder e = shape(c);
    return bert_labels(g, &e, rows, t, label_dropout(c));
}

static head roberta_language(graph *g, const void *config, tensor *rows)
{
    const bert *c = config;
    const encoder e = shape(c);
    return masked_head(g, &e, rows, (masked_head_names){ "lm_head.dense", "lm_head.layer_norm", "lm_head.bias", "lm_head.decoder.weight",
                                                         c->tie_word_embeddings ? words(g, c) : NULL, e.eps });
}

static head roberta_classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const bert *c = config;
    const encoder e = shape(c);
    if (!require(g, t->kind != TASK_PRETRAIN, "roberta does not predict the next sentence") || t->kind != TASK_SEQUENCE) return bert_labels(g, &e, rows, t, label_dropout(c));
    scope(g, "%s", "");
    rows = square_dense(g, &e, dropout(g, rows, label_dropout(c)), "classifier.dense", ACT_TANH);
    return label_head(g, &e, dropout(g, rows, label_dropout(c)), "classifier.out_proj", t->labels);
}

/* ---- the two ---------------------------------------------------------------------------- */

static bool both_ways(const void *config) { (void)config; return true; }
static int vocab(const void *config) { return ((const bert *)config)->vocab_size; }
static int bert_context(const void *config) { return ((const bert *)config)->max_position_embeddings; }
static int roberta_context(const void *config) { return bert_context(config) - ((const bert *)config)->pad_token_id - 1; }

static json_t *bert_sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:f}", "vocab_size", vocab_size, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", width % 64 ? width / 32 : width / 64, "intermediate_size", 4 * width,
                     "hidden_dropout_prob", 0.0, "attention_probs_dropout_prob", 0.0);
}

static json_t *roberta_sized(int width, int layers, int vocab_size, int positions)
{
    json_t *config = bert_sized(width, layers, vocab_size, positions + 2);
    json_object_set_new(config, "type_vocab_size", json_integer(1));
    json_object_set_new(config, "layer_norm_eps", json_real(1e-5));
    return config;
}

/* gamma and beta are TensorFlow's; Hugging Face keeps the head's bias under both names. */
static const spelling spellings[] = {
    { "LayerNorm.weight", "LayerNorm.gamma" }, { "LayerNorm.bias", "LayerNorm.beta" },
    { "cls.predictions.bias", "cls.predictions.decoder.bias" }, { "lm_head.bias", "lm_head.decoder.bias" }, { 0 }
};
static const char *const ignored[] = { "position_ids", "pooler.dense.weight", "pooler.dense.bias", NULL };
static const char *const inner_keys[] = { "intermediate_size", NULL };
#define KEYS { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." }

/* As in the papers but for the learning rates, which are of small models and batches. */
static const recipe bert_recipe = { .lr = 1e-3, .warmup = 0.01, .schedule = "linear", .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6, .weight_decay = 0.01, .clip = 1,
                                    .mask = "count", .mask_rate = 0.15 };
static const recipe roberta_recipe = { .lr = 1e-3, .warmup = 0.06, .schedule = "linear", .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1,
                                       .mask = "each", .mask_rate = 0.15, .sentences = true };

const arch arch_bert = {
    .name = "bert", .class_name = "BertForMaskedLM", .stem = "Bert",
    .summary = "BERT: post-norm encoder with learned positions (Devlin et al. 2019)",
    .vocabulary = "wordpiece", .recipe = &bert_recipe,
    .config = { .size = sizeof(bert), .fields = bert_fields, .normalize = normalize, .check = check,
                .sized = bert_sized },
    .equations = { .build = bert_build, .language = bert_language, .classify = bert_classify, .encoder = both_ways,
                   .context = bert_context, .vocab = vocab },
    .files = { .prefixes = NAMES("bert.", "", "model.bert.", "model."),
               .spellings = spellings, .heads = NAMES("cls.", "classifier.", "qa_outputs."),
               .tied_head = "cls.predictions.decoder.weight", .tied_to = "embeddings.word_embeddings.weight",
               .ignored = ignored },
    .growth = { .keys = KEYS, .inner_keys = inner_keys, .block_changes = post_norm_changes },
};

const arch arch_roberta = {
    .name = "roberta", .class_name = "RobertaForMaskedLM", .stem = "Roberta",
    .summary = "RoBERTa: BERT's encoder without pairs, positions after the padding (Liu et al. 2019)",
    .vocabulary = "roberta", .recipe = &roberta_recipe,
    .config = { .size = sizeof(bert), .fields = roberta_fields, .normalize = normalize, .check = roberta_check,
                .sized = roberta_sized, .aliases = NAMES("xlm-roberta", "camembert") },
    .equations = { .build = roberta_build, .language = roberta_language, .classify = roberta_classify,
                   .encoder = both_ways, .context = roberta_context, .vocab = vocab },
    .files = { .prefixes = NAMES("roberta.", ""), .spellings = spellings,
               .heads = NAMES("lm_head.", "classifier.", "qa_outputs."),
               .tied_head = "lm_head.decoder.weight", .tied_to = "embeddings.word_embeddings.weight",
               .ignored = ignored },
    .growth = { .keys = KEYS, .inner_keys = inner_keys, .block_changes = post_norm_changes },
};

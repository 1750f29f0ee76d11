/* MosaicBERT.  Portes et al. 2023, "MosaicBERT: A Bidirectional Encoder
 * Optimized for Fast Pretraining".  BERT's post-norm layers without positions:
 *
 *     x = norm(x + Attn(x)), scores less m_h |i - j| (ALiBi, symmetric)
 *     x = norm(x + W2 (gelu(Wg x) * (Wu x))), Wg and Wu one matrix without bias
 *
 * Its files say model_type "bert"; alibi_starting_size, which only sized a
 * table, tells them, and so do their tensors.  No length is tied to the weights. */
#include "arch/encoder.h"
#include <stddef.h>
#include <string.h>

typedef struct {
    int vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    int max_position_embeddings, type_vocab_size, alibi_starting_size, tie_word_embeddings;
    activation hidden_act;
    double hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, layer_norm_eps, initializer_range;
} mosaicbert;

#define AT(member) offsetof(mosaicbert, member)
static const field fields[] = {
    { .key = "vocab_size",              .kind = FIELD_INT,  .offset = AT(vocab_size),              .value = 30528, .least = 1, .most = 1 << 24 },
    { .key = "hidden_size",             .kind = FIELD_INT,  .offset = AT(hidden_size),             .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "num_hidden_layers",       .kind = FIELD_INT,  .offset = AT(num_hidden_layers),       .value = 12,    .least = 1, .most = 1024 },
    { .key = "num_attention_heads",     .kind = FIELD_INT,  .offset = AT(num_attention_heads),     .value = 12,    .least = 1, .most = 1 << 14 },
    { .key = "intermediate_size",       .kind = FIELD_INT,  .offset = AT(intermediate_size),       .value = 3072,  .least = 1, .most = 1 << 20 },
    { .key = "hidden_act",              .kind = FIELD_CHOICE, .offset = AT(hidden_act),            .value = ACT_GELU_ERF },
    { .key = "hidden_dropout_prob",     .kind = FIELD_REAL, .offset = AT(hidden_dropout_prob),     .value = 0.1,   .least = 0, .most = 0.99 },
    { .key = "attention_probs_dropout_prob", .kind = FIELD_REAL, .offset = AT(attention_probs_dropout_prob), .value = 0, .least = 0, .most = 0.99 },
    { .key = "classifier_dropout",      .kind = FIELD_REAL, .offset = AT(classifier_dropout),      .value = -1,    .least = 0, .most = 0.99 },
    { .key = "max_position_embeddings", .kind = FIELD_INT,  .offset = AT(max_position_embeddings), .value = 512,   .least = 1, .most = 1 << 20 },
    { .key = "type_vocab_size",         .kind = FIELD_INT,  .offset = AT(type_vocab_size),         .value = 2,     .least = 1, .most = 1 << 16 },
    { .key = "alibi_starting_size",     .kind = FIELD_INT,  .offset = AT(alibi_starting_size),     .value = 512,   .least = 1, .most = 1 << 20 },
    { .key = "layer_norm_eps",          .kind = FIELD_REAL, .offset = AT(layer_norm_eps),          .value = 1e-12, .least = 0, .most = 1 },
    { .key = "initializer_range",       .kind = FIELD_REAL, .offset = AT(initializer_range),       .value = 0.02,  .least = 0, .most = 10 },
    { .key = "tie_word_embeddings",     .kind = FIELD_BOOL, .offset = AT(tie_word_embeddings),     .value = 1 },
    { 0 }
};

/* What the authors' configuration adds to BERT's, or their code in auto_map. */
static bool claims(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const json_t *map = json_object_get(config, "auto_map"), *masked = json_object_get(map, "AutoModelForMaskedLM");
    if (!type || strcmp(type, "bert")) return false;
    return json_object_get(config, "alibi_starting_size") || (json_is_string(masked) && strstr(json_string_value(masked), "bert_layers."));
}

static int check(const void *config, lithe_error *err)
{
    const mosaicbert *c = config;
    if (c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    return 0;
}

static encoder shape(const mosaicbert *c)
{
    return (encoder){ c->hidden_size, c->vocab_size, c->initializer_range, c->layer_norm_eps, c->hidden_dropout_prob, c->hidden_act, 0 };
}

static tensor *words(graph *g, const mosaicbert *c)
{
    scope(g, "%s", "");
    return embedding_table(g, "embeddings.word_embeddings.weight", c->vocab_size, c->hidden_size, AXIS_VOCAB, c->initializer_range, c->tie_word_embeddings);
}

/* The dropout of the feed-forward stands before its second matrix, none behind it. */
static tensor *layer(graph *g, const mosaicbert *c, tensor *x, int l)
{
    const encoder e = shape(c);
    encoder undropped = e;
    const int d = c->hidden_size, H = c->num_attention_heads;
    undropped.dropout = 0;
    tensor *a = dense(g, x, "attention.self.Wqkv", 3 * d, (dense_options){ OUT_IN, true, RESIDUAL_READ, { AXIS_HEAD, false, 3 }, e.std, ACT_NONE, NULL });
    a = attention(g, a, NULL, NULL, (attention_options){ H, H, d / H, .alibi = true, .dropout = c->attention_probs_dropout_prob });
    x = tap(g, post_norm(g, &e, x, a, "attention.output.dense", "attention.output.LayerNorm", HEAD_READ), "post_mix", l);
    dense_options gates = { OUT_IN, false, RESIDUAL_READ, { AXIS_INNER, false, 2 }, e.std, ACT_NONE, NULL };
    tensor *h = glu_halves(g, dense(g, x, "mlp.gated_layers", 2 * c->intermediate_size, gates), e.act);
    return tap(g, post_norm(g, &undropped, x, dropout(g, h, e.dropout), "mlp.wo", "mlp.layernorm", INNER_READ), "post_ffn", l);
}

static tensor *build(graph *g, const void *config)
{
    const mosaicbert *c = config;
    tensor *x = embedding(g, words(g, c));
    x = add_types(g, x, embedding_table(g, "embeddings.token_type_embeddings.weight", c->type_vocab_size, c->hidden_size, AXIS_NONE, c->initializer_range, false));
    x = dropout(g, layer_norm_affine(g, x, "embeddings.LayerNorm", c->layer_norm_eps, false), c->hidden_dropout_prob);
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        x = layer(g, c, x, l);
    }
    return x;
}

/* The authors' head has an epsilon of its own, whatever layer_norm_eps says. */
static head language(graph *g, const void *config, tensor *rows)
{
    const mosaicbert *c = config;
    const encoder e = shape(c);
    return masked_head(g, &e, rows, (masked_head_names){ "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder.bias",
                                                         "cls.predictions.decoder.weight", c->tie_word_embeddings ? words(g, c) : NULL, 1e-12 });
}

static head classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const mosaicbert *c = config;
    const encoder e = shape(c);
    return bert_labels(g, &e, rows, t, c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout);
}

static const char *slopes_change(const void *config) { (void)config; return "ALiBi's slopes are those of the number of heads"; }

enum { LONGEST = 1 << 16 };                     /* a bound of memory, not of the weights */
static bool both_ways(const void *config) { (void)config; return true; }
static int context(const void *config) { (void)config; return LONGEST; }
static int vocab(const void *config) { return ((const mosaicbert *)config)->vocab_size; }

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:f}", "vocab_size", (vocab_size + 63) / 64 * 64, "max_position_embeddings", positions,
                     "alibi_starting_size", positions, "hidden_size", width, "num_hidden_layers", layers,
                     "num_attention_heads", width % 64 ? width / 32 : width / 64, "intermediate_size", 4 * width,
                     "hidden_dropout_prob", 0.0, "attention_probs_dropout_prob", 0.0);
}

const arch arch_mosaicbert = {
    .name = "mosaicbert", .class_name = "BertForMaskedLM", .stem = "Bert",
    .summary = "MosaicBERT: encoder with ALiBi and gated feed-forward (Portes et al. 2023)",
    .vocabulary = "wordpiece",
    .recipe = &(const recipe){ .lr = 5e-4, .floor = 0.02, .warmup = 0.06, .schedule = "linear", .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 1e-5,
                               .decoupled = true, .mask = "each", .mask_rate = 0.3 },
    .config = { .size = sizeof(mosaicbert), .fields = fields, .check = check, .sized = sized, .claims = claims,
                .aliases = NAMES("bert") },
    .equations = { .build = build, .language = language, .classify = classify, .encoder = both_ways,
                   .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES("bert.", "", "model.bert.", "model."),
               .spellings = (const spelling[]){ { "cls.predictions.decoder.bias", "cls.predictions.bias" }, { 0 } },
               .heads = NAMES("cls.", "classifier.", "qa_outputs."),
               .tied_head = "cls.predictions.decoder.weight", .tied_to = "embeddings.word_embeddings.weight",
               .known_by = "encoder.layer.0.attention.self.Wqkv.weight",
               .ignored = NAMES("position_ids", "pooler.dense.weight", "pooler.dense.bias") },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("intermediate_size"),
                .block_changes = post_norm_changes, .heads_change = slopes_change },
};

/* ModernBERT.  Warner et al. 2024, "Smarter, Better, Faster, Longer: A Modern
 * Bidirectional Encoder".  Pre-norm layers, rotary positions, no biases:
 *
 *     x = norm(E[ids]);  x += Wo Attn(norm(x));  x += Wo2 (gelu(a) * b), [a b] = Wi norm(x)
 *
 * and a norm behind the last.  The first layer's attention has no norm.  Of every
 * few layers one is global; the others see half of local_attention to each side,
 * under a base of rotation of their own.  Newer files say the same by layer_types
 * and rope_parameters. */
#include "arch/encoder.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, max_position_embeddings;
    int global_attn_every_n_layers, local_attention, classifier_pooling;
    int norm_bias, attention_bias, mlp_bias, decoder_bias, classifier_bias, tie_word_embeddings;
    activation hidden_activation, classifier_activation;
    double norm_eps, global_rope_theta, local_rope_theta, initializer_range, initializer_cutoff_factor;
    double embedding_dropout, attention_dropout, mlp_dropout, classifier_dropout;
} modernbert;

enum { POOLED_CLS, POOLED_MEAN };

#define AT(member) offsetof(modernbert, member)
static const field fields[] = {
    { .key = "vocab_size",              .kind = FIELD_INT,  .offset = AT(vocab_size),          .value = 50368, .least = 1, .most = 1 << 24 },
    { .key = "hidden_size",             .kind = FIELD_INT,  .offset = AT(hidden_size),         .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "intermediate_size",       .kind = FIELD_INT,  .offset = AT(intermediate_size),   .value = 1152,  .least = 1, .most = 1 << 20 },
    { .key = "num_hidden_layers",       .kind = FIELD_INT,  .offset = AT(num_hidden_layers),   .value = 22,    .least = 1, .most = 1024 },
    { .key = "num_attention_heads",     .kind = FIELD_INT,  .offset = AT(num_attention_heads), .value = 12,    .least = 1, .most = 1 << 14 },
    { .key = "hidden_activation",       .kind = FIELD_CHOICE, .offset = AT(hidden_activation), .value = ACT_GELU_ERF },
    { .key = "max_position_embeddings", .kind = FIELD_INT,  .offset = AT(max_position_embeddings), .value = 8192, .least = 1, .most = 1 << 20 },
    { .key = "global_attn_every_n_layers", .kind = FIELD_INT, .offset = AT(global_attn_every_n_layers), .value = 3, .least = 1, .most = 1024 },
    { .key = "local_attention",         .kind = FIELD_INT,  .offset = AT(local_attention),     .value = 128,   .least = 2, .most = 1 << 20 },
    { .key = "global_rope_theta",       .kind = FIELD_REAL, .offset = AT(global_rope_theta),   .value = 160000, .least = 1, .most = 1e12 },
    { .key = "local_rope_theta",        .kind = FIELD_REAL, .offset = AT(local_rope_theta),    .value = 10000, .least = 1, .most = 1e12 },
    { .key = "norm_eps",                .kind = FIELD_REAL, .offset = AT(norm_eps),            .value = 1e-5,  .least = 0, .most = 1 },
    { .key = "norm_bias",               .kind = FIELD_BOOL, .offset = AT(norm_bias),           .value = 0 },
    { .key = "attention_bias",          .kind = FIELD_BOOL, .offset = AT(attention_bias),      .value = 0 },
    { .key = "mlp_bias",                .kind = FIELD_BOOL, .offset = AT(mlp_bias),            .value = 0 },
    { .key = "decoder_bias",            .kind = FIELD_BOOL, .offset = AT(decoder_bias),        .value = 1 },
    { .key = "classifier_bias",         .kind = FIELD_BOOL, .offset = AT(classifier_bias),     .value = 0 },
    { .key = "classifier_activation",   .kind = FIELD_CHOICE, .offset = AT(classifier_activation), .value = ACT_GELU_ERF },
    { .key = "classifier_pooling",      .kind = FIELD_CHOICE, .offset = AT(classifier_pooling), .value = POOLED_CLS, .choices = "cls|mean" },
    { .key = "embedding_dropout",       .kind = FIELD_REAL, .offset = AT(embedding_dropout),   .value = 0,     .least = 0, .most = 0.99 },
    { .key = "attention_dropout",       .kind = FIELD_REAL, .offset = AT(attention_dropout),   .value = 0,     .least = 0, .most = 0.99 },
    { .key = "mlp_dropout",             .kind = FIELD_REAL, .offset = AT(mlp_dropout),         .value = 0,     .least = 0, .most = 0.99 },
    { .key = "classifier_dropout",      .kind = FIELD_REAL, .offset = AT(classifier_dropout),  .value = 0,     .least = 0, .most = 0.99 },
    { .key = "initializer_range",       .kind = FIELD_REAL, .offset = AT(initializer_range),   .value = 0.02,  .least = 0, .most = 10 },
    { .key = "initializer_cutoff_factor", .kind = FIELD_REAL, .offset = AT(initializer_cutoff_factor), .value = 2, .least = 0.1, .most = 100 },
    { .key = "tie_word_embeddings",     .kind = FIELD_BOOL, .offset = AT(tie_word_embeddings), .value = 1 },
    { 0 }
};

/* ---- the newer spelling -------------------------------------------------------------- */

static const char *const kinds[] = { "sliding_attention", "full_attention" };

/* Where the older key does not say it, the first global layer behind layer 0, of which all global ones are multiples. */
static size_t period_of(const json_t *types)
{
    for (size_t l = 1; l < json_array_size(types); l++) {
        const char *type = json_string_value(json_array_get(types, l));
        if (type && !strcmp(type, kinds[1])) return l;
    }
    return json_array_size(types);
}

/* With the older key there, a list of another length is one from before the model grew. */
static int read_layer_types(json_t *config, const json_t *types, lithe_error *err)
{
    const json_t *said = json_object_get(config, "global_attn_every_n_layers"), *layers = json_object_get(config, "num_hidden_layers");
    size_t n = json_array_size(types), period = json_integer_value(said) > 0 ? (size_t)json_integer_value(said) : period_of(types);
    if (json_is_integer(layers) && json_integer_value(layers) != (json_int_t)n)
        return said ? 0 : fail(err, LITHE_ECONFIG, "layer_types has %zu entries, num_hidden_layers is %lld", n, (long long)json_integer_value(layers));
    for (size_t l = 0; l < n; l++) {
        const char *type = json_string_value(json_array_get(types, l)), *expected = kinds[l % period == 0];
        if (!type || strcmp(type, expected))
            return fail(err, LITHE_ECONFIG, "layer_types: layer %zu is not %s, as it is where of every %zu layers the first is global", l, expected, period);
    }
    return n && json_object_set_new(config, "global_attn_every_n_layers", json_integer((json_int_t)period)) ? LITHE_ENOMEM : 0;
}

static int read_theta(json_t *config, const char *key, const json_t *rope_keys, lithe_error *err)
{
    json_t *theta = json_object_get(rope_keys, "rope_theta");
    const char *type = json_string_value(json_object_get(rope_keys, "rope_type"));
    if (type && strcmp(type, "default")) return fail(err, LITHE_ECONFIG, "rope_parameters: only rope_type \"default\" is known here");
    return theta && json_object_set(config, key, theta) ? LITHE_ENOMEM : 0;
}

static int normalize(json_t *config, lithe_error *err)
{
    const json_t *types = json_object_get(config, "layer_types"), *rotations = json_object_get(config, "rope_parameters");
    if (json_is_array(types) && read_layer_types(config, types, err)) return LITHE_ECONFIG;
    if (read_theta(config, "global_rope_theta", json_object_get(rotations, kinds[1]), err)) return LITHE_ECONFIG;
    if (read_theta(config, "local_rope_theta", json_object_get(rotations, kinds[0]), err)) return LITHE_ECONFIG;
    if (json_is_null(json_object_get(config, "local_rope_theta"))) json_object_set(config, "local_rope_theta", json_object_get(config, "global_rope_theta"));
    return 0;
}

static int publish(json_t *config)
{
    json_int_t layers = json_integer_value(json_object_get(config, "num_hidden_layers")), period = json_integer_value(json_object_get(config, "global_attn_every_n_layers"));
    json_t *types = json_array();
    for (json_int_t l = 0; l < layers && period > 0; l++) json_array_append_new(types, json_string(kinds[l % period == 0]));
    json_t *rotations = json_pack("{s:{s:s,s:O},s:{s:s,s:O}}", kinds[1], "rope_type", "default", "rope_theta", json_object_get(config, "global_rope_theta"),
                                  kinds[0], "rope_type", "default", "rope_theta", json_object_get(config, "local_rope_theta"));
    return json_object_set_new(config, "layer_types", types) || json_object_set_new(config, "rope_parameters", rotations) ? LITHE_ENOMEM : 0;
}

static int check(const void *config, lithe_error *err)
{
    const modernbert *c = config;
    if (c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    if (c->hidden_size / c->num_attention_heads % 2)
        return fail(err, LITHE_ECONFIG, "heads of %d channels cannot rotate in pairs", c->hidden_size / c->num_attention_heads);
    return 0;
}

/* ---- the layers ------------------------------------------------------------------------- */

/* "Full megatron" initial values: what writes to the stream begins smaller by the number of such places. */
static double std_out(const modernbert *c) { return c->initializer_range / sqrt(2.0 * c->num_hidden_layers); }

static tensor *from_stream(graph *g, const modernbert *c, tensor *x, const char *name, int width, bool bias, axis out)
{
    return dense_cut(g, x, name, width, (dense_options){ OUT_IN, bias, RESIDUAL_READ, out, c->initializer_range, ACT_NONE, NULL }, c->initializer_cutoff_factor);
}

/* x + dropout(y W). */
static tensor *to_stream(graph *g, const modernbert *c, tensor *x, tensor *y, const char *name, bool bias, axis in, double drop)
{
    dense_options o = { OUT_IN, bias, in, RESIDUAL_WRITE, std_out(c), ACT_NONE, drop > 0 ? NULL : x };
    y = dense_cut(g, y, name, c->hidden_size, o, c->initializer_cutoff_factor);
    return o.residual ? y : add(g, x, dropout(g, y, drop));
}

static tensor *norm(graph *g, const modernbert *c, tensor *x, const char *name, bool before_tied_head)
{
    return c->norm_bias ? layer_norm_affine(g, x, name, c->norm_eps, before_tied_head) : layer_norm_scaled(g, x, name, c->norm_eps, before_tied_head);
}

static tensor *words(graph *g, const modernbert *c)
{
    scope(g, "%s", "");
    return parameter(g, "embeddings.tok_embeddings.weight",
                     (param_rule){ .rank = 2, .dims = { c->vocab_size, c->hidden_size }, .axes = { { AXIS_VOCAB, false, 1 }, RESIDUAL_WRITE }, .init = INIT_NORMAL,
                                   .std = c->initializer_range, .cut = c->initializer_cutoff_factor, .decay = true, .shared_read = c->tie_word_embeddings });
}

static tensor *layer(graph *g, const modernbert *c, tensor *x, int l, const exact *table)
{
    const int d = c->hidden_size, H = c->num_attention_heads, window = l % c->global_attn_every_n_layers ? c->local_attention / 2 : 0;
    tensor *a = l ? norm(g, c, x, "attn_norm", false) : x;
    a = from_stream(g, c, a, "attn.Wqkv", 3 * d, c->attention_bias, (axis){ AXIS_HEAD, false, 3 });
    a = rope_heads(g, a, table, d / H, 3 * H, 2 * H);
    a = attention(g, a, NULL, NULL, (attention_options){ H, H, d / H, .dropout = c->attention_dropout, .window = window });
    x = tap(g, to_stream(g, c, x, a, "attn.Wo", c->attention_bias, HEAD_READ, c->attention_dropout), "post_mix", l);
    tensor *h = from_stream(g, c, norm(g, c, x, "mlp_norm", false), "mlp.Wi", 2 * c->intermediate_size, c->mlp_bias, (axis){ AXIS_INNER, false, 2 });
    h = dropout(g, glu_halves(g, h, c->hidden_activation), c->mlp_dropout);
    return tap(g, to_stream(g, c, x, h, "mlp.Wo", c->mlp_bias, INNER_READ, 0), "post_ffn", l);
}

static tensor *build(graph *g, const void *config)
{
    const modernbert *c = config;
    const int hd = c->hidden_size / c->num_attention_heads;
    const exact *far = rope_table(g, (rope_options){ .dims = hd, .base = c->global_rope_theta }), *near = rope_table(g, (rope_options){ .dims = hd, .base = c->local_rope_theta });
    tensor *x = dropout(g, norm(g, c, embedding(g, words(g, c)), "embeddings.norm", false), c->embedding_dropout);
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "layers.%d.", l);
        x = layer(g, c, x, l, l % c->global_attn_every_n_layers ? near : far);
    }
    scope(g, "%s", "");
    return tap(g, norm(g, c, x, "final_norm", false), "final_norm", -1);
}

/* ---- the heads ------------------------------------------------------------------------------ */

/* norm(act(rows W)), before words and before labels. */
static tensor *transform(graph *g, const modernbert *c, tensor *rows, bool before_tied_head)
{
    scope(g, "%s", "");
    dense_options o = { OUT_IN, c->classifier_bias, RESIDUAL_READ, RESIDUAL_WRITE, std_out(c), c->classifier_activation, NULL };
    return norm(g, c, dense_cut(g, rows, "head.dense", c->hidden_size, o, c->initializer_cutoff_factor), "head.norm", before_tied_head);
}

static head language(graph *g, const void *config, tensor *rows)
{
    const modernbert *c = config;
    rows = transform(g, c, rows, c->tie_word_embeddings);
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "decoder.weight", c->vocab_size, c->hidden_size, std_out(c));
    tensor *b = c->decoder_bias ? parameter(g, "decoder.bias", (param_rule){ .rank = 1, .dims = { c->vocab_size }, .axes = { { AXIS_VOCAB, false, 1 } } }) : NULL;
    return (head){ rows, w, b };
}

static head classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const modernbert *c = config;
    const encoder e = { .width = c->hidden_size, .std = 1 / sqrt(c->hidden_size), .cut = c->initializer_cutoff_factor };
    require(g, t->kind != TASK_PRETRAIN, "modernbert does not predict the next sentence");
    return label_head(g, &e, dropout(g, transform(g, c, rows, false), c->classifier_dropout), "classifier", t->labels);
}

static bool both_ways(const void *config) { (void)config; return true; }
static int context(const void *config) { return ((const modernbert *)config)->max_position_embeddings; }
static int vocab(const void *config) { return ((const modernbert *)config)->vocab_size; }
static pooling pool(const void *config) { return ((const modernbert *)config)->classifier_pooling == POOLED_MEAN ? POOL_MEAN : POOL_FIRST; }

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i}", "vocab_size", vocab_size, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", width % 64 ? width / 32 : width / 64, "intermediate_size", width * 3 / 2);
}

const arch arch_modernbert = {
    .name = "modernbert", .class_name = "ModernBertForMaskedLM", .stem = "ModernBert",
    .summary = "ModernBERT: pre-norm encoder, rotary, most layers local (Warner et al. 2024)",
    .vocabulary = "roberta",
    .recipe = &(const recipe){ .lr = 8e-4, .warmup = 0.02, .schedule = "wsd", .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1,
                               .mask = "each", .mask_rate = 0.3 },
    .config = { .size = sizeof(modernbert), .fields = fields, .normalize = normalize, .publish = publish,
                .check = check, .sized = sized },
    .equations = { .build = build, .language = language, .classify = classify, .encoder = both_ways, .pool = pool,
                   .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES("model.", ""),
               .heads = NAMES("head.", "decoder.", "classifier."),
               .tied_head = "decoder.weight", .tied_to = "embeddings.tok_embeddings.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "layers." },
                .inner_keys = NAMES("intermediate_size") },
};

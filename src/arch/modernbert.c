/* ModernBERT.  Warner et al. 2024, "Smarter, Better, Faster, Longer: A Modern
 * Bidirectional Encoder".  Pre-norm layers, rotary positions, no biases:
 *
 *     x = norm(E[ids]);  x += Wo Attn(norm(x));  x += Wo2 (gelu(a) * b), [a b] = Wi norm(x)
 *
 * and a norm after the last.  The first layer's attention has no norm.  Of every
 * few layers one is global; the others attend to half of local_attention tokens on each side and have a RoPE base of
 * their own.  Newer files give the same in layer_types and rope_parameters. */
#include "arch/encoder.h"
#include "arch/rope_keys.h"
#include <math.h>
#include <string.h>

typedef struct {
    int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, max_position_embeddings;
    int global_attn_every_n_layers, local_attention, classifier_pooling;
    activation hidden_activation, classifier_activation;
    int norm_bias, attention_bias, mlp_bias, decoder_bias, classifier_bias, tie_word_embeddings;
    double norm_eps, global_rope_theta, local_rope_theta, initializer_range, initializer_cutoff_factor;
    double embedding_dropout, attention_dropout, mlp_dropout, classifier_dropout;
} modernbert;

enum { POOLED_CLS, POOLED_MEAN };

#define CONFIG modernbert
static const field fields[] = {
    INT(vocab_size, 50368, VOCABULARY), INT(hidden_size, 768, WIDTH), INT(intermediate_size, 1152, INNER), INT(num_hidden_layers, 22, ENCODER_LAYERS),
    INT(num_attention_heads, 12, HEADS), ACTIVATION(hidden_activation, ACT_GELU_ERF), INT(max_position_embeddings, 8192, POSITIONS),
    INT(global_attn_every_n_layers, 3, ENCODER_LAYERS), INT(local_attention, 128, .least = 2, .most = 1 << 20),
    REAL(global_rope_theta, 160000, ROPE_BASE), REAL(local_rope_theta, 10000, ROPE_BASE), REAL(norm_eps, 1e-5, EPSILON),
    BOOL(norm_bias, 0), BOOL(attention_bias, 0), BOOL(mlp_bias, 0), BOOL(decoder_bias, 1), BOOL(classifier_bias, 0), BOOL(tie_word_embeddings, 1),
    ACTIVATION(classifier_activation, ACT_GELU_ERF), CHOICE(classifier_pooling, "cls|mean"),
    REAL(embedding_dropout, 0, RATE), REAL(attention_dropout, 0, RATE), REAL(mlp_dropout, 0, RATE), REAL(classifier_dropout, 0, RATE),
    REAL(initializer_range, 0.02, DEVIATION), REAL(initializer_cutoff_factor, 2, .least = 0.1, .most = 100),
    { 0 }
};

static const known_key others[] = {
    { .key = "layer_types" }, { .key = "rope_parameters" }, { "rope_scaling", "null" }, { "layer_norm_eps", "*" }, { "position_embedding_type", "\"absolute\"|\"sans_pos\"" },
    /* Which rows a loss reads. */
    { "sparse_prediction", "*" }, { "sparse_pred_ignore_index", "*" }, { "repad_logits_with_grad", "*" },
    { 0 }
};

/* ---- the newer spelling -------------------------------------------------------------- */

static const char *const kinds[] = { "sliding_attention", "full_attention" };

/* The period of global layers in layer_types: the first global layer after layer 0, of which all others are
 * multiples. */
static size_t period_of(const json_t *types)
{
    for (size_t l = 1; l < json_array_size(types); l++) {
        const char *type = json_string_value(json_array_get(types, l));
        if (type && !strcmp(type, kinds[1])) return l;
    }
    return json_array_size(types);
}

/* When the older key is present, a list of another length is from before the model grew and is ignored. */
static int read_layer_types(json_t *config, const json_t *types, lithe_error *err)
{
    const json_t *every_n = json_object_get(config, "global_attn_every_n_layers"), *layers = json_object_get(config, "num_hidden_layers");
    size_t n = json_array_size(types), period = json_integer_value(every_n) > 0 ? (size_t)json_integer_value(every_n) : period_of(types);
    if (json_is_integer(layers) && json_integer_value(layers) != (json_int_t)n)
        return every_n ? 0 : fail(err, LITHE_ECONFIG, "layer_types has %zu entries, num_hidden_layers is %lld", n, (long long)json_integer_value(layers));
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
    if (rope_check_plain(rope_keys, "rope_parameters", err)) return LITHE_ECONFIG;
    return theta && json_object_set(config, key, theta) ? LITHE_ENOMEM : 0;
}

static int normalize(json_t *config, lithe_error *err)
{
    static const known_key by_kind[] = { { .key = "sliding_attention" }, { .key = "full_attention" }, { 0 } };
    const json_t *types = json_object_get(config, "layer_types"), *rotations = json_object_get(config, "rope_parameters");
    if (json_is_object(rotations) && keys_check(rotations, by_kind, "rope_parameters", err)) return LITHE_ECONFIG;
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
    return check_pairs(c->hidden_size / c->num_attention_heads, err);
}

/* ---- the layers ------------------------------------------------------------------------- */

/* "Full megatron" initial values: matrices that write to the residual stream are smaller, by the number of such
 * matrices. */
static double std_out(const modernbert *c) { return c->initializer_range / sqrt(2.0 * c->num_hidden_layers); }

static norm_options ln(const modernbert *c) { return (norm_options){ .kind = c->norm_bias ? NORM_LAYER : NORM_LAYER_SCALED, .eps = c->norm_eps }; }

static tensor *words(graph *g, const modernbert *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .cut = c->initializer_cutoff_factor, .tied = c->tie_word_embeddings };
    return embedding_table(g, "embeddings.tok_embeddings.weight", c->vocab_size, c->hidden_size, o);    /* (vocab, C) */
}

static tensor *layer(graph *g, const modernbert *c, tensor *x, int l, rope_angles angles)
{
    const int C = c->hidden_size, F = c->intermediate_size, H = c->num_attention_heads;
    const double std = c->initializer_range, cut = c->initializer_cutoff_factor;
    const attention_options heads = { .heads = H, .dropout = c->attention_dropout, .window = l % c->global_attn_every_n_layers ? c->local_attention / 2 : 0 };
    const dense_options to_qkv = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .parts = 3, .bias = c->attention_bias, .std = std, .cut = cut };
    const dense_options proj   = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = c->attention_bias, .std = std_out(c), .cut = cut, .dropout = c->attention_dropout };
    const dense_options gates  = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .parts = 2, .bias = c->mlp_bias, .std = std, .cut = cut };
    const dense_options down   = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = c->mlp_bias, .std = std_out(c), .cut = cut };

    tensor *h = l ? norm(g, x, "attn_norm", ln(c)) : x;                                             /* (tokens, C) */
    tensor *qkv = rope_fused(g, dense(g, h, "attn.Wqkv", 3 * C, to_qkv), angles, H);                /* (tokens, 3 C) */
    tensor *a = attention(g, qkv, NULL, NULL, heads);                                               /* (tokens, C) */
    x = tap(g, dense_add(g, x, a, "attn.Wo", proj), "post_mix", l);                                 /* (tokens, C) */
    h = dense(g, norm(g, x, "mlp_norm", ln(c)), "mlp.Wi", 2 * F, gates);                            /* (tokens, 2 F) */
    h = dropout(g, glu_halves(g, h, c->hidden_activation), c->mlp_dropout);                         /* (tokens, F) */
    return tap(g, dense_add(g, x, h, "mlp.Wo", down), "post_ffn", l);                               /* (tokens, C) */
}

static uint64_t layer_kind(const void *config, int l) { return l % ((const modernbert *)config)->global_attn_every_n_layers != 0; }

static tensor *build(graph *g, const void *config)
{
    const modernbert *c = config;
    const int D = c->hidden_size / c->num_attention_heads;
    const rope_angles global = rope_table(g, (rope_options){ .dims = D, .base = c->global_rope_theta });
    const rope_angles local = rope_table(g, (rope_options){ .dims = D, .base = c->local_rope_theta });
    tensor *x = norm(g, embedding(g, words(g, c)), "embeddings.norm", ln(c));                          /* (tokens, C) */
    x = tap(g, dropout(g, x, c->embedding_dropout), "embed", -1);                                      /* (tokens, C) */
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "layers.%d.", l);
        x = layer(g, c, x, l, l % c->global_attn_every_n_layers ? local : global);                     /* (tokens, C) */
    }
    unscope(g);
    return tap(g, norm(g, x, "final_norm", ln(c)), "final_norm", -1);                                  /* (tokens, C) */
}

/* ---- the heads ------------------------------------------------------------------------------ */

/* LN(act(rows W)), before words and before labels. */
static tensor *transform(graph *g, const modernbert *c, tensor *rows, bool before_tied_head)
{
    const dense_options o = { .in = AXIS_RESIDUAL, .out = AXIS_RESIDUAL, .bias = c->classifier_bias, .std = std_out(c), .cut = c->initializer_cutoff_factor,
                              .act = c->classifier_activation };
    norm_options n = ln(c);
    n.before_tied_head = before_tied_head;
    return norm(g, dense(g, rows, "head.dense", c->hidden_size, o), "head.norm", n);                   /* (rows, C) */
}

static head language(graph *g, const void *config, tensor *rows)
{
    const modernbert *c = config;
    rows = transform(g, c, rows, c->tie_word_embeddings);                                              /* (rows, C) */
    /* (vocab, C) */
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "decoder.weight", c->vocab_size, c->hidden_size, std_out(c));
    /* (vocab) */
    tensor *b = c->decoder_bias ? parameter(g, "decoder.bias", (param_rule){ .dims = { c->vocab_size }, .axes = { writes(AXIS_VOCAB) } }) : NULL;
    return (head){ .hidden = rows, .weight = w, .bias = b };
}

static head classify(graph *g, const void *config, tensor *rows, const task *t)
{
    const modernbert *c = config;
    const encoder e = { .width = c->hidden_size, .std = 1 / sqrt(c->hidden_size), .cut = c->initializer_cutoff_factor };
    require(g, t->kind != TASK_PRETRAIN, "modernbert does not predict the next sentence");
    return label_head(g, &e, dropout(g, transform(g, c, rows, false), c->classifier_dropout), "classifier", t->labels);
}

static pooling pool(const void *config) { return ((const modernbert *)config)->classifier_pooling == POOLED_MEAN ? POOL_MEAN : POOL_FIRST; }

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", width * 3 / 2, "initializer_range", sized_std(STD_TEXT, width));
}

const arch arch_modernbert = {
    .name = "modernbert", .class_name = "ModernBertForMaskedLM", .stem = "ModernBert",
    .summary = "ModernBERT: pre-norm encoder, rotary, most layers local (Warner et al. 2024)",
    .vocabulary = "roberta",
    .recipe = &(const recipe){ .lr = 8e-4, .warmup = 0.02, .schedule = "wsd", .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1,
                               .mask = "each", .mask_rate = 0.3 },
    .config = { .size = sizeof(modernbert), .fields = fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"),
                .normalize = normalize, .publish = publish, .check = check, .sized = sized },
    .equations = { .build = build, .language = language, .classify = classify, .encoder = always, .pool = pool },
    .files = { .prefix = "model.", .names = NAME_PAIRS({ "model.@", "@" }),
               .heads = NAMES("head.", "decoder.", "classifier."),
               .tied_head = "decoder.weight", .tied_to = "embeddings.tok_embeddings.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "layers." },
                .inner_keys = NAMES("intermediate_size"), .layer_kind = layer_kind },
};

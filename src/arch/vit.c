/* ViT.  Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words: Transformers
 * for Image Recognition at Scale" (arXiv 2010.11929).  A pre-norm Transformer
 * encoder over patches of a picture and a class token with learned positions:
 *   x += Attn(LN(x));  x += MLP(LN(x));  classes = Linear(LN(x)[class token])
 * Names, layouts and keys are those of Hugging Face's ViTForImageClassification. */
#include "arch/pictures.h"
#include <math.h>

typedef struct {
    pictures pictures;
    int hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, qkv_bias;
    activation hidden_act;
    double hidden_dropout_prob, attention_probs_dropout_prob, layer_norm_eps, initializer_range;
} vit;

#define AT(member) offsetof(vit, member)
static const field fields[] = {
    PICTURE_FIELDS(vit),
    { .key = "hidden_size",         .kind = FIELD_INT,  .offset = AT(hidden_size),         .value = 768,  .least = 1, .most = 1 << 16 },
    { .key = "num_hidden_layers",   .kind = FIELD_INT,  .offset = AT(num_hidden_layers),   .value = 12,   .least = 1, .most = 1024 },
    { .key = "num_attention_heads", .kind = FIELD_INT,  .offset = AT(num_attention_heads), .value = 12,   .least = 1, .most = 1 << 14 },
    { .key = "intermediate_size",   .kind = FIELD_INT,  .offset = AT(intermediate_size),   .value = 3072, .least = 1, .most = 1 << 20 },
    { .key = "hidden_act",          .kind = FIELD_CHOICE, .offset = AT(hidden_act),        .value = ACT_GELU_ERF },
    { .key = "qkv_bias",            .kind = FIELD_BOOL, .offset = AT(qkv_bias),            .value = 1 },
    { .key = "hidden_dropout_prob", .kind = FIELD_REAL, .offset = AT(hidden_dropout_prob), .value = 0,    .least = 0, .most = 0.99 },
    { .key = "attention_probs_dropout_prob", .kind = FIELD_REAL, .offset = AT(attention_probs_dropout_prob), .value = 0, .least = 0, .most = 0.99 },
    { .key = "layer_norm_eps",      .kind = FIELD_REAL, .offset = AT(layer_norm_eps),      .value = 1e-12, .least = 0, .most = 1 },
    { .key = "initializer_range",   .kind = FIELD_REAL, .offset = AT(initializer_range),   .value = 0.02, .least = 0, .most = 10 },
    { 0 }
};

static int check(const void *config, lithe_error *err)
{
    const vit *c = config;
    if (c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    return pictures_check(&c->pictures, err);
}

/* residual + dropout(x W + b) */
static tensor *back(graph *g, const vit *c, tensor *x, const char *name, axis in, tensor *residual)
{
    bool drop = c->hidden_dropout_prob > 0;
    dense_options o = { .bias = true, .in = in, .out = RESIDUAL_WRITE, .std = c->initializer_range, .residual = drop ? NULL : residual };
    tensor *y = dense(g, x, name, c->hidden_size, o);
    return drop ? add(g, residual, dropout(g, y, c->hidden_dropout_prob)) : y;
}

static tensor *attend(graph *g, const vit *c, tensor *h)
{
    const int C = c->hidden_size, H = c->num_attention_heads;
    const dense_options project = { .bias = c->qkv_bias, .in = RESIDUAL_READ, .out = HEAD_WRITE, .std = c->initializer_range };
    tensor *q = dense(g, h, "attention.attention.query", C, project);
    tensor *k = dense(g, h, "attention.attention.key", C, project);
    tensor *v = dense(g, h, "attention.attention.value", C, project);
    return attention(g, q, k, v, (attention_options){ .heads = H, .kv_heads = H, .head_dim = C / H, .dropout = c->attention_probs_dropout_prob });
}

static tensor *build(graph *g, const void *config)
{
    const vit *c = config;
    tensor *x = dropout(g, pictures_embedding(g, &c->pictures, c->hidden_size, c->initializer_range), c->hidden_dropout_prob);
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        x = back(g, c, attend(g, c, layer_norm_affine(g, x, "layernorm_before", c->layer_norm_eps, false)), "attention.output.dense", HEAD_READ, x);
        tap(g, x, "post_mix", l);
        tensor *h = layer_norm_affine(g, x, "layernorm_after", c->layer_norm_eps, false);
        h = dense(g, h, "intermediate.dense", c->intermediate_size, (dense_options){ .bias = true, .in = RESIDUAL_READ, .out = INNER_WRITE,
                                                                                     .std = c->initializer_range, .act = c->hidden_act });
        x = tap(g, back(g, c, h, "output.dense", INNER_READ, x), "post_ffn", l);
    }
    scope(g, "%s", "");
    return tap(g, layer_norm_affine(g, x, "layernorm", c->layer_norm_eps, false), "final_norm", -1);
}

static head classify(graph *g, const void *config, tensor *rows, const task *t) { return pictures_head(g, rows, t, ((const vit *)config)->initializer_range); }
static bool encoder(const void *config) { (void)config; return true; }
static int context(const void *config) { return pictures_tokens(&((const vit *)config)->pictures); }

static image_shape image(const void *config)
{
    const pictures *p = &((const vit *)config)->pictures;
    return (image_shape){ p->image_size, p->patch_size, p->num_channels };
}

/* The published deviation of 0.02 is one for widths of 768 and more. */
static json_t *sized(int width, int layers, int vocab, int positions)
{
    (void)vocab;
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:f}", "image_size", pictures_side(positions), "patch_size", SIZED_PATCH, "hidden_size", width, "num_hidden_layers", layers, "num_attention_heads", width % 64 ? width / 32 : width / 64,
                     "intermediate_size", 4 * width, "initializer_range", fmax(0.02, 0.5 / sqrt(width)));
}

const arch arch_vit = {
    .name = "vit", .class_name = "ViTForImageClassification", .stem = "ViT",
    .summary = "ViT: a Transformer encoder over patches of images (Dosovitskiy et al. 2021)",
    .recipe = &pictures_recipe,
    .config = { .size = sizeof(vit), .fields = fields, .check = check, .sized = sized },
    .equations = { .build = build, .classify = classify, .encoder = encoder, .context = context,
                   .vocab = pictures_vocab, .image = image },
    .files = { .prefixes = NAMES("vit.", ""),
               .heads = NAMES("classifier.", "pooler.", "vit.pooler."),
               .known_by = "embeddings.patch_embeddings.projection.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("intermediate_size") },
};

/* ViT.  Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words: Transformers
 * for Image Recognition at Scale" (arXiv 2010.11929).  A pre-norm Transformer
 * encoder over patches of an image and a class token with learned positions:
 *   x += Attn(LN(x));  x += MLP(LN(x));  classes = Linear(LN(x)[class token])
 * DeiT (Touvron et al. 2021, "Training data-efficient image transformers & distillation through attention") has a
 * second token, which learns what a teacher says.
 * Names, layouts and keys are those of Hugging Face's ViTForImageClassification. */
#include "arch/image_input.h"

typedef struct {
    image_input image;               /* first: its fields fill it */
    int hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, qkv_bias;
    activation hidden_act;
    double hidden_dropout_prob, attention_probs_dropout_prob, layer_norm_eps, initializer_range;
} vit;

#define CONFIG vit
static const field fields[] = {
    IMAGE_INPUT_FIELDS, INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, ENCODER_LAYERS), INT(num_attention_heads, 12, HEADS), INT(intermediate_size, 3072, INNER),
    ACTIVATION(hidden_act, ACT_GELU_ERF), BOOL(qkv_bias, 1), REAL(hidden_dropout_prob, 0, RATE), REAL(attention_probs_dropout_prob, 0, RATE),
    REAL(layer_norm_eps, 1e-12, EPSILON), REAL(initializer_range, 0.02, DEVIATION),
    { 0 }
};

static const known_key others[] = {
    /* Of a decoder, and of a pooler that no head reads. */
    { "encoder_stride", "*" }, { "pooler_act", "*" }, { "pooler_output_size", "*" },
    { 0 }
};

static tensor *encode(graph *g, const vit *c, bool distilled)
{
    const int C = c->hidden_size;
    const double std = c->initializer_range, drop = c->hidden_dropout_prob;
    const norm_options ln = { .eps = c->layer_norm_eps };
    const attention_options heads = { .heads = c->num_attention_heads, .dropout = c->attention_probs_dropout_prob };
    const dense_options qkv  = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .bias = c->qkv_bias, .std = std };
    const dense_options proj = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = true, .std = std, .dropout = drop };
    const dense_options up   = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = true, .std = std, .act = c->hidden_act };
    const dense_options down = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = true, .std = std, .dropout = drop };

    tensor *x = dropout(g, image_embedding(g, &c->image, C, std, distilled), drop);                    /* (tokens, C) */
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        tensor *h = norm(g, x, "layernorm_before", ln);                                                /* (tokens, C) */
        tensor *q = dense(g, h, "attention.attention.query", C, qkv);                                  /* (tokens, C) */
        tensor *k = dense(g, h, "attention.attention.key", C, qkv);                                    /* (tokens, C) */
        tensor *v = dense(g, h, "attention.attention.value", C, qkv);                                  /* (tokens, C) */
        tensor *a = attention(g, q, k, v, heads);                                                      /* (tokens, C) */
        x = tap(g, dense_add(g, x, a, "attention.output.dense", proj), "post_mix", l);                 /* (tokens, C) */
        h = norm(g, x, "layernorm_after", ln);                                                         /* (tokens, C) */
        h = dense(g, h, "intermediate.dense", c->intermediate_size, up);                               /* (tokens, F) */
        x = tap(g, dense_add(g, x, h, "output.dense", down), "post_ffn", l);                           /* (tokens, C) */
    }
    unscope(g);
    return tap(g, norm(g, x, "layernorm", ln), "final_norm", -1);                                      /* (tokens, C) */
}

static tensor *build(graph *g, const void *config) { return encode(g, config, false); }                /* (tokens, C) */
static tensor *deit_build(graph *g, const void *config) { return encode(g, config, true); }            /* (tokens, C) */

static head classify(graph *g, const void *config, tensor *rows, const task *t) { return image_head(g, rows, t, ((const vit *)config)->initializer_range); }

/* A linear layer of a token's rows. */
static tensor *read_token(graph *g, tensor *rows, const char *weight, const char *bias, const task *t, double std)
{
    tensor *b = parameter(g, bias, (param_rule){ .dims = { t->labels } });                                /* (labels) */
    return linear(g, rows, head_weight(g, weight, t->labels, width_of(rows), std), b, (linear_options){ .layout = OUT_IN });
}

/* With a teacher's classes to learn from, each of the two tokens has a classifier, and the logits are their mean. */
static head deit_classify(graph *g, const void *config, tensor *x, const task *t)
{
    const double std = ((const vit *)config)->initializer_range;
    require(g, !t->form || t->form == FORM_TEACHER, "deit has no head for texts");
    if (t->form != FORM_TEACHER) return image_head(g, sequence_rows(g, x, POOL_FIRST), t, std);
    tensor *first = read_token(g, sequence_rows(g, x, POOL_FIRST), "cls_classifier.weight", "cls_classifier.bias", t, std);
    tensor *second = read_token(g, second_rows(g, x), "distillation_classifier.weight", "distillation_classifier.bias", t, std);
    return (head){ .hidden = times(g, add(g, first, second), 0.5) };                              /* (images, labels) */
}

static int deit_context(const void *config) { return image_context(config) + 1; }

static image_shape deit_image(const void *config)
{
    image_shape s = image_of(config);
    s.tokens = 2;
    return s;
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    (void)vocab;
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "image_size", image_sized(positions), "patch_size", SIZED_PATCH, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "intermediate_size", 4 * width,
                     "initializer_range", sized_std(STD_IMAGES, width));
}

const arch arch_vit = {
    .name = "vit", .class_name = "ViTForImageClassification", .stem = "ViT",
    .summary = "ViT: a Transformer encoder over patches of images (Dosovitskiy et al. 2021)",
    .recipe = &image_recipe,
    .config = { .size = sizeof(vit), .fields = fields, .others = others, .divides = NAMES("patch_size", "image_size", "num_attention_heads", "hidden_size"),
                .check = image_check, .sized = sized },
    .equations = { .build = build, .classify = classify, .encoder = always, .context = image_context,
                   .image = image_of },
    .files = { .prefix = "vit.", .names = NAME_PAIRS({ "vit.@", "@" }),
               .heads = NAMES("classifier.", "pooler."),
               .known_by = "embeddings.patch_embeddings.projection.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("intermediate_size") },
};

const arch arch_deit = {
    .name = "deit", .class_name = "DeiTForImageClassification", .stem = "DeiT",
    .summary = "DeiT: a ViT with a distillation token (Touvron et al. 2021)",
    .recipe = &image_recipe,
    .config = { .size = sizeof(vit), .fields = fields, .others = others, .divides = NAMES("patch_size", "image_size", "num_attention_heads", "hidden_size"),
                .check = image_check, .sized = sized },
    .equations = { .build = deit_build, .classify_all = deit_classify, .forms = true, .encoder = always, .context = deit_context, .image = deit_image },
    .files = { .prefix = "deit.", .names = NAME_PAIRS({ "deit.@", "@" }, { "embeddings.mask_token", NULL }),
               .heads = NAMES("classifier.", "cls_classifier.", "distillation_classifier.", "pooler."),
               .known_by = "embeddings.distillation_token" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("intermediate_size") },
};

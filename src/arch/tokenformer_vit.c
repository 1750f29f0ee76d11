/* TokenFormer for images.  Wang et al. 2024 (arXiv 2410.23168), section 4.3: a
 * ViT (arch/vit.c) whose projections and whole feed-forward are Pattention.
 *   h = LN0(x);  x += Patt_proj(Attn(Patt_q(h), Patt_k(h), Patt_v(h)));  x += Patt_ffn(LN0(x))
 *   classes = Linear(LN(x)[class token])
 * Attention is bidirectional; LN0 has no parameters, the last LN has.  A trained
 * model grows by appending slots.  The paper's code for images was not
 * published with names of tensors: these join ViT's and TokenFormer's. */
#include "arch/image_input.h"

typedef struct {
    image_input image;               /* first: its fields fill it */
    int hidden_size, num_hidden_layers, num_attention_heads, qkv_slot_num, proj_slot_num, ffn_slot_num, norm_activation_type;
    double hidden_dropout_prob, attention_probs_dropout_prob, layer_norm_eps, initializer_range;
    double qkv_tau2, proj_tau2, ffn_tau2;          /* the squared scale a grown model keeps; 0: the number of slots */
} tokenformer_vit;

#define CONFIG tokenformer_vit
static const field fields[] = {
    IMAGE_INPUT_FIELDS, INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, ENCODER_LAYERS), INT(num_attention_heads, 12, HEADS),
    INT(qkv_slot_num, 576, INNER), INT(proj_slot_num, 576, INNER), INT(ffn_slot_num, 2304, INNER), CHOICE(norm_activation_type, THETA_CHOICES),
    REAL(hidden_dropout_prob, 0, RATE), REAL(attention_probs_dropout_prob, 0, RATE), REAL(layer_norm_eps, 1e-5, EPSILON), REAL(initializer_range, 0.02, DEVIATION),
    REAL(qkv_tau2, 0, TAU2), REAL(proj_tau2, 0, TAU2), REAL(ffn_tau2, 0, TAU2),
    { 0 }
};

static pattention_layer_options patt(const tokenformer_vit *c, int slots, double tau2)
{
    return (pattention_layer_options){ .in = AXIS_RESIDUAL, .out = AXIS_RESIDUAL, .slots = slots, .tau2 = tau2, .theta = (theta_kind)c->norm_activation_type,
                                       .std_keys = c->initializer_range, .std_values = wang_std(c->num_hidden_layers, c->hidden_size) };
}

static tensor *build(graph *g, const void *config)
{
    const tokenformer_vit *c = config;
    const int C = c->hidden_size;
    const norm_options ln0 = { .kind = NORM_LAYER_PLAIN, .eps = c->layer_norm_eps }, ln = { .eps = c->layer_norm_eps };
    const attention_options heads = { .heads = c->num_attention_heads, .dropout = c->attention_probs_dropout_prob };
    pattention_layer_options qkv = patt(c, c->qkv_slot_num, c->qkv_tau2), proj = patt(c, c->proj_slot_num, c->proj_tau2), ffn = patt(c, c->ffn_slot_num, c->ffn_tau2);
    qkv.out = proj.in = AXIS_HEAD;
    proj.dropout = ffn.dropout = c->hidden_dropout_prob;

    /* (tokens, C) */
    tensor *x = dropout(g, image_embedding(g, &c->image, C, c->initializer_range, false), c->hidden_dropout_prob);
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        scope(g, "encoder.layer.%d.", l);
        tensor *h = norm(g, x, NULL, ln0);                                                             /* (tokens, C) */
        tensor *q = pattention_layer(g, h, "attention.query", C, qkv);                                 /* (tokens, C) */
        tensor *k = pattention_layer(g, h, "attention.key", C, qkv);                                   /* (tokens, C) */
        tensor *v = pattention_layer(g, h, "attention.value", C, qkv);                                 /* (tokens, C) */
        tensor *a = attention(g, q, k, v, heads);                                                      /* (tokens, C) */
        x = tap(g, pattention_add(g, x, a, "attention.proj", proj), "post_mix", l);                    /* (tokens, C) */
        h = norm(g, x, NULL, ln0);                                                                     /* (tokens, C) */
        x = tap(g, pattention_add(g, x, h, "mlp", ffn), "post_ffn", l);                                /* (tokens, C) */
    }
    unscope(g);
    return tap(g, norm(g, x, "layernorm", ln), "final_norm", -1);                                      /* (tokens, C) */
}

static head classify(graph *g, const void *config, tensor *rows, const task *t)
{
    return image_head(g, rows, t, ((const tokenformer_vit *)config)->initializer_range);
}

/* Slots n = 0.75 d and 3 d: a ViT layer's 12 d^2 weights and products (the paper's Base, table 9). */
static json_t *sized(int width, int layers, int vocab, int positions)
{
    (void)vocab;
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "image_size", image_sized(positions), "patch_size", SIZED_PATCH, "hidden_size", width,
                     "num_hidden_layers", layers, "num_attention_heads", usual_heads(width), "qkv_slot_num", width * 3 / 4, "proj_slot_num", width * 3 / 4,
                     "ffn_slot_num", width * 3, "initializer_range", sized_std(STD_IMAGES, width));
}

const arch arch_tokenformer_vit = {
    .name = "tokenformer_vit", .class_name = "TokenFormerViTForImageClassification", .stem = "TokenFormerViT",
    .summary = "TokenFormer for images: a ViT of parameter tokens, grows by appending them (Wang et al. 2024)",
    .recipe = &image_recipe,
    .config = { .size = sizeof(tokenformer_vit), .fields = fields, .divides = NAMES("patch_size", "image_size", "num_attention_heads", "hidden_size"),
                .check = image_check, .sized = sized },
    .equations = { .build = build, .classify = classify, .encoder = always, .context = image_context,
                   .image = image_of },
    .files = { .heads = NAMES("classifier."),
               .known_by = "encoder.layer.0.mlp.key_param_tokens" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("qkv_slot_num", "proj_slot_num", "ffn_slot_num"),
                .slots = (const slot_group[]){
                    { "qkv_slot_num",  "qkv_tau2",  NAMES("attention.query.", "attention.key.", "attention.value.") },
                    { "proj_slot_num", "proj_tau2", NAMES("attention.proj.") },
                    { "ffn_slot_num",  "ffn_tau2",  NAMES("mlp.") },
                    { 0 } } },
};

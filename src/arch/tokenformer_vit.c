/* TokenFormer for pictures.  Wang et al. 2024 (arXiv 2410.23168), section 4.3: a
 * ViT (arch/vit.c) whose projections and whole feed-forward are Pattention.
 *   h = LN0(x);  x += Patt_proj(Attn(Patt_q(h), Patt_k(h), Patt_v(h)));  x += Patt_ffn(LN0(x));  classes = Linear(LN(x)[class token])
 * Attention looks both ways; LN0 has no parameters, the last LN has.  A trained
 * model grows by appending slots.  The paper's code for pictures was not
 * published with names of tensors: these join ViT's and TokenFormer's. */
#include "arch/pictures.h"
#include <math.h>

typedef struct {
    pictures pictures;
    int hidden_size, num_hidden_layers, num_attention_heads, qkv_slot_num, proj_slot_num, ffn_slot_num, norm_activation_type;
    double hidden_dropout_prob, attention_probs_dropout_prob, layer_norm_eps, initializer_range;
    double qkv_tau2, proj_tau2, ffn_tau2;          /* the squared scale a grown model keeps; 0: the number of slots */
} tokenformer_vit;

#define AT(member) offsetof(tokenformer_vit, member)
static const field fields[] = {
    PICTURE_FIELDS(tokenformer_vit),
    { .key = "hidden_size",          .kind = FIELD_INT,  .offset = AT(hidden_size),          .value = 768,  .least = 1, .most = 1 << 16 },
    { .key = "num_hidden_layers",    .kind = FIELD_INT,  .offset = AT(num_hidden_layers),    .value = 12,   .least = 1, .most = 1024 },
    { .key = "num_attention_heads",  .kind = FIELD_INT,  .offset = AT(num_attention_heads),  .value = 12,   .least = 1, .most = 1 << 14 },
    { .key = "qkv_slot_num",         .kind = FIELD_INT,  .offset = AT(qkv_slot_num),         .value = 576,  .least = 1, .most = 1 << 20 },
    { .key = "proj_slot_num",        .kind = FIELD_INT,  .offset = AT(proj_slot_num),        .value = 576,  .least = 1, .most = 1 << 20 },
    { .key = "ffn_slot_num",         .kind = FIELD_INT,  .offset = AT(ffn_slot_num),         .value = 2304, .least = 1, .most = 1 << 20 },
    { .key = "norm_activation_type", .kind = FIELD_CHOICE, .offset = AT(norm_activation_type), .value = 0,  .choices = "l2_norm_gelu|gelu_l2_norm|softmax" },
    { .key = "hidden_dropout_prob",  .kind = FIELD_REAL, .offset = AT(hidden_dropout_prob),  .value = 0,    .least = 0, .most = 0.99 },
    { .key = "attention_probs_dropout_prob", .kind = FIELD_REAL, .offset = AT(attention_probs_dropout_prob), .value = 0, .least = 0, .most = 0.99 },
    { .key = "layer_norm_eps",       .kind = FIELD_REAL, .offset = AT(layer_norm_eps),       .value = 1e-5, .least = 0, .most = 1 },
    { .key = "initializer_range",    .kind = FIELD_REAL, .offset = AT(initializer_range),    .value = 0.02, .least = 0, .most = 10 },
    { .key = "qkv_tau2",             .kind = FIELD_REAL, .offset = AT(qkv_tau2),             .value = 0,    .least = 1, .most = 1 << 24 },
    { .key = "proj_tau2",            .kind = FIELD_REAL, .offset = AT(proj_tau2),            .value = 0,    .least = 1, .most = 1 << 24 },
    { .key = "ffn_tau2",             .kind = FIELD_REAL, .offset = AT(ffn_tau2),             .value = 0,    .least = 1, .most = 1 << 24 },
    { 0 }
};

static int check(const void *config, lithe_error *err)
{
    const tokenformer_vit *c = config;
    if (c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    return pictures_check(&c->pictures, err);
}

typedef struct { int slots; double tau2; axis in, out; tensor *residual; } patt;

static tensor *patt_layer(graph *g, const tokenformer_vit *c, tensor *x, const char *name, patt p)
{
    double values_std = 2.0 / (c->num_hidden_layers * sqrt(c->hidden_size));
    return pattention_layer(g, x, name, c->hidden_size, (pattention_layer_options){ p.slots, (theta_kind)c->norm_activation_type, p.tau2,
                            c->initializer_range, values_std, p.in, p.out, p.residual });
}

/* residual + dropout(Patt(x)) */
static tensor *back(graph *g, const tokenformer_vit *c, tensor *x, const char *name, patt p, tensor *residual)
{
    bool drop = c->hidden_dropout_prob > 0;
    if (!drop) p.residual = residual;
    tensor *y = patt_layer(g, c, x, name, p);
    return drop ? add(g, residual, dropout(g, y, c->hidden_dropout_prob)) : y;
}

static tensor *attend(graph *g, const tokenformer_vit *c, tensor *h)
{
    const int C = c->hidden_size, H = c->num_attention_heads;
    const patt project = { c->qkv_slot_num, c->qkv_tau2, RESIDUAL_READ, HEAD_WRITE, NULL };
    tensor *q = patt_layer(g, c, h, "attention.query", project);
    tensor *k = patt_layer(g, c, h, "attention.key", project);
    tensor *v = patt_layer(g, c, h, "attention.value", project);
    return attention(g, q, k, v, (attention_options){ .heads = H, .kv_heads = H, .head_dim = C / H, .dropout = c->attention_probs_dropout_prob });
}

static tensor *build(graph *g, const void *config)
{
    const tokenformer_vit *c = config;
    tensor *x = dropout(g, pictures_embedding(g, &c->pictures, c->hidden_size, c->initializer_range), c->hidden_dropout_prob);
    tap(g, x, "embed", -1);
    for (int l = 0; l < c->num_hidden_layers && graph_ok(g); l++) {
        scope(g, "encoder.layer.%d.", l);
        tensor *a = attend(g, c, layer_norm(g, x, NULL, NULL, c->layer_norm_eps));
        x = back(g, c, a, "attention.proj", (patt){ c->proj_slot_num, c->proj_tau2, HEAD_READ, RESIDUAL_WRITE, NULL }, x);
        tap(g, x, "post_mix", l);
        tensor *h = layer_norm(g, x, NULL, NULL, c->layer_norm_eps);
        x = back(g, c, h, "mlp", (patt){ c->ffn_slot_num, c->ffn_tau2, RESIDUAL_READ, RESIDUAL_WRITE, NULL }, x);
        tap(g, x, "post_ffn", l);
    }
    scope(g, "%s", "");
    return tap(g, layer_norm_affine(g, x, "layernorm", c->layer_norm_eps, false), "final_norm", -1);
}

static head classify(graph *g, const void *config, tensor *rows, const task *t) { return pictures_head(g, rows, t, ((const tokenformer_vit *)config)->initializer_range); }
static bool encoder(const void *config) { (void)config; return true; }
static int context(const void *config) { return pictures_tokens(&((const tokenformer_vit *)config)->pictures); }

static image_shape image(const void *config)
{
    const pictures *p = &((const tokenformer_vit *)config)->pictures;
    return (image_shape){ p->image_size, p->patch_size, p->num_channels };
}

/* Slots n = 0.75 d and 3 d: a ViT layer's 12 d^2 weights and products (the paper's Base, table 9). */
static json_t *sized(int width, int layers, int vocab, int positions)
{
    (void)vocab;
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:f}", "image_size", pictures_side(positions), "patch_size", SIZED_PATCH, "hidden_size", width, "num_hidden_layers", layers, "num_attention_heads", width % 64 ? width / 32 : width / 64,
                     "qkv_slot_num", width * 3 / 4, "proj_slot_num", width * 3 / 4, "ffn_slot_num", width * 3, "initializer_range", fmax(0.02, 0.7 / sqrt(width)));
}

const arch arch_tokenformer_vit = {
    .name = "tokenformer_vit", .class_name = "TokenFormerViTForImageClassification", .stem = "TokenFormerViT",
    .summary = "TokenFormer for images: a ViT of parameter tokens, grows by appending them (Wang et al. 2024)",
    .recipe = &pictures_recipe,
    .config = { .size = sizeof(tokenformer_vit), .fields = fields, .check = check, .sized = sized },
    .equations = { .build = build, .classify = classify, .encoder = encoder, .context = context,
                   .vocab = pictures_vocab, .image = image },
    .files = { .prefixes = NAMES(""), .heads = NAMES("classifier."),
               .known_by = "encoder.layer.0.mlp.key_param_tokens" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .layers = "num_hidden_layers", .layer_prefix = "encoder.layer." },
                .inner_keys = NAMES("qkv_slot_num", "proj_slot_num", "ffn_slot_num"),
                .slots = (const slot_group[]){
                    { "qkv_slot_num",  "qkv_tau2",  NAMES("attention.query.", "attention.key.", "attention.value.") },
                    { "proj_slot_num", "proj_tau2", NAMES("attention.proj.") },
                    { "ffn_slot_num",  "ffn_tau2",  NAMES("mlp.") },
                    { 0 } } },
};

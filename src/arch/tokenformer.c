/* TokenFormer.  Wang et al. 2024, "TokenFormer: Rethinking Transformer Scaling
 * with Tokenized Model Parameters" (arXiv 2410.23168).  Every projection and the
 * whole feed-forward are Pattention: attention from tokens to parameter tokens,
 * so a trained model grows by appending slots.
 *   h = LN0(x);  q, k, v = Patt(h);  x += Patt_proj(Attn(rope(q), rope(k), v));  x += Patt_ffn(LN0(x))
 * LN0 is non-affine; rotary turns the first rotary_pct of each head; the final
 * norm is affine and the head tied.  Names are those of the released
 * pytorch_model.bin (layer l is sequential.{2+l}). */
#include "arch/layers.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int vocab_size, num_layers, hidden_size, num_attention_heads, qkv_slot_num, proj_slot_num, ffn_slot_num, max_position_embeddings;
    int norm_activation_type, no_weight_tying;
    double rotary_pct, rotary_emb_base, layernorm_epsilon, init_method_std, hidden_dropout, attention_dropout;
    double qkv_tau2, proj_tau2, ffn_tau2;          /* the squared scale a grown model keeps; 0: the number of slots */
} tokenformer;

#define AT(member) offsetof(tokenformer, member)
static const field fields[] = {
    { .key = "vocab_size",              .kind = FIELD_INT,  .offset = AT(vocab_size),              .value = 50304, .least = 1, .most = 1 << 24 },
    { .key = "num_layers",              .kind = FIELD_INT,  .offset = AT(num_layers),              .value = 12,    .least = 1, .most = 1024 },
    { .key = "hidden_size",             .kind = FIELD_INT,  .offset = AT(hidden_size),             .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "num_attention_heads",     .kind = FIELD_INT,  .offset = AT(num_attention_heads),     .value = 12,    .least = 1, .most = 1 << 14 },
    { .key = "qkv_slot_num",            .kind = FIELD_INT,  .offset = AT(qkv_slot_num),            .value = 768,   .least = 1, .most = 1 << 20 },
    { .key = "proj_slot_num",           .kind = FIELD_INT,  .offset = AT(proj_slot_num),           .value = 768,   .least = 1, .most = 1 << 20 },
    { .key = "ffn_slot_num",            .kind = FIELD_INT,  .offset = AT(ffn_slot_num),            .value = 3072,  .least = 1, .most = 1 << 20 },
    { .key = "max_position_embeddings", .kind = FIELD_INT,  .offset = AT(max_position_embeddings), .value = 2048,  .least = 1, .most = 1 << 24 },
    { .key = "norm_activation_type",    .kind = FIELD_CHOICE, .offset = AT(norm_activation_type),  .value = 0,     .choices = "l2_norm_gelu|gelu_l2_norm|softmax" },
    { .key = "rotary_pct",              .kind = FIELD_REAL, .offset = AT(rotary_pct),              .value = 0.25,  .least = 0, .most = 1 },
    { .key = "rotary_emb_base",         .kind = FIELD_REAL, .offset = AT(rotary_emb_base),         .value = 10000, .least = 1, .most = 1e12 },
    { .key = "layernorm_epsilon",       .kind = FIELD_REAL, .offset = AT(layernorm_epsilon),       .value = 1e-5,  .least = 0, .most = 1 },
    { .key = "init_method_std",         .kind = FIELD_REAL, .offset = AT(init_method_std),         .value = 0.02,  .least = 0, .most = 10 },
    { .key = "hidden_dropout",          .kind = FIELD_REAL, .offset = AT(hidden_dropout),          .value = 0,     .least = 0, .most = 0.99 },
    { .key = "attention_dropout",       .kind = FIELD_REAL, .offset = AT(attention_dropout),       .value = 0,     .least = 0, .most = 0.99 },
    { .key = "no_weight_tying",         .kind = FIELD_BOOL, .offset = AT(no_weight_tying),         .value = 0 },
    { .key = "qkv_tau2",                .kind = FIELD_REAL, .offset = AT(qkv_tau2),                .value = 0,     .least = 1, .most = 1 << 24 },
    { .key = "proj_tau2",               .kind = FIELD_REAL, .offset = AT(proj_tau2),               .value = 0,     .least = 1, .most = 1 << 24 },
    { .key = "ffn_tau2",                .kind = FIELD_REAL, .offset = AT(ffn_tau2),                .value = 0,     .least = 1, .most = 1 << 24 },
    { 0 }
};

/* Keys whose value decides the equations: another value than ours is another model. */
static const struct { const char *key, *only; } fixed[] = {
    { "norm", "layernorm_nonparam" }, { "final_norm", "layernorm" }, { "pos_emb", "rotary" },
    { "init_method", "normal" }, { "output_layer_init_method", "wang_init" },
};

static int normalize(json_t *config, lithe_error *err)
{
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const char *value = json_string_value(json_object_get(config, fixed[i].key));
        if (value && strcmp(value, fixed[i].only))
            return fail(err, LITHE_ECONFIG, "%s is \"%s\"; only \"%s\" is supported", fixed[i].key, value, fixed[i].only);
    }
    if (json_is_true(json_object_get(config, "gpt_j_residual")))
        return fail(err, LITHE_ECONFIG, "gpt_j_residual is true; only false is supported");
    if (!json_object_get(config, "max_position_embeddings") && json_is_integer(json_object_get(config, "seq_length")))
        json_object_set(config, "max_position_embeddings", json_object_get(config, "seq_length"));
    if (!json_object_get(config, "no_weight_tying") && json_is_boolean(json_object_get(config, "tie_word_embeddings")))
        json_object_set_new(config, "no_weight_tying", json_boolean(!json_is_true(json_object_get(config, "tie_word_embeddings"))));
    return 0;
}

static int rotary(const tokenformer *c) { return (int)(c->hidden_size / c->num_attention_heads * c->rotary_pct); }

static int check(const void *config, lithe_error *err)
{
    const tokenformer *c = config;
    if (c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    if (rotary(c) % 2)
        return fail(err, LITHE_ECONFIG, "rotary_pct %g of %d channels is %d, which is odd", c->rotary_pct, c->hidden_size / c->num_attention_heads, rotary(c));
    return 0;
}

/* Readers of the released files look for seq_length and these keys. */
static int publish(json_t *config)
{
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (json_object_set_new(config, fixed[i].key, json_string(fixed[i].only))) return LITHE_ENOMEM;
    return json_object_set(config, "seq_length", json_object_get(config, "max_position_embeddings"));
}

typedef struct { int slots; double tau2; axis in, out; tensor *residual; } patt;

static tensor *patt_layer(graph *g, const tokenformer *c, tensor *x, const char *name, patt p)
{
    double std_values = 2.0 / (c->num_layers * sqrt(c->hidden_size));          /* "wang_init" */
    return pattention_layer(g, x, name, c->hidden_size, (pattention_layer_options){ p.slots, (theta_kind)c->norm_activation_type, p.tau2,
                            c->init_method_std, std_values, p.in, p.out, p.residual });
}

static tensor *table(graph *g, const tokenformer *c)
{
    scope(g, "%s", "");
    return embedding_table(g, "sequential.0.word_embeddings.weight", c->vocab_size, c->hidden_size, AXIS_VOCAB, c->init_method_std, !c->no_weight_tying);
}

static tensor *build(graph *g, const void *config)
{
    const tokenformer *c = config;
    const int C = c->hidden_size, H = c->num_attention_heads, r = rotary(c);
    const double eps = c->layernorm_epsilon;
    const bool drop = c->hidden_dropout > 0;

    scope(g, "%s", "");
    const exact *turns = r ? rope_table(g, (rope_options){ .dims = r, .base = c->rotary_emb_base }) : NULL;
    tensor *x = tap(g, dropout(g, embedding(g, table(g, c)), c->hidden_dropout), "embed", -1);

    for (int l = 0; l < c->num_layers; l++) {
        scope(g, "sequential.%d.", 2 + l);
        const patt project = { c->qkv_slot_num, c->qkv_tau2, RESIDUAL_READ, HEAD_WRITE, NULL };
        tensor *h = layer_norm(g, x, NULL, NULL, eps);
        tensor *q = patt_layer(g, c, h, "attention.query", project);
        tensor *k = patt_layer(g, c, h, "attention.key", project);
        tensor *v = patt_layer(g, c, h, "attention.value", project);
        if (r) q = rope(g, q, turns, r, H);
        if (r) k = rope(g, k, turns, r, H);
        tensor *a = attention(g, q, k, v, (attention_options){ H, H, C / H, .causal = true, .dropout = c->attention_dropout });
        a = patt_layer(g, c, a, "attention.proj", (patt){ c->proj_slot_num, c->proj_tau2, HEAD_READ, RESIDUAL_WRITE, drop ? NULL : x });
        x = tap(g, drop ? add(g, x, dropout(g, a, c->hidden_dropout)) : a, "post_mix", l);

        h = layer_norm(g, x, NULL, NULL, eps);
        tensor *m = patt_layer(g, c, h, "mlp", (patt){ c->ffn_slot_num, c->ffn_tau2, RESIDUAL_READ, RESIDUAL_WRITE, drop ? NULL : x });
        x = tap(g, drop ? add(g, x, dropout(g, m, c->hidden_dropout)) : m, "post_ffn", l);
    }
    scope(g, "sequential.%d.", c->num_layers + 3);
    return tap(g, layer_norm_affine(g, x, "norm", eps, !c->no_weight_tying), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows)
{
    const tokenformer *c = config;
    if (!c->no_weight_tying) return (head){ rows, table(g, c), NULL };
    scope(g, "sequential.%d.", c->num_layers + 4);
    return (head){ rows, head_weight(g, "final_linear.weight", c->vocab_size, c->hidden_size, c->init_method_std), NULL };
}

static int context(const void *config) { return ((const tokenformer *)config)->max_position_embeddings; }
static int vocab(const void *config) { return ((const tokenformer *)config)->vocab_size; }

/* Slots n = 0.75 d and 3 d: exactly a GPT layer's 12 d^2 weights and products.  The published deviation of 0.02 is one for
 * widths of 768 and more; a small model learns far better from a wider start (at 128: 1.63 bits per byte of the King
 * James Bible with 0.06, 1.85 with 0.02, after 400k tokens). */
static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:f,s:i,s:i,s:i}", "vocab_size", vocab_size, "max_position_embeddings", positions, "hidden_size", width,
                     "num_layers", layers, "num_attention_heads", width % 64 ? width / 32 : width / 64, "init_method_std", fmax(0.02, 0.7 / sqrt(width)),
                     "qkv_slot_num", width * 3 / 4, "proj_slot_num", width * 3 / 4, "ffn_slot_num", width * 3);
}

const arch arch_tokenformer = {
    .name = "tokenformer", .class_name = "TokenFormerForCausalLM", .stem = "TokenFormer",
    .summary = "TokenFormer: parameters as tokens, grows by appending them (Wang et al. 2024)",
    .config = { .size = sizeof(tokenformer), .fields = fields, .normalize = normalize, .publish = publish,
                .check = check, .sized = sized },
    .equations = { .build = build, .language = language, .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES(""), .tied_to = "sequential.0.word_embeddings.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .layers = "num_layers", .layer_prefix = "sequential.", .first_layer = 2 },
                .inner_keys = NAMES("qkv_slot_num", "proj_slot_num", "ffn_slot_num"),
                .slots = (const slot_group[]){
                    { "qkv_slot_num",  "qkv_tau2",  NAMES("attention.query.", "attention.key.", "attention.value.") },
                    { "proj_slot_num", "proj_tau2", NAMES("attention.proj.") },
                    { "ffn_slot_num",  "ffn_tau2",  NAMES("mlp.") },
                    { 0 } } },
};

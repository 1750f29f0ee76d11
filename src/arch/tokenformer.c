/* TokenFormer.  Wang et al. 2024, "TokenFormer: Rethinking Transformer Scaling
 * with Tokenized Model Parameters" (arXiv 2410.23168).  Every projection and the
 * whole feed-forward are Pattention: attention from tokens to parameter tokens,
 * so a trained model grows by appending slots.
 *   h = LN0(x);  q, k, v = Patt(h);  x += Patt_proj(Attn(rope(q), rope(k), v));  x += Patt_ffn(LN0(x))
 * LN0 is non-affine; the first rotary_pct of each head is rotated; the final
 * norm is affine and the head tied.  Names are those of the released
 * pytorch_model.bin (layer l is sequential.{2+l}). */
#include "arch/fields.h"
#include "arch/layers.h"

typedef struct {
    int vocab_size, num_layers, hidden_size, num_attention_heads, qkv_slot_num, proj_slot_num, ffn_slot_num, max_position_embeddings;
    int norm_activation_type, no_weight_tying;
    double rotary_pct, rotary_emb_base, layernorm_epsilon, init_method_std, hidden_dropout, attention_dropout;
    double qkv_tau2, proj_tau2, ffn_tau2;          /* the squared scale a grown model keeps; 0: the number of slots */
} tokenformer;

#define CONFIG tokenformer
static const field fields[] = {
    INT(vocab_size, 50304, VOCABULARY), INT(num_layers, 12, LAYERS), INT(hidden_size, 768, WIDTH), INT(num_attention_heads, 12, HEADS),
    INT(qkv_slot_num, 768, INNER), INT(proj_slot_num, 768, INNER), INT(ffn_slot_num, 3072, INNER), INT(max_position_embeddings, 2048, LENGTH),
    CHOICE(norm_activation_type, THETA_CHOICES), BOOL(no_weight_tying, 0), REAL(rotary_pct, 0.25, .least = 0, .most = 1), REAL(rotary_emb_base, 10000, ROPE_BASE),
    REAL(layernorm_epsilon, 1e-5, EPSILON), REAL(init_method_std, 0.02, DEVIATION), REAL(hidden_dropout, 0, RATE), REAL(attention_dropout, 0, RATE),
    REAL(qkv_tau2, 0, TAU2), REAL(proj_tau2, 0, TAU2), REAL(ffn_tau2, 0, TAU2),
    { 0 }
};

static const known_key others[] = {
    /* These decide the equations: only the values of the released files are supported. */
    { "norm", "\"layernorm_nonparam\"|null" }, { "final_norm", "\"layernorm\"|null" }, { "pos_emb", "\"rotary\"|null" }, { "init_method", "\"normal\"|null" },
    { "output_layer_init_method", "\"wang_init\"|null" }, { "gpt_j_residual", "false|null" },
    { .key = "seq_length" }, { "use_bias_in_attn_linear", "*" }, { "attention_config", "*" }, { "make_vocab_size_divisible_by", "*" }, { "pretrain_partial_init", "*" },
    { 0 }
};

static int normalize(json_t *config, lithe_error *err)
{
    (void)err;
    if (!json_object_get(config, "max_position_embeddings") && json_is_integer(json_object_get(config, "seq_length")))
        json_object_set(config, "max_position_embeddings", json_object_get(config, "seq_length"));
    if (!json_object_get(config, "no_weight_tying") && json_is_boolean(json_object_get(config, "tie_word_embeddings")))
        json_object_set_new(config, "no_weight_tying", json_boolean(!json_is_true(json_object_get(config, "tie_word_embeddings"))));
    return 0;
}

static int head_width(const tokenformer *c) { return c->hidden_size / c->num_attention_heads; }

static int check(const void *config, lithe_error *err)
{
    const tokenformer *c = config;
    return check_rotary(c->rotary_pct, head_width(c), 0, err);
}

/* Programs for the released files read seq_length and these keys. */
static int publish(json_t *config)
{
    json_t *keys = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O}", "norm", "layernorm_nonparam", "final_norm", "layernorm", "pos_emb", "rotary",
                             "init_method", "normal", "output_layer_init_method", "wang_init",
                             "seq_length", json_object_get(config, "max_position_embeddings"));
    return json_object_update_new(config, keys) ? LITHE_ENOMEM : 0;
}

static tensor *words(graph *g, const tokenformer *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->init_method_std, .tied = !c->no_weight_tying };
    return embedding_table(g, "sequential.0.word_embeddings.weight", c->vocab_size, c->hidden_size, o); /* (vocab, C) */
}

static pattention_layer_options patt(const tokenformer *c, int slots, double tau2)
{
    return (pattention_layer_options){ .in = AXIS_RESIDUAL, .out = AXIS_RESIDUAL, .slots = slots, .tau2 = tau2, .theta = (theta_kind)c->norm_activation_type,
                                       .std_keys = c->init_method_std, .std_values = wang_std(c->num_layers, c->hidden_size) };
}

static tensor *build(graph *g, const void *config)
{
    const tokenformer *c = config;
    const int C = c->hidden_size, H = c->num_attention_heads;
    const attention_options heads = { .heads = H, .causal = true, .dropout = c->attention_dropout };
    const norm_options ln0 = { .kind = NORM_LAYER_PLAIN, .eps = c->layernorm_epsilon }, ln = { .eps = ln0.eps, .before_tied_head = !c->no_weight_tying };
    pattention_layer_options qkv = patt(c, c->qkv_slot_num, c->qkv_tau2), proj = patt(c, c->proj_slot_num, c->proj_tau2), ffn = patt(c, c->ffn_slot_num, c->ffn_tau2);
    qkv.out = proj.in = AXIS_HEAD;
    proj.dropout = ffn.dropout = c->hidden_dropout;

    const rope_angles angles = rope_table(g, (rope_options){ .dims = rotary_channels(c->rotary_pct, head_width(c)), .base = c->rotary_emb_base });
    tensor *x = tap(g, dropout(g, embedding(g, words(g, c)), c->hidden_dropout), "embed", -1);         /* (tokens, C) */
    for (int l = 0; l < c->num_layers; l++) {
        scope(g, "sequential.%d.", 2 + l);
        tensor *h = norm(g, x, NULL, ln0);                                                             /* (tokens, C) */
        tensor *q = rope(g, pattention_layer(g, h, "attention.query", C, qkv), angles, H);             /* (tokens, C) */
        tensor *k = rope(g, pattention_layer(g, h, "attention.key", C, qkv), angles, H);               /* (tokens, C) */
        tensor *v = pattention_layer(g, h, "attention.value", C, qkv);                                 /* (tokens, C) */
        tensor *a = attention(g, q, k, v, heads);                                                      /* (tokens, C) */
        x = tap(g, pattention_add(g, x, a, "attention.proj", proj), "post_mix", l);                    /* (tokens, C) */
        h = norm(g, x, NULL, ln0);                                                                     /* (tokens, C) */
        x = tap(g, pattention_add(g, x, h, "mlp", ffn), "post_ffn", l);                                /* (tokens, C) */
    }
    scope(g, "sequential.%d.", c->num_layers + 3);
    return tap(g, norm(g, x, "norm", ln), "final_norm", -1);                                           /* (tokens, C) */
}

static head language(graph *g, const void *config, tensor *rows)
{
    const tokenformer *c = config;
    if (!c->no_weight_tying) return (head){ .hidden = rows, .weight = words(g, c) };
    scope(g, "sequential.%d.", c->num_layers + 4);
    return (head){ .hidden = rows, .weight = head_weight(g, "final_linear.weight", c->vocab_size, c->hidden_size, c->init_method_std) };
}

/* Slots n = 0.75 d and 3 d: exactly a GPT layer's 12 d^2 weights and products. */
static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:i, s:i, s:i}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_layers", layers, "num_attention_heads", usual_heads(width), "init_method_std", sized_std(STD_TEXT, width),
                     "qkv_slot_num", width * 3 / 4, "proj_slot_num", width * 3 / 4, "ffn_slot_num", width * 3);
}

const arch arch_tokenformer = {
    .name = "tokenformer", .class_name = "TokenFormerForCausalLM", .stem = "TokenFormer",
    .summary = "TokenFormer: parameters as tokens, grows by appending them (Wang et al. 2024)",
    .config = { .size = sizeof(tokenformer), .fields = fields, .others = others, .divides = NAMES("num_attention_heads", "hidden_size"),
                .normalize = normalize, .publish = publish, .check = check, .sized = sized },
    .equations = { .build = build, .language = language },
    .files = { .tied_to = "sequential.0.word_embeddings.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .layers = "num_layers", .layer_prefix = "sequential.", .first_layer = 2 },
                .inner_keys = NAMES("qkv_slot_num", "proj_slot_num", "ffn_slot_num"),
                .slots = (const slot_group[]){
                    { "qkv_slot_num",  "qkv_tau2",  NAMES("attention.query.", "attention.key.", "attention.value.") },
                    { "proj_slot_num", "proj_tau2", NAMES("attention.proj.") },
                    { "ffn_slot_num",  "ffn_tau2",  NAMES("mlp.") },
                    { 0 } } },
};

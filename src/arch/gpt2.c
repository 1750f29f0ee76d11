/* GPT-2.  Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners".  Pre-norm Transformer decoder with learned positions and a tied
 * head; names, layouts (in,out) and keys are those of the published checkpoints. */
#include "arch/layers.h"
#include <math.h>
#include <stddef.h>

typedef struct {
    int vocab_size, n_positions, n_embd, n_layer, n_head, n_inner;
    double resid_pdrop, embd_pdrop, attn_pdrop, layer_norm_epsilon, initializer_range;
    int scale_attn_weights, scale_attn_by_inverse_layer_idx, tie_word_embeddings;
    activation activation_function;
} gpt2;

#define AT(member) offsetof(gpt2, member)
static const field fields[] = {
    { .key = "vocab_size",          .kind = FIELD_INT,  .offset = AT(vocab_size),  .value = 50257, .least = 1, .most = 1 << 24 },
    { .key = "n_positions",         .kind = FIELD_INT,  .offset = AT(n_positions), .value = 1024,  .least = 1, .most = 1 << 20 },
    { .key = "n_embd",              .kind = FIELD_INT,  .offset = AT(n_embd),      .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "n_layer",             .kind = FIELD_INT,  .offset = AT(n_layer),     .value = 12,    .least = 1, .most = 1024 },
    { .key = "n_head",              .kind = FIELD_INT,  .offset = AT(n_head),      .value = 12,    .least = 1, .most = 1 << 14 },
    { .key = "n_inner",             .kind = FIELD_INT,  .offset = AT(n_inner),     .value = 0,     .least = 1, .most = 1 << 20 },
    { .key = "activation_function", .kind = FIELD_CHOICE, .offset = AT(activation_function), .value = ACT_GELU_TANH },
    { .key = "resid_pdrop",         .kind = FIELD_REAL, .offset = AT(resid_pdrop), .value = 0.1,   .least = 0, .most = 0.99 },
    { .key = "embd_pdrop",          .kind = FIELD_REAL, .offset = AT(embd_pdrop),  .value = 0.1,   .least = 0, .most = 0.99 },
    { .key = "attn_pdrop",          .kind = FIELD_REAL, .offset = AT(attn_pdrop),  .value = 0.1,   .least = 0, .most = 0.99 },
    { .key = "layer_norm_epsilon",  .kind = FIELD_REAL, .offset = AT(layer_norm_epsilon), .value = 1e-5, .least = 0, .most = 1 },
    { .key = "initializer_range",   .kind = FIELD_REAL, .offset = AT(initializer_range),  .value = 0.02, .least = 0, .most = 10 },
    { .key = "scale_attn_weights",  .kind = FIELD_BOOL, .offset = AT(scale_attn_weights), .value = 1 },
    { .key = "scale_attn_by_inverse_layer_idx", .kind = FIELD_BOOL, .offset = AT(scale_attn_by_inverse_layer_idx), .value = 0 },
    { .key = "tie_word_embeddings", .kind = FIELD_BOOL, .offset = AT(tie_word_embeddings), .value = 1 },
    { 0 }
};

static int check(const void *config, lithe_error *err)
{
    const gpt2 *c = config;
    if (c->n_embd % c->n_head) return fail(err, LITHE_ECONFIG, "n_head is %d, which does not divide n_embd %d", c->n_head, c->n_embd);
    return 0;
}

static tensor *table(graph *g, const gpt2 *c)
{
    scope(g, "%s", "");
    return embedding_table(g, "wte.weight", c->vocab_size, c->n_embd, AXIS_VOCAB, c->initializer_range, c->tie_word_embeddings);
}

static tensor *build(graph *g, const void *config)
{
    const gpt2 *c = config;
    const int C = c->n_embd, inner = c->n_inner ? c->n_inner : 4 * C, hd = C / c->n_head;
    const double eps = c->layer_norm_epsilon, std = c->initializer_range, std_out = std / sqrt(2.0 * c->n_layer);

    tensor *wte = table(g, c);
    tensor *wpe = embedding_table(g, "wpe.weight", c->n_positions, C, AXIS_POSITION, std, false);
    tensor *x = dropout(g, add_positions(g, embedding(g, wte), wpe), c->embd_pdrop);
    tap(g, x, "embed", -1);

    for (int l = 0; l < c->n_layer; l++) {
        scope(g, "h.%d.", l);
        double scale = (c->scale_attn_weights ? 1 / sqrt(hd) : 1) / (c->scale_attn_by_inverse_layer_idx ? l + 1 : 1);
        tensor *a = layer_norm_affine(g, x, "ln_1", eps, false);
        a = dense(g, a, "attn.c_attn", 3 * C, (dense_options){ IN_OUT, true, RESIDUAL_READ, { AXIS_HEAD, false, 3 }, std, ACT_NONE, NULL });
        a = attention(g, a, NULL, NULL, (attention_options){ c->n_head, c->n_head, hd, .causal = true, .scale = scale, .dropout = c->attn_pdrop });
        dense_options out = { IN_OUT, true, HEAD_READ, RESIDUAL_WRITE, std_out, ACT_NONE, c->resid_pdrop > 0 ? NULL : x };
        a = dense(g, a, "attn.c_proj", C, out);
        x = tap(g, out.residual ? a : add(g, x, dropout(g, a, c->resid_pdrop)), "post_mix", l);

        tensor *m = layer_norm_affine(g, x, "ln_2", eps, false);
        m = dense(g, m, "mlp.c_fc", inner, (dense_options){ IN_OUT, true, RESIDUAL_READ, INNER_WRITE, std, c->activation_function, NULL });
        out = (dense_options){ IN_OUT, true, INNER_READ, RESIDUAL_WRITE, std_out, ACT_NONE, c->resid_pdrop > 0 ? NULL : x };
        m = dense(g, m, "mlp.c_proj", C, out);
        x = tap(g, out.residual ? m : add(g, x, dropout(g, m, c->resid_pdrop)), "post_ffn", l);
    }
    scope(g, "%s", "");
    return tap(g, layer_norm_affine(g, x, "ln_f", eps, c->tie_word_embeddings), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows)
{
    const gpt2 *c = config;
    return (head){ rows, c->tie_word_embeddings ? table(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->n_embd, c->initializer_range), NULL };
}

static int context(const void *config) { return ((const gpt2 *)config)->n_positions; }
static int vocab(const void *config) { return ((const gpt2 *)config)->vocab_size; }

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:f,s:f}", "vocab_size", vocab_size, "n_positions", positions, "n_embd", width,
                     "n_layer", layers, "n_head", width % 64 ? width / 32 : width / 64, "n_inner", 4 * width,
                     "resid_pdrop", 0.0, "embd_pdrop", 0.0, "attn_pdrop", 0.0);
}

/* llama.cpp's converter reads n_ctx, which newer files have dropped. */
static int publish(json_t *config) { return json_object_set(config, "n_ctx", json_object_get(config, "n_positions")); }

/* Files older than n_positions say n_ctx alone. */
static int normalize(json_t *config, lithe_error *err)
{
    (void)err;
    json_t *n_ctx = json_object_get(config, "n_ctx");
    if (n_ctx && !json_object_get(config, "n_positions")) json_object_set(config, "n_positions", n_ctx);
    return 0;
}

const arch arch_gpt2 = {
    .name = "gpt2", .class_name = "GPT2LMHeadModel", .stem = "GPT2",
    .summary = "GPT-2: pre-norm Transformer with learned positions (Radford et al. 2019)",
    .config = { .size = sizeof(gpt2), .fields = fields, .normalize = normalize, .publish = publish, .check = check,
                .sized = sized },
    .equations = { .build = build, .language = language, .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES("", "transformer."), .tied_head = "lm_head.weight",
               .tied_to = "wte.weight", .ignored = NAMES(".attn.bias", ".attn.masked_bias") },
    .growth = { .keys = { .width = "n_embd", .heads = "n_head", .inner = "n_inner", .layers = "n_layer", .layer_prefix = "h." },
                .inner_keys = NAMES("n_inner") },
};

/* Any valid combination of the parts, layer by layer, from a configuration:
 *   mixer         attention, or the time mix of RWKV-4, 6 or 7
 *   projection    the mixer's matrices, or Pattention over parameter tokens (Wang et al. 2024), which grow
 *   feed_forward  mlp, glu, pattention, RWKV's channel mix without or with its receptance gate
 *   activation    gelu, gelu_new, silu, relu, relu2, tanh;  series: a sum of siaf_n of it (Wang et al. 2023)
 *   shortcut      identity, or augmented by a bottleneck beside the mixer (Wang et al. 2023)
 *   norm          layer_norm, rms_norm, layer_norm_plain (without parameters)
 * Each of these is one word, or several that the layers go through again and
 * again: "rwkv7,attention" takes turns.  For the whole model: norm_place
 * (pre, post), position (rotary, learned, alibi, none; auto: rotary where there
 * is attention), encoder (attention looks both ways).
 * The parts are those of the named architectures, with their initial values;
 * what makes no sense together is refused by `check` with the reason. */
#include "arch/rwkv.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    int vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, num_attention_heads, num_key_value_heads, intermediate_size, rwkv_head_dim;
    int qkv_slot_num, proj_slot_num, ffn_slot_num, norm_activation_type, siaf_n, aug_reduction;
    int encoder, tie_word_embeddings, attention_bias, mlp_bias, position, norm_place;
    int mixer[MOST_CHOICES], projection[MOST_CHOICES], feed_forward[MOST_CHOICES], activation[MOST_CHOICES], series[MOST_CHOICES], shortcut[MOST_CHOICES], norm[MOST_CHOICES];
    double rope_theta, norm_eps, initializer_range, qkv_tau2, proj_tau2, ffn_tau2;
} hybrid;

enum { MIX_ATTENTION, MIX_RWKV4, MIX_RWKV6, MIX_RWKV7 };
enum { LINEAR, PATTENTION };
enum { FF_MLP, FF_GLU, FF_PATTENTION, FF_CHANNEL_MIX, FF_GATED_CHANNEL_MIX };
enum { IDENTITY, AUGMENTED };
enum { LAYER_NORM, RMS_NORM, LAYER_NORM_PLAIN };
enum { PRE, POST };
enum { POSITION_AUTO, POSITION_ROTARY, POSITION_LEARNED, POSITION_ALIBI, POSITION_NONE };

#define AT(member) offsetof(hybrid, member)
#define INT(name, default_, low, high) { .key = #name, .kind = FIELD_INT, .offset = AT(name), .value = default_, .least = low, .most = high }
#define REAL(name, default_, low, high) { .key = #name, .kind = FIELD_REAL, .offset = AT(name), .value = default_, .least = low, .most = high }
#define BOOL(name, default_) { .key = #name, .kind = FIELD_BOOL, .offset = AT(name), .value = default_ }
#define WORD(name, words) { .key = #name, .kind = FIELD_CHOICE, .offset = AT(name), .choices = words }
#define EACH(name, words) { .key = #name, .kind = FIELD_CHOICES, .offset = AT(name), .most = MOST_CHOICES, .choices = words }
static const field fields[] = {
    INT(vocab_size, 50304, 1, 1 << 24), INT(hidden_size, 768, 1, 1 << 16), INT(num_hidden_layers, 12, 1, 1024), INT(max_position_embeddings, 2048, 1, 1 << 24),
    INT(num_attention_heads, 12, 1, 1 << 14), INT(num_key_value_heads, 0, 1, 1 << 14), INT(intermediate_size, 3072, 1, 1 << 20), INT(rwkv_head_dim, 64, 1, 4096),
    INT(qkv_slot_num, 768, 1, 1 << 20), INT(proj_slot_num, 768, 1, 1 << 20), INT(ffn_slot_num, 3072, 1, 1 << 20), INT(siaf_n, 2, 1, MAX_SERIES),
    INT(aug_reduction, 32, 1, 1 << 10), WORD(norm_activation_type, "l2_norm_gelu|gelu_l2_norm|softmax"),
    BOOL(encoder, 0), BOOL(tie_word_embeddings, 1), BOOL(attention_bias, 0), BOOL(mlp_bias, 0),
    WORD(position, "auto|rotary|learned|alibi|none"), WORD(norm_place, "pre|post"),
    EACH(mixer, "attention|rwkv4|rwkv6|rwkv7"), EACH(projection, "linear|pattention"),
    EACH(feed_forward, "mlp|glu|pattention|channel_mix|gated_channel_mix"), EACH(activation, NULL),
    EACH(series, "off|on"), EACH(shortcut, "identity|augmented"), EACH(norm, "layer_norm|rms_norm|layer_norm_plain"),
    REAL(rope_theta, 10000, 1, 1e12), REAL(norm_eps, 1e-5, 0, 1), REAL(initializer_range, 0.02, 0, 10),
    REAL(qkv_tau2, 0, 1, 1 << 24), REAL(proj_tau2, 0, 1, 1 << 24), REAL(ffn_tau2, 0, 1, 1 << 24),
    { 0 }
};

/* ---- what makes sense ----------------------------------------------------------- */

/* Of words that the layers go through again and again; none said: the first there is. */
static int choice_at(const int *words, int layer)
{
    int count = 0;
    while (count < MOST_CHOICES && words[count] >= 0) count++;
    return count ? words[layer % count] : 0;
}

static bool any(const hybrid *c, const int *words, int choice)
{
    for (int l = 0; l < c->num_hidden_layers; l++)
        if (choice_at(words, l) == choice) return true;
    return false;
}

static bool recurs(const hybrid *c) { return any(c, c->mixer, MIX_RWKV4) || any(c, c->mixer, MIX_RWKV6) || any(c, c->mixer, MIX_RWKV7); }
static int kv_heads(const hybrid *c) { return c->num_key_value_heads ? c->num_key_value_heads : c->num_attention_heads; }
static int position(const hybrid *c)
{
    return c->position != POSITION_AUTO ? c->position : any(c, c->mixer, MIX_ATTENTION) ? POSITION_ROTARY : POSITION_NONE;
}

static int check_layer(const hybrid *c, int l, lithe_error *err)
{
    int ff = choice_at(c->feed_forward, l);
    if (choice_at(c->series, l) && ff == FF_PATTENTION)
        return fail(err, LITHE_ECONFIG, "layer %d: series is on and feed_forward is pattention, whose scores are normalised over all slots: "
                    "there is no neuron to give a series to; take mlp, glu or a channel mix", l);
    return LITHE_OK;
}

static int check_attention(const hybrid *c, lithe_error *err)
{
    if (c->hidden_size % c->num_attention_heads)
        return fail(err, LITHE_ECONFIG, "num_attention_heads is %d, which does not divide hidden_size %d", c->num_attention_heads, c->hidden_size);
    if (c->num_attention_heads % kv_heads(c))
        return fail(err, LITHE_ECONFIG, "num_key_value_heads is %d, which does not divide num_attention_heads %d", kv_heads(c), c->num_attention_heads);
    if (position(c) == POSITION_ROTARY && c->hidden_size / c->num_attention_heads % 2)
        return fail(err, LITHE_ECONFIG, "heads of %d channels: rotary positions need an even number", c->hidden_size / c->num_attention_heads);
    return LITHE_OK;
}

static int check(const void *config, lithe_error *err)
{
    const hybrid *c = config;
    bool attends = any(c, c->mixer, MIX_ATTENTION);
    if (c->encoder && recurs(c))
        return fail(err, LITHE_ECONFIG, "encoder is true and a mixer is RWKV, which reads from left to right only: an encoder's tokens must see both sides");
    if (!attends && (c->position == POSITION_ROTARY || c->position == POSITION_ALIBI))
        return fail(err, LITHE_ECONFIG, "position is %s, which turns or biases attention, and no layer's mixer is attention", c->position == POSITION_ROTARY ? "rotary" : "alibi");
    if (!recurs(c) && position(c) == POSITION_NONE && c->encoder)
        return fail(err, LITHE_ECONFIG, "encoder is true and position is none: attention alone does not know the order of its tokens; take rotary, learned or alibi");
    if ((any(c, c->mixer, MIX_RWKV6) || any(c, c->mixer, MIX_RWKV7)) && c->hidden_size % c->rwkv_head_dim)
        return fail(err, LITHE_ECONFIG, "rwkv_head_dim is %d, which does not divide hidden_size %d", c->rwkv_head_dim, c->hidden_size);
    int status = attends ? check_attention(c, err) : LITHE_OK;
    for (int l = 0; !status && l < c->num_hidden_layers; l++) status = check_layer(c, l, err);
    return status;
}

/* ---- parts -------------------------------------------------------------------------- */

typedef struct { const hybrid *c; const exact *turns; tensor *first_values; int layer; } building;

static int here(const building *b, const int *words) { return choice_at(words, b->layer); }

static tensor *normed(graph *g, const building *b, tensor *x, const char *name, bool before_tied_head)
{
    int kind = here(b, b->c->norm);
    double eps = b->c->norm_eps;
    if (!graph_ok(g)) return NULL;
    if (kind == LAYER_NORM_PLAIN) return layer_norm(g, x, NULL, NULL, eps);
    return kind == RMS_NORM ? rms_norm_affine(g, x, name, eps, before_tied_head) : layer_norm_affine(g, x, name, eps, before_tied_head);
}

typedef struct { int slots; double tau2; axis in, out; bool bias; tensor *residual; } projecting;

/* NAME as a matrix or as Pattention, as the layer says. */
static tensor *project(graph *g, const building *b, tensor *x, const char *name, int out, projecting o)
{
    const hybrid *c = b->c;
    double std = c->initializer_range;
    if (here(b, c->projection) == LINEAR) return dense(g, x, name, out, (dense_options){ OUT_IN, o.bias, o.in, o.out, std, ACT_NONE, o.residual });
    return pattention_layer(g, x, name, out, (pattention_layer_options){ o.slots, (theta_kind)c->norm_activation_type, o.tau2, std,
                            2.0 / (c->num_hidden_layers * sqrt(c->hidden_size)), o.in, o.out, o.residual });
}

static tensor *rwkv_project(const void *context, graph *g, tensor *x, const char *name, int out, rwkv_options o)
{
    const building *b = context;
    const hybrid *c = b->c;
    bool last = !strcmp(name, "att.output");
    return project(g, b, x, name, out, (projecting){ last ? c->proj_slot_num : c->qkv_slot_num, last ? c->proj_tau2 : c->qkv_tau2, o.in, o.out, false, o.residual });
}

static tensor *attend(graph *g, const building *b, tensor *x, tensor *residual)
{
    const hybrid *c = b->c;
    const int H = c->num_attention_heads, G = kv_heads(c), hd = c->hidden_size / H;
    const projecting in = { c->qkv_slot_num, c->qkv_tau2, RESIDUAL_READ, HEAD_WRITE, c->attention_bias, NULL }, kv = { in.slots, in.tau2, in.in, KV_HEAD_WRITE, in.bias, NULL };
    tensor *q = project(g, b, x, "self_attn.q_proj", H * hd, in);
    tensor *k = project(g, b, x, "self_attn.k_proj", G * hd, kv), *v = project(g, b, x, "self_attn.v_proj", G * hd, kv);
    if (b->turns && graph_ok(g)) {
        q = rope(g, q, b->turns, hd, H);
        k = rope(g, k, b->turns, hd, G);
    }
    tensor *a = attention(g, q, k, v, (attention_options){ H, G, hd, .causal = !c->encoder, .alibi = position(c) == POSITION_ALIBI });
    return project(g, b, a, "self_attn.o_proj", c->hidden_size, (projecting){ c->proj_slot_num, c->proj_tau2, HEAD_READ, RESIDUAL_WRITE, c->attention_bias, residual });
}

static tensor *mix(graph *g, building *b, tensor *x, tensor *residual)
{
    const hybrid *c = b->c;
    const rwkv_place at = rwkv_place_of(b->layer, c->num_hidden_layers);
    const rwkv_projections tokens = { rwkv_project, b }, *p = here(b, c->projection) == PATTENTION ? &tokens : NULL;
    switch (here(b, c->mixer)) {
    case MIX_RWKV4: return rwkv4_time_mix(g, x, residual, at, p);
    case MIX_RWKV6: return rwkv6_time_mix(g, x, residual, (rwkv6_sizes){ c->rwkv_head_dim, 32, 64, 64e-5 }, at, p);
    case MIX_RWKV7: return rwkv7_time_mix(g, x, residual, rwkv7_sizes_for(c->hidden_size, c->rwkv_head_dim), at, p, &b->first_values);
    default:        return attend(g, b, x, residual);
    }
}

static tensor *several(graph *g, tensor *u, tensor *up, int n, activation act)
{
    series_layer_options o = { .n = n, .gains = true };
    for (int i = 0; i < n; i++) o.act[i] = act;
    return series_layer(g, u, up, "mlp.siaf", o);
}

/* What a layer's neurons do: the activation, or a series of it, times `up` where there is one. */
static tensor *fire(graph *g, const building *b, tensor *u, tensor *up)
{
    activation act = b->c->activation[0] < 0 ? ACT_GELU_ERF : (activation)here(b, b->c->activation);
    if (!graph_ok(g)) return NULL;
    if (here(b, b->c->series)) return several(g, u, up, b->c->siaf_n, act);
    return up ? glu(g, u, up, act) : activate(g, u, act);
}

static tensor *token_feed_forward(graph *g, const hybrid *c, tensor *x, tensor *residual)
{
    const bool apart = residual != x;                        /* an operation reads a tensor once */
    tensor *y = pattention_layer(g, x, "mlp.tokens", c->hidden_size, (pattention_layer_options){ c->ffn_slot_num, (theta_kind)c->norm_activation_type, c->ffn_tau2,
                                 c->initializer_range, 2.0 / (c->num_hidden_layers * sqrt(c->hidden_size)), RESIDUAL_READ, RESIDUAL_WRITE, apart ? residual : NULL });
    return apart || !graph_ok(g) ? y : add(g, residual, y);
}

static tensor *feed_forward(graph *g, const building *b, tensor *x, tensor *residual)
{
    const hybrid *c = b->c;
    const int C = c->hidden_size, inner = c->intermediate_size, kind = here(b, c->feed_forward);
    const double std = c->initializer_range;
    const rwkv_place at = rwkv_place_of(b->layer, c->num_hidden_layers);
    const rwkv_options back = { .in = INNER_READ, .out = RESIDUAL_WRITE, .residual = residual };
    const dense_options open = { OUT_IN, c->mlp_bias, RESIDUAL_READ, INNER_WRITE, std, ACT_NONE, NULL };
    tensor *receptance = NULL;
    if (kind == FF_PATTENTION) return token_feed_forward(g, c, x, residual);
    if (kind == FF_CHANNEL_MIX) return rwkv_matrix(g, fire(g, b, rwkv7_channel_key(g, x, inner, at, ACT_NONE), NULL), "ffn.value", C, back);
    if (kind == FF_GATED_CHANNEL_MIX) {
        tensor *k = fire(g, b, rwkv4_channel_key(g, x, inner, at, ACT_NONE, &receptance), NULL);
        tensor *v = rwkv_matrix(g, k, "ffn.value", C, (rwkv_options){ .in = INNER_READ, .out = RESIDUAL_WRITE });
        return graph_ok(g) ? add(g, residual, glu(g, receptance, v, ACT_SIGMOID)) : NULL;
    }
    tensor *gate = dense(g, x, kind == FF_GLU ? "mlp.gate_proj" : "mlp.up_proj", inner, open);
    tensor *up = kind == FF_GLU ? dense(g, x, "mlp.up_proj", inner, open) : NULL;
    return dense(g, fire(g, b, gate, up), "mlp.down_proj", C, (dense_options){ OUT_IN, c->mlp_bias, INNER_READ, RESIDUAL_WRITE, std, ACT_NONE, residual });
}

/* ---- the model -------------------------------------------------------------------------- */

static tensor *table(graph *g, const hybrid *c)
{
    scope(g, "%s", "");
    return embedding_table(g, "embed_tokens.weight", c->vocab_size, c->hidden_size, AXIS_VOCAB, c->initializer_range, c->tie_word_embeddings);
}

static tensor *layer(graph *g, building *b, tensor *x)
{
    const hybrid *c = b->c;
    const bool post = c->norm_place == POST;
    const bottleneck_options beside = { .width = bottleneck_width(c->hidden_size, c->aug_reduction), .inner = ACT_GELU_ERF, .std = c->initializer_range };
    tensor *h = post ? x : normed(g, b, x, "mixer_norm", false), *y = mix(g, b, h, x);
    if (here(b, c->shortcut) == AUGMENTED) y = bottleneck_shortcut(g, h, y, "shortcut", beside);
    x = tap(g, post ? normed(g, b, y, "mixer_norm", false) : y, "post_mix", b->layer);
    h = post ? x : normed(g, b, x, "feed_forward_norm", false);
    y = feed_forward(g, b, h, x);
    return tap(g, post ? normed(g, b, y, "feed_forward_norm", b->layer == c->num_hidden_layers - 1 && c->tie_word_embeddings) : y, "post_ffn", b->layer);
}

static tensor *build(graph *g, const void *config)
{
    building b = { .c = config };
    const hybrid *c = b.c;
    tensor *x = embedding(g, table(g, c));
    if (position(c) == POSITION_ROTARY) b.turns = rope_table(g, (rope_options){ .dims = c->hidden_size / c->num_attention_heads, .base = c->rope_theta });
    if (position(c) == POSITION_LEARNED)
        x = add_positions(g, x, embedding_table(g, "embed_positions.weight", c->max_position_embeddings, c->hidden_size, AXIS_POSITION, c->initializer_range, false));
    if (recurs(c) || c->norm_place == POST) x = normed(g, &b, x, "embed_norm", false);
    tap(g, x, "embed", -1);
    for (; b.layer < c->num_hidden_layers && graph_ok(g); b.layer++) {
        scope(g, "layers.%d.", b.layer);
        x = layer(g, &b, x);
    }
    scope(g, "%s", "");
    return c->norm_place == POST ? x : tap(g, normed(g, &b, x, "norm", c->tie_word_embeddings), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows)
{
    const hybrid *c = config;
    return (head){ rows, c->tie_word_embeddings ? table(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range), NULL };
}

static const char *block_changes(const void *config)
{
    return ((const hybrid *)config)->norm_place == POST ? "norm_place post normalises behind every sum" : NULL;
}

static bool encoder(const void *config) { return ((const hybrid *)config)->encoder; }
static int context(const void *config) { return ((const hybrid *)config)->max_position_embeddings; }
static int vocab(const void *config) { return ((const hybrid *)config)->vocab_size; }

/* The interleave that others found to be good: RWKV-7 layers with attention between them. */
static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    int inner = (width * 8 / 3 + 31) / 32 * 32;
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:s,s:s,s:s,s:s,s:i,s:i,s:i}", "vocab_size", vocab_size, "hidden_size", width, "num_hidden_layers", layers,
                     "max_position_embeddings", positions, "num_attention_heads", width % 64 ? width / 32 : width / 64, "intermediate_size", inner,
                     "rwkv_head_dim", width % 64 ? 32 : 64, "mixer", "rwkv7,attention", "feed_forward", "glu", "activation", "silu", "norm", "rms_norm",
                     "qkv_slot_num", width * 3 / 4, "proj_slot_num", width * 3 / 4, "ffn_slot_num", width * 3);
}

const arch arch_hybrid = {
    .name = "hybrid", .class_name = "HybridForCausalLM", .stem = "Hybrid",
    .summary = "Hybrid: the parts of the others, combined layer by layer (Vaswani et al. 2017 to Peng et al. 2025)",
    .config = { .size = sizeof(hybrid), .fields = fields, .check = check, .sized = sized },
    .equations = { .build = build, .language = language, .encoder = encoder, .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES(""), .tied_head = "lm_head.weight",
               .tied_to = "embed_tokens.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size",
                    .layers = "num_hidden_layers", .layer_prefix = "layers." },
                .inner_keys = NAMES("intermediate_size", "qkv_slot_num", "proj_slot_num", "ffn_slot_num"),
                .slots = (const slot_group[]){
                    { "qkv_slot_num",  "qkv_tau2",  NAMES("self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj.", "att.receptance.", "att.key.", "att.value.") },
                    { "proj_slot_num", "proj_tau2", NAMES("self_attn.o_proj.", "att.output.") },
                    { "ffn_slot_num",  "ffn_tau2",  NAMES("mlp.tokens.") },
                    { 0 } },
                .block_changes = block_changes },
};

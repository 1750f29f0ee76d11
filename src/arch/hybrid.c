/* Any valid combination of the parts, layer by layer, from a configuration:
 *   mixer         attention, or the time mix of RWKV-4, 5, 6 or 7
 *   projection    the mixer's matrices, or Pattention over parameter tokens (Wang et al. 2024), which grow
 *   feed_forward  mlp, glu, pattention, RWKV's channel mix without or with its receptance gate
 *   activation    gelu, gelu_new, silu, relu, relu2, tanh;  series: a sum of siaf_n of it (Wang et al. 2023)
 *   shortcut      identity, or augmented by a bottleneck beside the mixer (Wang et al. 2023)
 *   norm          layer_norm, rms_norm, layer_norm_plain (without parameters)
 * Each of these is one word, or a list that repeats along the layers: "rwkv7,attention" alternates.  For the whole
 * model: norm_place (pre, post), final_norm (same: as in the layers), position (rotary, learned, alibi, none; auto:
 * rotary where there is attention), encoder (attention is bidirectional), use_parallel_residual (mixer and feed-forward
 * read the same rows).  The parts are those of the named architectures, with their initial values; `check` refuses
 * combinations that make no sense, with the reason.
 * hybrid_vit is the same over patches of an image, as in ViT: attention is bidirectional, and a class is read from the
 * class token or, where a mixer reads from left to right, from the mean of all rows. */
#include "arch/image_input.h"
#include "arch/rwkv.h"
#include <math.h>
#include <string.h>

typedef struct {
    image_input image;               /* first: fields of hybrid_vit fill it; a side of 0: the model reads text */
    int vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, num_attention_heads, num_key_value_heads, intermediate_size, rwkv_head_dim;
    int qkv_slot_num, proj_slot_num, ffn_slot_num, norm_activation_type, siaf_n, aug_reduction;
    int time_mix_extra_dim, time_decay_extra_dim, decay_low_rank_dim, a_low_rank_dim, v_low_rank_dim, gate_low_rank_dim;
    int encoder, tie_word_embeddings, attention_bias, mlp_bias, position, norm_place, final_norm, use_parallel_residual;
    int mixer[MOST_CHOICES], projection[MOST_CHOICES], feed_forward[MOST_CHOICES], activation[MOST_CHOICES], series[MOST_CHOICES], shortcut[MOST_CHOICES], norm[MOST_CHOICES];
    double rope_theta, rotary_pct, norm_eps, group_norm_epsilon, initializer_range, qkv_tau2, proj_tau2, ffn_tau2;
} hybrid;

enum { MIX_ATTENTION, MIX_RWKV4, MIX_RWKV5, MIX_RWKV6, MIX_RWKV7 };
enum { LINEAR, PATTENTION };
enum { FF_MLP, FF_GLU, FF_PATTENTION, FF_CHANNEL_MIX, FF_GATED_CHANNEL_MIX };
enum { IDENTITY, AUGMENTED };
enum { PRE, POST };
enum { POSITION_AUTO, POSITION_ROTARY, POSITION_LEARNED, POSITION_ALIBI, POSITION_NONE };

#define CONFIG hybrid
#define EACH(member, words) CHOICES(member, MOST_CHOICES, words)
#define PARTS \
    INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, LAYERS), INT(num_attention_heads, 12, HEADS), INT(num_key_value_heads, 0, HEADS), \
    INT(intermediate_size, 3072, INNER), INT(rwkv_head_dim, 64, CHANNELS), INT(qkv_slot_num, 768, INNER), INT(proj_slot_num, 768, INNER), \
    INT(ffn_slot_num, 3072, INNER), INT(siaf_n, 2, .least = 1, .most = MAX_SERIES), INT(aug_reduction, 32, .least = 1, .most = 1 << 10), \
    CHOICE(norm_activation_type, THETA_CHOICES), BOOL(attention_bias, 0), BOOL(mlp_bias, 0), BOOL(use_parallel_residual, 0), CHOICE(position, "auto|rotary|learned|alibi|none"), \
    CHOICE(norm_place, "pre|post"), CHOICE(final_norm, "same|" NORMS), EACH(mixer, "attention|rwkv4|rwkv5|rwkv6|rwkv7"), EACH(projection, "linear|pattention"), \
    EACH(feed_forward, "mlp|glu|pattention|channel_mix|gated_channel_mix"), ACTIVATIONS_UP_TO(activation, MOST_CHOICES), EACH(series, "off|on"), \
    EACH(shortcut, "identity|augmented"), EACH(norm, NORMS), REAL(rope_theta, 10000, ROPE_BASE), REAL(rotary_pct, 1, .least = 0, .most = 1), \
    INT(time_mix_extra_dim, 32, WIDTH), INT(time_decay_extra_dim, 64, WIDTH), INT(decay_low_rank_dim, 0, WIDTH), INT(a_low_rank_dim, 0, WIDTH), \
    INT(v_low_rank_dim, 0, WIDTH), INT(gate_low_rank_dim, 0, WIDTH), REAL(group_norm_epsilon, RWKV_HEADS_EPS, EPSILON), \
    REAL(norm_eps, 1e-5, EPSILON), REAL(initializer_range, 0.02, DEVIATION), REAL(qkv_tau2, 0, TAU2), REAL(proj_tau2, 0, TAU2), REAL(ffn_tau2, 0, TAU2)

/* In the order of norm_kind. */
#define NORMS "layer_norm|rms_norm|layer_norm_plain"

static const field fields[] = {
    INT(vocab_size, 50304, VOCABULARY), INT(max_position_embeddings, 2048, LENGTH), BOOL(encoder, 0), BOOL(tie_word_embeddings, 1), PARTS,
    { 0 }
};
static const field image_fields[] = { IMAGE_INPUT_FIELDS, PARTS, { 0 } };

/* ---- what makes sense ----------------------------------------------------------- */

/* The word for a layer in a list that repeats along the layers; an empty list means the first word. */
static int choice_at(const int *words, int layer)
{
    int count = 0;
    while (count < MOST_CHOICES && words[count] >= 0) count++;
    return count ? words[layer % count] : 0;
}

/* The layers whose words count; of a model without layers those that it would get. */
static int layers_said(const hybrid *c) { return c->num_hidden_layers ? c->num_hidden_layers : MOST_CHOICES; }

static bool any(const hybrid *c, const int *words, int choice)
{
    for (int l = 0; l < layers_said(c); l++)
        if (choice_at(words, l) == choice) return true;
    return false;
}

static bool recurs(const hybrid *c)
{
    for (int l = 0; l < layers_said(c); l++)
        if (choice_at(c->mixer, l) != MIX_ATTENTION) return true;
    return false;
}
static bool reads_images(const hybrid *c) { return c->image.image_size > 0; }
static int kv_heads(const hybrid *c) { return c->num_key_value_heads ? c->num_key_value_heads : c->num_attention_heads; }
static int position(const hybrid *c)
{
    if (c->position != POSITION_AUTO) return c->position;
    return any(c, c->mixer, MIX_ATTENTION) && !reads_images(c) ? POSITION_ROTARY : POSITION_NONE;
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
    int status = check_divides("num_attention_heads", c->num_attention_heads, "hidden_size", c->hidden_size, err);
    if (!status) status = check_divides("num_key_value_heads", c->num_key_value_heads, "num_attention_heads", c->num_attention_heads, err);
    return status || position(c) != POSITION_ROTARY ? status : check_rotary(c->rotary_pct, c->hidden_size / c->num_attention_heads, 2, err);
}

static int check(const void *config, lithe_error *err)
{
    const hybrid *c = config;
    bool attends = any(c, c->mixer, MIX_ATTENTION);
    if (c->use_parallel_residual && c->norm_place == POST)
        return fail(err, LITHE_ECONFIG, "use_parallel_residual is true and norm_place post: the feed-forward would read rows before the norm that follows the mixer");
    if (c->encoder && recurs(c))
        return fail(err, LITHE_ECONFIG, "encoder is true and a mixer is RWKV, which reads from left to right only: an encoder's tokens must see both sides");
    if (!attends && (c->position == POSITION_ROTARY || c->position == POSITION_ALIBI))
        return fail(err, LITHE_ECONFIG, "position is %s, which rotates or biases the heads of attention, and no layer's mixer is attention", c->position == POSITION_ROTARY ? "rotary" : "alibi");
    if (!recurs(c) && position(c) == POSITION_NONE && c->encoder)
        return fail(err, LITHE_ECONFIG, "encoder is true and position is none: attention alone does not know the order of its tokens; take rotary, learned or alibi");
    int status = LITHE_OK;
    if (any(c, c->mixer, MIX_RWKV5) || any(c, c->mixer, MIX_RWKV6) || any(c, c->mixer, MIX_RWKV7)) status = check_divides("rwkv_head_dim", c->rwkv_head_dim, "hidden_size", c->hidden_size, err);
    if (!status && attends) status = check_attention(c, err);
    for (int l = 0; !status && l < layers_said(c); l++) status = check_layer(c, l, err);
    return status;
}

static int check_image(const void *config, lithe_error *err)
{
    const hybrid *c = config;
    if (c->position == POSITION_LEARNED) return fail(err, LITHE_ECONFIG, "position is learned, and images have learned positions already: leave it out");
    int status = image_check(config, err);
    return status ? status : check(config, err);
}

/* ---- parts -------------------------------------------------------------------------- */

typedef struct { const hybrid *c; rope_angles angles; tensor *first_values; int layer; } building;

static int here(const building *b, const int *words) { return choice_at(words, b->layer); }
static activation act_here(const building *b) { return b->c->activation[0] < 0 ? ACT_GELU_ERF : (activation)here(b, b->c->activation); }

static tensor *normed_as(graph *g, const building *b, tensor *x, const char *name, int kind, bool before_tied_head)
{
    return norm(g, x, name, (norm_options){ .kind = (norm_kind)kind, .eps = b->c->norm_eps, .before_tied_head = before_tied_head });
}

static tensor *normed(graph *g, const building *b, tensor *x, const char *name, bool before_tied_head)
{
    return normed_as(g, b, x, name, here(b, b->c->norm), before_tied_head);
}

/* Pattention with the initial values of TokenFormer. */
static pattention_layer_options patt(const hybrid *c, int slots, double tau2)
{
    return (pattention_layer_options){ .in = AXIS_RESIDUAL, .out = AXIS_RESIDUAL, .slots = slots, .tau2 = tau2, .theta = (theta_kind)c->norm_activation_type,
                                       .std_keys = c->initializer_range, .std_values = wang_std(c->num_hidden_layers, c->hidden_size) };
}
static pattention_layer_options patt_in(const hybrid *c) { return patt(c, c->qkv_slot_num, c->qkv_tau2); }
static pattention_layer_options patt_out(const hybrid *c) { return patt(c, c->proj_slot_num, c->proj_tau2); }

/* NAME, with heads: a matrix or Pattention, by the layer's projection. */
static tensor *to_heads(graph *g, const building *b, tensor *x, const char *name, int width, axis_kind out)
{
    const dense_options matrix = { .in = AXIS_RESIDUAL, .out = out, .bias = b->c->attention_bias, .std = b->c->initializer_range };
    pattention_layer_options tokens = patt_in(b->c);
    tokens.out = out;
    /* (tokens, width) */
    return here(b, b->c->projection) == LINEAR ? dense(g, x, name, width, matrix) : pattention_layer(g, x, name, width, tokens);
}

static tensor *from_heads(graph *g, const building *b, tensor *x, tensor *a, const char *name)
{
    const dense_options matrix = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = b->c->attention_bias, .std = b->c->initializer_range };
    pattention_layer_options tokens = patt_out(b->c);
    tokens.in = AXIS_HEAD;
    /* (tokens, C) */
    return here(b, b->c->projection) == LINEAR ? dense_add(g, x, a, name, matrix) : pattention_add(g, x, a, name, tokens);
}

/* Parameter tokens in place of a time mix's matrices; the last of them adds to the residual. */
static tensor *rwkv_tokens(const void *context, graph *g, tensor *x, const char *name, rwkv_options o)
{
    const building *b = context;
    /* (tokens, C) */
    return o.residual ? pattention_add(g, o.residual, x, name, patt_out(b->c)) : pattention_layer(g, x, name, width_of(x), patt_in(b->c));
}

static tensor *attend(graph *g, const building *b, tensor *x, tensor *h)
{
    const hybrid *c = b->c;
    const int H = c->num_attention_heads, G = kv_heads(c), D = c->hidden_size / H;
    const attention_options heads = { .heads = H, .kv_heads = G, .causal = !c->encoder && !reads_images(c), .alibi = position(c) == POSITION_ALIBI };
    tensor *q = rope(g, to_heads(g, b, h, "self_attn.q_proj", H * D, AXIS_HEAD), b->angles, H);     /* (tokens, H D) */
    tensor *k = rope(g, to_heads(g, b, h, "self_attn.k_proj", G * D, AXIS_KV_HEAD), b->angles, G);  /* (tokens, G D) */
    tensor *v = to_heads(g, b, h, "self_attn.v_proj", G * D, AXIS_KV_HEAD);                         /* (tokens, G D) */
    return from_heads(g, b, x, attention(g, q, k, v, heads), "self_attn.o_proj");                   /* (tokens, C) */
}

/* The ranks of the authors' models of this width, where the configuration does not say others. */
static rwkv7_sizes sizes7(const hybrid *c)
{
    const rwkv7_sizes n = rwkv7_sizes_for(c->hidden_size, c->rwkv_head_dim);
    return (rwkv7_sizes){ .head_dim = n.head_dim, .eps = c->group_norm_epsilon, .decay_rank = c->decay_low_rank_dim ? c->decay_low_rank_dim : n.decay_rank,
                          .a_rank = c->a_low_rank_dim ? c->a_low_rank_dim : n.a_rank, .v_rank = c->v_low_rank_dim ? c->v_low_rank_dim : n.v_rank,
                          .gate_rank = c->gate_low_rank_dim ? c->gate_low_rank_dim : n.gate_rank };
}

/* x + the mixer of h. */
static tensor *mix(graph *g, building *b, tensor *x, tensor *h)
{
    const hybrid *c = b->c;
    const rwkv_projections tokens = { .project = rwkv_tokens, .context = b };
    const rwkv6_sizes sizes6 = { .head_size = c->rwkv_head_dim, .mix_rank = c->time_mix_extra_dim, .decay_rank = c->time_decay_extra_dim, .eps = c->group_norm_epsilon };
    rwkv_place at = rwkv_place_of(b->layer, c->num_hidden_layers);
    at.projections = here(b, c->projection) == PATTENTION ? &tokens : NULL;
    at.first_values = &b->first_values;
    switch (here(b, c->mixer)) {
    case MIX_RWKV4: return rwkv4_time_mix(g, x, h, at);                                                /* (tokens, C) */
    case MIX_RWKV6: return rwkv6_time_mix(g, x, h, at, sizes6);                                        /* (tokens, C) */
    case MIX_RWKV5: return rwkv5_time_mix(g, x, h, at, c->rwkv_head_dim, c->group_norm_epsilon);       /* (tokens, C) */
    /* (tokens, C) */
    case MIX_RWKV7: return rwkv7_time_mix(g, x, h, at, sizes7(c));
    default:        return attend(g, b, x, h);                                                         /* (tokens, C) */
    }
}

/* The activation of a layer, or a series of it, times `up` where there is one. */
static tensor *fire(graph *g, const building *b, tensor *u, tensor *up)
{
    const activation act = act_here(b);
    series_layer_options o = { .n = b->c->siaf_n, .gains = true };
    for (int i = 0; i < o.n; i++) o.act[i] = act;
    if (here(b, b->c->series)) return series_layer(g, u, up, "mlp.siaf", o);                           /* (tokens, F) */
    return up ? glu(g, u, up, act) : activate(g, u, act);                                              /* (tokens, F) */
}

static tensor *perceptron(graph *g, const building *b, tensor *x, tensor *h, bool gated)
{
    const hybrid *c = b->c;
    const dense_options in  = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = c->mlp_bias, .std = c->initializer_range };
    const dense_options out = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = c->mlp_bias, .std = c->initializer_range };
    tensor *u = dense(g, h, gated ? "mlp.gate_proj" : "mlp.up_proj", c->intermediate_size, in);        /* (tokens, F) */
    tensor *up = gated ? dense(g, h, "mlp.up_proj", c->intermediate_size, in) : NULL;                  /* (tokens, F) */
    return dense_add(g, x, fire(g, b, u, up), "mlp.down_proj", out);                                   /* (tokens, C) */
}

static tensor *channel_mix(graph *g, const building *b, tensor *x, tensor *h, bool gated)
{
    const int C = b->c->hidden_size, F = b->c->intermediate_size;
    const rwkv_place at = rwkv_place_of(b->layer, b->c->num_hidden_layers);
    /* (tokens, F), gated also (tokens, C) */
    rwkv_channel k = gated ? rwkv4_channel_key(g, h, F, at, ACT_NONE) : (rwkv_channel){ .key = rwkv7_channel_key(g, h, F, at, ACT_NONE) };
    k.key = fire(g, b, k.key, NULL);                                                                   /* (tokens, F) */
    if (gated) return rwkv_channel_value(g, x, k);                                                     /* (tokens, C) */
    return rwkv_matrix(g, k.key, "ffn.value", C, (rwkv_options){ .in = AXIS_INNER, .residual = x });   /* (tokens, C) */
}

/* x + the feed-forward of h. */
static tensor *feed_forward(graph *g, const building *b, tensor *x, tensor *h)
{
    const hybrid *c = b->c;
    const int kind = here(b, c->feed_forward);
    /* (tokens, C) */
    if (kind == FF_PATTENTION) return pattention_add(g, x, h, "mlp.tokens", patt(c, c->ffn_slot_num, c->ffn_tau2));
    if (kind == FF_MLP || kind == FF_GLU) return perceptron(g, b, x, h, kind == FF_GLU);               /* (tokens, C) */
    return channel_mix(g, b, x, h, kind == FF_GATED_CHANNEL_MIX);                                      /* (tokens, C) */
}

/* ---- the model -------------------------------------------------------------------------- */

static tensor *words(graph *g, const hybrid *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "embed_tokens.weight", c->vocab_size, c->hidden_size, o);                /* (vocab, C) */
}

static tensor *embed(graph *g, const building *b)
{
    const hybrid *c = b->c;
    const bool image = reads_images(c);
    /* (tokens, C) */
    tensor *x = image ? image_embedding(g, &c->image, c->hidden_size, c->initializer_range, false) : embedding(g, words(g, c));
    unscope(g);
    if (position(c) == POSITION_LEARNED) {
        const table_options o = { .rows = AXIS_POSITION, .std = c->initializer_range };
        /* (tokens, C) */
        x = add_positions(g, x, embedding_table(g, "embed_positions.weight", c->max_position_embeddings, c->hidden_size, o));
    }
    if (recurs(c) || c->norm_place == POST) x = normed(g, b, x, "embed_norm", false);                  /* (tokens, C) */
    return tap(g, x, "embed", -1);                                                                     /* (tokens, C) */
}

static tensor *layer(graph *g, building *b, tensor *x)
{
    const hybrid *c = b->c;
    const bool post = c->norm_place == POST, last = b->layer == c->num_hidden_layers - 1;
    const bottleneck_options beside = { .width = bottleneck_width(c->hidden_size, c->aug_reduction), .inner = ACT_GELU_ERF, .std = c->initializer_range };
    tensor *before = x, *h = post ? x : normed(g, b, x, "mixer_norm", false);                          /* (tokens, C) */
    tensor *y = mix(g, b, x, h);                                                                       /* (tokens, C) */
    if (here(b, c->shortcut) == AUGMENTED) y = bottleneck_add(g, y, h, "shortcut", beside);            /* (tokens, C) */
    x = tap(g, post ? normed(g, b, y, "mixer_norm", false) : y, "post_mix", b->layer);                 /* (tokens, C) */
    /* (tokens, C) */
    h = post ? x : normed(g, b, c->use_parallel_residual ? before : x, "feed_forward_norm", false);
    y = feed_forward(g, b, x, h);                                                                      /* (tokens, C) */
    /* (tokens, C) */
    return tap(g, post ? normed(g, b, y, "feed_forward_norm", last && c->tie_word_embeddings) : y, "post_ffn", b->layer);
}

static tensor *build(graph *g, const void *config)
{
    building b = { .c = config };
    const hybrid *c = b.c;
    if (position(c) == POSITION_ROTARY) b.angles = rope_table(g, (rope_options){ .dims = rotary_channels(c->rotary_pct, c->hidden_size / c->num_attention_heads), .base = c->rope_theta });
    tensor *x = embed(g, &b);                                                                          /* (tokens, C) */
    for (; b.layer < c->num_hidden_layers; b.layer++) {
        scope(g, "layers.%d.", b.layer);
        x = layer(g, &b, x);                                                                           /* (tokens, C) */
    }
    unscope(g);
    /* (tokens, C) */
    return c->norm_place == POST ? x : tap(g, normed_as(g, &b, x, "norm", c->final_norm ? c->final_norm - 1 : here(&b, c->norm), c->tie_word_embeddings), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows)
{
    const hybrid *c = config;
    /* (vocab, C) */
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range);
    return (head){ .hidden = rows, .weight = w };
}

static head classify(graph *g, const void *config, tensor *rows, const task *t) { return image_head(g, rows, t, ((const hybrid *)config)->initializer_range); }
static pooling pool(const void *config) { return recurs(config) ? POOL_MEAN : POOL_FIRST; }

static const char *block_changes(const void *config)
{
    return ((const hybrid *)config)->norm_place == POST ? "norm_place post normalises after every sum" : NULL;
}

static const char *heads_change(const void *config) { return position(config) == POSITION_ALIBI ? "ALiBi's slopes are those of the number of heads" : NULL; }

static uint64_t layer_kind(const void *config, int layer)
{
    const hybrid *c = config;
    const int *const lists[] = { c->mixer, c->projection, c->feed_forward, c->activation, c->series, c->shortcut, c->norm };
    uint64_t kind = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) kind = kind << 8 | (uint64_t)choice_at(lists[i], layer);
    return kind;
}

static bool encoder(const void *config) { return ((const hybrid *)config)->encoder; }

/* A common interleaving: RWKV-7 layers with attention between them. */
static json_t *sized_parts(int width, int layers, double factor)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f}", "hidden_size", width, "num_hidden_layers", layers,
                     "num_attention_heads", usual_heads(width), "intermediate_size", glu_width(width),
                     "rwkv_head_dim", usual_head_dim(width), "mixer", "rwkv7,attention", "feed_forward", "glu", "activation", "silu", "norm", "rms_norm",
                     "qkv_slot_num", width * 3 / 4, "proj_slot_num", width * 3 / 4, "ffn_slot_num", width * 3,
                     "initializer_range", sized_std(factor, width));
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    json_t *text = json_pack("{s:i, s:i}", "vocab_size", vocab, "max_position_embeddings", positions);
    return json_object_update_new(text, sized_parts(width, layers, STD_TEXT)) ? (json_decref(text), NULL) : text;
}

static json_t *sized_image(int width, int layers, int vocab, int positions)
{
    (void)vocab;
    json_t *image = json_pack("{s:i, s:i}", "image_size", image_sized(positions), "patch_size", SIZED_PATCH);
    return json_object_update_new(image, sized_parts(width, layers, STD_IMAGES)) ? (json_decref(image), NULL) : image;
}

#define GROWTH { \
    .keys = { .width = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .inner = "intermediate_size", \
              .layers = "num_hidden_layers", .layer_prefix = "layers." }, \
    .inner_keys = NAMES("intermediate_size", "qkv_slot_num", "proj_slot_num", "ffn_slot_num"), \
    .slots = (const slot_group[]){ \
        { "qkv_slot_num",  "qkv_tau2",  NAMES("self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj.", "att.receptance.", "att.key.", "att.value.", "att.gate.") }, \
        { "proj_slot_num", "proj_tau2", NAMES("self_attn.o_proj.", "att.output.") }, \
        { "ffn_slot_num",  "ffn_tau2",  NAMES("mlp.tokens.") }, \
        { 0 } }, \
    .block_changes = block_changes, .heads_change = heads_change, .layer_kind = layer_kind }

const arch arch_hybrid = {
    .name = "hybrid", .class_name = "HybridForCausalLM", .stem = "Hybrid",
    .summary = "Hybrid: the parts of the others, combined layer by layer (Vaswani et al. 2017 to Peng et al. 2025)",
    .config = { .size = sizeof(hybrid), .fields = fields, .check = check, .sized = sized },
    .equations = { .build = build, .language = language, .encoder = encoder },
    .files = { .tied_head = "lm_head.weight", .tied_to = "embed_tokens.weight" },
    .growth = GROWTH,
};

const arch arch_hybrid_vit = {
    .name = "hybrid_vit", .class_name = "HybridViTForImageClassification", .stem = "HybridViT",
    .summary = "Hybrid for images: the same parts over patches of an image (Dosovitskiy et al. 2021)",
    .recipe = &image_recipe,
    .config = { .size = sizeof(hybrid), .fields = image_fields, .divides = NAMES("patch_size", "image_size"), .check = check_image, .sized = sized_image },
    .equations = { .build = build, .classify = classify, .encoder = always, .pool = pool, .context = image_context, .image = image_of },
    .files = { .heads = NAMES("classifier."), .known_by = "layers.0.feed_forward_norm.weight" },
    .growth = GROWTH,
};

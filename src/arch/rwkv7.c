/* RWKV-7.  Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic State
 * Evolution".  Like version 4 a time mix and a channel mix a layer, each over its
 * input and the row before it; the time mix keeps a matrix for each head, which
 * forgets channel by channel, unlearns along one key and learns along another.
 * Decay, rates, gate and the share of the first layer's values come from the
 * token through products of low rank.
 * Names are those of the authors' .pth files (low-rank matrices (in,out), layer
 * 0 without v0, v1, v2), keys those of flash-linear-attention's "rwkv7". */
#include "arch/rwkv.h"
#include <math.h>
#include <stdio.h>

typedef struct {
    int vocab_size, max_position_embeddings, hidden_size, num_hidden_layers, head_dim, intermediate_size;
    int decay_low_rank_dim, a_low_rank_dim, v_low_rank_dim, gate_low_rank_dim;
    double norm_eps, group_norm_epsilon, l2_wrap;
} rwkv7;

#define CONFIG rwkv7
static const field fields[] = {
    INT(vocab_size, 65536, VOCABULARY), INT(max_position_embeddings, 4096, LENGTH), INT(hidden_size, 768, WIDTH), INT(num_hidden_layers, 12, LAYERS),
    INT(head_dim, 64, CHANNELS), INT(intermediate_size, 0, INNER), INT(decay_low_rank_dim, 64, WIDTH), INT(a_low_rank_dim, 64, WIDTH),
    INT(v_low_rank_dim, 32, WIDTH), INT(gate_low_rank_dim, 128, WIDTH), REAL(norm_eps, 1e-5, EPSILON),
    REAL(group_norm_epsilon, RWKV_HEADS_EPS, EPSILON), REAL(l2_wrap, 1e-4, EPSILON),
    { 0 }
};

static const known_key others[] = {
    { .key = "head_size" }, { .key = "layer_norm_epsilon" }, { .key = "context_length" }, { .key = "lora_rank_decay" }, { .key = "lora_rank_iclr" },
    { .key = "lora_rank_value_residual_mix" }, { .key = "lora_rank_gate" }, { .key = "num_heads" },
    /* Other values mean other equations; attn makes layers of attention. */
    { "hidden_act", "\"sqrelu\"|null" }, { "norm_first", "true|null" }, { "norm_bias", "true|null" }, { "attn", "null" }, RWKV_OWN_HEAD,
    /* speed alone */
    { "attn_mode", "*" }, { "fuse_norm", "*" }, { "fuse_cross_entropy", "*" }, { "fuse_linear_cross_entropy", "*" },
    { "hidden_ratio", "*" }, { "value_dim", "*" },      /* of which intermediate_size and the tensors' shapes tell */
    { 0 }
};

/* flash-linear-attention, which always writes attn_mode, has norm_eps times the channels of a head for the norm of the
 * heads: with 64 channels and 1e-5 the authors' number. */
static int flash_norm(json_t *config)
{
    const json_t *size = json_object_get(config, "head_dim"), *eps = json_object_get(config, "norm_eps");
    if (!json_object_get(config, "attn_mode") || json_object_get(config, "group_norm_epsilon")) return LITHE_OK;
    double channels = json_is_integer(size) ? json_number_value(size) : 64, each = json_is_number(eps) ? json_number_value(eps) : 1e-5;
    return json_object_set_new(config, "group_norm_epsilon", json_real(channels * each));
}

/* Older spellings, and what another program's keys leave to be worked out. */
static int normalize(json_t *config, lithe_error *err)
{
    static const char *const older[][2] = { { "head_size", "head_dim" }, { "layer_norm_epsilon", "norm_eps" }, { "context_length", "max_position_embeddings" },
        { "lora_rank_decay", "decay_low_rank_dim" }, { "lora_rank_iclr", "a_low_rank_dim" }, { "lora_rank_value_residual_mix", "v_low_rank_dim" },
        { "lora_rank_gate", "gate_low_rank_dim" } };
    for (size_t i = 0; i < sizeof older / sizeof *older; i++) {
        const json_t *newer = json_object_get(config, older[i][1]);
        json_t *value = json_object_get(config, older[i][0]);
        if (value && (!newer || json_is_null(newer))) json_object_set(config, older[i][1], value);
    }
    const json_t *width = json_object_get(config, "hidden_size"), *heads = json_object_get(config, "num_heads"), *size = json_object_get(config, "head_dim");
    if (json_integer_value(heads) > 0 && json_is_integer(width) && (!size || json_is_null(size)))
        json_object_set_new(config, "head_dim", json_integer(json_integer_value(width) / json_integer_value(heads)));
    return flash_norm(config) ? fail(err, LITHE_ENOMEM, "not enough memory to read it") : LITHE_OK;
}

/* ---- initial values: those of the authors' trainer ---- */

static double slope(const double *p, uint64_t key, size_t i) { (void)key; return p[0] + p[1] * ((double)i / p[2] - 0.5); }

/* -1 .. 1 over a head's channels, bent towards 0 */
static double zigzag(size_t i, double N)
{
    double half = N > 1 ? (N - 1) / 2 : 1, z = (fmod((double)i, N) - (N - 1) / 2) / half;
    return z * fabs(z);
}

/* p: last channel, exponent, channels of a head */
static double decay(const double *p, uint64_t key, size_t i) { (void)key; return -5.5 + 6 * pow((double)i / p[0], p[1]) + 2.5 * zigzag(i, p[2]); }
static double rate(const double *p, uint64_t key, size_t i) { (void)key; return -0.19 + 0.3 * zigzag(i, p[2]) + 0.4 * ((double)i / p[0] - 0.5); }

static tensor *mix_of(graph *g, const char *name, int C, double power) { return rwkv_mix(g, name, C, (rwkv_share){ .power = power, .past = true }); }

/* ---- equations ---- */

/* act(inner(x NAME1) NAME2 + bias) */
typedef struct { int rank; activation inner, act; tensor *bias; } low_rank_options;
static tensor *low_rank(graph *g, tensor *x, const char *name, low_rank_options o)
{
    char text[2][32];
    const int C = width_of(x), R = o.rank;
    for (int i = 0; i < 2; i++) snprintf(text[i], sizeof text[i], "att.%s%d", name, i + 1);
    /* (C, R) */
    tensor *down = parameter(g, text[0], (param_rule){ .dims = { C, R }, .axes = { reads(AXIS_RESIDUAL) } });
    /* (R, C) */
    tensor *up = parameter(g, text[1], (param_rule){ .dims = { R, C }, .axes = { [1] = writes(AXIS_RESIDUAL) }, .init = INIT_ORTHOGONAL,
                                                     .std = 0.1 * (R > C && C ? sqrt((double)R / C) : 1) });
    tensor *h = linear(g, x, down, NULL, (linear_options){ .layout = IN_OUT, .act = o.inner });        /* (tokens, R) */
    return linear(g, h, up, o.bias, (linear_options){ .layout = IN_OUT, .act = o.act });               /* (tokens, C) */
}

/* The first layer's values, or a mixture of these with the layer's own. */
static tensor *values(graph *g, const rwkv_place *at, tensor *v, tensor *x, int rank)
{
    const int C = width_of(x);
    if (!*at->first_values) return *at->first_values = v;                                              /* (tokens, C) */
    /* (1, 1, C) */
    tensor *v0 = rwkv_channels(g, "att.v0", C, (rwkv_init){ .formula = slope, .args = { 0.73, -0.4, rwkv_last(C) } });
    /* (tokens, C) */
    tensor *share = low_rank(g, x, "v", (low_rank_options){ .rank = rank, .act = ACT_SIGMOID, .bias = v0 });
    return lerp(g, v, *at->first_values, share);                                                       /* (tokens, C) */
}

enum { XR, XW, XK, XV, XA, XG };

tensor *rwkv7_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at, rwkv7_sizes n)
{
    const int C = width_of(h), N = n.head_dim, H = C / N;
    const double last = rwkv_last(C), left = at.left;
    /* (1, 1, C) six times */
    const tensor_list mix = { { mix_of(g, "att.x_r", C, 0.2 * left), mix_of(g, "att.x_w", C, 0.9 * left), mix_of(g, "att.x_k", C, 0.7 * left),
                                mix_of(g, "att.x_v", C, 0.7 * left), mix_of(g, "att.x_a", C, 0.9 * left), mix_of(g, "att.x_g", C, 0.2 * left) } };
    /* (1, 1, C) */
    tensor *w0 = rwkv_channels(g, "att.w0", C, (rwkv_init){ .formula = decay, .args = { last, 1 + pow(at.depth, 0.3), N }, .lr_factor = 2 });
    tensor *a0 = rwkv_channels(g, "att.a0", C, (rwkv_init){ .formula = rate, .args = { last, 0, N } });  /* (1, 1, C) */
    /* (1, 1, C) */
    tensor *k_k = rwkv_channels(g, "att.k_k", C, (rwkv_init){ .formula = slope, .args = { 0.71, -0.1, last } });
    /* (1, 1, C) */
    tensor *k_a = rwkv_channels(g, "att.k_a", C, (rwkv_init){ .formula = rwkv_constant, .args = { 1.02 } });
    /* (H, N) */
    tensor *r_k = rwkv_heads(g, "att.r_k", H, N, (rwkv_init){ .formula = rwkv_constant, .args = { -0.04 } });
    const rwkv_head_norm ln_x = rwkv_ln_x(g, C, &at);                                                    /* (C) twice */

    /* (tokens, C) six times */
    tensor_list y = token_shift(g, h, (token_shift_options){ .mix = mix, .past = true, .name = "att.shift" });
    tensor *r = rwkv_project(g, &at, y.at[XR], "att.receptance", (rwkv_options){ .gain = 1 });         /* (tokens, C) */
    tensor *k = rwkv_project(g, &at, y.at[XK], "att.key", (rwkv_options){ .gain = 0.1 });              /* (tokens, C) */
    tensor *v = rwkv_project(g, &at, y.at[XV], "att.value", (rwkv_options){ .gain = 1 });              /* (tokens, C) */
    /* (tokens, C) */
    tensor *w = low_rank(g, y.at[XW], "w", (low_rank_options){ .rank = n.decay_rank, .inner = ACT_TANH, .bias = w0 });
    /* (tokens, C) */
    tensor *a = low_rank(g, y.at[XA], "a", (low_rank_options){ .rank = n.a_rank, .act = ACT_SIGMOID, .bias = a0 });
    /* (tokens, C) */
    tensor *gate = low_rank(g, y.at[XG], "g", (low_rank_options){ .rank = n.gate_rank, .inner = ACT_SIGMOID });
    v = values(g, &at, v, y.at[XV], n.v_rank);                                                         /* (tokens, C) */

    /* (tokens, C) three times */
    const wkv7_key_set keys = wkv7_keys(g, (wkv7_keys_inputs){ .k = k, .rate = a, .k_k = k_k, .k_a = k_a, .N = N });
    /* (tokens, C) */
    tensor *s = wkv7(g, "att.wkv", (wkv7_inputs){ .r = r, .decay = w, .key = keys.key, .v = v, .removal = keys.removal, .written = keys.written, .N = N });
    /* (tokens, C) */
    s = wkv7_read(g, (wkv7_read_inputs){ .y = s, .r = r, .key = keys.key, .v = v, .w = ln_x.w, .b = ln_x.b, .bonus = r_k, .N = N, .eps = n.eps });
    /* (tokens, C) */
    return rwkv_project(g, &at, glu(g, gate, s, ACT_NONE), "att.output", (rwkv_options){ .residual = x });
}

tensor *rwkv7_channel_key(graph *g, tensor *h, int inner, rwkv_place at, activation act)
{
    const tensor_list mix = { { mix_of(g, "ffn.x_k", width_of(h), pow(at.left, 4)) } };                  /* (1, 1, C) */
    /* (tokens, C) */
    tensor_list y = token_shift(g, h, (token_shift_options){ .mix = mix, .past = true, .name = "ffn.shift" });
    /* (tokens, F) */
    return rwkv_matrix(g, y.at[0], "ffn.key", inner, (rwkv_options){ .out = AXIS_INNER, .gain = 1, .act = act });
}

static tensor *build(graph *g, const void *config)
{
    const rwkv7 *c = config;
    const int C = c->hidden_size, L = c->num_hidden_layers, F = c->intermediate_size ? c->intermediate_size : 4 * C;
    const double eps = c->norm_eps;
    const rwkv7_sizes sizes = { .head_dim = c->head_dim, .decay_rank = c->decay_low_rank_dim, .a_rank = c->a_low_rank_dim, .v_rank = c->v_low_rank_dim,
                                .gate_rank = c->gate_low_rank_dim, .eps = c->group_norm_epsilon };
    tensor *first_values = NULL, *x = rwkv_embed(g, c->vocab_size, C, eps);                            /* (tokens, C) */
    for (int l = 0; l < L; l++) {
        rwkv_place at = rwkv_place_of(l, L);
        at.first_values = &first_values;
        scope(g, "blocks.%d.", l);
        x = tap(g, rwkv7_time_mix(g, x, rwkv_norm(g, x, "ln1", eps), at, sizes), "post_mix", l);       /* (tokens, C) */
        tensor *k = rwkv7_channel_key(g, rwkv_norm(g, x, "ln2", eps), F, at, ACT_RELU_SQUARED);        /* (tokens, F) */
        x = rwkv_matrix(g, k, "ffn.value", C, (rwkv_options){ .in = AXIS_INNER, .residual = x });      /* (tokens, C) */
        tap(g, x, "post_ffn", l);
    }
    return rwkv_final_norm(g, x, eps);                                                                 /* (tokens, C) */
}

static head language(graph *g, const void *config, tensor *rows) { return rwkv_head(g, rows, ((const rwkv7 *)config)->vocab_size); }
static double l2_wrap_of(const void *config) { return ((const rwkv7 *)config)->l2_wrap; }

static int rank_of(double x) { return x < 48 ? 32 : (int)((x + 16) / 32) * 32; }

rwkv7_sizes rwkv7_sizes_for(int width, int head_dim)
{
    double root = sqrt(width);
    return (rwkv7_sizes){ .head_dim = head_dim, .decay_rank = rank_of(1.8 * root), .a_rank = rank_of(1.8 * root), .v_rank = rank_of(1.3 * root),
                          .gate_rank = rank_of(0.6 * pow(width, 0.8)), .eps = RWKV_HEADS_EPS };
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    const rwkv7_sizes n = rwkv7_sizes_for(width, usual_head_dim(width));
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "head_dim", n.head_dim, "intermediate_size", 4 * width,
                     "decay_low_rank_dim", n.decay_rank, "a_low_rank_dim", n.a_rank, "v_low_rank_dim", n.v_rank,
                     "gate_low_rank_dim", n.gate_rank);
}

const arch arch_rwkv7 = {
    .name = "rwkv7", .class_name = "RWKV7ForCausalLM", .stem = "RWKV7",
    .summary = "RWKV-7: a recurrent network that learns by the delta rule, constant memory (Peng et al. 2025)",
    .recipe = &rwkv_recipe, .for_text = true,
    .config = { .size = sizeof(rwkv7), .fields = fields, .others = others, .divides = NAMES("head_dim", "hidden_size"),
                .normalize = normalize, .sized = sized },
    .equations = { .build = build, .language = language, .l2_wrap = l2_wrap_of },
    .files = { .known_by = "blocks.0.att.r_k",
               /* In some files, without meaning. */
               .names = NAME_PAIRS({ "blocks.0.att.v0", NULL }, { "blocks.0.att.v1", NULL }, { "blocks.0.att.v2", NULL }) },
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
